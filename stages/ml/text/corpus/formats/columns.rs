//! A word a line with its tag in another column: `CoNLL`, BIO, `CoNLL-U`, `GermEval`.

use std::collections::{BTreeMap, BTreeSet};

use stage_contract::StageError;

use super::super::{
    format::{File, Format, Want},
    item::Found,
    look::{Look, is_nested, look},
    options::{self, Options},
};
use super::sentence::Sentence;
use crate::labels::{Notation, split_tag};

/// Two to any number of columns, by tabs or blanks. A blank line ends a sentence.
pub struct Columns;

impl Format for Columns {
    fn name(&self) -> &'static str {
        "CoNLL"
    }

    fn sniff(&self, file: &File, want: Want, options: &Options) -> bool {
        match want {
            Want::Gold => Lines::of(&file.text).layout(options).is_some(),
            // Text that only seems to have a tag at the end of some lines stays text.
            Want::Text => {
                let lines = Lines::of(head(&file.text));
                let tagged = |layout: Layout| {
                    let all = lines.cells().all(|(_, cells)| {
                        cells.len() == layout.count && split_tag(layout.tag(cells)).is_some()
                    });
                    all && lines.cells().nth(2).is_some()
                };
                options.columns.is_none() && lines.layout(options).is_some_and(tagged)
            }
        }
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let lines = Lines::of(&file.text);
        let mut found = Found::default();
        if let Some(layout) = lines.layout(options) {
            found.form.extend(layout.form());
            lines.read(&layout, want, &mut found);
        }
        Ok(found)
    }
}

/// The first lines of a text: a corpus is large, and they tell enough.
fn head(text: &str) -> &str {
    const LONGEST: usize = 1 << 16;
    let cut = text.as_bytes().get(LONGEST..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'));
    cut.map_or(text, |end| &text[..LONGEST + end])
}

/// What a line is.
#[derive(Debug, PartialEq)]
enum Line<'t> {
    /// Ends a sentence.
    Blank,
    /// Begins a document, which may have a name.
    Document(Option<&'t str>),
    /// May be a comment, or a word that begins with `#`.
    Hash(Vec<&'t str>),
    /// A word with what stands beside it; whether blanks are between.
    Cells(Vec<&'t str>, bool),
}

/// The lines of a file.
struct Lines<'t> {
    lines: Vec<Line<'t>>,
    /// The names of columns that `# global.columns =` gives.
    names: Vec<String>,
}

/// Which column is what, from 0.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    /// How many columns most lines have.
    count: usize,
    word: i32,
    tag: i32,
    /// The key of the tag, where the column holds `NER=B-PER|SpaceAfter=No`.
    key: Option<&'static str>,
    /// Whether the first column counts words.
    indexed: bool,
    /// Whether the first line names the columns.
    header: bool,
    /// What else was decided.
    why: Option<&'static str>,
}

const WORDS: [&str; 8] = ["word", "token", "form", "words", "tokens", "text", "mot", "surface"];
const TAGS: [&str; 14] = [
    "ner",
    "ner_tag",
    "ner_tags",
    "tag",
    "tags",
    "label",
    "labels",
    "iob",
    "bio",
    "entity",
    "ne",
    "ne-coarse-lit",
    "entities",
    "iob_tag",
];
const KEYS: [&str; 4] = ["NER", "NE", "Ner", "ner"];

/// Whether cells are names of columns: one of words and one of tags.
pub(super) fn header(cells: &[impl AsRef<str>]) -> Option<(usize, usize)> {
    let find = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| cells.iter().position(|cell| cell.as_ref().trim().eq_ignore_ascii_case(name)))
    };
    find(&WORDS).zip(find(&TAGS)).filter(|(word, tag)| word != tag)
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let separator = separator(text);
        let mut names = Vec::new();
        let lines = text
            .lines()
            .map(|line| {
                if line.trim().is_empty() {
                    return Line::Blank;
                }
                if line.starts_with("-DOCSTART-") {
                    return Line::Document(None);
                }
                let cells = split(line, separator);
                let blanks = separator.is_none() && !line.contains('\t');
                let Some(comment) = line.strip_prefix('#') else { return Line::Cells(cells, blanks) };
                let comment = comment.trim();
                if let Some(columns) = comment.strip_prefix("global.columns") {
                    names = columns
                        .trim_start_matches([' ', '='])
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect();
                }
                document(comment).unwrap_or(Line::Hash(cells))
            })
            .collect();
        Self { lines, names }
    }

    /// The words' lines from 1 and their cells.
    fn cells(&self) -> impl Iterator<Item = (usize, &Vec<&'t str>)> {
        self.lines.iter().zip(1..).filter_map(|(line, number)| match line {
            Line::Cells(cells, _) => Some((number, cells)),
            _ => None,
        })
    }

    /// The columns, said or guessed.
    fn layout(&self, options: &Options) -> Option<Layout> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, cells) in self.cells().filter(|(_, cells)| cells.len() > 1) {
            *counts.entry(cells.len()).or_default() += 1;
        }
        let count = *counts.iter().max_by_key(|(columns, lines)| (**lines, std::cmp::Reverse(**columns)))?.0;
        let base = Layout { count, word: 0, tag: -1, key: None, indexed: false, header: false, why: None };
        let first = self.cells().next().map(|(_, cells)| cells.as_slice()).unwrap_or_default();
        let named = header(first);
        if let Some(options::Columns { word, tag }) = options.columns {
            let place = |column: i32| if column > 0 { column - 1 } else { column };
            let header = named.is_some();
            return Some(Layout { word: place(word), tag: place(tag), header, why: Some("as said"), ..base });
        }
        if let Some((word, tag)) = named {
            return Some(Layout { header: true, why: Some("by the first line"), ..base }.at(word, tag));
        }
        if let Some((word, tag)) = header(&self.names) {
            return Some(Layout { indexed: word > 0, why: Some("by global.columns"), ..base }.at(word, tag));
        }
        let rows: Vec<&[&str]> =
            self.cells().map(|(_, cells)| cells.as_slice()).filter(|cells| cells.len() == count).collect();
        let indexed = count > 2 && self.counts_words(count);
        let word = usize::from(indexed);
        if let Some(key) =
            KEYS.into_iter().find(|key| count == 10 && rows.iter().any(|row| value(row[9], key).is_some()))
        {
            return Some(Layout { key: Some(key), indexed, ..base }.at(word, 9));
        }
        let looks: Vec<_> = (0..count).map(|column| look(rows.iter().map(|row| row[column]))).collect();
        let of = |wanted: Look| -> Vec<usize> {
            (word + 1..count).filter(|column| looks[*column] == wanted).collect()
        };
        let column = |column: usize| rows.iter().map(|row| row[column]).collect::<Vec<_>>();
        let layout = Layout { indexed, ..base.clone() };
        match of(Look::Tags).as_slice() {
            [outer, .., inner] if is_nested(&column(*outer), &column(*inner)) => {
                return Some(Layout { why: Some("the outer of two"), ..layout }.at(word, *outer));
            }
            [.., last] => return Some(layout.at(word, *last)),
            [] => {}
        }
        let plain =
            [Look::Plain, Look::Outside, Look::Chunks].into_iter().find_map(|look| of(look).last().copied());
        if let Some(tag) = plain {
            return Some(layout.at(word, tag));
        }
        // Numbers, which options may name.
        let number = |row: &&[&str]| row[count - 1].parse::<u32>().is_ok();
        if count == word + 2 && !rows.is_empty() && rows.iter().all(number) {
            return Some(layout.at(word, count - 1));
        }
        // The tag before the word.
        let first = look(rows.iter().map(|row| row[0]));
        (first == Look::Tags).then(|| base.at(1, 0))
    }

    /// Whether the first column is the number of the word in its sentence.
    fn counts_words(&self, count: usize) -> bool {
        let mut last = None;
        let (mut good, mut all) = (0, 0);
        for line in &self.lines {
            match line {
                Line::Blank | Line::Document(_) => last = None,
                Line::Cells(cells, _) if cells.len() == count => {
                    all += 1;
                    let number =
                        cells[0].split(['-', '.']).next().and_then(|number| number.parse::<usize>().ok());
                    let follows = match (last, number) {
                        (None, Some(number)) => number <= 1,
                        (Some(last), Some(number)) => number == last + 1 || number == last,
                        (_, None) => false,
                    };
                    good += usize::from(follows);
                    last = number;
                }
                _ => {}
            }
        }
        all > 0 && good * 10 >= all * 9
    }

    fn read(&self, layout: &Layout, want: Want, found: &mut Found) {
        let mut sentence = Sentence::default();
        let mut document: Option<String> = None;
        let mut documents = 0;
        let mut header = layout.header;
        let tags: BTreeSet<&str> = self.cells().map(|(_, cells)| layout.tag(cells)).collect();
        let notation = Notation::of(tags.iter().copied());
        for (line, number) in self.lines.iter().zip(1..) {
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
                Line::Cells(..) if std::mem::take(&mut header) => continue,
                Line::Cells(cells, blanks) => (cells, *blanks),
                Line::Hash(cells) => {
                    let tag = layout.tag(cells);
                    let known = if notation.is_plain() {
                        tags.contains(tag) || split_tag(tag).is_some()
                    } else {
                        notation.read(tag).is_some()
                    };
                    let word = cells.len() == layout.count && known;
                    if !word {
                        continue;
                    }
                    (cells, false)
                }
            };
            read_word(&mut sentence, cells, number, layout, blanks);
        }
        sentence.end(document.as_ref(), want, found);
    }
}

/// Reads a word's line into its sentence. `blanks`: its columns are between blanks.
fn read_word(sentence: &mut Sentence, cells: &[&str], number: usize, layout: &Layout, blanks: bool) {
    // `3-4 du` of CoNLL-U is the surface of the words 3 and 4, and `5.1` is no word of the text.
    if layout.indexed && cells[0].contains(['-', '.']) && cells[0].starts_with(|c: char| c.is_ascii_digit()) {
        return;
    }
    let tag = layout.tag(cells);
    let more = cells.len() > layout.count;
    match layout.word(cells) {
        // A word with blanks in it, between blanks.
        Some(_) if more && blanks && layout.count == 2 && layout.tag == 1 => {
            sentence.push(cells[..cells.len() - 1].join(" "), tag, number);
        }
        _ if cells.len() < 2 => sentence.reject(number, "a word without a tag"),
        Some(word) if cells.len() == layout.count || layout.fits(cells) => sentence.push(word, tag, number),
        _ => sentence
            .reject(number, format!("{} columns where other lines have {}", cells.len(), layout.count)),
    }
}

impl Layout {
    fn at(self, word: usize, tag: usize) -> Self {
        let place = |column: usize| i32::try_from(column).unwrap_or(i32::MAX);
        Self { word: place(word), tag: place(tag), ..self }
    }

    fn cell<'t>(cells: &[&'t str], column: i32) -> Option<&'t str> {
        let from_end = || cells.len().checked_sub(usize::try_from(-i64::from(column)).ok()?);
        let index = usize::try_from(column).ok().or_else(from_end)?;
        cells.get(index).copied()
    }

    fn word<'t>(&self, cells: &[&'t str]) -> Option<&'t str> {
        Self::cell(cells, self.word)
    }

    /// The tag, also of a line with more or fewer columns before it.
    fn tag<'t>(&self, cells: &[&'t str]) -> &'t str {
        let last = self.tag >= 0 && usize::try_from(self.tag).is_ok_and(|tag| tag + 1 == self.count);
        let cell = Self::cell(cells, if last { -1 } else { self.tag }).unwrap_or_default();
        match self.key {
            Some(key) => value(cell, key).unwrap_or("O"),
            None => cell,
        }
    }

    /// Whether a line of another number of columns has its tag where it should be.
    fn fits(&self, cells: &[&str]) -> bool {
        let known = split_tag(self.tag(cells)).is_some();
        let last = self.tag < 0 || usize::try_from(self.tag).is_ok_and(|tag| tag + 1 == self.count);
        // More columns may be a word that was cut in two.
        known && last && cells.len() < self.count
    }

    fn form(&self) -> Vec<String> {
        let place = |column: i32| if column < 0 { column } else { column + 1 };
        let mut form = vec![
            format!("{} columns", self.count),
            format!("word {}", place(self.word)),
            format!("tag {}", place(self.tag)),
        ];
        form.extend(self.key.map(|key| format!("`{key}=` in it")));
        form.extend(self.why.map(str::to_owned));
        form
    }
}

/// The value of a key in `NER=B-PER|SpaceAfter=No`.
fn value<'t>(cell: &'t str, key: &str) -> Option<&'t str> {
    cell.split('|')
        .find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
}

/// What a comment says of documents: `newdoc id = a`, `document_id = a`, `begin document (a); part 0`.
fn document(comment: &str) -> Option<Line<'_>> {
    let rest = ["newdoc id", "document_id", "doc_id", "begin document", "newdoc"]
        .iter()
        .find_map(|mark| comment.strip_prefix(mark))
        .filter(|rest| rest.is_empty() || rest.starts_with([' ', '=', '(']))?;
    let name = rest.trim_start_matches([' ', '=']).trim();
    Some(Line::Document((!name.is_empty()).then_some(name)))
}

/// The cells of a line: between tabs where it has one, else between ASCII blanks, or between `separator`.
fn split(line: &str, separator: Option<char>) -> Vec<&str> {
    let cells = |separator| line.trim_end().split(separator).map(str::trim).collect();
    if line.contains('\t') {
        cells('\t')
    } else if let Some(separator) = separator {
        cells(separator)
    } else {
        // A no-break space is part of a word. What begins with a blank has a word of white space.
        let words = line.split_ascii_whitespace().map(str::trim);
        let blank = line.starts_with(' ') && line.split_ascii_whitespace().count() == 1;
        std::iter::repeat_n("", usize::from(blank)).chain(words).collect()
    }
}

/// What separates columns where neither tabs nor blanks do.
fn separator(text: &str) -> Option<char> {
    let lines = || text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).take(1000);
    let share = |separator: &[char]| lines().filter(|line| line.trim().contains(separator)).count();
    let all = lines().count();
    if all == 0 || share(&['\t', ' ']) * 2 > all {
        return None;
    }
    [',', ';', '|'].into_iter().find(|separator| share(&[*separator]) * 10 >= all * 9)
}
