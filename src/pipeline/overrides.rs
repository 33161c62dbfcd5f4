//! `run --set STAGE.PARAM=VALUE`: a parameter for one run.

use std::str::FromStr;

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
        let (name, _) = text.split_once('=').ok_or_else(wrong)?;
        let (stage, path) = name.split_once('.').ok_or_else(wrong)?;
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        if stage.is_empty() || path.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Self { text: Text::new("--set", text), stage: stage.to_owned(), path, start: name.len() + 1 })
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
    fn what_is_not_stage_param_value_is_refused() {
        for text in ["", "a", "a=1", "a.=1", ".b=1", "a..b=1"] {
            assert!(text.parse::<Override>().is_err(), "{text}");
        }
    }
}
