//! What a source of text or gold may say of its files, where that is not to be guessed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::StageError;

/// How files are read. Without any of it all is guessed from the content, and each guess is said in a note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What one text of a plain file is. A record of JSON, CSV or Parquet always is one text.
    pub unit: Unit,
    /// The encoding of files that have no byte order mark and are not UTF-8, by its WHATWG name: `windows-1252`, `utf-16le`,
    /// `shift_jis`. Such files are an error when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Which columns of CoNLL-like files, or which parts of `word|pos|tag`, are word and tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Which fields of JSON and Parquet, or which columns below a header, are what.
    pub fields: Fields,
    /// Names of numeric tags: the first is that of 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The scheme of the tags. What is not legal in it is a bad record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<TagScheme>,
    /// How many bad records may be left out, each named in a note. With more, nothing is read and all are listed.
    pub errors: usize,
}

impl Options {
    /// Whether plain text can be read line by line, as it stands.
    #[must_use]
    pub fn is_by_line(&self) -> bool {
        self.unit != Unit::File && self.encoding.is_none() && self.columns.is_none()
    }

    /// # Errors
    /// A column is 0, which is none, or word and tag are the same.
    pub(super) fn check(&self) -> Result<(), StageError> {
        let Some(Columns { word, tag }) = self.columns else { return Ok(()) };
        if word == tag {
            return Err(StageError::new(format!("`columns` says that word and tag are both column {word}"))
                .help("say which is which: `columns = { word = 1, tag = -1 }`"));
        }
        let zero = [("word", word), ("tag", tag)].into_iter().find(|(_, column)| *column == 0);
        zero.map_or(Ok(()), |(name, _)| {
            Err(StageError::new(format!("`columns.{name}` is 0"))
                .help("count columns from 1, or from -1 at the end: `columns = { word = 1, tag = -1 }`"))
        })
    }
}

/// What one text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Each line.
    #[default]
    Line,
    /// Lines up to a blank one.
    Document,
    /// Each file. A file of any other format too is a document then: its texts stay together in a split.
    File,
}

/// Columns counted from 1, or from -1 at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The column of the word.
    pub word: i32,
    /// The column of the tag.
    pub tag: i32,
}

impl Columns {
    /// Where word and tag are among so many columns, from 0.
    ///
    /// # Errors
    /// There is no such column, or both are one.
    pub(super) fn among(self, count: usize) -> Result<(usize, usize), String> {
        let at = |column| {
            place(column, count).ok_or_else(|| format!("there is no column {column}: the lines have {count}"))
        };
        let (word, tag) = (at(self.word)?, at(self.tag)?);
        if word == tag { Err(format!("word and tag are both column {}", self.tag)) } else { Ok((word, tag)) }
    }
}

/// Where a column is among so many, from 0: it is counted from 1, or from -1 at the end.
pub(super) fn place(column: i32, count: usize) -> Option<usize> {
    let from_end = || count.checked_sub(usize::try_from(-i64::from(column)).ok()?);
    let place = usize::try_from(column).map_or_else(|_| from_end(), |column| column.checked_sub(1));
    place.filter(|place| *place < count)
}

/// Names of fields; `a.b` is the field `b` of the field `a`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The words: a list, or in a table with a word a row its column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<String>,
    /// The tags of the words, or the spans of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<String>,
    /// The sentence that a word belongs to, in a table with a word a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// The document that a text belongs to: all texts of one stay together in a split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

impl Fields {
    /// Whether nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How tags say where entities begin and end (Ramshaw and Marcus 1995; Tjong Kim Sang and Veenstra 1999; Ratinov and
/// Roth 2009).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TagScheme {
    /// Each tag is the name of a type, even if it looks like one with a prefix, or has `I-` before it.
    #[serde(alias = "IO", alias = "Io")]
    Io,
    /// `B-` only where an entity follows another of its type: IOB, `iob` too.
    #[serde(alias = "IOB1", alias = "Iob1", alias = "iob", alias = "IOB", alias = "Iob")]
    Iob1,
    /// `B-` at every beginning: BIO, `bio` too.
    #[serde(
        alias = "IOB2",
        alias = "Iob2",
        alias = "bio",
        alias = "BIO",
        alias = "Bio",
        alias = "bio2",
        alias = "BIO2",
        alias = "Bio2"
    )]
    Iob2,
    /// `E-` at the end and `S-` for one word; also BILOU and BMES, `bilou` and `bmes` too.
    #[serde(
        alias = "BIOES",
        alias = "Bioes",
        alias = "bilou",
        alias = "BILOU",
        alias = "Bilou",
        alias = "bmes",
        alias = "BMES",
        alias = "Bmes",
        alias = "iobes",
        alias = "IOBES",
        alias = "Iobes",
        alias = "bmewo",
        alias = "BMEWO",
        alias = "Bmewo",
        alias = "bioul",
        alias = "BIOUL",
        alias = "Bioul",
        alias = "biolu",
        alias = "BIOLU",
        alias = "Biolu"
    )]
    Bioes,
    /// `E-` only where another entity of its type follows.
    #[serde(alias = "IOE1", alias = "Ioe1", alias = "ioe", alias = "IOE", alias = "Ioe")]
    Ioe1,
    /// `E-` at every end.
    #[serde(alias = "IOE2", alias = "Ioe2")]
    Ioe2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_called_as_notes_and_people_call_them() {
        for (name, scheme) in [
            ("BIO", TagScheme::Iob2),
            ("bio", TagScheme::Iob2),
            ("IOB2", TagScheme::Iob2),
            ("IOB", TagScheme::Iob1),
            ("BILOU", TagScheme::Bioes),
            ("bmes", TagScheme::Bioes),
            ("BIOES", TagScheme::Bioes),
            ("IO", TagScheme::Io),
            ("IOE2", TagScheme::Ioe2),
        ] {
            assert_eq!(serde_json::from_str::<TagScheme>(&format!("\"{name}\"")).expect(name), scheme);
        }
        assert_eq!(serde_json::to_string(&TagScheme::Iob2).expect("written"), "\"iob2\"");
    }
}
