//! What a model's labels mean, from their names alone.

use std::collections::BTreeMap;

use stage_contract::StageError;

use super::{
    Labels, Scheme, Tag,
    notation::{OUTSIDE, Prefix, form},
    types::Policy,
};

impl Labels {
    /// Understands a model's `id2label`, whatever its order. `types` come in the order of first appearance.
    ///
    /// `B-` and `S-` (also `U-`) begin an entity, `I-` and `E-` (also `M-`, `L-`) continue one; so do `b-`, `B_` and `-B`
    /// after the type. Names without a prefix are types (IO), and a set that writes `B-` before every name says no more
    /// than one without prefixes.
    ///
    /// # Errors
    /// Implicit names (`LABEL_0`), no O, no entity type, two labels of one meaning, a prefix without a type, names with and
    /// without a prefix.
    pub fn parse(names: &[String]) -> Result<Self, StageError> {
        // By meaning, letter case aside: `B-PER` and `B-Per` would be trained apart and scored as one.
        let mut seen: BTreeMap<String, &String> = BTreeMap::new();
        for name in names {
            if name.strip_prefix("LABEL_").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
                return Err(StageError::new(format!("label `{name}` has no name of its own")).help(format!(
                    "write what each label means into config.json, as the model's card says: {}",
                    line(names.len())
                )));
            }
            if name != OUTSIDE
                && let Some(other) = seen.insert(name.to_uppercase(), name)
            {
                return Err(refused(format!("labels `{other}` and `{name}` mean the same")));
            }
        }
        let form = form(names);
        let parts: Vec<(Option<Prefix>, &str)> = names
            .iter()
            .map(|name| match form.and_then(|form| form(name)) {
                Some((prefix, kind)) => (Some(prefix), kind),
                None => (None, name.as_str()),
            })
            .collect();
        let plain = parts.contains(&(None, OUTSIDE));
        let outside =
            |&(prefix, kind): &(Option<Prefix>, &str)| kind == OUTSIDE && (prefix.is_none() || !plain);
        let begins =
            |&(prefix, _): &(Option<Prefix>, &str)| matches!(prefix, Some(Prefix::Begin | Prefix::Single));
        let all_begin = parts.iter().filter(|part| !outside(part)).all(|part| part.0 == Some(Prefix::Begin));
        let mut types: Vec<String> = Vec::new();
        let mut tags = Vec::with_capacity(names.len());
        for (part, name) in parts.iter().zip(names) {
            if outside(part) {
                tags.push(Tag::Outside);
                continue;
            }
            let kind = part.1;
            if kind.is_empty() || kind.contains(char::is_whitespace) || ["B-", "I-"].contains(&name.as_str())
            {
                return Err(refused(format!("label `{name}` names no type")));
            }
            if form.is_some() && part.0.is_none() {
                return Err(StageError::new(format!("label `{name}` has no prefix, though others have theirs"))
                    .help("write `O` in its place under `id2label` in config.json, if it marks no entity, or else `I-` before it"));
            }
            let index = types.iter().position(|known| known == kind).unwrap_or_else(|| {
                types.push(kind.to_owned());
                types.len() - 1
            });
            tags.push(if begins(part) && !all_begin { Tag::Begin(index) } else { Tag::Inside(index) });
        }
        if !tags.contains(&Tag::Outside) {
            return Err(refused("label `O` is missing".to_owned()));
        }
        if types.is_empty() {
            return Err(refused("there is no entity type beside `O`".to_owned()));
        }
        let scheme =
            if tags.iter().any(|tag| matches!(tag, Tag::Begin(_))) { Scheme::Bio } else { Scheme::Io };
        let policies = vec![Policy::Learn; types.len()];
        Ok(Self { names: names.to_vec(), tags, types, policies, scheme })
    }
}

fn refused(message: String) -> StageError {
    StageError::new(message).help(
        "give every label its name under `id2label` in config.json: `O` and, for each type, `TYPE` or `I-TYPE` alone, \
         `B-TYPE` and `I-TYPE`, or `B-`, `I-`, `E-` and `S-`",
    )
}

/// The line for config.json that names so many labels.
fn line(labels: usize) -> String {
    let names = (0..labels).map(|label| match label {
        0 => "\"0\": \"O\"".to_owned(),
        1 => "\"1\": \"B-PER\"".to_owned(),
        2 => "\"2\": \"I-PER\"".to_owned(),
        label => format!("\"{label}\": \"..\""),
    });
    format!("\"id2label\": {{{}}}", names.collect::<Vec<_>>().join(", "))
}
