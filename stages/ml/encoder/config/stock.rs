//! A model's shape as whoever does not know the key `ner_pipe` reads it.

use serde_json::Value;
use stage_contract::StageError;

use super::{Config, LayerShape};

impl Config {
    /// What config.json's text says without `ner_pipe`.
    ///
    /// # Errors
    /// Nothing that makes sense.
    pub fn parse_stock(json: &str) -> Result<Self, StageError> {
        let mut value: Value =
            serde_json::from_str(json).map_err(|e| StageError::because("malformed config.json", e))?;
        if let Some(keys) = value.as_object_mut() {
            keys.shift_remove("ner_pipe");
        }
        Self::parse(value)
    }

    /// Whether stock keys tell the shape, so that transformers loads the model.
    #[must_use]
    pub fn is_stock(&self) -> bool {
        let shape = |config: &Self| -> Vec<LayerShape> {
            config.layers.iter().map(|layer| LayerShape { from_teacher_layer: 0, ..*layer }).collect()
        };
        // Where hidden = heads * head_dim does not hold, transformers has no output projection of that shape.
        let whole = |layer: &LayerShape| layer.heads * self.head_dim == self.hidden;
        self.layers.iter().all(whole)
            && Self::parse_stock(&self.json())
                .is_ok_and(|stock| shape(&stock) == shape(self) && stock.head_dim == self.head_dim)
    }
}
