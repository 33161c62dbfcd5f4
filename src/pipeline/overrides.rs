//! `run --set STAGE.PARAM=VALUE`: a parameter for one run.

use std::{collections::BTreeSet, str::FromStr};

use toml::{Spanned, de::DeValue};

use crate::problem::{Place, Text};

/// One `--set`. The value is read as TOML, and what is not TOML is a string.
#[derive(Clone, Debug)]
pub struct Override {
    /// As it was typed.
    text: Text,
    stage: String,
    /// From the parameters' table down.
    path: Vec<String>,
    /// Where the value starts in the text.
    start: usize,
}

impl Override {
    /// The stage's id.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// About which of these it is: the longest that it begins with, as ids may hold points.
    pub(super) fn aim(&self, ids: &BTreeSet<&str>) -> Option<Self> {
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

    /// Spans of the value count from here.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn stage_place(&self) -> Place {
        self.text.place(0..self.stage.len())
    }

    pub(super) fn parameter_place(&self) -> Place {
        self.text.place(self.stage.len() + 1..self.start - 1)
    }
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not STAGE.PARAM=VALUE, like `distill.temperature=3.0`");
        // An instance's id may hold `.` and `=`; which it is shows when the file is read.
        let (head, tail) = text.split_at(text.find('@').unwrap_or(0));
        let name = match tail.split_once('=') {
            Some((before, _)) if before.contains('.') || head.is_empty() => head.len() + before.len(),
            _ => text.rfind('=').ok_or_else(wrong)?,
        };
        let points = &text[..name];
        let stage = if head.is_empty() { points.find('.') } else { points.rfind('.') };
        let stage = &text[..stage.ok_or_else(wrong)?];
        Self::split(&Text::new("--set", text), stage).ok_or_else(wrong)
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
        let aimed = |text: &str| {
            let change = text.parse::<Override>().expect("well formed");
            change.aim(&ids).map(|change| (change.stage().to_owned(), change.path().join("/")))
        };
        let pair = |stage: &str, path: &str| Some((stage.to_owned(), path.to_owned()));
        assert_eq!(aimed("prune.a.b=1"), pair("prune", "a/b"));
        assert_eq!(aimed("prune@t=2.a=x=1"), pair("prune@t=2", "a"));
        assert_eq!(aimed("prune@t=2.5.a=1"), pair("prune@t=2.5", "a"));
        assert_eq!(aimed("prune@t=3.a=1"), None);
        assert_eq!(aimed("other.a=1"), None);
    }

    #[test]
    fn what_is_not_stage_param_value_is_refused() {
        for text in ["", "a", "a=1", "a.=1", ".b=1", "a..b=1"] {
            assert!(text.parse::<Override>().is_err(), "{text}");
        }
    }
}
