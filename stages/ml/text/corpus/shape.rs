//! One record of JSON, a table or Parquet: which of its fields are text, words, tags, spans and document, by their names and
//! by what is in them.

mod fields;
mod marks;

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use stage_contract::StageError;

use self::{
    fields::{
        Record, WORDS, are_words, by_shape, fields, index, is_name, is_tags, kind, only_string, string,
    },
    marks::Marks,
    marks::NO_MARKS,
};
pub(super) use self::{
    fields::{at, find},
    marks::is_span,
};
use super::{
    format::Want,
    item::{Content, Found, Mark, Place},
    names::{Names, integer},
    options::Options,
    spans::{Changes, fit_characters, fit_words, on_words},
};

/// Fields that are a text, the surest first.
pub(super) const TEXTS: [&str; 11] = [
    "text",
    "sentence",
    "content",
    "raw",
    "texte",
    "phrase",
    "contents",
    "body",
    "document",
    "abstract",
    "paragraph",
];
const TOKENS: [&str; 8] = ["tokens", "words", "tokenized_text", "token", "word", "sentence", "text", "form"];
const TAGS: [&str; 12] = [
    "ner_tags",
    "ner",
    "ner_labels",
    "ner_tag",
    "bio_tags",
    "iob_tags",
    "tags",
    "labels",
    "label",
    "tag",
    "iob",
    "entities",
];
const DOCUMENTS: [&str; 9] =
    ["document", "doc_id", "document_id", "docid", "doc_key", "doc", "file_name", "filename", "file"];

/// What may explain numeric tags.
pub(super) const NAMING: [&str; 4] = ["names", "label2id", "id2label", "features"];

/// What a record gives.
#[derive(Debug, PartialEq)]
enum Shaped {
    /// Its document and content.
    Text(Option<String>, Content),
    /// It says that it is not to be used: why.
    LeftOut(&'static str),
}

/// Reads the records of one file. Where a field was found in the first record it is looked for in all.
pub(super) struct Shapes<'o> {
    want: Want,
    options: &'o Options,
    names: Option<Names>,
    /// What the first records have together; `None` where nobody looked.
    seen: Option<Record>,
    text: Option<String>,
    tokens: Option<String>,
    tags: Option<String>,
    /// What was done to spans that count words.
    changes: Changes,
    /// Texts with the annotations of several people, of which the first are taken.
    several: usize,
    /// Spans with several labels, of which the first is taken.
    multiple: usize,
    /// Records that say that they are not to be used.
    left_out: BTreeMap<&'static str, usize>,
}

impl<'o> Shapes<'o> {
    /// For a file. `names` says what numeric tags mean, unless the options do.
    pub fn new(want: Want, options: &'o Options, names: Option<Names>) -> Self {
        let said = options.labels.as_deref().map(|labels| Names::listed(labels, "the option `labels`"));
        Self {
            want,
            options,
            names: said.or(names),
            seen: None,
            text: None,
            tokens: None,
            tags: None,
            changes: Changes::default(),
            several: 0,
            multiple: 0,
            left_out: BTreeMap::new(),
        }
    }

    /// How many records are looked at before one is read.
    pub const LOOKED_AT: usize = 100;

    /// Looks at the first records, so that what the very first has not decides nothing.
    pub fn look(&mut self, values: impl Iterator<Item = Value>) {
        let empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(values) => values.is_empty(),
            _ => false,
        };
        let mut seen = Record::new();
        for record in values.filter_map(record) {
            for (name, value) in record {
                match seen.get(&name) {
                    Some(known) if !empty(known) || empty(&value) => {}
                    _ => _ = seen.insert(name, value),
                }
            }
        }
        self.seen = Some(seen);
    }

    /// Reads a record into what was found; lists of a text and what is said of it are records too.
    pub fn take(&mut self, found: &mut Found, place: Place, value: &Value) {
        let pair;
        let record = match value {
            Value::Object(record) => record,
            Value::Array(_) => match record(value.clone()) {
                Some(record) => {
                    pair = record;
                    &pair
                }
                None => return found.reject(place, "a list that is not a text and its annotations"),
            },
            Value::String(text) if self.want == Want::Text => {
                return found.push(place, None, Content::Text(text.clone()));
            }
            value => return found.reject(place, format!("{} and no record", kind(value))),
        };
        match self.read(record) {
            Ok(Shaped::Text(document, content)) => found.push(place, document, content),
            Ok(Shaped::LeftOut(why)) => *self.left_out.entry(why).or_default() += 1,
            Err(reason) => found.reject(place, reason),
        }
    }

    /// Says what was guessed and what was left out. `explained` says how numeric tags may be named in such a file.
    ///
    /// # Errors
    /// No record could be read, all for one reason that an option mends.
    pub fn finish(self, found: &mut Found, path: &Path, explained: &str) -> Result<(), StageError> {
        if found.items.is_empty()
            && let Some((place, reason)) = found.bad.first()
            && let Some(help) = self.advice(found, explained)
        {
            return Err(StageError::new(format!("{}{place}: {reason}", path.display())).help(help));
        }
        found.form.extend(self.form());
        for (why, number) in &self.left_out {
            found.count(
                *number,
                &format!("record {why} is left out"),
                &format!("records {why} are left out"),
            );
        }
        found.count(
            self.several,
            "text was annotated by several people: the first is taken",
            "texts were annotated by several people: the first is taken",
        );
        found.count(
            self.multiple,
            "span has several labels: the first is taken",
            "spans have several labels: the first is taken",
        );
        found.count(
            self.changes.overlapping,
            "span overlaps a longer one and is left out",
            "spans overlap longer ones and are left out",
        );
        Ok(())
    }

    /// What to type where all records are bad for one reason.
    fn advice(&self, found: &Found, explained: &str) -> Option<String> {
        let all = |reason: &str| found.bad.iter().all(|(_, own)| own.starts_with(reason));
        if all(NAMELESS) {
            return Some(format!("name them by {explained}, in the order of the numbers"));
        }
        if !all(NO_TEXT) && !all(NO_MARKS) {
            return None;
        }
        let seen = self.seen.as_ref()?;
        let length = |value: &Value| value.as_str().map(str::len);
        let longest = seen.iter().filter_map(|(name, value)| Some((length(value)?, name))).max();
        // A field of a known name was tried already.
        let known =
            |name: &str| [&TEXTS[..], &TOKENS, &TAGS].concat().contains(&name.to_lowercase().as_str());
        let others = |fits: fn(&Value) -> bool| -> Vec<&str> {
            let fields = seen.iter().filter(|(name, value)| !known(name) && fits(value));
            fields.map(|(name, _)| name.as_str()).collect()
        };
        let (lists, strings) = (others(Value::is_array), others(Value::is_string));
        let fields = match (self.want, lists.as_slice(), strings.as_slice()) {
            (Want::Text, ..) => format!("`fields = {{ text = \"{}\" }}`", longest?.1),
            (Want::Gold, [tokens, tags, ..], _) | (Want::Gold, [], [.., tokens, tags]) => {
                format!("`fields = {{ tokens = \"{tokens}\", tags = \"{tags}\" }}`")
            }
            (Want::Gold, [tags], _) => {
                format!("`fields = {{ text = \"{}\", tags = \"{tags}\" }}`", longest?.1)
            }
            (Want::Gold, [], _) => return None,
        };
        Some(format!("say which fields are what by the option {fields}, with the names that are in the file"))
    }

    /// Takes the names of numeric tags from a record that holds nothing else.
    ///
    /// # Errors
    /// It gives one number two names.
    pub fn explain(&mut self, record: &Value, origin: &str) -> Result<bool, String> {
        let names = match record {
            Value::Object(object) if object.keys().all(|key| NAMING.contains(&key.as_str())) => {
                Names::of(record, origin)?
            }
            _ => None,
        };
        let found = names.is_some();
        if self.options.labels.is_none() {
            self.names = names.or_else(|| self.names.take());
        }
        Ok(found)
    }

    /// Which fields are what, for the note.
    fn form(&self) -> Vec<String> {
        let said =
            |what: &str, field: &Option<String>| field.as_ref().map(|field| format!("{what} `{field}`"));
        let tags = said("tags", &self.tags).map(|said| match &self.names {
            Some(names) => format!("{said} named by {}", names.origin),
            None => said,
        });
        [said("text", &self.text), said("words", &self.tokens), tags].into_iter().flatten().collect()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with it, without any of its text.
    fn read(&mut self, record: &Record) -> Result<Shaped, String> {
        if let Some(answer) = record.get("answer").and_then(Value::as_str)
            && ["reject", "ignore"].contains(&answer)
        {
            return Ok(Shaped::LeftOut("whose `answer` is not `accept`"));
        }
        let content = match self.want {
            Want::Text => Content::Text(self.text(record)?),
            Want::Gold => match self.gold(record)? {
                Some(content) => content,
                None => return Ok(Shaped::LeftOut("that nobody annotated")),
            },
        };
        Ok(Shaped::Text(self.document(record), content))
    }

    fn document(&self, record: &Record) -> Option<String> {
        let said = self.options.fields.document.as_deref();
        let known = DOCUMENTS.iter().filter(|name| self.text.as_deref() != Some(**name)).copied();
        let value = match said {
            Some(field) => at(record, field),
            None => known
                .filter_map(|name| find(record, name))
                .map(|(_, value)| value)
                .find(|value| is_name(value)),
        };
        if value.is_none() && record.contains_key("words") {
            // Our own records: their groups begin with the source, and are their ids where they have no document.
            let group = record
                .get("group")?
                .as_str()
                .filter(|group| record.get("id").and_then(Value::as_str) != Some(group))?;
            let source = record.get("source").and_then(Value::as_str).unwrap_or_default();
            return Some(group.strip_prefix(&format!("{source}/")).unwrap_or(group).to_owned());
        }
        match value? {
            // A name is one line.
            Value::String(name) if !name.trim().is_empty() => {
                Some(name.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned())
            }
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn text(&mut self, record: &Record) -> Result<String, String> {
        match self.text_of(record) {
            Err(reason) => match self.tokens_of(record) {
                Ok(Some(words)) => Ok(words.join(" ")),
                _ => Err(reason),
            },
            text => text,
        }
    }

    /// The field that is the text: named, or of a usual name, or the only one that is a string.
    fn text_of(&mut self, record: &Record) -> Result<String, String> {
        let said = self.options.fields.text.clone().or_else(|| self.text.clone());
        if let Some(field) = said {
            let value = string(at(record, &field), &field)?;
            self.text = Some(field);
            return Ok(value.to_owned());
        }
        match text_field(self.seen.as_ref().unwrap_or(record)) {
            Some(field) => {
                self.text = Some(field);
                self.text_of(record)
            }
            None => Err(match find(record, "text") {
                Some((name, value)) => format!("the field `{name}` is {}", kind(value)),
                None => format!("{NO_TEXT} {}", fields(record)),
            }),
        }
    }

    /// The words, where the record has a list of them.
    fn tokens_of(&mut self, record: &Record) -> Result<Option<Vec<String>>, String> {
        let said = self.options.fields.tokens.clone().or_else(|| self.tokens.clone());
        let usual = || {
            let some = |fits: &dyn Fn(&Value) -> bool| {
                TOKENS.iter().find_map(|name| find(record, name).filter(|(_, value)| fits(value)))
            };
            let none = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
            let found = some(&are_words).or_else(|| some(&none).filter(|_| text_field(record).is_none()));
            found.map(|(name, _)| name.to_owned())
        };
        let Some(field) = said.or_else(usual) else { return Ok(None) };
        let Some(value) = at(record, &field) else { return Err(format!("no field `{field}`")) };
        let Value::Array(values) = value else {
            return Err(format!("the field `{field}` is {}", kind(value)));
        };
        let word = |(place, value): (usize, &Value)| match value {
            Value::String(word) => Ok(word.clone()),
            Value::Object(token) => WORDS
                .iter()
                .find_map(|key| token.get(*key)?.as_str())
                .map(str::to_owned)
                .ok_or_else(|| format!("token {place} has no text")),
            value => Err(format!("token {place} is {}", kind(value))),
        };
        let words = values.iter().enumerate().map(word).collect::<Result<Vec<_>, _>>()?;
        if !words.is_empty() {
            self.tokens = Some(field);
        }
        Ok(Some(words))
    }

    fn gold(&mut self, record: &Record) -> Result<Option<Content>, String> {
        if let Some(placed) = self.placed(record)? {
            return Ok(Some(placed));
        }
        let has_text = || {
            let texts = ["text", "sentence", "raw", "content"];
            texts.iter().any(|name| find(record, name).is_some_and(|(_, value)| value.is_string()))
        };
        if let Some(words) = self.tokens_of(record)? {
            if let Some(tags) = self.tags_of(record, &words)? {
                return Ok(Some(Content::Tagged { words, tags, lines: Vec::new() }));
            }
            if !has_text() {
                return self.spans_of_words(record, words).map(Some);
            }
            let tokens = self.tokens.take();
            return match self.strings(record)? {
                Some(tagged) => Ok(Some(tagged)),
                None => self.spans_of_either(record, tokens, words),
            };
        }
        if let Some(tagged) = self.strings(record)? {
            return Ok(Some(tagged));
        }
        let text = self.text_of(record)?;
        Ok(self.marks_of(record, &text)?.map(|marks| Content::Spans { text, marks }))
    }

    /// Spans beside a text and its words, which Prodigy and spaCy repeat: they count words where all fit those, and one does not
    /// fit the text.
    fn spans_of_either(
        &mut self,
        record: &Record,
        tokens: Option<String>,
        words: Vec<String>,
    ) -> Result<Option<Content>, String> {
        let text = self.text_of(record)?;
        let Some(marks) = self.marks_of(record, &text)? else { return Ok(None) };
        let last = last_word(tokens.as_deref());
        if fit_words(&words, &marks, last) && !fit_characters(&text, &marks) {
            (self.text, self.tokens) = (None, tokens);
            return self.on_words(words, marks).map(Some);
        }
        Ok(Some(Content::Spans { text, marks }))
    }

    /// Records of ner-pipe itself: words are places in the text.
    fn placed(&mut self, record: &Record) -> Result<Option<Content>, String> {
        let (Some(Value::String(text)), Some(Value::Array(words)), Some(Value::Array(tags))) =
            (record.get("text"), record.get("words"), record.get("tags"))
        else {
            return Ok(None);
        };
        let place = |value: &Value| Some([index(value.get(0)?)?, index(value.get(1)?)?]);
        let Some(words) = words.iter().map(place).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let tags = self.named(tags, "tags")?;
        if tags.len() != words.len() {
            return Err(format!("{} words but {} tags", words.len(), tags.len()));
        }
        let length = text.chars().count();
        let fits = words.iter().zip(words.iter().skip(1)).all(|(one, next)| one[1] <= next[0]);
        if !fits || words.iter().any(|word| word[0] >= word[1] || word[1] > length) {
            return Err(format!("its words overlap, are empty, or leave the text of {length} characters"));
        }
        (self.tokens, self.tags) = (Some("words".to_owned()), Some("tags".to_owned()));
        Ok(Some(Content::Placed { text: text.clone(), words, tags }))
    }

    /// A tag for each word: of a field of its own, or of the words' own objects.
    fn tags_of(&mut self, record: &Record, words: &[String]) -> Result<Option<Vec<String>>, String> {
        let said = self.options.fields.tags.clone().or_else(|| self.tags.clone());
        let scalars = |value: &Value| {
            value.as_array().is_some_and(|tags| tags.iter().all(|tag| !tag.is_object() && !tag.is_array()))
        };
        let own = Some(&self.tokens);
        let candidates = || {
            let usual = TAGS.iter().filter_map(|name| find(record, name));
            let ending = record.iter().filter(|(name, _)| name.to_lowercase().ends_with("ner_tags"));
            let lists = usual.chain(ending.map(|(name, value)| (name.as_str(), value)));
            lists.filter(|(name, value)| scalars(value) && own != Some(&Some((*name).to_owned())))
        };
        let length = |value: &Value| value.as_array().map_or(0, Vec::len);
        // Parts of speech are called `tags` too.
        let shaped = by_shape(record, words.len(), self.tokens.as_deref());
        let usual = |(_, value): &(&str, &Value)| {
            let strings = || value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string));
            length(value) == words.len() && (shaped.is_none() || !strings() || is_tags(value))
        };
        let found = match &said {
            Some(field) => at(record, field).map(|value| (field.as_str(), value)),
            None => candidates()
                .find(usual)
                .or(shaped)
                .or_else(|| candidates().find(|(_, value)| length(value) > 0)),
        };
        let Some((field, value)) = found else {
            return match said {
                Some(field) => Err(format!("no field `{field}`")),
                None => self.tags_of_tokens(record),
            };
        };
        let field = field.to_owned();
        if value.is_null() {
            return Err(format!("the field `{field}` is null"));
        }
        let Some(tags) = value.as_array().filter(|_| scalars(value)) else { return Ok(None) };
        if tags.len() != words.len() {
            return Err(format!("{} tokens but {} tags", words.len(), tags.len()));
        }
        let tags = self.named(tags, &field)?;
        if !tags.is_empty() {
            self.tags = Some(field);
        }
        Ok(Some(tags))
    }

    /// `{"orth": .., "ner": ..}`: the tags are in the tokens.
    fn tags_of_tokens(&self, record: &Record) -> Result<Option<Vec<String>>, String> {
        let Some(Value::Array(tokens)) = self.tokens.as_deref().and_then(|field| at(record, field)) else {
            return Ok(None);
        };
        let tag = |token: &Value| {
            let found = ["ner", "ner_tag", "label", "tag_ner", "iob"].iter().find_map(|key| token.get(*key));
            found.cloned()
        };
        let tags: Option<Vec<_>> = tokens.iter().map(tag).collect();
        tags.filter(|tags| !tags.is_empty()).map(|tags| self.named(&tags, "ner")).transpose()
    }

    /// Tags as strings: names as they stand, numbers by their names.
    fn named(&self, tags: &[Value], field: &str) -> Result<Vec<String>, String> {
        let ids = self.names.as_ref().and_then(|names| names.ids(field));
        let name = |(place, tag): (usize, &Value)| {
            let id = match tag {
                Value::String(text) => match (text.trim().parse::<i64>(), ids) {
                    (Ok(id), Some(_)) => id,
                    _ => return Ok(text.trim().to_owned()),
                },
                tag => integer(tag).ok_or_else(|| format!("tag {place} is {}", kind(tag)))?,
            };
            match ids {
                None => Err(NAMELESS.to_owned()),
                Some(ids) => ids.get(&id).cloned().ok_or_else(|| {
                    format!(
                        "tag {place} is {id}, a number without a name: {} has {}",
                        self.origin(),
                        ids.len()
                    )
                }),
            }
        };
        tags.iter().enumerate().map(name).collect()
    }

    /// What names numeric tags, for a message.
    fn origin(&self) -> &str {
        self.names.as_ref().map_or("nothing", |names| names.origin.as_str())
    }

    /// A sentence and its tags as two strings, split at white space alike.
    fn strings(&mut self, record: &Record) -> Result<Option<Content>, String> {
        let said = self.options.fields.tags.as_deref();
        let tags = match said {
            Some(field) => at(record, field),
            None => TAGS
                .iter()
                .find_map(|name| find(record, name).map(|(_, value)| value).filter(|v| v.is_string())),
        };
        let Some(Value::String(tags)) = tags else { return Ok(None) };
        let tags: Vec<String> = tags.split_whitespace().map(str::to_owned).collect();
        if !tags.iter().all(|tag| tag == "O" || tag.contains(['-', '_'])) {
            return Ok(None);
        }
        let text = self.text_of(record)?;
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.len() != tags.len() {
            return Err(format!("{} words but {} tags", words.len(), tags.len()));
        }
        Ok(Some(Content::Tagged { words, tags, lines: Vec::new() }))
    }

    /// The spans of a text; `None` where nobody has annotated it yet.
    fn marks_of(&mut self, record: &Record, text: &str) -> Result<Option<Vec<Mark>>, String> {
        let said = self.options.fields.tags.as_deref();
        let name =
            |label: &Value| self.named(std::slice::from_ref(label), "label").map(|names| names.concat());
        let Marks { field, several, multiple, spans } = marks::of(record, said, text, &name)?;
        self.tags = Some(field);
        self.several += usize::from(several);
        self.multiple += multiple;
        Ok(spans)
    }

    /// Spans that count words.
    fn spans_of_words(&mut self, record: &Record, words: Vec<String>) -> Result<Content, String> {
        let marks = self.marks_of(record, &words.join(" "))?.unwrap_or_default();
        self.on_words(words, marks)
    }

    fn on_words(&mut self, words: Vec<String>, marks: Vec<Mark>) -> Result<Content, String> {
        let last = last_word(self.tokens.as_deref());
        let whole = marks.into_iter().map(|mark| Mark { end: mark.end + last, ..mark }).collect::<Vec<_>>();
        let tags = on_words(words.len(), &whole, &mut self.changes)?;
        Ok(Content::Tagged { words, tags, lines: Vec::new() })
    }
}

/// How much less the end of a span of words is than one past its last word: it is that word in `tokenized_text` (`GLiNER`).
fn last_word(tokens: Option<&str>) -> usize {
    usize::from(tokens == Some("tokenized_text"))
}

/// A record, or a text and what is said of it as one.
fn record(value: Value) -> Option<Record> {
    match value {
        Value::Object(record) => Some(record),
        Value::Array(values) => match values.as_slice() {
            [text @ Value::String(_), Value::Object(said), ..] => {
                Some([("text".to_owned(), text.clone())].into_iter().chain(said.clone()).collect())
            }
            _ => None,
        },
        _ => None,
    }
}

/// The field that is the text: of a usual name, also in `data`, or the only one that is a string.
fn text_field(record: &Record) -> Option<String> {
    let usual = |record: &Record| {
        let found = TEXTS.iter().find_map(|name| find(record, name).filter(|(_, value)| value.is_string()));
        found.map(|(name, _)| name.to_owned())
    };
    let only = |record: &Record| only_string(record).map(|(name, _)| name.to_owned());
    let nested = || {
        let data = record.get("data")?.as_object()?;
        usual(data).or_else(|| only(data)).map(|name| format!("data.{name}"))
    };
    usual(record).or_else(nested).or_else(|| only(record))
}

/// How numeric tags are named where the file cannot say it.
pub(super) const LABELS: &str = "the option `labels = [\"O\", ..]`";

/// How the reason begins that a record has no field that may be a text.
const NO_TEXT: &str = "no field of text among";

/// What is said of numeric tags that nothing explains.
pub(super) const NAMELESS: &str = "its tags are numbers without names";
