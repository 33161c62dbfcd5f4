//! Rows of cells: which column is the word, which its tag, and which says where sentences begin, by what is in them.

use std::collections::BTreeSet;

use super::look::{Look, look};

/// The cells of the rows that have as many columns as most.
pub(super) struct Cells<'r, 't> {
    rows: Vec<&'r [&'t str]>,
    count: usize,
}

/// Which column is what, from 0.
pub(super) struct Guess {
    pub word: usize,
    pub tag: usize,
    /// By which rule, where several would do.
    pub why: Option<String>,
}

/// How a column says that a sentence begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// By another value.
    Changes(usize),
    /// By a number that begins again.
    Restarts(usize),
}

impl<'r, 't> Cells<'r, 't> {
    /// Of the rows that have so many.
    pub fn of(rows: impl Iterator<Item = &'r [&'t str]>, count: usize) -> Self {
        Self { rows: rows.filter(|row| row.len() == count).collect(), count }
    }

    /// How many columns the rows have.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The cells of a column.
    pub fn column(&self, column: usize) -> impl Iterator<Item = &'t str> + Clone {
        self.rows.iter().map(move |row| row[column])
    }

    /// What a column looks like.
    pub fn look(&self, column: usize) -> Look {
        look(self.column(column))
    }

    /// How many values a column has, and how often it changes from row to row.
    fn values(&self, column: usize) -> (usize, usize) {
        let distinct = self.column(column).collect::<BTreeSet<_>>().len();
        let before = self.column(column);
        let changes = before.zip(self.column(column).skip(1)).filter(|(before, now)| before != now).count();
        (distinct, changes + 1)
    }

    fn most(&self, column: usize, fits: impl Fn(&str) -> bool) -> bool {
        self.column(column).filter(|cell| fits(cell)).count() * 10 >= self.rows.len() * 9
    }

    /// Whether a column is no word: a number or another id in every row, one value over many rows, or nothing at all.
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
    pub fn word(&self) -> usize {
        let before = 0..self.count.saturating_sub(1);
        let letters = |column: &usize| !self.most(*column, is_number) && self.values(*column).0 > 1;
        // Words that all have a number in them are the most different of the ids.
        let varied = || before.clone().filter(letters).rev().max_by_key(|column| self.values(*column).0);
        let first = before.clone().find(|column| !self.is_id(*column)).or_else(varied).unwrap_or(0);
        if first + 2 < self.count && self.is_class(first) { first + 1 } else { first }
    }

    /// Word and tag. Of several columns behind the word that may be tags the first is, those with prefixes before those of
    /// types alone, and chunks last.
    pub fn guess(&self) -> Option<Guess> {
        let word = self.word();
        for wanted in [Look::Tags, Look::Plain, Look::Outside, Look::Chunks] {
            let columns: Vec<usize> =
                (word + 1..self.count).filter(|column| self.look(*column) == wanted).collect();
            let of = if wanted == Look::Tags { "tags" } else { "types" };
            let why = Some(format!("the first of {} columns of {of}", columns.len()));
            if let Some(tag) = columns.first() {
                return Some(Guess { word, tag: *tag, why: why.filter(|_| columns.len() > 1) });
            }
        }
        let last = self.count.checked_sub(1)?;
        // Numbers, which options may name.
        if last == word + 1 && !self.rows.is_empty() && self.column(last).all(is_number) {
            return Some(Guess { word, tag: last, why: None });
        }
        // The tag before the word.
        let before = word < last && self.look(word) == Look::Tags;
        before.then(|| Guess { word: word + 1, tag: word, why: None })
    }

    /// Columns in front of the word that say where sentences begin.
    pub fn parts(&self, word: usize) -> Vec<Part> {
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

/// Whether a cell is a whole number.
pub(super) fn is_number(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit())
}
