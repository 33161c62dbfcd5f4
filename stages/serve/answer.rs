//! What a text is answered with: entities as `predict` writes them.

use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::request::Field;
use text::entities::Placed;

/// A text with its entities.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tagged {
    /// The text, as it came.
    pub text: String,
    /// Its entities, in the order of the text.
    pub entities: Vec<Placed>,
}

/// Fields of a request, and what the server adds to them.
pub struct Answer<'a, T> {
    pub fields: &'a [Field],
    pub name: &'static str,
    pub added: &'a T,
}

impl<T: Serialize> Serialize for Answer<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len() + 1))?;
        for (name, value) in self.fields {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry(self.name, self.added)?;
        map.end()
    }
}
