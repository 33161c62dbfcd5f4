//! What a model's labels mean, from their names alone.

use std::collections::BTreeMap;

use stage_contract::StageError;

use super::{
    Labels, Scheme, Tag,
    notation::{MARKS, OUTSIDE, Prefix, as_tag, form, is_bare},
    types::Policy,
};

/// More than any token classifier has. What is done with labels grows with their square, a CRF's transitions first.
const MOST_LABELS: usize = 10_000;
/// More than these no message has room for.
const SHOWN: usize = 5;

/// Words that say O where no label does, beside the marks of gold, in any letter case, the likeliest first.
const WORDS: [&str; 11] = [
    "OTHER",
    "OUTSIDE",
    "NONE",
    "NO_ENTITY",
    "NOT_ENTITY",
    "OTHERS",
    "NULL",
    "NIL",
    "BACKGROUND",
    "AUTRE",
    "AUCUN",
];

/// One label, taken apart.
struct Part<'n> {
    /// As config.json has it.
    label: &'n str,
    prefix: Option<Prefix>,
    kind: &'n str,
}

impl Labels {
    /// Understands a model's `id2label`, whatever its order. `types` come in the order of first appearance.
    ///
    /// `B-` and `S-` (also `U-`) begin an entity, `I-` and `E-` (also `M-`, `L-`) continue one, and nothing goes on behind
    /// `E-` and `S-`; so do `b-`, `B_` and `-B`
    /// after the type. Names without a prefix are types (IO), and a set that writes `B-` before every name says no more
    /// than one without prefixes. Without `O` a mark or a word says it (`0`, `OTHER`). A blank in a type is `_`, as in gold.
    ///
    /// # Errors
    /// Implicit names (`LABEL_0`), no O, no entity type, two labels of one meaning, a type written in two ways, a prefix
    /// without a type, names with and without a prefix.
    pub fn parse(names: &[String]) -> Result<Self, StageError> {
        if names.len() > MOST_LABELS {
            return Err(refused(format!(
                "there are {} labels, and no token classifier has more than {MOST_LABELS}",
                names.len()
            )));
        }
        let whole: Vec<String> = names.iter().map(|name| as_tag(name)).collect();
        check_names(names, &whole)?;
        let outside = outside(&whole);
        let rest: Vec<String> = whole.iter().filter(|name| *name != outside).cloned().collect();
        let form = form(&rest);
        let parts: Vec<Part<'_>> = (names.iter().zip(&whole))
            .map(|(label, name)| {
                let read = form.filter(|_| name != outside).and_then(|form| form(name));
                let (prefix, kind) =
                    read.map_or((None, name.as_str()), |(prefix, kind)| (Some(prefix), kind));
                Part { label, prefix, kind }
            })
            .collect();
        let plain = whole.iter().any(|name| name == outside);
        let is_outside = |part: &Part<'_>| {
            if part.prefix.is_some() { !plain && part.kind == OUTSIDE } else { part.kind == outside }
        };
        let rest: Vec<&Part<'_>> = parts.iter().filter(|part| !is_outside(part)).collect();
        check_parts(&rest, form.is_some())?;
        let all_begin = rest.iter().all(|part| part.prefix == Some(Prefix::Begin));
        let mut types: Vec<String> = Vec::new();
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let mut tags = Vec::with_capacity(names.len());
        for part in &parts {
            if is_outside(part) {
                tags.push(Tag::Outside);
                continue;
            }
            let index = *known.entry(part.kind).or_insert_with(|| {
                types.push(part.kind.to_owned());
                types.len() - 1
            });
            let begins = matches!(part.prefix, Some(Prefix::Begin | Prefix::Single));
            tags.push(if begins && !all_begin { Tag::Begin(index) } else { Tag::Inside(index) });
        }
        if !tags.contains(&Tag::Outside) {
            return Err(StageError::new("label `O` is missing").help(
                "write `O` under `id2label` in config.json in place of the name that marks no entity",
            ));
        }
        if types.is_empty() {
            return Err(refused("there is no entity type beside `O`".to_owned()));
        }
        if plain && outside != OUTSIDE {
            tracing::info!("label `{outside}` is read as `O`, which no label is");
        }
        let scheme =
            if tags.iter().any(|tag| matches!(tag, Tag::Begin(_))) { Scheme::Bio } else { Scheme::Io };
        let policies = vec![Policy::Learn; types.len()];
        let ends = parts.iter().map(|part| matches!(part.prefix, Some(Prefix::End | Prefix::Single)));
        Ok(Self { names: names.to_vec(), tags, ends: ends.collect(), types, policies, scheme })
    }
}

/// What says O: `O`, also behind a prefix, else the likeliest name.
fn outside(names: &[String]) -> &str {
    let behind =
        |name: &String| form(names).and_then(|form| form(name)).is_some_and(|(_, kind)| kind == OUTSIDE);
    if names.iter().any(|name| name == OUTSIDE || behind(name)) {
        return OUTSIDE;
    }
    let mut said = MARKS.into_iter().chain(WORDS).filter_map(|said| {
        names.iter().find(|name| *name == said || name.replace('-', "_").eq_ignore_ascii_case(said))
    });
    said.next().map_or(OUTSIDE, String::as_str)
}

/// Every label has a name and a meaning of its own. `whole` are the names without blanks.
fn check_names(names: &[String], whole: &[String]) -> Result<(), StageError> {
    // By meaning, letter case aside: `B-PER` and `b-per` would be trained apart and scored as one.
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for (name, whole) in names.iter().zip(whole) {
        if whole.strip_prefix("LABEL_").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
            return Err(StageError::new(format!("label `{name}` has no name of its own")).help(format!(
                "write what each label means into config.json, as the model's card says: {}",
                line(names.len())
            )));
        }
        if whole != OUTSIDE
            && let Some(other) = seen.insert(whole.to_uppercase(), name)
        {
            return Err(refused(format!("labels `{other}` and `{name}` mean the same")));
        }
    }
    Ok(())
}

/// Every label but O has a type, a prefix where others have theirs, and writes its type as others do.
fn check_parts(parts: &[&Part<'_>], prefixed: bool) -> Result<(), StageError> {
    let bare = |part: &Part<'_>| part.prefix.is_none() && is_bare(part.kind);
    // `B` beside other letters may be a type, `B` and `I` alone are not.
    let alone = parts.iter().all(|part| bare(part))
        && parts.iter().any(|part| ["B", "I"].contains(&part.kind.to_uppercase().as_str()));
    let nothing = |part: &&&Part<'_>| {
        let signed = part.kind.contains(|c: char| !c.is_alphanumeric());
        !part.kind.contains(char::is_alphanumeric) || (bare(part) && (alone || prefixed || signed))
    };
    let nameless: Vec<&str> = parts.iter().filter(nothing).map(|part| part.label).collect();
    if let [first, ..] = nameless[..] {
        let first = first.trim().trim_matches(|c: char| !c.is_alphanumeric());
        let first = if first.is_empty() { "I" } else { first };
        return Err(StageError::new(match nameless[..] {
            [label] => format!("label `{label}` names no type"),
            _ => format!("labels {} name no type", quoted(&nameless)),
        })
        .help(format!(
            "write the type behind each prefix under `id2label` in config.json, such as `{first}-PER` or, for a type that \
             has no name, `{first}-ENTITY`"
        )));
    }
    if let Some(part) = parts.iter().find(|part| prefixed && part.prefix.is_none()) {
        return Err(StageError::new(format!("label `{}` has no prefix, though others have theirs", part.label)).help(
            "write `O` in its place under `id2label` in config.json, if it marks no entity, or else `I-` before it",
        ));
    }
    // By the name without its letter case: what reads labels takes them for one type.
    let mut first: BTreeMap<String, &Part<'_>> = BTreeMap::new();
    for part in parts {
        let other = *first.entry(part.kind.to_uppercase()).or_insert(part);
        if other.kind != part.kind {
            return Err(StageError::new(format!(
                "labels `{}` and `{}` write one type in two ways",
                other.label, part.label
            ))
            .help(format!("write `{}` in both under `id2label` in config.json", other.kind)));
        }
    }
    Ok(())
}

fn quoted(labels: &[&str]) -> String {
    let mut shown: Vec<String> = labels.iter().take(SHOWN).map(|label| format!("`{label}`")).collect();
    if labels.len() > SHOWN {
        shown.push("..".to_owned());
    }
    shown.join(", ")
}

fn refused(message: String) -> StageError {
    StageError::new(message).help(
        "give every label its name under `id2label` in config.json: `O` for no entity and, for each type, `TYPE` or \
         `I-TYPE` alone, `B-TYPE` and `I-TYPE`, or `B-`, `I-`, `E-` and `S-`",
    )
}

/// The line for config.json that names so many labels.
fn line(labels: usize) -> String {
    let mut names: Vec<String> = (0..labels.min(SHOWN))
        .map(|label| match label {
            0 => "\"0\": \"O\"".to_owned(),
            1 => "\"1\": \"B-PER\"".to_owned(),
            2 => "\"2\": \"I-PER\"".to_owned(),
            label => format!("\"{label}\": \"..\""),
        })
        .collect();
    if labels > SHOWN {
        names.push(format!(".., \"{}\": \"..\"", labels - 1));
    }
    format!("\"id2label\": {{{}}}", names.join(", "))
}
