//! Gold sets: words that are never split again, with their tags (docs/formats.md, "Gold").

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
};

use serde_json::Value;
use stage_contract::{Artifact, Kind, Shape, StageError, given};

use super::{
    files::write,
    formats::format::Want,
    item::{Content, Found, Item, Place},
    options::{Options, TagScheme},
    reading::{Part, Read, Reading, counted},
    record::{Provenance, Record},
    shape::NAMELESS,
    spans::{self, Changes},
    text,
};
use crate::labels::{Notation, Scheme, Span, Tally, spans as entities};

/// Gold tags: one or several named sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gold {
    /// By name, in the order of their first files.
    pub sets: Vec<GoldSet>,
}

/// One gold set: the sentences of a file, or of a folder of brat's documents.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldSet {
    /// The file's name without its ending.
    pub name: String,
    /// Tags are BIO, whatever scheme the file has; types as the file has them.
    pub records: Vec<Record>,
}

impl Gold {
    /// Reads a file or a folder of any format of annotations. Record ids are `set:n` from 1, groups the document
    /// (`set/name`) where the file says it, else the id.
    ///
    /// # Errors
    /// A file is unreadable, or of no encoding or format that is read; there are more bad records than
    /// [`Options::errors`]; a file has no sentence.
    pub fn read(path: &Path, options: &Options) -> Result<Read<Self>, StageError> {
        let mut reading = Reading::new(options, Want::Gold);
        let mut sets: Vec<GoldSet> = Vec::new();
        for (name, file) in reading.files(path)? {
            let part = reading.part(name, file)?;
            let at = sets.iter().position(|set| set.name == part.set).unwrap_or_else(|| {
                sets.push(GoldSet { name: part.set.clone(), records: Vec::new() });
                sets.len() - 1
            });
            Decoding::of(&part, options).decode(part, options, &mut reading, &mut sets[at])?;
        }
        let notes = reading.finish()?;
        if let Some(set) = sets.iter().find(|set| set.records.is_empty()) {
            return Err(StageError::new(format!("no sentence is left of `{}`", set.name))
                .help("remove the file, or correct it"));
        }
        Ok(Read { value: Self { sets }, notes })
    }

    /// How many entities there are of each type.
    #[must_use]
    pub fn types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for record in self.sets.iter().flat_map(|set| &set.records) {
            for span in entities(&record.tags, Scheme::Bio) {
                *types.entry(span.kind).or_default() += 1;
            }
        }
        types
    }
}

/// How the tags of one file are read, and what happens on the way.
struct Decoding {
    notation: Notation,
    tally: Tally,
    changes: Changes,
    /// Words of white space.
    blank: usize,
}

impl Decoding {
    fn of(part: &Part, options: &Options) -> Self {
        let tags = part.found.items.iter().flat_map(|item| match &item.content {
            Content::Tagged { tags, .. } | Content::Placed { tags, .. } => tags.as_slice(),
            _ => &[],
        });
        let tags = tags.map(String::as_str);
        let notation =
            if options.scheme == Some(TagScheme::Io) { Notation::io(tags) } else { Notation::of(tags) };
        Self { notation, tally: Tally::default(), changes: Changes::default(), blank: 0 }
    }

    fn decode(
        mut self,
        part: Part,
        options: &Options,
        reading: &mut Reading<'_>,
        set: &mut GoldSet,
    ) -> Result<(), StageError> {
        let Part { path, format, found: Found { items, form, notes, .. }, .. } = part;
        if items.is_empty() && notes.is_empty() && !reading.has_bad() {
            return Err(StageError::new(format!("no sentence in {}", path.display()))
                .help("remove the file, or fill it"));
        }
        let before = set.records.len();
        for item in items {
            match self.sentence(item, options) {
                Ok(Some(sentence)) => set.records.push(sentence.record(&set.name, set.records.len() + 1)),
                Ok(None) => {}
                Err((place, reason)) => reading.reject(&path, place, &reason),
            }
        }
        let records = &set.records[before..];
        let mut said = vec![format.to_owned()];
        said.extend(form);
        if self.tally != Tally::default() {
            said.push(self.scheme());
        }
        said.push(counted(records.len(), "sentence"));
        let documents: BTreeSet<_> = records.iter().filter(|r| r.group != r.id).map(|r| &r.group).collect();
        if !documents.is_empty() {
            said.push(counted(documents.len(), "document"));
        }
        reading.notes.push(format!("{}: {}", path.display(), said.join(", ")));
        let mut own = Found { notes, ..Found::default() };
        self.changed(&mut own, records);
        reading.notes.extend(own.notes.iter().map(|note| format!("{}: {note}", path.display())));
        Ok(())
    }

    fn scheme(&self) -> String {
        let mut said = self.tally.scheme().to_owned();
        if self.notation.is_plain() && said == "IO" {
            "types without a prefix".clone_into(&mut said);
        }
        match self.notation.outside() {
            "O" => said,
            outside => format!("{said}, `{outside}` for O"),
        }
    }

    /// What was changed, to be said.
    fn changed(&self, found: &mut Found, records: &[Record]) {
        let Changes { widened, overlapping, converted } = self.changes;
        found.count(self.blank, "word of white space is left out", "words of white space are left out");
        found.count(
            widened,
            "span cut a word and is widened to it",
            "spans cut a word and are widened to it",
        );
        found.count(
            overlapping,
            "span overlaps a longer one and is left out",
            "spans overlap longer ones and are left out",
        );
        let units = "count bytes or UTF-16 units, as what they say shows";
        found.count(
            converted,
            &format!("text whose offsets {units}"),
            &format!("texts whose offsets {units}"),
        );
        if self.tally.scheme().ends_with("that begin") {
            found.count(
                self.tally.inside_begins,
                "I- continues nothing and begins an entity",
                "I- continue nothing and begin an entity",
            );
        }
        let mut cases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for span in records.iter().flat_map(|record| entities(&record.tags, Scheme::Bio)) {
            cases.entry(span.kind.to_uppercase()).or_default().insert(span.kind);
        }
        for kinds in cases.values().filter(|kinds| kinds.len() > 1) {
            let kinds: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
            found.notes.push(format!(
                "the types {} differ in case alone, and count as different",
                kinds.join(" and ")
            ));
        }
    }

    /// One sentence, its tags in BIO; `None` if it has no word.
    fn sentence(&mut self, item: Item, options: &Options) -> Result<Option<Sentence>, (Place, String)> {
        let Item { place, document, content } = item;
        let (text, words, tags) = match content {
            Content::Tagged { words, tags, lines } => {
                let spans = self.entities(&tags, options).map_err(|(at, reason)| match lines.get(at) {
                    Some(line) => (Place::Line(*line), reason),
                    None => (place, format!("tag {at}: {reason}")),
                })?;
                let tags = bio(words.len(), &spans);
                let words: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
                let (words, tags) = self.without_blanks(words, tags);
                let (text, places) = joined(&words);
                (text, places, tags)
            }
            Content::Placed { text, words, tags } => {
                let spans = self
                    .entities(&tags, options)
                    .map_err(|(at, reason)| (place, format!("tag {at}: {reason}")))?;
                let tags = bio(words.len(), &spans);
                (text, words, tags)
            }
            Content::Spans { text, marks } => {
                let spans::Words { places, tags } =
                    spans::tagged(&text, &marks, &mut self.changes).map_err(|reason| (place, reason))?;
                (text, places, tags)
            }
            Content::Text(_) => return Err((place, "no tags and no spans".to_owned())),
        };
        if words.is_empty() {
            return Ok(None);
        }
        Ok(Some(Sentence { text, words, tags, document }))
    }

    /// The entities of tags in the file's notation.
    fn entities(&mut self, tags: &[String], options: &Options) -> Result<Vec<Span>, (usize, String)> {
        if let Some(scheme) = options.scheme {
            illegal(&self.notation, tags, scheme).map_or(Ok(()), |at| {
                Err((
                    at,
                    format!("{} is not legal there in the scheme that the options say", shown(&tags[at])),
                ))
            })?;
        }
        self.notation.entities(tags, &mut self.tally).map_err(|at| {
            let tag = tags[at].as_str();
            let reason = if tag.is_empty() {
                "a word without a tag".to_owned()
            } else if tag.parse::<i64>().is_ok() {
                NAMELESS.to_owned()
            } else if self.notation.is_plain() {
                format!("{} is neither {} nor the name of a type", shown(tag), self.notation.outside())
            } else {
                format!(
                    "{} is neither {} nor a type with a prefix, as the other tags are",
                    shown(tag),
                    self.notation.outside()
                )
            };
            (at, reason)
        })
    }

    /// Leaves words of white space out. An entity that begins with one begins with the next.
    fn without_blanks(&mut self, words: Vec<String>, mut tags: Vec<String>) -> (Vec<String>, Vec<String>) {
        let blanks = words.iter().filter(|word| word.is_empty()).count();
        if blanks == 0 {
            return (words, tags);
        }
        self.blank += blanks;
        for at in 0..words.len() {
            if words[at].is_empty()
                && let Some(kind) = tags[at].strip_prefix("B-").map(|kind| format!("B-{kind}"))
                && let Some(next) = tags.get_mut(at + 1).filter(|next| next.starts_with("I-"))
            {
                *next = kind;
            }
        }
        words.into_iter().zip(tags).filter(|(word, _)| !word.is_empty()).unzip()
    }
}

/// The place of a tag that a scheme has not, or not there.
fn illegal(notation: &Notation, tags: &[String], scheme: TagScheme) -> Option<usize> {
    use crate::labels::Prefix::{Begin, End, Inside, Single};
    let mut before = None;
    tags.iter().position(|tag| {
        let now = notation.read(tag).flatten();
        let same = |(_, kind): (_, &str)| now.is_some_and(|(_, own)| own == kind);
        let goes_on = before.is_some_and(|last: (_, &str)| same(last) && !matches!(last.0, End | Single));
        let near = before.is_some_and(same);
        before = now;
        let Some((prefix, _)) = now else { return false };
        !match scheme {
            TagScheme::Io => true,
            TagScheme::Iob1 => prefix == Inside || (prefix == Begin && near),
            TagScheme::Iob2 => prefix == Begin || (prefix == Inside && goes_on),
            TagScheme::Bioes => matches!(prefix, Begin | Single) || goes_on,
            TagScheme::Ioe1 | TagScheme::Ioe2 => matches!(prefix, Inside | End),
        }
    })
}

/// A tag as a message may show it: what looks like one and cannot be a word of the text.
fn shown(tag: &str) -> String {
    let short = tag.chars().count() <= 2;
    let mark = |part: &str, rest: &str| {
        let known = part.len() == 1 && "BIESLUMWbieslumw".contains(part);
        let letter = part.len() == 1 && part.chars().all(char::is_alphabetic);
        known || (letter && !rest.is_empty() && rest == rest.to_uppercase())
    };
    let marked = |separator: char| {
        tag.split_once(separator).is_some_and(|(prefix, kind)| mark(prefix, kind))
            || tag.rsplit_once(separator).is_some_and(|(kind, suffix)| mark(suffix, kind))
    };
    let plain = tag.is_ascii() && tag.len() <= 40;
    if plain && (short || marked('-') || marked('_')) {
        format!("the tag `{tag}`")
    } else {
        "its tag".to_owned()
    }
}

/// BIO tags of so many words.
fn bio(words: usize, spans: &[Span]) -> Vec<String> {
    let mut tags = vec!["O".to_owned(); words];
    for span in spans {
        for (word, tag) in tags[span.start..span.end].iter_mut().enumerate() {
            *tag = format!("{}-{}", if word == 0 { "B" } else { "I" }, span.kind);
        }
    }
    tags
}

/// Words between single spaces, and where each is.
fn joined(words: &[String]) -> (String, Vec<[usize; 2]>) {
    let mut at = 0;
    let places = words.iter().map(|word| {
        let place = [at, at + word.chars().count()];
        at = place[1] + 1;
        place
    });
    (words.join(" "), places.collect())
}

/// A sentence in BIO.
struct Sentence {
    text: String,
    words: Vec<[usize; 2]>,
    tags: Vec<String>,
    document: Option<String>,
}

impl Sentence {
    fn record(self, set: &str, number: usize) -> Record {
        let id = format!("{set}:{number}");
        Record {
            group: self.document.map_or_else(|| id.clone(), |document| format!("{set}/{document}")),
            id,
            text: self.text,
            source: set.to_owned(),
            score: vec![1.0; self.words.len()],
            words: self.words,
            tags: self.tags,
            provenance: Provenance::Gold,
        }
    }
}

impl Artifact for Gold {
    const KIND: Kind = Kind {
        name: "gold",
        shape: Shape::FileOrFolder,
        extension: "",
        doc: "gold entities: CoNLL, JSON of many tools, tables, Parquet, brat: a file, or a folder whose file names are the sets",
    };

    fn load(path: &Path) -> Result<Self, StageError> {
        Self::read(path, &Options::default()).map(|read| read.value)
    }

    fn read(path: &Path, options: &Value, note: &dyn Fn(String)) -> Result<Self, StageError> {
        let Read { value, notes } = Self::read(path, &given(options)?)?;
        notes.into_iter().for_each(note);
        Ok(value)
    }

    /// A folder with a file for each set, where `path` has an extension and there is one set, that file: .bio, or .jsonl for
    /// what columns cannot hold.
    fn save(&self, path: &Path) -> Result<(), StageError> {
        if let ([set], Some(_)) = (self.sets.as_slice(), path.extension()) {
            return set.save(path);
        }
        fs::create_dir(path).map_err(|e| StageError::io("create", path, e))?;
        for set in &self.sets {
            let ending = if set.fits_columns() { "bio" } else { "jsonl" };
            set.save(&path.join(format!("{}.{ending}", text::checked_stem(&set.name)?)))?;
        }
        Ok(())
    }
}

impl GoldSet {
    /// Makes a set of sentences that are words and BIO tags.
    #[must_use]
    pub fn new(name: &str, sentences: impl IntoIterator<Item = (Vec<String>, Vec<String>)>) -> Self {
        let record = |((words, tags), number): ((Vec<String>, Vec<String>), usize)| {
            let (text, words) = joined(&words);
            Sentence { text, words, tags, document: None }.record(name, number)
        };
        Self { name: name.to_owned(), records: sentences.into_iter().zip(1..).map(record).collect() }
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        for record in &self.records {
            record
                .check()
                .map_err(|problem| StageError::new(format!("record `{}`: {problem}", record.id)))?;
        }
        write(path, |out| {
            if !self.fits_columns() {
                return self.records.iter().try_for_each(|record| {
                    serde_json::to_writer(&mut *out, record)?;
                    out.write_all(b"\n")
                });
            }
            for (index, record) in self.records.iter().enumerate() {
                if index > 0 {
                    out.write_all(b"\n")?;
                }
                // Documents come back as groups `set/n`, or by their name.
                let before = index.checked_sub(1).map(|i| self.records[i].group.as_str());
                if record.group != record.id && before != Some(record.group.as_str()) {
                    let name = self.document(record);
                    if name.bytes().all(|b| b.is_ascii_digit()) {
                        out.write_all(b"-DOCSTART-\tO\n\n")?;
                    } else {
                        writeln!(out, "# newdoc id = {name}")?;
                    }
                }
                for (word, tag) in words(record).zip(&record.tags) {
                    writeln!(out, "{word}\t{tag}")?;
                }
            }
            Ok(())
        })
    }

    /// Whether columns can say what the records are: words between single spaces that no line is taken amiss for, and
    /// documents one after another.
    fn fits_columns(&self) -> bool {
        let mut seen: Vec<&str> = Vec::new();
        let mut grouped = false;
        self.records.iter().all(|record| {
            let words: Vec<String> = words(record).collect();
            let plain = |word: &String| {
                !word.contains(['\t', '\n', '\r']) && word.trim() == word && !word.starts_with("-DOCSTART-")
            };
            let own = record.group != record.id;
            let first = own && seen.last() != Some(&self.document(record));
            if first {
                let number = seen.len() + 1;
                let name = self.document(record);
                let numbered = name.parse() == Ok(number);
                let named = !name.is_empty()
                    && name.trim() == name
                    && name.parse::<usize>().is_err()
                    && !name.contains('\n');
                if seen.contains(&name) || !(numbered || named) {
                    return false;
                }
                seen.push(name);
            }
            grouped |= own;
            own == grouped
                && joined(&words) == (record.text.clone(), record.words.clone())
                && words.iter().all(plain)
        })
    }

    fn document<'r>(&self, record: &'r Record) -> &'r str {
        record.group.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&record.group)
    }
}

/// The words of a record in one pass over its text.
fn words(record: &Record) -> impl Iterator<Item = String> {
    let chars: Vec<char> = record.text.chars().collect();
    record.words.iter().map(move |&[start, end]| chars[start..end].iter().collect())
}

#[cfg(test)]
mod tests;
