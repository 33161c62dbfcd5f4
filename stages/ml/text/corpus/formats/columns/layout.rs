//! Which column of a file is what: said by options or a header, else guessed from the cells.

use super::lines::Lines;
use crate::corpus::{
    cells::{Cells, Guess, Part, is_number},
    format::Want,
    options::{Columns, Options, place},
    roles::header,
};
use crate::labels::{Notation, split_tag};

/// Which column is what, from 1, or from -1 at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// How many columns most lines have.
    pub count: usize,
    word: i32,
    /// `None` where only text is wanted, and there is none.
    tag: Option<i32>,
    /// The key of the tag, where the column holds `NER=B-PER|SpaceAfter=No`.
    key: Option<&'static str>,
    /// The column that counts words or sentences, from 0.
    index: Option<usize>,
    /// Columns that say where a sentence begins, where no blank lines do.
    pub parts: Vec<Part>,
    /// The flag in the last column that says where a sentence ends.
    flag: Option<&'static str>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What else was decided.
    why: Option<String>,
}

const KEYS: [&str; 4] = ["NER", "NE", "Ner", "ner"];
/// The column of `CoNLL-U` for what no other says, from 0.
const MISC: usize = 9;
/// What ends a sentence in the data of HIPE-2022 and of HIPE-2020.
const FLAGS: [&str; 2] = ["EndOfSentence", "PySBDSegment"];

impl Layout {
    /// The columns, said or guessed.
    pub fn of(lines: &Lines, want: Want, options: &Options) -> Option<Self> {
        let count = lines.count()?;
        let first = lines.cells().next().map(|(_, cells)| cells.as_slice()).unwrap_or_default();
        let named = header(first);
        let cells =
            |skipped: usize| Cells::of(lines.cells().map(|(_, cells)| cells.as_slice()).skip(skipped), count);
        let said = options.columns.filter(|_| named.is_none());
        let unknown = said.is_some_and(|columns| is_head(first, &cells(1), columns));
        let header = named.is_some() || unknown;
        let cells = cells(usize::from(header));
        let base = Self {
            count,
            word: 1,
            tag: None,
            key: None,
            index: None,
            parts: Vec::new(),
            flag: None,
            header,
            why: None,
        };
        // A column of which nothing is known is filled with `_`.
        let filled =
            |column: &usize| *column >= count || cells.column(*column).any(|cell| !["_", ""].contains(&cell));
        let by = |(word, tags): (usize, Vec<usize>), why: &str| {
            let tag = tags.iter().copied().find(filled).or(tags.first().copied());
            Self { why: Some(why.to_owned()), ..base.clone() }.at(word, tag)
        };
        let layout = if let Some(Columns { word, tag }) = options.columns {
            let why = if unknown { "as said, below a line of names" } else { "as said" };
            Self { word, tag: Some(tag), why: Some(why.to_owned()), ..base }
        } else if let Some(named) = named {
            by(named, "by the first line")
        } else if let Some(named) = self::header(&lines.names) {
            by(named, "by global.columns")
        } else if count == MISC + 1 && key(&cells, MISC).is_some() {
            base.at(cells.word(), Some(MISC))
        } else if let Some(Guess { word, tag, why }) = cells.guess() {
            Self { why, ..base }.at(word, Some(tag))
        } else if want != Want::Gold && is_treebank(&cells) {
            base.at(1, None)
        } else {
            return None;
        };
        Some(layout.beside(&cells, lines))
    }

    /// What stands beside word and tag.
    fn beside(self, cells: &Cells, lines: &Lines) -> Self {
        let (count, rows) = (self.count, cells.len());
        let word = place(self.word, count).unwrap_or(count);
        let half = |column: &usize| cells.column(*column).filter(|cell| is_number(cell)).count() * 2 >= rows;
        let index = (0..word).rev().find(half).filter(|_| rows > 0);
        let parts = if lines.are_parted() || word >= count { Vec::new() } else { cells.parts(word) };
        let tag = self.tag.and_then(|tag| place(tag, count));
        let key = tag.and_then(|tag| key(cells, tag));
        let last = count.checked_sub(1).filter(|last| ![Some(word), tag].contains(&Some(*last)));
        let said = |flag: &&str| last.is_some_and(|last| cells.column(last).any(|cell| has(cell, flag)));
        Self { key, index, parts, flag: FLAGS.into_iter().find(said), ..self }
    }

    /// With columns that are counted from 0.
    fn at(self, word: usize, tag: Option<usize>) -> Self {
        let place = |column: usize| i32::try_from(column + 1).unwrap_or(i32::MAX);
        Self { word: place(word), tag: tag.map(place), ..self }
    }

    /// What is wrong with the columns that were said.
    pub fn problem(&self) -> Option<String> {
        Columns { word: self.word, tag: self.tag? }.among(self.count).err()
    }

    pub fn word<'t>(&self, cells: &[&'t str]) -> Option<&'t str> {
        cells.get(place(self.word, cells.len())?).copied()
    }

    /// Whether the tag is in the last column.
    fn ends(&self) -> bool {
        self.tag.is_some_and(|tag| place(tag, self.count) == self.count.checked_sub(1))
    }

    /// Whether there are but two columns, and the second is the tag.
    pub fn is_pair(&self) -> bool {
        self.count == 2 && self.ends()
    }

    /// Whether there is a column of tags.
    pub fn is_tagged(&self) -> bool {
        self.tag.is_some()
    }

    /// The tag, also of a line with more or fewer columns before it.
    pub fn tag<'t>(&self, cells: &[&'t str]) -> &'t str {
        let tag = if self.ends() { Some(-1) } else { self.tag };
        let cell = tag.and_then(|tag| cells.get(place(tag, cells.len())?).copied()).unwrap_or_default();
        match self.key {
            Some(key) => value(cell, key).unwrap_or("O"),
            None => cell,
        }
    }

    /// Where a line has its tag, from 0, and what is put there; behind its last column where there is none of tags, but in
    /// `CoNLL-U` into that of what else is said.
    pub fn put(&self, cells: &[&str], tag: &str) -> (usize, String) {
        let count = cells.len();
        let column =
            if self.ends() { count.checked_sub(1) } else { self.tag.and_then(|tag| place(tag, count)) };
        let misc = self.is_treebank().then_some(MISC);
        let (Some(column), Some(key)) = (column.or(misc), self.key.or(misc.map(|_| KEYS[0]))) else {
            return (column.unwrap_or(count), tag.to_owned());
        };
        let own = format!("{key}={tag}");
        let others = cells.get(column).copied().unwrap_or_default().split('|');
        let others = others.filter(|pair| {
            !["", "_"].contains(pair) && pair.split_once('=').is_none_or(|(name, _)| name != key)
        });
        // Keys are in the order of the alphabet, as the format asks.
        let mut pairs: Vec<&str> = others.chain([own.as_str()]).collect();
        pairs.sort_by_key(|pair| pair.to_lowercase());
        (column, pairs.join("|"))
    }

    /// Whether tags are put behind the last column, where none are yet.
    pub fn grows(&self) -> bool {
        self.tag.is_none() && !self.is_treebank()
    }

    /// Whether there are the columns of `CoNLL-U`, and none of tags.
    fn is_treebank(&self) -> bool {
        self.tag.is_none() && self.count == MISC + 1
    }

    /// Whether a line of another number of columns has its tag where it should be.
    pub fn fits(&self, cells: &[&str]) -> bool {
        // More columns may be a word that was cut in two.
        self.ends() && split_tag(self.tag(cells)).is_some() && cells.len() < self.count
    }

    /// Whether a line is no word: `3-4 du` of `CoNLL-U` is the surface of the words 3 and 4, and `5.1` is no word of the text.
    pub fn skips(&self, cells: &[&str]) -> bool {
        let id = self.index.and_then(|index| cells.get(index));
        id.is_some_and(|id| id.contains(['-', '.']) && id.split(['-', '.']).all(is_number))
    }

    /// Whether a sentence ends with this line.
    pub fn is_last(&self, cells: &[&str]) -> bool {
        self.flag.is_some_and(|flag| cells.len() == self.count && cells.last().is_some_and(|c| has(c, flag)))
    }

    pub fn form(&self) -> Vec<String> {
        let mut form = vec![format!("{} columns", self.count), format!("word {}", self.word)];
        form.extend(self.tag.map(|tag| format!("tag {tag}")));
        form.extend(self.key.map(|key| format!("`{key}=` in it")));
        form.extend(self.why.clone());
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Changes(column) | Part::Restarts(column) => (column + 1).to_string(),
            })
            .collect();
        if !parts.is_empty() {
            form.push(format!("sentences by column {}", parts.join(" and ")));
        }
        form.extend(self.flag.map(|flag| format!("sentences by `{flag}` in column {}", self.count)));
        form
    }
}

/// Whether a first line is above the columns that are said: its tag is none, and all others are.
fn is_head(first: &[&str], below: &Cells, columns: Columns) -> bool {
    let Ok((_, tag)) = columns.among(first.len()) else { return false };
    let notation = (tag < below.count()).then(|| Notation::of(below.column(tag)));
    notation.is_some_and(|notation| {
        let is_tag = |cell: &str| notation.read(cell).is_some();
        first.len() == below.count() && !is_tag(first[tag]) && below.column(tag).all(is_tag)
    })
}

/// Whether lines are words of `CoNLL-U` or its kin: counted from 1 in each sentence, with `_` for what is not known.
pub fn is_treebank(cells: &Cells) -> bool {
    const LEAST: usize = 8;
    if cells.count() < LEAST {
        return false;
    }
    let number = |cell: &str| cell.split(['-', '.']).map(|part| part.parse::<usize>().ok()).collect();
    let numbers: Option<Vec<Vec<usize>>> = cells.column(0).map(number).collect();
    let starts = numbers.iter().flatten().filter_map(|parts| parts.first());
    let follows = |(before, now): (&usize, &usize)| *now <= 1 || now == before || *now == before + 1;
    numbers.is_some()
        && starts.clone().next().is_some_and(|first| *first <= 1)
        && starts.clone().zip(starts.skip(1)).all(follows)
        && (0..cells.count()).any(|column| cells.column(column).any(|cell| cell == "_"))
}

/// The key of the tags in a column of `NER=B-PER|SpaceAfter=No`.
fn key(cells: &Cells, column: usize) -> Option<&'static str> {
    KEYS.into_iter().find(|key| cells.column(column).any(|cell| value(cell, key).is_some()))
}

/// The value of a key in `NER=B-PER|SpaceAfter=No`.
fn value<'t>(cell: &'t str, key: &str) -> Option<&'t str> {
    cell.split('|')
        .find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
}

/// Whether a flag is in `NoSpaceAfter|EndOfSentence`.
fn has(cell: &str, flag: &str) -> bool {
    cell.split('|').any(|part| part == flag)
}
