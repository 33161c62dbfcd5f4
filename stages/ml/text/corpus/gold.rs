//! Gold sets: words that are never split again, joined by one space into the text (docs/formats.md, "Gold").

use std::{fs, io::Write, path::Path};

use stage_contract::{Artifact, Kind, Shape, StageError};

use super::{
    columns::{self, Sentence},
    files::{read, write},
    record::{Provenance, Record},
    text,
};

/// Gold tags: one or several named sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gold {
    /// By file stem, in name order.
    pub sets: Vec<GoldSet>,
}

/// One gold set: words from the file, joined by one space into the text.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldSet {
    /// The file's stem.
    pub name: String,
    /// Tags are normalised to BIO (an IO or IOB1 file is converted); types as the file has them.
    pub records: Vec<Record>,
}

/// Extensions of gold files in a folder; others are not read.
const EXTENSIONS: [&str; 7] = ["bio", "conll", "iob", "iob2", "jsonl", "tsv", "txt"];

impl Artifact for Gold {
    const KIND: Kind = Kind {
        name: "gold",
        shape: Shape::FileOrFolder,
        extension: "",
        doc: "gold tags: CoNLL/BIO columns or {\"tokens\",\"ner_tags\"} JSONL: a file, or a folder whose file stems name the sets",
    };

    /// `.jsonl` is `{"tokens","ner_tags"}` lines, everything else columns. Record ids are `set:n` from 1, groups the
    /// document (`set/n`) where the file marks documents with `-DOCSTART-`, else the id.
    fn load(path: &Path) -> Result<Self, StageError> {
        let mut sets = Vec::new();
        for (name, file) in text::files(path, &EXTENSIONS)? {
            let text = read(&file)?;
            let json = file.extension().is_some_and(|e| e == "jsonl");
            let read = if json { columns::rows(&text) } else { columns::columns(&text) };
            let sentences = read.map_err(|problem| {
                StageError::new(format!("{}:{}: {}", file.display(), problem.line, problem.message)).help(
                    "write a word and its tag on each line and a blank line after each sentence, or \
                     `{\"tokens\": [..], \"ner_tags\": [..]}` lines in a .jsonl file",
                )
            })?;
            if sentences.is_empty() {
                return Err(StageError::new(format!("no sentence in {}", file.display()))
                    .help("remove the file, or fill it"));
            }
            let records = sentences
                .into_iter()
                .enumerate()
                .map(|(index, sentence)| record(&name, index + 1, sentence))
                .collect();
            sets.push(GoldSet { name, records });
        }
        Ok(Self { sets })
    }

    /// A folder with a .bio file for each set; where `path` has an extension and there is one set, that file.
    fn save(&self, path: &Path) -> Result<(), StageError> {
        if let ([set], Some(_)) = (self.sets.as_slice(), path.extension()) {
            return set.save(path);
        }
        fs::create_dir(path).map_err(|e| StageError::io("create", path, e))?;
        for set in &self.sets {
            set.save(&path.join(format!("{}.bio", text::checked_stem(&set.name)?)))?;
        }
        Ok(())
    }
}

impl GoldSet {
    /// Makes a set of sentences that are words and BIO tags.
    #[must_use]
    pub fn new(name: &str, sentences: impl IntoIterator<Item = (Vec<String>, Vec<String>)>) -> Self {
        let records = sentences
            .into_iter()
            .enumerate()
            .map(|(index, (words, tags))| record(name, index + 1, Sentence { words, tags, document: None }))
            .collect();
        Self { name: name.to_owned(), records }
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        for record in &self.records {
            record
                .check()
                .map_err(|problem| StageError::new(format!("record `{}`: {problem}", record.id)))?;
        }
        write(path, |out| {
            for (index, record) in self.records.iter().enumerate() {
                if index > 0 {
                    out.write_all(b"\n")?;
                }
                // Documents come back as groups `set/n`.
                let before = index.checked_sub(1).map(|i| self.records[i].group.as_str());
                if record.group != record.id && before != Some(record.group.as_str()) {
                    out.write_all(b"-DOCSTART-\tO\n\n")?;
                }
                for (word, tag) in words(record).zip(&record.tags) {
                    writeln!(out, "{word}\t{tag}")?;
                }
            }
            Ok(())
        })
    }
}

/// The words of a record in one pass over its text.
fn words(record: &Record) -> impl Iterator<Item = String> {
    let chars: Vec<char> = record.text.chars().collect();
    record.words.iter().map(move |&[start, end]| chars[start..end].iter().collect())
}

fn record(set: &str, number: usize, sentence: Sentence) -> Record {
    let id = format!("{set}:{number}");
    let mut offsets = Vec::with_capacity(sentence.words.len());
    let mut at = 0;
    for word in &sentence.words {
        let end = at + word.chars().count();
        offsets.push([at, end]);
        at = end + 1;
    }
    Record {
        group: sentence.document.map_or_else(|| id.clone(), |n| format!("{set}/{n}")),
        id,
        text: sentence.words.join(" "),
        source: set.to_owned(),
        score: vec![1.0; offsets.len()],
        words: offsets,
        tags: sentence.tags,
        provenance: Provenance::Gold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_by_one_space_and_never_split() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("press.bio");
        fs::write(&path, "l’hôpital\tI-ORG\nSaint-Louis\tI-ORG\n!\tO\n\nParis\tB-LOC\n").expect("written");
        let gold = Gold::load(&path).expect("loaded");
        let [set] = gold.sets.as_slice() else { panic!("one set") };
        assert_eq!(set.name, "press");
        let first = &set.records[0];
        assert_eq!(first.text, "l’hôpital Saint-Louis !");
        assert_eq!(first.words, [[0, 9], [10, 21], [22, 23]]);
        assert_eq!(first.tags, ["B-ORG", "I-ORG", "O"]);
        assert_eq!((first.id.as_str(), first.group.as_str()), ("press:1", "press:1"));
        assert_eq!(set.records[1].id, "press:2");
    }

    #[test]
    fn gold_survives_the_disk_with_sets_and_documents() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("in");
        fs::create_dir(&source).expect("made");
        fs::write(source.join("b.conll"), "-DOCSTART- O\n\na O\n\nb O\n\n-DOCSTART- O\n\nc I-PER\n")
            .expect("written");
        fs::write(source.join("a.jsonl"), r#"{"tokens":["Aix"],"ner_tags":["B-LOC"]}"#).expect("written");
        fs::write(source.join("README.md"), "not gold").expect("written");
        let gold = Gold::load(&source).expect("loaded");
        assert_eq!(gold.sets.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let groups: Vec<_> = gold.sets[1].records.iter().map(|r| r.group.as_str()).collect();
        assert_eq!(groups, ["b/1", "b/1", "b/2"]);
        let copy = folder.path().join("out");
        gold.save(&copy).expect("saved");
        assert_eq!(Gold::load(&copy).expect("loaded again"), gold);
        let one = Gold { sets: vec![gold.sets[0].clone()] };
        one.save(&folder.path().join("a.bio")).expect("saved as a file");
        assert_eq!(Gold::load(&folder.path().join("a.bio")).expect("a file"), one);
    }

    #[test]
    fn a_bad_gold_file_is_named_with_its_line_and_not_its_text() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("x.bio"), "Durand B-PER\nDurand PERSON\n").expect("written");
        let error = Gold::load(folder.path()).expect_err("a bad tag").to_string();
        assert!(error.contains("x.bio:2: ") && !error.contains("Durand"), "{error}");
        fs::write(folder.path().join("x.bio"), "\n").expect("written");
        assert!(Gold::load(folder.path()).expect_err("empty").to_string().contains("no sentence in"));
    }
}
