//! Fields that the options say and no record has.

use std::path::Path;

use stage_contract::StageError;

use super::super::{format::Want, options::Fields};

/// The options that name a field which no record had so far, and that field.
pub(in super::super) struct Absent<'o>(Vec<(&'static str, &'o str)>);

impl<'o> Absent<'o> {
    /// All that are said of what is wanted.
    pub fn new(fields: &'o Fields, want: Want) -> Self {
        let Fields { text, tokens, tags, sentence, document } = fields;
        let tags = tags.as_ref().filter(|_| want == Want::Gold);
        let said = [
            ("text", text.as_ref()),
            ("tokens", tokens.as_ref()),
            ("tags", tags),
            ("sentence", sentence.as_ref()),
            ("document", document.as_ref()),
        ];
        Self(said.into_iter().filter_map(|(name, field)| Some((name, field?.as_str()))).collect())
    }

    /// A record has some fields.
    pub fn see(&mut self, has: impl Fn(&str) -> bool) {
        self.0.retain(|(_, field)| !has(field));
    }

    /// # Errors
    /// A field is in no record. `there` are those that are.
    pub fn into_result(
        self,
        path: &Path,
        there: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), StageError> {
        const MOST: usize = 12;
        let Some((option, field)) = self.0.first() else { return Ok(()) };
        let there: Vec<_> = there.into_iter().take(MOST).map(|name| format!("`{}`", name.as_ref())).collect();
        Err(StageError::new(format!("{}: no record has the field `{field}`", path.display())).help(format!(
            "say in `fields.{option}` one of {}, or leave it out: then the field is found by its name",
            there.join(", ")
        )))
    }
}
