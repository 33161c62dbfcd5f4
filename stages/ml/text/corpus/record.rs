//! Annotated sentences: `records.jsonl`.

use std::{collections::BTreeSet, io::Write, path::Path};

use serde::{Deserialize, Serialize, Serializer};
use stage_contract::{Artifact, Kind, Shape, StageError};

use super::files::{json_problem, read, write};
use crate::labels::{Prefix, split_tag};

/// One annotated sentence. Offsets count Unicode scalar values of `text`; words never overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Unique in its corpus.
    pub id: String,
    /// The sentence as the model reads it.
    pub text: String,
    /// Where it comes from: the file's stem.
    pub source: String,
    /// Document or cluster; never split between train, dev and test.
    pub group: String,
    /// `[start, end)` of each word.
    pub words: Vec<[usize; 2]>,
    /// One BIO tag per word.
    pub tags: Vec<String>,
    /// Probability of each word's type at T = 1; 1 for gold. Six decimals on disk.
    #[serde(serialize_with = "six_decimals")]
    pub score: Vec<f64>,
    /// Who says so.
    pub provenance: Provenance,
}

/// Who tagged a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Provenance {
    /// A person, or a generator that knows.
    Gold,
    /// A model, by the digest of its weights.
    Silver {
        /// blake3 of the teacher's model.safetensors.
        model: String,
    },
}

/// Six decimals survive reading and writing without change, which the shortest form of an arbitrary f64 does not
/// under `serde_json`'s fast parser; and no confidence is known better.
fn six_decimals<S: Serializer>(scores: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(scores.iter().map(|score| (score * 1e6).round() / 1e6))
}

impl Record {
    /// Checks what every reader relies on: one tag and score per word, BIO tags, words ascending, disjoint, not empty
    /// and inside the text.
    ///
    /// # Errors
    /// What is wrong, as a fragment without any of the text.
    pub fn check(&self) -> Result<(), String> {
        let words = self.words.len();
        if self.tags.len() != words {
            return Err(format!("{words} words but {} tags", self.tags.len()));
        }
        if self.score.len() != words {
            return Err(format!("{words} words but {} scores", self.score.len()));
        }
        let length = self.text.chars().count();
        let mut last = 0;
        for (index, &[start, end]) in self.words.iter().enumerate() {
            if start < last || end <= start || end > length {
                return Err(format!(
                    "word {index} has the offsets [{start}, {end}], which overlap the word before, are empty or \
                     leave the text of {length} characters"
                ));
            }
            last = end;
        }
        for (index, tag) in self.tags.iter().enumerate() {
            if !matches!(split_tag(tag), Some(None | Some((Prefix::Begin | Prefix::Inside, _)))) {
                return Err(format!("tag {index} is neither O nor B- or I- with a type"));
            }
        }
        match self.score.iter().position(|score| !(0.0..=1.0).contains(score)) {
            Some(index) => Err(format!("score {index} is not between 0 and 1")),
            None => Ok(()),
        }
    }

    /// The text of one word.
    #[must_use]
    pub fn word(&self, index: usize) -> &str {
        let [start, end] = self.words[index];
        Slices::new(&self.text).of(start, end)
    }

    /// What the mentions in it are compared by.
    #[must_use]
    pub fn surfaces(&self) -> Surfaces<'_> {
        Surfaces { text: Slices::new(&self.text), words: &self.words }
    }
}

/// What the mentions in a record are compared by.
#[derive(Clone, Debug)]
pub struct Surfaces<'r> {
    text: Slices<'r>,
    words: &'r [[usize; 2]],
}

impl Surfaces<'_> {
    /// The lower-case words from `start` to `end`, exclusive, joined by one space.
    ///
    /// # Panics
    /// The record has no such words.
    #[must_use]
    pub fn of(&self, start: usize, end: usize) -> String {
        let words = self.words[start..end].iter();
        let words: Vec<&str> = words.map(|&[start, end]| self.text.of(start, end)).collect();
        words.join(" ").to_lowercase()
    }
}

/// The parts of a text between character offsets. The bytes of all characters are found once: a long text has many parts.
#[derive(Clone, Debug)]
pub struct Slices<'t> {
    text: &'t str,
    bytes: Vec<usize>,
}

impl<'t> Slices<'t> {
    /// Of a text.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self { text, bytes: text.char_indices().map(|(byte, _)| byte).collect() }
    }

    /// The part from `start` to `end`, exclusive.
    #[must_use]
    pub fn of(&self, start: usize, end: usize) -> &'t str {
        let byte = |offset: usize| self.bytes.get(offset).copied().unwrap_or(self.text.len());
        &self.text[byte(start)..byte(end)]
    }
}

/// Annotated sentences: `records.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corpus {
    /// In file order.
    pub records: Vec<Record>,
}

impl Artifact for Corpus {
    const KIND: Kind = Kind {
        name: "records",
        shape: Shape::File,
        extension: "jsonl",
        doc: "annotated sentences, one JSON object a line",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        let text = read(path)?;
        let mut records = Vec::new();
        let mut ids = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |message: String| {
                StageError::new(format!("{}:{}: {message}", path.display(), index + 1))
                    .help("write one record a line, as `ner-pipe run annotate` does")
            };
            let record: Record = serde_json::from_str(line).map_err(|e| wrong(json_problem(&e)))?;
            record.check().map_err(&wrong)?;
            if !ids.insert(record.id.clone()) {
                return Err(wrong("its id was used before".to_owned()));
            }
            records.push(record);
        }
        Ok(Self { records })
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        for (index, record) in self.records.iter().enumerate() {
            record.check().map_err(|problem| StageError::new(format!("record {index}: {problem}")))?;
        }
        write(path, |out| {
            for record in &self.records {
                serde_json::to_writer(&mut *out, record)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::Report, *};

    fn record() -> Record {
        Record {
            id: "a:1".into(),
            text: "Élodie vit à Aix.".into(),
            source: "a".into(),
            group: "a:1".into(),
            words: vec![[0, 6], [7, 10], [11, 12], [13, 16], [16, 17]],
            tags: ["B-PER", "O", "O", "B-LOC", "O"].map(String::from).to_vec(),
            score: vec![0.9, 1.0, 1.0, 1.0 / 3.0, 1.0],
            provenance: Provenance::Silver { model: "12ab".into() },
        }
    }

    #[test]
    fn records_survive_the_disk_byte_for_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("1.jsonl"), folder.path().join("2.jsonl"));
        let mut gold = Record { id: "a:2".into(), provenance: Provenance::Gold, ..record() };
        gold.score = vec![1.0; 5];
        Corpus { records: vec![record(), gold] }.save(&one).expect("saved");
        let read = Corpus::load(&one).expect("loaded");
        read.save(&two).expect("saved again");
        assert_eq!(fs::read(&one).expect("1"), fs::read(&two).expect("2"));
        assert_eq!(read.records[0].word(0), "Élodie");
        let line = fs::read_to_string(&one).expect("1");
        assert!(line.contains(r#""provenance":{"kind":"silver","model":"12ab"}"#), "{line}");
        assert!(line.contains(r#""provenance":{"kind":"gold"}"#), "{line}");
        assert!(line.contains("0.333333,"), "{line}");
    }

    #[test]
    fn a_bad_record_names_file_and_line_and_never_the_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bad.jsonl");
        let good = serde_json::to_string(&record()).expect("json");
        let cases = [
            (good.replace("\"B-PER\",", ""), "5 words but 4 tags"),
            (good.replace("[16,17]", "[15,17]"), "word 4 has the offsets"),
            (good.replace("[16,17]", "[16,99]"), "word 4 has the offsets"),
            (good.replace("\"B-LOC\"", "\"Élodie\""), "tag 3 is neither"),
            (good.replace("0.9,", "1.9,"), "score 0 is not"),
            (good.replace("\"source\":\"a\",", ""), "missing field `source`"),
            (good.replace("\"source\":\"a\"", "\"source\":[\"Élodie\"]"), "unknown or of another type"),
            (good.replace("\"id\"", "\"Élodie\""), "unknown or of another type"),
            (good[..30].to_owned(), "ends too early"),
        ];
        for (line, reason) in cases {
            let other = good.replace("a:1", "b:1");
            fs::write(&path, format!("{other}\n{line}\n")).expect("written");
            let error = Corpus::load(&path).expect_err(reason).to_string();
            assert!(error.contains("bad.jsonl:2: ") && error.contains(reason), "{error}");
            assert!(!error.contains("lodie"), "{error}");
        }
        fs::write(&path, format!("{good}\n{good}\n")).expect("written");
        assert!(Corpus::load(&path).expect_err("twice").to_string().contains("used before"));
    }

    #[test]
    fn a_report_ends_with_a_newline_and_keeps_its_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.json");
        let report = Report(serde_json::json!({"b": 1, "a": [0.5]}));
        report.save(&path).expect("saved");
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.starts_with("{\n  \"b\"") && text.ends_with("}\n"), "{text}");
        assert_eq!(Report::load(&path).expect("loaded"), report);
    }
}
