//! The annotations of one record: a tag for each word, or spans of a text or of its words.

use serde_json::Value;

use super::super::{
    item::{Content, Mark},
    names::{Names, named},
    roles::TAGS,
    spans::{Changes, fit_characters, fit_words, on_words},
    value::index,
};
use super::{
    chosen::Chosen,
    fields::{Record, at, by_shape, find, is_tags},
    marks::{self, Marks},
};

/// Reads the annotations of one file's records, and counts what is to be said of them.
pub(super) struct Annotations<'o> {
    pub chosen: Chosen<'o>,
    pub names: Option<Names>,
    /// What was done to spans that count words.
    pub changes: Changes,
    /// Texts with the annotations of several people, of which the first are taken.
    pub several: usize,
    /// Spans with several labels, of which the first is taken.
    pub multiple: usize,
}

impl<'o> Annotations<'o> {
    pub fn new(chosen: Chosen<'o>, names: Option<Names>) -> Self {
        Self { chosen, names, changes: Changes::default(), several: 0, multiple: 0 }
    }

    /// A record's text or words with what is said of them; `None` where nobody annotated it.
    ///
    /// # Errors
    /// What is wrong with it, without any of its text.
    pub fn of(&mut self, record: &Record) -> Result<Option<Content>, String> {
        if let Some(placed) = self.placed(record)? {
            return Ok(Some(placed));
        }
        let has_text = || {
            let texts = ["text", "sentence", "raw", "content"];
            texts.iter().any(|name| find(record, name).is_some_and(|(_, value)| value.is_string()))
        };
        if let Some(words) = self.chosen.tokens_of(record)? {
            if let Some(tags) = self.tags_of(record, &words)? {
                return Ok(Some(Content::Tagged { words, tags, places: Vec::new() }));
            }
            if !has_text() {
                return self.spans_of_words(record, words).map(Some);
            }
            let tokens = self.chosen.tokens.take();
            return match self.strings(record)? {
                Some(tagged) => Ok(Some(tagged)),
                None => self.spans_of_either(record, tokens, words),
            };
        }
        if let Some(tagged) = self.strings(record)? {
            return Ok(Some(tagged));
        }
        let text = self.chosen.text_of(record)?;
        Ok(self.marks_of(record, &text)?.map(|marks| Content::Spans { text, marks }))
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
        (self.chosen.tokens, self.chosen.tags) = (Some("words".to_owned()), Some("tags".to_owned()));
        Ok(Some(Content::Placed { text: text.clone(), words, tags }))
    }

    /// A tag for each word: of a field of its own, or of the words' own objects.
    fn tags_of(&mut self, record: &Record, words: &[String]) -> Result<Option<Vec<String>>, String> {
        let tokens = self.chosen.tokens.as_deref();
        let scalars = |value: &Value| {
            value.as_array().is_some_and(|tags| tags.iter().all(|tag| !tag.is_object() && !tag.is_array()))
        };
        let candidates = || {
            let usual = TAGS.iter().filter_map(|name| find(record, name));
            let ending = record.iter().filter(|(name, _)| name.to_lowercase().ends_with("ner_tags"));
            let lists = usual.chain(ending.map(|(name, value)| (name.as_str(), value)));
            lists.filter(|(name, value)| scalars(value) && tokens != Some(*name))
        };
        let length = |value: &Value| value.as_array().map_or(0, Vec::len);
        // Parts of speech are called `tags` too.
        let shaped = by_shape(record, words.len(), tokens);
        let usual = |(_, value): &(&str, &Value)| {
            let strings = || value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string));
            length(value) == words.len() && (shaped.is_none() || !strings() || is_tags(value))
        };
        let said = self.chosen.said.tags.as_deref().or(self.chosen.tags.as_deref());
        let found = match said {
            Some(field) => at(record, field).map(|value| (field, value)),
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
            self.chosen.tags = Some(field);
        }
        Ok(Some(tags))
    }

    /// `{"orth": .., "ner": ..}`: the tags are in the tokens.
    fn tags_of_tokens(&self, record: &Record) -> Result<Option<Vec<String>>, String> {
        let field = self.chosen.tokens.as_deref();
        let Some(Value::Array(tokens)) = field.and_then(|field| at(record, field)) else { return Ok(None) };
        let tag = |token: &Value| {
            let found = ["ner", "ner_tag", "label", "tag_ner", "iob"].iter().find_map(|key| token.get(*key));
            found.cloned()
        };
        let tags: Option<Vec<_>> = tokens.iter().map(tag).collect();
        tags.filter(|tags| !tags.is_empty()).map(|tags| self.named(&tags, "ner")).transpose()
    }

    fn named(&self, tags: &[Value], field: &str) -> Result<Vec<String>, String> {
        named(self.names.as_ref(), field, tags)
    }

    /// A sentence and its tags as two strings, split at white space alike.
    fn strings(&mut self, record: &Record) -> Result<Option<Content>, String> {
        let usual = || {
            let fields = TAGS.iter().filter_map(|name| find(record, name)).map(|(_, value)| value);
            fields.into_iter().find(|value| value.is_string())
        };
        let tags = match self.chosen.said.tags.as_deref() {
            Some(field) => at(record, field),
            None => usual(),
        };
        let Some(Value::String(tags)) = tags else { return Ok(None) };
        let tags: Vec<String> = tags.split_whitespace().map(str::to_owned).collect();
        if !tags.iter().all(|tag| tag == "O" || tag.contains(['-', '_'])) {
            return Ok(None);
        }
        let text = self.chosen.text_of(record)?;
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.len() != tags.len() {
            return Err(format!("{} words but {} tags", words.len(), tags.len()));
        }
        Ok(Some(Content::Tagged { words, tags, places: Vec::new() }))
    }

    /// The spans of a text; `None` where nobody has annotated it yet.
    fn marks_of(&mut self, record: &Record, text: &str) -> Result<Option<Vec<Mark>>, String> {
        let name =
            |label: &Value| self.named(std::slice::from_ref(label), "label").map(|names| names.concat());
        let said = self.chosen.said.tags.as_deref();
        let Marks { field, several, multiple, spans } = marks::of(record, said, text, &name)?;
        self.chosen.tags = Some(field);
        self.several += usize::from(several);
        self.multiple += multiple;
        Ok(spans)
    }

    /// Spans beside a text and its words, which Prodigy and spaCy repeat: they count words where all fit those, and one does not
    /// fit the text.
    fn spans_of_either(
        &mut self,
        record: &Record,
        tokens: Option<String>,
        words: Vec<String>,
    ) -> Result<Option<Content>, String> {
        let text = self.chosen.text_of(record)?;
        let Some(marks) = self.marks_of(record, &text)? else { return Ok(None) };
        let last = last_word(tokens.as_deref());
        if fit_words(&words, &marks, last) && !fit_characters(&text, &marks) {
            (self.chosen.text, self.chosen.tokens) = (None, tokens);
            return self.on_words(words, marks).map(Some);
        }
        Ok(Some(Content::Spans { text, marks }))
    }

    /// Spans that count words.
    fn spans_of_words(&mut self, record: &Record, words: Vec<String>) -> Result<Content, String> {
        let marks = self.marks_of(record, &words.join(" "))?.unwrap_or_default();
        self.on_words(words, marks)
    }

    fn on_words(&mut self, words: Vec<String>, marks: Vec<Mark>) -> Result<Content, String> {
        let last = last_word(self.chosen.tokens.as_deref());
        let whole = marks.into_iter().map(|mark| Mark { end: mark.end + last, ..mark }).collect::<Vec<_>>();
        let tags = on_words(words.len(), &whole, &mut self.changes)?;
        Ok(Content::Tagged { words, tags, places: Vec::new() })
    }
}

/// How much less the end of a span of words is than one past its last word: it is that word in `tokenized_text` (`GLiNER`).
fn last_word(tokens: Option<&str>) -> usize {
    usize::from(tokens == Some("tokenized_text"))
}
