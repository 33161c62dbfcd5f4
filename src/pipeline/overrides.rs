//! `run --set STAGE.PARAM=VALUE`: a parameter for one run.

use std::{collections::BTreeSet, str::FromStr};

use toml::{Spanned, de::DeValue};

use super::{
    fill::quote,
    keys::{nearest, offer},
};
use crate::problem::{Location, Text};

/// The file name in locations that are on the command line.
const TYPED: &str = "--set";

/// One `--set`. The value is read as TOML, and what is not TOML is a string.
#[derive(Clone, Debug)]
pub struct Override {
    /// As it was typed.
    text: Text,
    stage: String,
    /// Below the table of parameters.
    path: Vec<String>,
    /// The offset of the value in the text.
    start: usize,
}

impl Override {
    /// The stage's id.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// Resolves its stage: the longest of these ids that it starts with, as ids may contain dots.
    pub(super) fn resolve(&self, ids: &BTreeSet<&str>) -> Option<Self> {
        let split = ids.iter().filter_map(|id| Self::split(&self.text, id));
        split.max_by_key(|change| change.stage.len())
    }

    fn split(text: &Text, stage: &str) -> Option<Self> {
        let (path, _) = text.content().strip_prefix(stage)?.strip_prefix('.')?.split_once('=')?;
        let start = stage.len() + path.len() + 2;
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        let named = !stage.is_empty() && path.iter().all(|name| !name.is_empty());
        named.then(|| Self { text: text.clone(), stage: stage.to_owned(), path, start })
    }

    pub(super) fn path(&self) -> &[String] {
        &self.path
    }

    pub(super) fn value(&self) -> Spanned<DeValue<'_>> {
        let value = &self.text.content()[self.start..];
        DeValue::parse(value).unwrap_or_else(|_| Spanned::new(0..value.len(), DeValue::String(value.into())))
    }

    pub(super) fn text(&self) -> &Text {
        &self.text
    }

    /// Spans of the value are relative to this offset.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn stage_place(&self) -> Location {
        self.text.location(0..self.stage.len())
    }

    pub(super) fn parameter_place(&self) -> Location {
        self.text.location(self.stage.len() + 1..self.start - 1)
    }
}

/// The corrected `--set` for a location in one; `None` for a location in a file.
fn retype(place: &Location, change: impl FnOnce(&str, &str, &str) -> String) -> Option<String> {
    let text = place.text.content();
    let (before, rest) = text.split_at(place.span.start);
    let (there, after) = rest.split_at(place.span.len());
    let typed = || format!("`{TYPED} {}`", quote(&change(before, there, after)));
    (place.text.name() == TYPED).then(typed)
}

/// A help line for an unknown stage or key: the known ones, the closest one first, and the corrected `--set`.
pub(super) fn offer_at<'k>(
    place: &Location,
    word: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> String {
    let all: Vec<_> = known.clone().map(|name| format!("`{name}`")).collect();
    let meant = nearest(word, known.clone());
    let again = retype(place, |before, there, after| {
        // Only the last part of a dotted path is unknown.
        let above = there.rfind('.').filter(|_| !word.contains('.')).map_or(0, |point| point + 1);
        format!("{before}{}{}{after}", &there[..above], meant.unwrap_or(word))
    });
    match (again, meant) {
        (None, _) => offer(word, known),
        (Some(again), Some(_)) if all.len() == 1 => format!("type {again}"),
        (Some(again), Some(_)) => format!("type {again} (there is {})", all.join(", ")),
        (Some(_), None) if all.is_empty() => format!("leave this `{TYPED}` out"),
        (Some(_), None) => format!("name {}, or leave this `{TYPED}` out", all.join(" or ")),
    }
}

/// A help line with another value (TOML) for a parameter of a `--set`; `None` for a location in a file.
pub(super) fn type_value(place: &Location, parameter: &str, value: &str) -> Option<String> {
    // A string needs quotes only if it would be another TOML value without them.
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let bare = bare.filter(|bare| !bare.contains(['"', '\\']) && DeValue::parse(bare).is_err());
    let value = bare.unwrap_or(value);
    let again = retype(place, |before, _, after| match after.strip_prefix('=') {
        // The location is that of the key, not of a value.
        Some(_) => format!("{before}{parameter}={value}"),
        None => format!("{before}{value}{after}"),
    });
    again.map(|again| format!("type {again}"))
}

/// A stage's own help to write `name = value`, rewritten for `--set`.
pub(super) fn typed(help: &str, place: &Location, name: &str) -> Option<String> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let (before, rest) = help.split_once(&format!("{last} = "))?;
    // Within a sentence it is in backticks; else it is the whole help.
    let (lead, value, tail) = match (before.strip_suffix('`'), rest.split_once('`')) {
        (Some(before), Some((value, after))) => (before, value, after),
        _ if before.is_empty() => ("", rest, ""),
        _ => return None,
    };
    let lead = lead.strip_suffix("write ").unwrap_or(lead);
    Some(format!("{lead}{}{tail}", type_value(place, name, value)?))
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not STAGE.PARAM=VALUE, like `count.lines=3`");
        // An instance's id may contain `.` and `=`; it is resolved once the file has been read.
        let (head, tail) = text.split_at(text.find('@').unwrap_or(0));
        let name = match tail.split_once('=') {
            Some((before, _)) if before.contains('.') || head.is_empty() => head.len() + before.len(),
            _ => text.rfind('=').ok_or_else(wrong)?,
        };
        let points = &text[..name];
        let stage = if head.is_empty() { points.find('.') } else { points.rfind('.') };
        let stage = &text[..stage.ok_or_else(wrong)?];
        Self::split(&Text::new(TYPED, text), stage).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_toml_and_else_a_string() {
        let read = |text: &str| text.parse::<Override>().expect("well formed");
        assert!(matches!(read("a.lr=1e-4").value().get_ref(), DeValue::Float(_)));
        assert!(matches!(read("a.w=[1, 0.5]").value().get_ref(), DeValue::Array(_)));
        assert!(matches!(read("a.misc=keep").value().get_ref(), DeValue::String(text) if text == "keep"));
        assert_eq!(read("a.run=sh -c 'x=1'").path(), ["run"]);
        assert_eq!(read("a.b.c=1").path(), ["b", "c"]);
    }

    #[test]
    fn the_longest_id_that_a_change_begins_with_is_meant() {
        let ids = BTreeSet::from(["prune", "prune@t=2", "prune@t=2.5"]);
        let resolved = |text: &str| {
            let change = text.parse::<Override>().expect("well formed");
            change.resolve(&ids).map(|change| (change.stage().to_owned(), change.path().join("/")))
        };
        let pair = |stage: &str, path: &str| Some((stage.to_owned(), path.to_owned()));
        assert_eq!(resolved("prune.a.b=1"), pair("prune", "a/b"));
        assert_eq!(resolved("prune@t=2.a=x=1"), pair("prune@t=2", "a"));
        assert_eq!(resolved("prune@t=2.5.a=1"), pair("prune@t=2.5", "a"));
        assert_eq!(resolved("prune@t=3.a=1"), None);
        assert_eq!(resolved("other.a=1"), None);
    }

    #[test]
    fn what_to_type_is_one_word_for_the_shell() {
        let place = |text: &str, part: &str| {
            let start = text.find(part).expect("is in it");
            Text::new(TYPED, text).location(start..start + part.len())
        };
        let value = |text, part, value| type_value(&place(text, part), "w", value).expect("was typed");
        assert_eq!(value("a.w=kept", "kept", "\"keep\""), "type `--set a.w=keep`");
        assert_eq!(value("a.w=1", "1", "\"1\""), "type `--set 'a.w=\"1\"'`");
        assert_eq!(value("a.w=[1, x]", "[1, x]", "[1, 0.5]"), "type `--set 'a.w=[1, 0.5]'`");
        assert_eq!(value("a.w.x=1", "w.x", "0.5"), "type `--set a.w=0.5`");
        let said = |help| typed(help, &place("a.w=-1", "-1"), "w");
        assert_eq!(
            said("write `w = 0.5`, or leave it"),
            Some("type `--set a.w=0.5`, or leave it".to_owned())
        );
        assert_eq!(said("w = 0.5"), Some("type `--set a.w=0.5`".to_owned()));
        assert_eq!(said("use 1 or more"), None);
        let at = place("a.s.warmap=1", "s.warmap");
        let known = ["warmup", "kind"].into_iter();
        assert_eq!(offer_at(&at, "warmap", known), "type `--set a.s.warmup=1` (there is `warmup`, `kind`)");
        let file = Text::new("pipeline.toml", "w = 1").location(4..5);
        assert_eq!(type_value(&file, "w", "2"), None);
    }

    #[test]
    fn what_is_not_stage_param_value_is_refused() {
        for text in ["", "a", "a=1", "a.=1", ".b=1", "a..b=1"] {
            assert!(text.parse::<Override>().is_err(), "{text}");
        }
    }
}
