//! Which column of a file is what: said by options or a header, else guessed from the cells.

use std::collections::BTreeSet;

use super::lines::{Lines, is_number};
use crate::corpus::{
    format::Want,
    look::{Look, look},
    options::{self, Options},
    roles::header,
};
use crate::labels::split_tag;

/// Which column is what, from 0, or from -1 at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// How many columns most lines have.
    pub count: usize,
    pub word: i32,
    /// `None` where only text is wanted, and there is none.
    pub tag: Option<i32>,
    /// The key of the tag, where the column holds `NER=B-PER|SpaceAfter=No`.
    key: Option<&'static str>,
    /// The column that counts words or sentences.
    index: Option<usize>,
    /// Columns that say where a sentence begins, where no blank lines do.
    pub parts: Vec<Part>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What else was decided.
    why: Option<String>,
}

/// How a column says that a sentence begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// By another value.
    Changes(usize),
    /// By a number that begins again.
    Restarts(usize),
}

const KEYS: [&str; 4] = ["NER", "NE", "Ner", "ner"];

/// The cells of the lines that have as many columns as most.
pub struct Rows<'r, 't> {
    rows: Vec<&'r [&'t str]>,
    count: usize,
}

impl<'r, 't> Rows<'r, 't> {
    /// Of all lines but the first `skipped`.
    pub fn of(lines: &'r Lines<'t>, count: usize, skipped: usize) -> Self {
        let cells = lines.cells().map(|(_, cells)| cells.as_slice()).skip(skipped);
        Self { rows: cells.filter(|cells| cells.len() == count).collect(), count }
    }

    fn column(&self, column: usize) -> impl Iterator<Item = &'t str> + Clone {
        self.rows.iter().map(move |row| row[column])
    }

    fn look(&self, column: usize) -> Look {
        look(self.column(column))
    }

    /// How many values a column has, and how often it changes from line to line.
    fn values(&self, column: usize) -> (usize, usize) {
        let distinct = self.column(column).collect::<BTreeSet<_>>().len();
        let before = self.column(column);
        let changes = before.zip(self.column(column).skip(1)).filter(|(before, now)| before != now).count();
        (distinct, changes + 1)
    }

    fn most(&self, column: usize, fits: impl Fn(&str) -> bool) -> bool {
        self.column(column).filter(|cell| fits(cell)).count() * 10 >= self.rows.len() * 9
    }

    /// Whether a column is no word: a number or another id in every line, one value over many lines, or nothing at all.
    fn is_id(&self, column: usize) -> bool {
        let (distinct, runs) = self.values(column);
        let stays = runs == distinct && self.rows.len() >= 2 * distinct && self.rows.len() > 2;
        stays
            || self.most(column, |cell| cell.bytes().any(|byte| byte.is_ascii_digit()))
            || self.column(column).all(str::is_empty)
    }

    /// Whether a column is the part of speech of the word behind it: a few names in capitals.
    fn is_class(&self, column: usize) -> bool {
        let capital = |cell: &str| !cell.contains(char::is_lowercase);
        self.most(column, capital)
            && !self.most(column + 1, capital)
            && 2 * self.values(column).0 <= self.values(column + 1).0
    }

    /// The column of the words, before those of tags.
    fn word(&self) -> usize {
        let before = 0..self.count.saturating_sub(1);
        let letters = |column: &usize| !self.most(*column, is_number) && self.values(*column).0 > 1;
        // Words that all have a number in them are the most different of the ids.
        let varied = || before.clone().filter(letters).rev().max_by_key(|column| self.values(*column).0);
        let first = before.clone().find(|column| !self.is_id(*column)).or_else(varied).unwrap_or(0);
        if first + 2 < self.count && self.is_class(first) { first + 1 } else { first }
    }

    /// Whether lines are words of `CoNLL-U` or its kin: counted from 1 in each sentence, with `_` for what is not known.
    pub fn is_treebank(&self) -> bool {
        const LEAST: usize = 8;
        let number =
            |row: &&[&str]| row[0].split(['-', '.']).map(|part| part.parse::<usize>().ok()).collect();
        let numbers: Option<Vec<Vec<usize>>> = self.rows.iter().map(number).collect();
        let starts = numbers.iter().flatten().filter_map(|parts| parts.first());
        let follows = |(before, now): (&usize, &usize)| *now <= 1 || now == before || *now == before + 1;
        self.count >= LEAST
            && numbers.is_some()
            && starts.clone().next().is_some_and(|first| *first <= 1)
            && starts.clone().zip(starts.skip(1)).all(follows)
            && self.rows.iter().any(|row| row.contains(&"_"))
    }

    /// Columns in front of the word that say where sentences begin.
    fn parts(&self, word: usize) -> Vec<Part> {
        let numbers = |column: usize| -> Option<Vec<usize>> {
            self.column(column).filter(|cell| is_number(cell)).map(|cell| cell.parse().ok()).collect()
        };
        let part = |column: usize| {
            let (distinct, runs) = self.values(column);
            if distinct > 1 && runs == distinct && runs < self.rows.len() {
                return Some(Part::Changes(column));
            }
            let numbers = numbers(column)?;
            let pairs = || numbers.iter().zip(numbers.iter().skip(1));
            let counts = pairs().all(|(before, now)| *now == before + 1 || *now <= 1);
            let both =
                pairs().any(|(before, now)| now <= before) && pairs().any(|(before, now)| now > before);
            (counts && both && 2 * numbers.len() > self.rows.len()).then_some(Part::Restarts(column))
        };
        (0..word).filter(|column| self.is_id(*column)).filter_map(part).collect()
    }
}

impl Layout {
    /// The columns, said or guessed.
    pub fn of(lines: &Lines, want: Want, options: &Options) -> Option<Self> {
        let count = lines.count()?;
        let first = lines.cells().next().map(|(_, cells)| cells.as_slice()).unwrap_or_default();
        let named = header(first);
        let rows = Rows::of(lines, count, usize::from(named.is_some()));
        let base = Self {
            count,
            word: 0,
            tag: None,
            key: None,
            index: None,
            parts: Vec::new(),
            header: named.is_some(),
            why: None,
        };
        let by = |why: &str| Some(why.to_owned());
        let layout = if let Some(options::Columns { word, tag }) = options.columns {
            let place = |column: i32| if column > 0 { column - 1 } else { column };
            Self { word: place(word), tag: Some(place(tag)), why: by("as said"), ..base }
        } else if let Some((word, tag)) = named {
            Self { why: by("by the first line"), ..base }.at(word, Some(tag))
        } else if let Some((word, tag)) = header(&lines.names) {
            Self { why: by("by global.columns"), ..base }.at(word, Some(tag))
        } else {
            base.clone().guessed(&rows).or_else(|| base.untagged(&rows, want))?
        };
        Some(layout.beside(&rows, lines))
    }

    fn guessed(self, rows: &Rows) -> Option<Self> {
        let count = rows.count;
        let word = rows.word();
        if count == 10 && rows.key(9).is_some() {
            return Some(self.at(word, Some(9)));
        }
        let of = |wanted: Look| -> Vec<usize> {
            (word + 1..count).filter(|column| rows.look(*column) == wanted).collect()
        };
        match of(Look::Tags).as_slice() {
            [] => {}
            [only] => return Some(self.at(word, Some(*only))),
            [first, rest @ ..] => {
                let why = format!("the first of {} columns of tags", rest.len() + 1);
                return Some(Self { why: Some(why), ..self }.at(word, Some(*first)));
            }
        }
        let plain = [Look::Plain, Look::Outside, Look::Chunks].map(of);
        if let Some(plain) = plain.iter().find(|columns| !columns.is_empty()) {
            let why = format!("the last of {} columns of types", plain.len());
            return Some(
                Self { why: Some(why).filter(|_| plain.len() > 1), ..self }.at(word, plain.last().copied()),
            );
        }
        // Numbers, which options may name.
        if count == word + 2 && !rows.rows.is_empty() && rows.column(count - 1).all(is_number) {
            return Some(self.at(word, Some(count - 1)));
        }
        // The tag before the word.
        (word + 1 < count && rows.look(word) == Look::Tags).then(|| self.at(word + 1, Some(word)))
    }

    /// `CoNLL-U` without entities, of which the text is wanted.
    fn untagged(self, rows: &Rows, want: Want) -> Option<Self> {
        (want == Want::Text && rows.is_treebank()).then(|| self.at(1, None))
    }

    /// What stands beside word and tag.
    fn beside(self, rows: &Rows, lines: &Lines) -> Self {
        let place = |column: i32| place(column, rows.count);
        let word = place(self.word).unwrap_or_default();
        let half = |column: &usize| {
            rows.column(*column).filter(|cell| is_number(cell)).count() * 2 >= rows.rows.len()
        };
        let index = (0..word.min(rows.count)).rev().find(half).filter(|_| !rows.rows.is_empty());
        let parts = if lines.are_parted() || word >= rows.count { Vec::new() } else { rows.parts(word) };
        let key = self.tag.and_then(place).and_then(|tag| rows.key(tag));
        Self { key, index, parts, ..self }
    }

    fn at(self, word: usize, tag: Option<usize>) -> Self {
        let place = |column: usize| i32::try_from(column).unwrap_or(i32::MAX);
        Self { word: place(word), tag: tag.map(place), ..self }
    }

    /// A column that lines do not have, or the same for word and tag: what is wrong with what was said.
    pub fn problem(&self) -> Option<String> {
        let said = |column: i32| if column < 0 { column } else { column + 1 };
        let missing =
            [Some(self.word), self.tag].into_iter().flatten().find(|c| place(*c, self.count).is_none());
        if let Some(column) = missing {
            return Some(format!("there is no column {}: the lines have {}", said(column), self.count));
        }
        let tag = self.tag.filter(|tag| place(*tag, self.count) == place(self.word, self.count))?;
        Some(format!("word and tag are both column {}", said(tag)))
    }

    pub fn word<'t>(&self, cells: &[&'t str]) -> Option<&'t str> {
        cells.get(place(self.word, cells.len())?).copied()
    }

    /// Whether the tag is in the last column.
    fn ends(&self) -> bool {
        self.tag.is_some_and(|tag| place(tag, self.count) == self.count.checked_sub(1))
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

    pub fn form(&self) -> Vec<String> {
        let place = |column: i32| if column < 0 { column } else { column + 1 };
        let mut form = vec![format!("{} columns", self.count), format!("word {}", place(self.word))];
        form.extend(self.tag.map(|tag| format!("tag {}", place(tag))));
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
        form
    }
}

impl Rows<'_, '_> {
    fn key(&self, column: usize) -> Option<&'static str> {
        KEYS.into_iter().find(|key| self.column(column).any(|cell| value(cell, key).is_some()))
    }
}

/// A column from 0 of so many, from one that may count from the end.
fn place(column: i32, count: usize) -> Option<usize> {
    let from_end = || count.checked_sub(usize::try_from(-i64::from(column)).ok()?);
    usize::try_from(column).ok().or_else(from_end).filter(|column| *column < count)
}

/// The value of a key in `NER=B-PER|SpaceAfter=No`.
fn value<'t>(cell: &'t str, key: &str) -> Option<&'t str> {
    cell.split('|')
        .find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
}
