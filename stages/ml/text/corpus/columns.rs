//! The two forms of a gold file: word and tag columns (`CoNLL`, BIO), and `{"tokens","ner_tags"}` lines.

use std::{collections::BTreeMap, fmt::Display};

use serde::Deserialize;

use crate::labels::{Prefix, split_tag};

/// One sentence as its file has it, tags normalised to BIO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Words as they stand.
    pub words: Vec<String>,
    /// One BIO tag per word.
    pub tags: Vec<String>,
    /// The document, when the file marks them.
    pub document: Option<usize>,
}

/// What is wrong on which line; never any of its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// 1-based.
    pub line: usize,
    /// A fragment.
    pub message: String,
}

fn problem(line: usize, message: impl Display) -> Problem {
    Problem { line, message: message.to_string() }
}

const UNKNOWN_TAG: &str = "the last column is neither O nor a type after B-, I-, E- or S-";

/// Reads columns: the first is the word, the last the tag; by tabs where a line has one, else by spaces.
/// A blank line ends a sentence, `-DOCSTART-` begins a document, `# ..` without a tag is a comment.
pub(super) fn columns(text: &str) -> Result<Vec<Sentence>, Problem> {
    let mut sentences = Vec::new();
    let mut sentence = Sentence::default();
    let mut document = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let mut end = |sentence: &mut Sentence| {
            if !sentence.words.is_empty() {
                sentences.push(std::mem::take(sentence));
            }
        };
        if line.trim().is_empty() {
            end(&mut sentence);
            continue;
        }
        if line.starts_with("-DOCSTART-") {
            end(&mut sentence);
            document = Some(document.map_or(1, |n| n + 1));
            continue;
        }
        let tabs = line.contains('\t');
        let (word, tag) = if tabs {
            let line = line.trim_end();
            (line.split('\t').next().unwrap_or_default(), line.rsplit('\t').next().unwrap_or_default())
        } else {
            let mut fields = line.split_whitespace();
            let word = fields.next().unwrap_or_default();
            (word, fields.next_back().unwrap_or_default())
        };
        if split_tag(tag).is_none() {
            if line.starts_with('#') {
                continue;
            }
            return Err(problem(number, if tag.is_empty() { "a word without a tag" } else { UNKNOWN_TAG }));
        }
        if word.trim().is_empty() {
            return Err(problem(number, "a tag without a word"));
        }
        sentence.document = document;
        sentence.words.push(word.trim().to_owned());
        sentence.tags.push(tag.to_owned());
    }
    if !sentence.words.is_empty() {
        sentences.push(sentence);
    }
    for sentence in &mut sentences {
        normalise(&mut sentence.tags);
    }
    Ok(sentences)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tokens: Vec<String>,
    ner_tags: Vec<serde_json::Value>,
    #[serde(default, rename = "id")]
    _id: serde_json::Value,
}

/// Names of numeric tags: a file's first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    label2id: Option<BTreeMap<String, usize>>,
    names: Option<Vec<String>>,
}

impl Header {
    fn names(self) -> Result<BTreeMap<usize, String>, &'static str> {
        match (self.label2id, self.names) {
            (Some(ids), None) => {
                let count = ids.len();
                let names: BTreeMap<_, _> = ids.into_iter().map(|(name, id)| (id, name)).collect();
                if names.len() == count { Ok(names) } else { Err("label2id gives one number twice") }
            }
            (None, Some(names)) => Ok(names.into_iter().enumerate().collect()),
            _ => Err("the first line has to hold either label2id or names"),
        }
    }
}

/// Reads `{"tokens": [..], "ner_tags": [..]}` lines; tags are strings, or numbers that a first line
/// `{"label2id": {"O": 0, ..}}` or `{"names": ["O", ..]}` explains.
pub(super) fn rows(text: &str) -> Result<Vec<Sentence>, Problem> {
    let mut names: Option<BTreeMap<usize, String>> = None;
    let mut sentences = Vec::new();
    let mut first = true;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() {
            continue;
        }
        if std::mem::take(&mut first)
            && let Ok(header) = serde_json::from_str::<Header>(line)
        {
            names = Some(header.names().map_err(|message| problem(number, message))?);
            continue;
        }
        let row: Row =
            serde_json::from_str(line).map_err(|e| problem(number, super::files::json_problem(&e)))?;
        if row.tokens.len() != row.ner_tags.len() {
            return Err(problem(
                number,
                format!("{} tokens but {} tags", row.tokens.len(), row.ner_tags.len()),
            ));
        }
        if row.tokens.is_empty() {
            return Err(problem(number, "no tokens"));
        }
        if let Some(place) = row.tokens.iter().position(|word| word.trim().is_empty()) {
            return Err(problem(number, format!("token {place} is empty")));
        }
        let mut tags = Vec::with_capacity(row.ner_tags.len());
        for (place, tag) in row.ner_tags.iter().enumerate() {
            let tag = match (tag, &names) {
                (serde_json::Value::String(tag), _) => tag,
                (serde_json::Value::Number(_), None) => {
                    return Err(problem(
                        number,
                        "tags are numbers without names: begin the file with a line `{\"names\": [\"O\", ..]}` or \
                         `{\"label2id\": {\"O\": 0, ..}}`",
                    ));
                }
                (serde_json::Value::Number(id), Some(names)) => id
                    .as_u64()
                    .and_then(|id| usize::try_from(id).ok())
                    .and_then(|id| names.get(&id))
                    .ok_or_else(|| problem(number, format!("tag {place} is a number without a name")))?,
                _ => return Err(problem(number, format!("tag {place} is neither a string nor a number"))),
            };
            if split_tag(tag).is_none() {
                return Err(problem(
                    number,
                    format!("tag {place} is neither O nor a type after B-, I-, E- or S-"),
                ));
            }
            tags.push(tag.clone());
        }
        normalise(&mut tags);
        let words = row.tokens.iter().map(|word| word.trim().to_owned()).collect();
        sentences.push(Sentence { words, tags, document: None });
    }
    Ok(sentences)
}

/// IOB1, IO and BIOES to BIO: an I- or E- that continues nothing begins an entity, and after an E- or S- nothing goes on.
/// Leaves legal BIO as it is.
pub(super) fn normalise(tags: &mut [String]) {
    let mut open: Option<String> = None;
    for tag in tags {
        let Some(Some((prefix, kind))) = split_tag(tag) else {
            open = None;
            continue;
        };
        let kind = kind.to_owned();
        let continues = matches!(prefix, Prefix::Inside | Prefix::End) && open.as_ref() == Some(&kind);
        *tag = format!("{}-{kind}", if continues { "I" } else { "B" });
        open = (!matches!(prefix, Prefix::End | Prefix::Single)).then_some(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> String {
        let mut tags: Vec<String> = text.split(' ').map(str::to_owned).collect();
        normalise(&mut tags);
        tags.join(" ")
    }

    #[test]
    fn iob1_and_io_become_bio_and_bio_stays() {
        assert_eq!(tags("I-PER I-PER O I-LOC"), "B-PER I-PER O B-LOC");
        assert_eq!(tags("I-PER B-PER I-PER"), "B-PER B-PER I-PER");
        assert_eq!(tags("I-PER I-LOC"), "B-PER B-LOC");
        assert_eq!(tags("B-PER I-PER B-PER O B-LOC"), "B-PER I-PER B-PER O B-LOC");
    }

    #[test]
    fn bioes_and_bilou_become_bio() {
        assert_eq!(tags("B-PER I-PER E-PER S-PER O S-LOC"), "B-PER I-PER I-PER B-PER O B-LOC");
        assert_eq!(tags("B-PER L-PER U-PER U-LOC O"), "B-PER I-PER B-PER B-LOC O");
        assert_eq!(
            tags("B-PER E-PER I-PER E-LOC"),
            "B-PER I-PER B-PER B-LOC",
            "what continues nothing begins"
        );
    }

    #[test]
    fn columns_are_split_by_tab_or_space() {
        let read = columns("# id = 3\nJean\tNOM\tI-PER\nvit\tV\tO\n\n\nÀ O\nAix B-LOC\n# O\n").expect("read");
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].words.concat(), read[0].tags.join(" ")), ("Jeanvit".into(), "B-PER O".into()));
        assert_eq!((read[1].words.concat(), read[1].tags.join(" ")), ("ÀAix#".into(), "O B-LOC O".into()));
        assert_eq!(read[0].document, None);
    }

    #[test]
    fn docstart_begins_a_document() {
        let read = columns("-DOCSTART- -X- O\n\na O\n\nb O\n-DOCSTART- O\nc O").expect("read");
        assert_eq!(read.iter().map(|s| s.document).collect::<Vec<_>>(), [Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn bad_columns_are_named_by_line() {
        for (text, line, message) in [
            ("a O\nb", 2, "a word without a tag"),
            ("a O\nb X-PER", 2, UNKNOWN_TAG),
            ("a\tO\n\tO", 2, "a tag without a word"),
        ] {
            assert_eq!(columns(text), Err(problem(line, message)));
        }
    }

    #[test]
    fn rows_take_strings_or_explained_numbers() {
        let row = r#"{"tokens":["Jean","vit"],"ner_tags":["I-PER","O"]}"#;
        let numbers = r#"{"id":7,"tokens":["Jean","vit"],"ner_tags":[1,0]}"#;
        let expected = rows(row).expect("strings");
        assert_eq!(expected[0].tags, ["B-PER", "O"]);
        for header in [r#"{"names":["O","I-PER"]}"#, r#"{"label2id":{"I-PER":1,"O":0}}"#] {
            assert_eq!(rows(&format!("{header}\n{numbers}\n")).expect(header), expected);
        }
    }

    #[test]
    fn bad_rows_are_named_by_line() {
        let good = r#"{"tokens":["a"],"ner_tags":["O"]}"#;
        for (line, message) in [
            (r#"{"tokens":["a"],"ner_tags":[0]}"#, "numbers without names"),
            (r#"{"tokens":["a","b"],"ner_tags":["O"]}"#, "2 tokens but 1 tags"),
            (r#"{"tokens":[],"ner_tags":[]}"#, "no tokens"),
            (r#"{"tokens":[" "],"ner_tags":["O"]}"#, "token 0 is empty"),
            (r#"{"tokens":["a"],"ner_tags":["PER"]}"#, "tag 0 is neither"),
            (r#"{"tokens":["a"]}"#, "missing field `ner_tags`"),
            (r#"{"names":["O"]}"#, "unknown or of another type"),
        ] {
            let found = rows(&format!("{good}\n{line}")).expect_err(message);
            assert!(found.line == 2 && found.message.contains(message), "{found:?}");
        }
    }
}
