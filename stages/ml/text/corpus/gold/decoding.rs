//! From what a file says of its sentences to records with BIO tags.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use stage_contract::{StageError, report::counted};

use super::super::{
    item::{Content, Found, Item, Place},
    names::NAMELESS,
    options::{Options, TagScheme},
    reading::{Part, Reading},
    record::{Provenance, Record},
    spans::{self, Changes},
};
use crate::labels::{Notation, Scheme, Span, Tally, spans as entities};

/// How the tags of one file are read, and what happens on the way.
pub(super) struct Decoding {
    notation: Notation,
    tally: Tally,
    changes: Changes,
    /// Words of white space.
    blank: usize,
}

impl Decoding {
    pub fn of(part: &mut Part, options: &Options) -> Self {
        name_tags(&mut part.found.items, options.labels.as_deref());
        let tags = part.found.items.iter().flat_map(|item| match &item.content {
            Content::Tagged { tags, .. } | Content::Placed { tags, .. } => tags.as_slice(),
            _ => &[],
        });
        let tags = tags.map(String::as_str);
        let notation =
            if options.scheme == Some(TagScheme::Io) { Notation::io(tags) } else { Notation::of(tags) };
        Self { notation, tally: Tally::default(), changes: Changes::default(), blank: 0 }
    }

    /// Puts the sentences of a file behind the records of its set.
    ///
    /// # Errors
    /// The file has none, and nothing says why.
    pub fn decode(
        mut self,
        part: Part,
        options: &Options,
        reading: &mut Reading<'_>,
        records: &mut Vec<Record>,
    ) -> Result<(), StageError> {
        let Part { set, path, format, found: Found { items, form, notes, lost, .. }, .. } = part;
        if items.is_empty() && notes.is_empty() && lost.is_empty() && reading.number_of_bad() == 0 {
            return Err(StageError::new(format!("no sentence in {}", path.display()))
                .help("remove the file, or fill it"));
        }
        let before = records.len();
        for item in items {
            match self.sentence(item, options) {
                Ok(Some(sentence)) => records.push(sentence.record(&set, records.len() + 1)),
                Ok(None) => {}
                Err((place, reason)) => reading.reject(&path, place, &reason),
            }
        }
        let records = &records[before..];
        let mut said = vec![format.to_owned()];
        said.extend(form);
        if self.tally != Tally::default() {
            said.push(self.scheme());
        }
        let is_own = is_own(&path, &said.join(", "));
        said.push(counted(records.len(), "sentence"));
        let documents: BTreeSet<_> = records.iter().filter(|r| r.group != r.id).map(|r| &r.group).collect();
        if !documents.is_empty() {
            said.push(counted(documents.len(), "document"));
        }
        if !is_own {
            reading.notes.read.push(format!("{}: {}", path.display(), said.join(", ")));
        }
        reading.notes.lost.extend(lost.iter().map(|note| format!("{}: {note}", path.display())));
        let mut own = Found { notes, ..Found::default() };
        self.changed(&mut own, records);
        reading.notes.read.extend(own.notes.iter().map(|note| format!("{}: {note}", path.display())));
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
        let Item { place, document, content, .. } = item;
        let (text, words, tags) = match content {
            Content::Tagged { words, tags, places } => {
                let spans = self.entities(&tags, options).map_err(|(at, reason)| match places.get(at) {
                    Some(place) => (*place, reason),
                    None => (place, format!("tag {at}: {reason}")),
                })?;
                let tags = bio(words.len(), &spans);
                let words: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
                let (words, tags) = self.as_tag(words, tags);
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
            } else if let (Ok(id), Some(labels)) = (tag.parse::<i64>(), &options.labels) {
                format!("its tag is {id}, a number without a name: the option `labels` has {}", labels.len())
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
    fn as_tag(&mut self, words: Vec<String>, mut tags: Vec<String>) -> (Vec<String>, Vec<String>) {
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

/// Whether a file is as a stage writes gold: nothing in it was guessed.
fn is_own(path: &Path, said: &str) -> bool {
    path.extension().is_some_and(|ending| ending == "bio") && said == "CoNLL, 2 columns, word 1, tag 2, BIO"
}

/// Gives tags of columns that are all numbers their names.
fn name_tags(items: &mut [Item], labels: Option<&[String]>) {
    let Some(labels) = labels else { return };
    let tags = |items: &mut [Item], change: &mut dyn FnMut(&mut String)| {
        for item in items {
            if let Content::Tagged { tags, .. } = &mut item.content {
                tags.iter_mut().for_each(&mut *change);
            }
        }
    };
    let mut numbers = true;
    tags(items, &mut |tag| numbers &= tag.parse::<usize>().is_ok());
    if numbers {
        tags(items, &mut |tag| {
            if let Some(name) = tag.parse::<usize>().ok().and_then(|id| labels.get(id)) {
                tag.clone_from(name);
            }
        });
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
pub(in crate::corpus) fn joined(words: &[String]) -> (String, Vec<[usize; 2]>) {
    let mut at = 0;
    let places = words.iter().map(|word| {
        let place = [at, at + word.chars().count()];
        at = place[1] + 1;
        place
    });
    (words.join(" "), places.collect())
}

/// A sentence in BIO.
pub(super) struct Sentence {
    /// What the offsets count in.
    pub text: String,
    /// `[start, end)` in Unicode scalar values.
    pub words: Vec<[usize; 2]>,
    /// One a word.
    pub tags: Vec<String>,
    /// As the file calls it.
    pub document: Option<String>,
}

impl Sentence {
    /// The record of this number in a set, from 1.
    pub fn record(self, set: &str, number: usize) -> Record {
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
