//! One record of JSON, a table or Parquet: which of its fields are text, words, tags, spans and document, by their names and
//! by what is in them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    formats::format::Want,
    item::{Content, Found, Mark, Place},
    names::{Names, integer},
    options::Options,
    spans::{Changes, on_words},
};

type Record = Map<String, Value>;

const TEXTS: [&str; 11] = [
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
const SPANS: [&str; 9] =
    ["entities", "spans", "ents", "label", "labels", "annotations", "ner", "tags", "named_entities"];
const DOCUMENTS: [&str; 9] =
    ["document", "doc_id", "document_id", "docid", "doc_key", "doc", "file_name", "filename", "file"];

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
            text: None,
            tokens: None,
            tags: None,
            changes: Changes::default(),
            several: 0,
            multiple: 0,
            left_out: BTreeMap::new(),
        }
    }

    /// Reads a record into what was found; lists of a text and what is said of it are records too.
    pub fn take(&mut self, found: &mut Found, place: Place, value: &Value) {
        let pair;
        let record = match value {
            Value::Object(record) => record,
            Value::Array(values) => match values.as_slice() {
                [text @ Value::String(_), Value::Object(said), ..] => {
                    pair = [("text".to_owned(), text.clone())].into_iter().chain(said.clone()).collect();
                    &pair
                }
                _ => return found.reject(place, "a list that is not a text and its annotations"),
            },
            value => return found.reject(place, format!("{} and no record", kind(value))),
        };
        match self.read(record) {
            Ok(Shaped::Text(document, content)) => found.push(place, document, content),
            Ok(Shaped::LeftOut(why)) => *self.left_out.entry(why).or_default() += 1,
            Err(reason) => found.reject(place, reason),
        }
    }

    /// Says what was guessed and what was left out.
    pub fn finish(self, found: &mut Found) {
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
    }

    /// Takes the names of numeric tags from a record that holds nothing else.
    ///
    /// # Errors
    /// It gives one number two names.
    pub fn explain(&mut self, record: &Value, origin: &str) -> Result<bool, String> {
        let names = match record {
            Value::Object(object)
                if object.keys().all(|key| ["names", "label2id", "id2label"].contains(&key.as_str())) =>
            {
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
        const LONGEST: usize = 200;
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
            Value::String(name)
                if !name.trim().is_empty() && name.len() <= LONGEST && !name.contains('\n') =>
            {
                Some(name.trim().to_owned())
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
        let usual = TEXTS.iter().find_map(|name| find(record, name).filter(|(_, value)| value.is_string()));
        let nested = || {
            let data = record.get("data")?.as_object()?;
            let usual = TEXTS.iter().find_map(|name| find(data, name).filter(|(_, value)| value.is_string()));
            usual.or_else(|| only_string(data)).map(|(name, _)| format!("data.{name}"))
        };
        let found = usual.map(|(name, _)| name.to_owned()).or_else(nested);
        let found = found.or_else(|| only_string(record).map(|(name, _)| name.to_owned()));
        match found {
            Some(field) => {
                self.text = Some(field);
                self.text_of(record)
            }
            None => Err(match find(record, "text") {
                Some((name, value)) => format!("the field `{name}` is {}", kind(value)),
                None => format!("no field of text among {}", fields(record)),
            }),
        }
    }

    /// The words, where the record has a list of them.
    fn tokens_of(&mut self, record: &Record) -> Result<Option<Vec<String>>, String> {
        let said = self.options.fields.tokens.clone().or_else(|| self.tokens.clone());
        let field = match said {
            Some(field) => field,
            None => {
                match TOKENS.iter().find_map(|name| find(record, name).filter(|(_, value)| are_words(value)))
                {
                    Some((name, _)) => name.to_owned(),
                    None => return Ok(None),
                }
            }
        };
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
        self.tokens = Some(field);
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
            // Prodigy and spaCy repeat the words of a text that spans are of.
            self.tokens = None;
        }
        if let Some(tagged) = self.strings(record)? {
            return Ok(Some(tagged));
        }
        let text = self.text_of(record)?;
        Ok(self.marks_of(record)?.map(|marks| Content::Spans { text, marks }))
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
        let found = match &said {
            Some(field) => at(record, field).map(|value| (field.as_str(), value)),
            None => candidates()
                .find(|(_, value)| length(value) == words.len())
                .or_else(|| candidates().find(|(_, value)| length(value) > 0))
                .or_else(|| by_shape(record, words.len(), self.tokens.as_deref())),
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
        self.tags = Some(field);
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
                Some(ids) => ids
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| format!("tag {place} is {id}, a number without a name")),
            }
        };
        tags.iter().enumerate().map(name).collect()
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
    fn marks_of(&mut self, record: &Record) -> Result<Option<Vec<Mark>>, String> {
        if let Some(people) = label_studio(record) {
            let done: Vec<_> = people
                .iter()
                .filter(|one| one.get("was_cancelled").and_then(Value::as_bool) != Some(true))
                .filter_map(|one| one.get("result")?.as_array())
                .collect();
            self.several += usize::from(done.len() > 1);
            self.tags = Some("annotations".to_owned());
            return done.first().map(|result| self.results(result)).transpose();
        }
        let said = self.options.fields.tags.clone();
        let named = |name: &&str| {
            find(record, name).and_then(|(name, value)| Some((name.to_owned(), value.as_array()?)))
        };
        let candidates: Vec<_> = match &said {
            Some(field) => vec![(field.clone(), list(at(record, field), field)?)],
            None => SPANS.iter().filter_map(named).collect(),
        };
        let of_spans = |values: &[Value]| values.iter().all(is_span);
        let full = candidates.iter().find(|(_, values)| !values.is_empty() && of_spans(values));
        let Some((field, values)) = full.or_else(|| candidates.iter().find(|(_, values)| values.is_empty()))
        else {
            // Prodigy leaves `spans` away where there are none.
            if record.contains_key("_input_hash") || record.contains_key("answer") {
                return Ok(Some(Vec::new()));
            }
            return Err(format!("no tags and no spans among {}", fields(record)));
        };
        self.tags = Some(field.clone());
        values
            .iter()
            .enumerate()
            .map(|(place, value)| self.mark(place, value))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The labels among the results of one person in Label Studio.
    fn results(&mut self, results: &[Value]) -> Result<Vec<Mark>, String> {
        let spans: Vec<_> =
            results.iter().filter_map(|result| result.get("value")).filter(|value| is_span(value)).collect();
        spans.into_iter().enumerate().map(|(place, value)| self.mark(place, value)).collect()
    }

    fn mark(&mut self, place: usize, value: &Value) -> Result<Mark, String> {
        let wrong = |what: &str| format!("span {place} has no {what}");
        let (start, end, label, surface) = match value {
            Value::Array(values) => {
                let numbers: Vec<_> = values.iter().filter(|value| value.is_number()).collect();
                let label = values.iter().find(|value| value.is_string());
                (numbers.first().copied(), numbers.get(1).copied(), label, None)
            }
            value => {
                let any = |keys: &[&str]| {
                    keys.iter().find_map(|key| value.get(*key)).filter(|value| !value.is_null())
                };
                (any(&STARTS), any(&ENDS), any(&LABELS), any(&["text", "word", "surface", "span"]))
            }
        };
        let start = start.and_then(index).ok_or_else(|| wrong("start that is a number of 0 or more"))?;
        let end = match end {
            Some(end) => index(end).ok_or_else(|| wrong("end that is a number of 0 or more"))?,
            None => start + value.get("length").and_then(index).ok_or_else(|| wrong("end"))?,
        };
        let label = match label {
            Some(Value::Array(labels)) => {
                self.multiple += usize::from(labels.len() > 1);
                labels.first()
            }
            label => label,
        };
        let kind = match label {
            Some(Value::String(label)) if !label.trim().is_empty() => label.clone(),
            Some(value) if integer(value).is_some() => {
                self.named(std::slice::from_ref(value), "label").map(|names| names.concat())?
            }
            _ => return Err(wrong("label")),
        };
        let surface = surface.and_then(Value::as_str).filter(|text| !text.contains("##")).map(str::to_owned);
        Ok(Mark { start, end, kind, surface })
    }

    /// Spans that count words: the last word is in where the field of the words is `tokenized_text` (`GLiNER`).
    fn spans_of_words(&mut self, record: &Record, words: Vec<String>) -> Result<Content, String> {
        let inclusive = usize::from(self.tokens.as_deref() == Some("tokenized_text"));
        let marks = self.marks_of(record)?.unwrap_or_default();
        let whole =
            marks.into_iter().map(|mark| Mark { end: mark.end + inclusive, ..mark }).collect::<Vec<_>>();
        let tags = on_words(words.len(), &whole, &mut self.changes)?;
        Ok(Content::Tagged { words, tags, lines: Vec::new() })
    }
}

/// Where an object that is a token has its text.
const WORDS: [&str; 4] = ["text", "orth", "form", "word"];
const STARTS: [&str; 6] = ["start", "start_offset", "begin", "start_char", "startOffset", "offset"];
const ENDS: [&str; 5] = ["end", "end_offset", "end_char", "endOffset", "stop"];
const LABELS: [&str; 9] =
    ["label", "labels", "type", "entity_group", "entity", "tag", "category", "kind", "hypertextlabels"];

/// What is said of numeric tags that nothing explains.
pub(super) const NAMELESS: &str = "its tags are numbers without names";

/// A field by its name, case aside.
fn find<'r>(record: &'r Record, name: &str) -> Option<(&'r str, &'r Value)> {
    let exact = record.get_key_value(name);
    let found = exact.or_else(|| record.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)));
    found.map(|(key, value)| (key.as_str(), value))
}

/// A field by its name, or by the names on the way to it.
fn at<'r>(record: &'r Record, path: &str) -> Option<&'r Value> {
    let inside = || {
        let (head, rest) = path.split_once('.')?;
        at(record.get(head)?.as_object()?, rest)
    };
    record.get(path).or_else(inside)
}

fn string<'r>(value: Option<&'r Value>, field: &str) -> Result<&'r str, String> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(value) => Err(format!("the field `{field}` is {}", kind(value))),
        None => Err(format!("no field `{field}`")),
    }
}

fn list<'r>(value: Option<&'r Value>, field: &str) -> Result<&'r Vec<Value>, String> {
    match value {
        Some(Value::Array(values)) => Ok(values),
        Some(value) => Err(format!("the field `{field}` is {}", kind(value))),
        None => Err(format!("no field `{field}`")),
    }
}

fn only_string(record: &Record) -> Option<(&str, &Value)> {
    let about = |key: &str| {
        ["id", "label", "lang", "language", "split", "source", "url"].contains(&key.to_lowercase().as_str())
    };
    let mut strings = record.iter().filter(|(key, value)| value.is_string() && !about(key));
    let first = strings.next();
    first.filter(|_| strings.next().is_none()).map(|(key, value)| (key.as_str(), value))
}

fn is_name(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// A list of strings, or of objects with a text each; what is wrong with one is told later.
fn are_words(value: &Value) -> bool {
    let Value::Array(values) = value else { return false };
    let text = |value: &Value| value.is_string() || WORDS.iter().any(|key| value.get(*key).is_some());
    values.iter().any(text) && values.iter().all(|value| !value.is_number() && !value.is_array())
}

/// Another list of as many strings, some of them O or with a prefix.
fn by_shape<'r>(record: &'r Record, words: usize, tokens: Option<&str>) -> Option<(&'r str, &'r Value)> {
    let is_tag = |value: &Value| crate::labels::split_tag(value.as_str().unwrap_or_default()).is_some();
    let fits = |value: &Value| {
        value.as_array().is_some_and(|tags| {
            tags.len() == words && tags.iter().all(Value::is_string) && tags.iter().any(is_tag)
        })
    };
    let mut found = record.iter().filter(|(name, value)| tokens != Some(name.as_str()) && fits(value));
    found.next().map(|(name, value)| (name.as_str(), value))
}

fn is_span(value: &Value) -> bool {
    match value {
        Value::Array(values) => {
            values.len() >= 3 && values.iter().filter(|value| value.is_number()).count() >= 2
        }
        Value::Object(object) => {
            STARTS.iter().any(|key| object.contains_key(*key))
                && LABELS.iter().any(|key| object.contains_key(*key))
        }
        _ => false,
    }
}

/// What people said of a record in Label Studio.
fn label_studio(record: &Record) -> Option<&Vec<Value>> {
    let people = ["annotations", "completions"].iter().find_map(|key| record.get(*key)?.as_array())?;
    let shaped = people.iter().all(|one| one.get("result").is_some());
    (shaped && record.get("data").is_some_and(Value::is_object)).then_some(people)
}

fn index(value: &Value) -> Option<usize> {
    integer(value).and_then(|number| usize::try_from(number).ok())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        number @ Value::Number(_) if integer(number).is_some() => "a number",
        Value::Number(_) => "a number that is not whole",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The names of a record's fields, for a message.
fn fields(record: &Record) -> String {
    const MOST: usize = 12;
    let names: Vec<_> = record.keys().take(MOST).map(|key| format!("`{key}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
