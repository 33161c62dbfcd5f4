//! Names of numeric tags, as files say them: `label2id`, `id2label`, lists of names, features of a `datasets` data set.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Map, Value};

use super::value::{integer, kind};

/// What is said of numeric tags that nothing explains.
pub(super) const NAMELESS: &str = "its tags are numbers without names";

/// Names by number.
pub(super) type Ids = BTreeMap<i64, String>;

/// What numbers mean, in each field or in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    fields: BTreeMap<String, Ids>,
    all: Option<Ids>,
    /// What says so, for the note.
    pub origin: String,
}

/// Files beside a data file that may explain its numbers.
const BESIDE: [&str; 8] = [
    "dataset_info.json",
    "dataset_infos.json",
    "label2id.json",
    "id2label.json",
    "labels.json",
    "label.json",
    "label_map.json",
    "config.json",
];

impl Names {
    /// Of a list, the first being that of 0.
    pub fn listed(names: &[String], origin: &str) -> Self {
        Self {
            all: Some((0..).zip(names.iter().cloned()).collect()),
            origin: origin.to_owned(),
            ..Self::default()
        }
    }

    /// What some JSON explains; `None` if it explains nothing.
    ///
    /// # Errors
    /// One number has two names.
    pub fn of(value: &Value, origin: &str) -> Result<Option<Self>, String> {
        let mut fields = BTreeMap::new();
        features(value, &mut fields);
        let all = match value {
            Value::Object(object) => explained(object)?,
            Value::Array(names) => list(names),
            _ => None,
        };
        let found = all.is_some() || !fields.is_empty();
        Ok(found.then(|| Self { fields, all, origin: origin.to_owned() }))
    }

    /// What a file in one of these folders explains, the first first; with those that say something else.
    pub fn beside<'f>(folders: impl Iterator<Item = &'f Path>) -> Option<Self> {
        let mut files = folders.flat_map(|folder| BESIDE.map(|name| folder.join(name)));
        let mut own = files.find_map(|file| Self::explained_by(&file))?;
        let others: Vec<_> = files
            .filter_map(|file| Self::explained_by(&file))
            .filter(|other| own.contradicts(other))
            .collect();
        for other in others {
            own.origin = format!("{}, which {} contradicts", own.origin, other.origin);
        }
        Some(own)
    }

    /// What a file explains whose name says that it may; `None` if it explains nothing.
    pub fn explained_by(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let value = BESIDE.contains(&name).then(|| fs::read(file).ok())??;
        let value = serde_json::from_slice::<Value>(&value).ok()?;
        Self::of(&value, &file.display().to_string()).ok().flatten()
    }

    /// Whether another gives the numbers of a field other names.
    fn contradicts(&self, other: &Self) -> bool {
        let differ =
            |one: Option<&Ids>, other: Option<&Ids>| one.zip(other).is_some_and(|(one, other)| one != other);
        differ(self.all.as_ref(), other.all.as_ref())
            || self.fields.iter().any(|(field, ids)| differ(Some(ids), other.ids(field)))
    }

    /// The names in a field.
    pub fn ids(&self, field: &str) -> Option<&Ids> {
        let only = || self.fields.values().next().filter(|_| self.fields.len() == 1);
        self.fields.get(field).or(self.all.as_ref()).or_else(only)
    }
}

/// Tags as strings: names as they stand, numbers by the names of their field.
///
/// # Errors
/// One is neither a string nor a whole number, or a number without a name.
pub(super) fn named(names: Option<&Names>, field: &str, tags: &[Value]) -> Result<Vec<String>, String> {
    let explained = names.and_then(|names| Some((names, names.ids(field)?)));
    let name = |(place, tag): (usize, &Value)| {
        let id = match tag {
            Value::String(text) => match text.trim().parse::<i64>() {
                Ok(id) if explained.is_some() => id,
                _ => return Ok(text.trim().to_owned()),
            },
            tag => integer(tag).ok_or_else(|| format!("tag {place} is {}", kind(tag)))?,
        };
        let (Names { origin, .. }, ids) = explained.ok_or_else(|| NAMELESS.to_owned())?;
        ids.get(&id).cloned().ok_or_else(|| {
            format!("tag {place} is {id}, a number without a name: {origin} has {}", ids.len())
        })
    };
    tags.iter().enumerate().map(name).collect()
}

/// `{"label2id": ..}`, `{"id2label": ..}`, `{"names": ..}`, or names and numbers themselves.
fn explained(object: &Map<String, Value>) -> Result<Option<Ids>, String> {
    for key in ["label2id", "id2label", "names"] {
        match object.get(key) {
            Some(Value::Object(map)) => return pairs(map).map_err(|reason| format!("{key} {reason}")),
            Some(Value::Array(names)) => return Ok(list(names)),
            _ => {}
        }
    }
    pairs(object).or(Ok(None))
}

fn list(names: &[Value]) -> Option<Ids> {
    let names: Option<Vec<_>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    names.filter(|names| !names.is_empty()).map(|names| (0..).zip(names).collect())
}

/// From name to number or from number to name, numbers also as strings.
fn pairs(map: &Map<String, Value>) -> Result<Option<Ids>, String> {
    let mut ids = Ids::new();
    for (key, value) in map {
        let pair = match value {
            Value::String(value) => match (key.trim().parse::<i64>(), value.trim().parse::<i64>()) {
                (Ok(id), _) => (id, value.clone()),
                (_, Ok(id)) => (id, key.clone()),
                _ => return Ok(None),
            },
            value => match integer(value) {
                Some(id) => (id, key.clone()),
                None => return Ok(None),
            },
        };
        if ids.insert(pair.0, pair.1).is_some() {
            return Err("gives one number twice".to_owned());
        }
    }
    Ok((!ids.is_empty()).then_some(ids))
}

/// The names of each field, wherever `features` are.
fn features(value: &Value, found: &mut BTreeMap<String, Ids>) {
    let Value::Object(object) = value else { return };
    match object.get("features") {
        Some(Value::Object(features)) => {
            found.extend(
                features.iter().filter_map(|(field, spec)| Some((field.clone(), class_names(spec)?))),
            );
        }
        Some(Value::Array(features)) => found.extend(
            features
                .iter()
                .filter_map(|spec| Some((spec.get("name")?.as_str()?.to_owned(), class_names(spec)?))),
        ),
        _ => object.values().for_each(|value| features(value, found)),
    }
}

/// `ClassLabel`, inside of however many sequences.
fn class_names(spec: &Value) -> Option<Ids> {
    match spec {
        Value::Object(object) => match object.get("names") {
            Some(Value::Array(names)) => list(names),
            Some(Value::Object(names)) => pairs(names).ok().flatten(),
            _ => object.values().find_map(class_names),
        },
        Value::Array(specs) => specs.iter().find_map(class_names),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_that_contradict_each_other_are_both_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, value: Value| {
            fs::write(folder.path().join(name), value.to_string()).expect("written");
        };
        let origin = || Names::beside([folder.path()].into_iter()).expect("names").origin;
        write("label2id.json", json!({"O": 0, "B-PER": 1}));
        write("config.json", json!({"id2label": {"0": "O", "1": "B-PER"}}));
        assert!(!origin().contains("contradicts"));
        write("id2label.json", json!({"0": "B-PER", "1": "O"}));
        assert!(origin().ends_with("id2label.json contradicts"), "{}", origin());
    }

    #[test]
    fn numbers_are_named_in_every_way_that_people_write() {
        let expected = Ids::from([(0, "O".to_owned()), (1, "B-PER".to_owned())]);
        for value in [
            json!({"names": ["O", "B-PER"]}),
            json!(["O", "B-PER"]),
            json!({"label2id": {"O": 0, "B-PER": 1}}),
            json!({"label2id": {"O": "0", "B-PER": "1"}}),
            json!({"id2label": {"0": "O", "1": "B-PER"}, "hidden_size": 4}),
            json!({"O": 0, "B-PER": 1}),
            json!({"0": "O", "1": "B-PER"}),
            json!({"features": {"ner_tags": {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}}}}),
            json!({"fr": {"features": [{"name": "ner_tags", "sequence": {"class_label": {"names": {"0": "O", "1": "B-PER"}}}}]}}),
            json!({"info": {"features": {"ner_tags": {"_type": "List", "feature": {"names": ["O", "B-PER"]}}, "id": {"dtype": "string"}}}}),
        ] {
            let names = Names::of(&value, "here").expect("good").unwrap_or_else(|| panic!("{value}"));
            assert_eq!(names.ids("ner_tags"), Some(&expected), "{value}");
        }
        assert!(
            Names::of(&json!({"label2id": {"O": 0, "B-PER": 0}}), "").is_err_and(|e| e.contains("twice"))
        );
        for value in [json!({"text": "x"}), json!([]), json!({"tokens": ["a"], "ner_tags": [0]}), json!(3)] {
            assert_eq!(Names::of(&value, ""), Ok(None), "{value}");
        }
    }
}
