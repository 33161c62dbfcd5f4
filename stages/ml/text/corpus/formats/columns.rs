//! A word a line with its tag in another column: `CoNLL`, BIO, `CoNLL-U`, `GermEval`.

mod complaint;
mod layout;
mod lines;
mod retagged;

use std::collections::BTreeSet;

use stage_contract::StageError;

pub(in crate::corpus) use self::complaint::complaint;
pub(in crate::corpus) use self::lines::{begins, is_mark};
pub(in crate::corpus) use self::retagged::retagged;
use self::{
    layout::Layout,
    lines::{Line, Lines, head, with_whole_types},
};
use crate::corpus::{
    cells::{Part, is_number},
    format::{File, Format, Want},
    item::{Found, Place},
    options::Options,
    sentence::Sentence,
};
use crate::labels::{Notation, Prefix, split_tag};

/// Endings of what is nothing else.
const ENDINGS: [&str; 6] = ["bio", "bioes", "conll", "conllu", "iob", "iob2"];

/// Two to any number of columns, by tabs or blanks. A blank line ends a sentence.
pub struct Columns;

impl Format for Columns {
    fn name(&self) -> &'static str {
        "CoNLL"
    }

    fn sniff(&self, file: &File, want: Want, options: &Options) -> bool {
        let text = if want == Want::Gold { &file.text } else { head(&file.text) };
        let text = with_whole_types(text);
        let lines = Lines::of(&text);
        let first = || file.lines().next().is_some_and(|(_, line)| begins(line));
        let named = want == Want::Entries && (ENDINGS.contains(&file.ending().as_str()) || first());
        Layout::of(&lines, want, options)
            .is_some_and(|layout| want == Want::Gold || named || is_clear(&lines, &layout, options))
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let text = with_whole_types(&file.text);
        let lines = Lines::of(&text);
        let mut found = Found::default();
        if let Some(layout) = Layout::of(&lines, want, options) {
            if let Some(problem) = layout.problem() {
                return Err(StageError::new(format!("{}: {problem}", file.path.display())).help(
                    "say columns that the lines have, `columns = { word = 1, tag = -1 }`, or say none",
                ));
            }
            found.form.extend(layout.form());
            read(&lines, &layout, want, &mut found);
        }
        Ok(found)
    }
}

/// Whether lines are words with tags beyond doubt: text that only seems to have a tag at the end of some lines stays text.
fn is_clear(lines: &Lines, layout: &Layout, options: &Options) -> bool {
    const LEAST: usize = 3;
    let rows: Vec<_> = lines.cells().map(|(_, cells)| cells).skip(usize::from(layout.header)).collect();
    let whole = rows.iter().filter(|cells| cells.len() == layout.count);
    let tags: Vec<&str> = whole.map(|cells| layout.tag(cells)).collect();
    let kinds: BTreeSet<&str> = tags.iter().copied().collect();
    let notation = Notation::of(kinds.iter().copied());
    let usual = |tag: &str| {
        notation
            .read(tag)
            .is_some_and(|read| read.is_none_or(|(_, kind)| kind.starts_with(char::is_alphabetic)))
    };
    let outside = |mark: &str| tags.iter().filter(|tag| **tag == mark).count() * 4 >= tags.len();
    let few = 2 * kinds.len() <= tags.len() + 2;
    let known = if !layout.is_tagged() || options.columns.is_some() {
        tags.len()
    } else if tags.iter().all(|tag| is_number(tag)) {
        if outside("0") && 2 * kinds.len() <= tags.len() { tags.len() } else { 0 }
    } else if (notation.is_plain() && !outside(notation.outside())) || !few {
        tags.iter().filter(|tag| split_tag(tag).is_some() && usual(tag)).count()
    } else {
        tags.iter().filter(|tag| usual(tag)).count()
    };
    let least = if options.columns.is_some() || layout.header {
        1
    } else {
        LEAST - usize::from(!notation.is_plain())
    };
    known >= least && rows.len() - known <= (rows.len() / 10).max(1)
}

fn read(lines: &Lines, layout: &Layout, want: Want, found: &mut Found) {
    let mut sentence = Sentence::default();
    let mut document: Option<String> = None;
    let mut documents = 0;
    let mut header = layout.header;
    let mut ids: Vec<&str> = Vec::new();
    // The tag of the word before, where its line ends a sentence.
    let mut last: Option<&str> = None;
    let mut joined = 0;
    let words = lines.cells().skip(usize::from(layout.header));
    let tags: BTreeSet<&str> = words.map(|(_, cells)| layout.tag(cells)).collect();
    let notation = Notation::of(tags.iter().copied());
    for (line, number) in lines.lines.iter().zip(1..) {
        let (cells, blanks) = match line {
            Line::Blank => {
                sentence.end(document.as_ref(), want, found);
                continue;
            }
            Line::Document(name) => {
                sentence.end(document.as_ref(), want, found);
                documents += 1;
                document = Some(name.map_or_else(|| documents.to_string(), str::to_owned));
                continue;
            }
            Line::Text(text) => {
                sentence.says(text);
                continue;
            }
            Line::Cells(..) if std::mem::take(&mut header) => continue,
            Line::Cells(cells, blanks) => (cells, *blanks),
            Line::Hash(cells, close) => {
                let tag = layout.tag(cells);
                let known = if notation.is_plain() {
                    tags.contains(tag) || split_tag(tag).is_some()
                } else {
                    notation.read(tag).is_some()
                };
                // In the midst of a sentence a hashtag is a word, even with a tag that is wrong.
                let word = known || (*close && sentence.is_open());
                if cells.len() != layout.count || !word {
                    continue;
                }
                (cells, false)
            }
        };
        if layout.skips(cells) {
            continue;
        }
        let now: Vec<&str> = layout.parts.iter().filter_map(|part| part.of(cells)).collect();
        let begins = layout
            .parts
            .iter()
            .zip(ids.iter().zip(&now))
            .any(|(part, (before, now))| part.begins(before, now));
        // Sentences that a program found may end inside of an entity.
        let ended = last.filter(|_| sentence.is_open());
        let inside = ended.is_some_and(|before| goes_on(&notation, before, layout.tag(cells)));
        joined += usize::from(inside);
        if begins || (ended.is_some() && !inside) {
            sentence.end(document.as_ref(), want, found);
        }
        ids = now;
        last = layout.is_last(cells).then(|| layout.tag(cells));
        read_word(&mut sentence, cells, number, layout, blanks);
    }
    sentence.end(document.as_ref(), want, found);
    found.count(
        joined,
        "end of a sentence lies inside of an entity and is passed over",
        "ends of sentences lie inside of entities and are passed over",
    );
}

/// Whether a tag goes on with the entity of the tag before it.
fn goes_on(notation: &Notation, before: &str, tag: &str) -> bool {
    let of = |tag| notation.read(tag).flatten();
    matches!((of(before), of(tag)), (Some((_, kind)), Some((Prefix::Inside | Prefix::End, own))) if kind == own)
}

impl Part {
    fn of<'t>(self, cells: &[&'t str]) -> Option<&'t str> {
        let (Self::Changes(column) | Self::Restarts(column)) = self;
        cells.get(column).copied()
    }

    fn begins(self, before: &str, now: &str) -> bool {
        match self {
            Self::Changes(_) => before != now,
            Self::Restarts(_) => now.parse::<usize>().ok() <= before.parse::<usize>().ok(),
        }
    }
}

/// Reads a word's line into its sentence. `blanks`: its columns are between blanks.
fn read_word(sentence: &mut Sentence, cells: &[&str], number: usize, layout: &Layout, blanks: bool) {
    let tag = layout.tag(cells);
    let more = cells.len() > layout.count;
    let place = Place::Line(number);
    match layout.word(cells) {
        // A word with blanks in it, between blanks.
        Some(_) if more && blanks && layout.is_pair() => {
            sentence.push(cells[..cells.len() - 1].join(" "), tag, place);
        }
        _ if cells.len() < 2 => sentence.reject(place, "a word without a tag"),
        Some(word) if cells.len() == layout.count || layout.fits(cells) => sentence.push(word, tag, place),
        _ => {
            sentence
                .reject(place, format!("{} columns where other lines have {}", cells.len(), layout.count));
        }
    }
}
