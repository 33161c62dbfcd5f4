//! Rows and records that are a word each: which columns are the word, its tag, its sentence and its document.

use std::path::Path;

use csv::StringRecord;
use stage_contract::StageError;

use super::{
    format::Want,
    item::{Content, Found, Place},
    names::{NAMELESS, Names},
    options::Options,
    roles::{self, DOCUMENTS},
    sentence::Sentence,
};
use crate::labels::split_tag;

/// Rows that are looked at to tell what columns are.
pub(super) const LOOKED_AT: usize = 200;
/// Columns that say which sentence a word is of.
const SENTENCES: [&str; 9] = [
    "sentence #",
    "sentence",
    "sentence_id",
    "sentence id",
    "sent_id",
    "sent",
    "sentence_idx",
    "sentence_number",
    "sentenceid",
];
/// Columns that say it where they repeat their numbers, and else count the rows.
const NUMBERS: [&str; 6] = ["id", "unnamed: 0", "index", "idx", "#", ""];

/// The columns of a table with a word a row, and what is read of it.
pub(super) struct WordRows {
    names: Vec<String>,
    /// The column of the word.
    pub word: usize,
    /// The column of its tag.
    pub tag: usize,
    /// The column of its sentence.
    pub sentence: Option<usize>,
    document: Option<usize>,
    /// A column with the name of a sentence's number, which counts the rows.
    counting: Option<usize>,
    open: Sentence,
    /// The document and the sentence of the row before.
    before: (Option<String>, Option<String>),
    /// Whether a blank line was between rows.
    gaps: bool,
    /// Whether the options name tags that are numbers, which is done where all tags are known.
    labelled: bool,
}

/// A column by one of some names, the surest first, case aside.
pub(super) fn column(names: &[String], known: &[&str]) -> Option<usize> {
    known.iter().find_map(|name| names.iter().position(|own| own.eq_ignore_ascii_case(name)))
}

impl WordRows {
    /// The columns, said or known by their names; `None` where a row is no word. `rows` are the first.
    pub fn of(names: &[String], rows: &[StringRecord], options: &Options) -> Option<Self> {
        let fields = &options.fields;
        let at = |name: &Option<String>| name.as_deref().and_then(|name| column(names, &[name]));
        let word = at(&fields.tokens).or_else(|| roles::word(names))?;
        let tag =
            at(&fields.tags).or_else(|| roles::tags(names, word).first().copied()).filter(|t| *t != word)?;
        let free = |column: &usize| ![word, tag].contains(column);
        let groups = |column: &usize| is_grouping(rows, *column);
        let usual = column(names, &SENTENCES).filter(free);
        // Where rows are few, each may be a sentence.
        let counting = usual.filter(|column| rows.len() > 9 && !groups(column));
        let number = NUMBERS.iter().filter_map(|name| column(names, &[name])).find(|c| free(c) && groups(c));
        let said = at(&fields.sentence).filter(free);
        let sentence = said.or_else(|| usual.filter(|_| counting.is_none())).or(number);
        let counting = counting.filter(|_| sentence.is_none());
        let document = at(&fields.document).or_else(|| column(names, &DOCUMENTS)).filter(free);
        let found = Self {
            names: names.to_vec(),
            word,
            tag,
            sentence,
            document,
            counting,
            open: Sentence::default(),
            before: (None, None),
            gaps: false,
            labelled: options.labels.is_some(),
        };
        found.has_a_word_a_row(rows).then_some(found)
    }

    /// By the name of the column, one word or several; and by what is in it where the name may be of both.
    fn has_a_word_a_row(&self, rows: &[StringRecord]) -> bool {
        let cells = |column: usize| rows.iter().map(move |row| row.get(column).unwrap_or_default().trim());
        let one = || {
            rows.len() > 1
                && cells(self.word).all(|cell| !cell.starts_with(['[', '(']) && !cell.contains(' '))
        };
        let several = |cell: &str| cell.split(' ').filter(|tag| split_tag(tag).is_some()).count() > 1;
        !cells(self.tag).any(several)
            && match self.names[self.word].to_lowercase().as_str() {
                "text" => false,
                "tokens" | "words" => self.sentence.is_some() || one(),
                _ => true,
            }
    }

    /// What the columns are called.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads a row. `gap`: a blank line is before it.
    pub fn take(&mut self, place: Place, gap: bool, row: &StringRecord, want: Want, found: &mut Found) {
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        let named = |column: Option<usize>| column.map(cell).filter(|n| !n.is_empty()).map(str::to_owned);
        // A sentence and a document are named at their first word, or at each; sentences may count from 1 in each document.
        let (document, own) = &self.before;
        let now =
            (named(self.document).or_else(|| document.clone()), named(self.sentence).or_else(|| own.clone()));
        if gap || now != self.before {
            self.open.end(self.before.0.as_ref(), want, found);
        }
        self.gaps |= gap;
        self.before = now;
        self.open.push(cell(self.word), cell(self.tag), place);
    }

    /// A row that is wrong, and its sentence with it.
    pub fn reject(&mut self, place: Place, reason: impl Into<String>) {
        self.open.reject(place, reason);
    }

    /// Ends the last sentence, says what was guessed, and gives tags that are numbers their names.
    ///
    /// # Errors
    /// Tags are numbers, and `names` are not those of all. `explained` says how they may be named.
    pub fn finish(
        mut self,
        want: Want,
        names: Option<&Names>,
        (path, explained): (&Path, &str),
        found: &mut Found,
    ) -> Result<(), StageError> {
        self.open.end(self.before.0.as_ref(), want, found);
        let name = |column: usize| format!("`{}`", self.names[column]);
        found.form.extend([format!("words {}", name(self.word)), format!("tags {}", name(self.tag))]);
        found.form.extend(self.sentence.map(|column| format!("sentences {}", name(column))));
        found.notes.extend(
            self.counting.map(|column| {
                format!("{} has another value in each row: it counts no sentences", name(column))
            }),
        );
        if self.sentence.is_none() && self.document.is_none() && !self.gaps {
            found.notes.push("no column of sentences and no blank line: all is one sentence".to_owned());
        }
        if self.labelled || want != Want::Gold {
            return Ok(());
        }
        name_tags(names, &self.names[self.tag], found).map_err(|reason| {
            StageError::new(format!("{}: {reason}", path.display()))
                .help(format!("name them by {explained}, in the order of the numbers"))
        })
    }
}

/// Whether a column groups rows: some repeat the value above them or leave it out, more than one in ten.
fn is_grouping(rows: &[StringRecord], column: usize) -> bool {
    let cell = |row: &StringRecord| row.get(column).unwrap_or_default().trim().to_owned();
    let again = rows.iter().zip(rows.iter().skip(1)).filter(|(one, next)| {
        let next = cell(next);
        next.is_empty() || next == cell(one)
    });
    let first = rows.first().is_some_and(|row| !cell(row).is_empty());
    first && 10 * again.count() > rows.len()
}

/// Gives tags that are all numbers their names.
///
/// # Errors
/// There are no names, or not one for each.
fn name_tags(names: Option<&Names>, field: &str, found: &mut Found) -> Result<(), String> {
    let number = |tag: &String| tag.parse::<i64>().ok();
    let lists = || {
        found.items.iter().filter_map(|item| match &item.content {
            Content::Tagged { tags, .. } => Some(tags),
            _ => None,
        })
    };
    if lists().next().is_none() || !lists().flatten().all(|tag| number(tag).is_some()) {
        return Ok(());
    }
    let ids = names.and_then(|names| names.ids(field)).ok_or(NAMELESS)?;
    for item in &mut found.items {
        let Content::Tagged { tags, .. } = &mut item.content else { continue };
        for tag in tags {
            let name = number(tag).and_then(|id| ids.get(&id));
            let unknown = || format!("a tag is {tag}, and {} names are given", ids.len());
            *tag = name.cloned().ok_or_else(unknown)?;
        }
    }
    found.form.extend(names.map(|names| format!("named by {}", names.origin)));
    Ok(())
}
