//! Typed access to the keys of `config.json`.

use serde_json::{Map, Value};
use stage_contract::StageError;

use super::{ACTIVATION, COPY, Contradiction, LARGEST};
use crate::arch::{self, Architecture};
use text::labels::Labels;

/// A number, unless it is more than any encoder has.
pub(super) fn up_to(key: &str, found: usize, most: usize) -> Result<usize, StageError> {
    if found <= most {
        return Ok(found);
    }
    Err(StageError::new(format!("{key} is {found}, and no encoder has more than {most}")).help(COPY))
}

/// A value as a message has room for it.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        value => {
            let text = value.to_string();
            text.char_indices().nth(LONGEST).map_or(text.clone(), |(end, _)| format!("{}..", &text[..end]))
        }
    }
}

/// Typed access to a JSON object. A key that is null is not there; one of another type is an error.
pub(super) struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    pub fn of(value: &'a Value) -> Result<Self, StageError> {
        value.as_object().map(Self).ok_or_else(|| StageError::new("expected a JSON object"))
    }

    pub fn get<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, StageError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| {
                StageError::new(format!("{key} is {}, expected {expected}", shown(value)))
                    .help(format!("write {expected} for `{key}` in config.json"))
            }),
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>, StageError> {
        self.get(key, Value::as_str, "a text")
    }

    pub fn flag(&self, key: &str) -> Result<bool, StageError> {
        Ok(self.get(key, Value::as_bool, "true or false")?.unwrap_or(false))
    }

    pub fn object(&self, key: &str) -> Result<Option<Self>, StageError> {
        Ok(self.get(key, Value::as_object, "an object")?.map(Self))
    }

    /// A size or an id.
    pub fn number(&self, key: &str) -> Result<Option<usize>, StageError> {
        self.number_up_to(key, LARGEST)
    }

    fn number_up_to(&self, key: &str, most: usize) -> Result<Option<usize>, StageError> {
        let found =
            self.get(key, |value| value.as_u64().and_then(|n| usize::try_from(n).ok()), "a whole number")?;
        found.map(|number| up_to(key, number, most)).transpose()
    }

    pub fn positive(&self, key: &str) -> Result<usize, StageError> {
        self.positive_up_to(key, LARGEST)
    }

    pub fn positive_up_to(&self, key: &str, most: usize) -> Result<usize, StageError> {
        self.number_up_to(key, most)?.filter(|n| *n > 0).ok_or_else(|| {
            StageError::new(format!("{key} is missing or 0, expected a positive number")).help(COPY)
        })
    }

    fn is(&self, key: &str, expected: &str) -> Result<(), StageError> {
        match self.text(key)?.unwrap_or(expected) {
            found if found == expected => Ok(()),
            found => Err(StageError::new(format!("{key} is {found}, and only {expected} is supported"))
                .help(format!("use a model made with {key} = {expected}, as CamemBERT and BERT are"))),
        }
    }

    pub fn architecture(&self) -> Result<&'static dyn Architecture, StageError> {
        let kind = self.text("model_type")?.unwrap_or("missing");
        let architecture = arch::find(kind).ok_or_else(|| {
            let known = arch::model_types();
            StageError::new(format!("model_type is {kind}, expected one of {}", known.join(", ")))
                .help("use a token classifier of one of these encoders")
        })?;
        let texts =
            |value: &'a Value| value.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        let names = self.get("architectures", texts, "a list of texts")?.unwrap_or_default();
        if !names.is_empty() && !names.iter().any(|name| name.ends_with("ForTokenClassification")) {
            return Err(StageError::new(format!("{} is no token classifier", names.join(", ")))
                .help("use a model fine-tuned for named entities, such as Jean-Baptiste/camembert-ner"));
        }
        if self.flag("is_decoder")? {
            return Err(StageError::new("is_decoder is true, and only encoders are supported")
                .help("use a token classifier such as Jean-Baptiste/camembert-ner"));
        }
        self.is(architecture.keys().activation, ACTIVATION)?;
        self.is("position_embedding_type", "absolute")?;
        Ok(architecture)
    }

    pub fn labels(&self) -> Result<Labels, StageError> {
        let names = self.label_names()?;
        if let Some(Contradiction { label, column, inverse }) = self.contradictions(&names).first() {
            tracing::info!(
                name: Contradiction::SAID,
                "label2id of config.json says that {label} is {inverse}; id2label, which counts, says {column}"
            );
        }
        Labels::parse(&names)
    }

    pub fn label_names(&self) -> Result<Vec<String>, StageError> {
        let map = self.object("id2label")?.ok_or_else(|| {
            StageError::new("id2label is missing, so the labels have no names")
                .help("add id2label to config.json: {\"0\": \"O\", \"1\": \"I-PER\", ..}")
        })?;
        // Losses skip words labelled -100 (PyTorch's `ignore_index`), and some write that down as a label.
        let count = map.0.keys().filter(|key| !key.starts_with('-')).count();
        (0..count)
            .map(|column| {
                map.text(&column.to_string())?.map(str::to_owned).ok_or_else(|| {
                    StageError::new(format!("id2label has {count} labels, but none for {column}"))
                        .help("number the labels of id2label from 0 on, without a gap")
                })
            })
            .collect()
    }

    /// label2id is for people: what transformers reads is id2label. Where the two contradict each other, that is said.
    pub fn contradictions(&self, names: &[String]) -> Vec<Contradiction> {
        let Some(inverse) = self.0.get("label2id").and_then(Value::as_object) else { return Vec::new() };
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let other = names.iter().enumerate().filter_map(|(column, label)| {
            let inverse = inverse.get(label).and_then(number)?;
            (inverse != column as u64).then(|| Contradiction { label: label.clone(), column, inverse })
        });
        other.collect()
    }
}
