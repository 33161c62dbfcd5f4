//! Entities of texts, which of them are kept, and the formats that they are written in.

mod brat;
mod conll;
mod entity;
mod html;
mod jsonl;
mod keep;
mod spacy;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::{fmt, path::Path, str::FromStr};

pub use self::{
    entity::{Entity, Placed},
    keep::{Dropped, Keep, Threshold},
    writer::{Offsets, Style, Writer},
};

/// How entities are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object for each text.
    Jsonl,
    /// For people, on a terminal.
    Table,
    /// A word a line with its BIO tag.
    Conll,
    /// brat's standoff: the text, and the entities beside it.
    Brat,
    /// spaCy's `Doc.to_json`, one for each text.
    Spacy,
    /// A page that shows the entities in the text.
    Html,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Jsonl, Self::Table, Self::Conll, Self::Brat, Self::Spacy, Self::Html];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Table => "table",
            Self::Conll => "conll",
            Self::Brat => "brat",
            Self::Spacy => "spacy",
            Self::Html => "html",
        }
    }

    /// The endings of the files that it is written into.
    #[must_use]
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Jsonl | Self::Spacy => &["jsonl"],
            Self::Table => &["txt"],
            Self::Conll => &["conll"],
            Self::Brat => &["ann", "txt"],
            Self::Html => &["html"],
        }
    }

    /// What a file of some name is to hold, where its ending says it.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_lowercase();
        match ending.as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "conll" | "conllu" | "bio" | "iob" | "iob2" => Some(Self::Conll),
            "ann" => Some(Self::Brat),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }

    /// Whether a text is written whole before the next is known, so that whoever waits for it can read it.
    #[must_use]
    pub fn streams(self) -> bool {
        matches!(self, Self::Jsonl | Self::Table)
    }

    /// What writes it.
    #[must_use]
    pub fn writer(self, style: Style) -> Box<dyn Writer> {
        match self {
            Self::Jsonl => Box::new(jsonl::Jsonl::new(style)),
            Self::Table => Box::new(table::Table::default()),
            Self::Conll => Box::new(conll::Conll::default()),
            Self::Brat => Box::new(brat::Brat::default()),
            Self::Spacy => Box::new(spacy::Spacy),
            Self::Html => Box::new(html::Html::default()),
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| format!("expected {}", Self::ALL.map(Self::name).join(", ")))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
