use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use stage_contract::StageError;
use text::entities::Entity;

/// What is said of a model on the page, in `/health` and in `/openapi.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct About {
    /// The model's name.
    pub name: String,
    /// All types that its entities may have.
    pub types: Vec<String>,
    /// Its number of parameters.
    pub parameters: u64,
    /// What its layers are computed in: `f32`.
    pub precision: String,
}

/// A model that finds entities. It is called on threads of its own, which may block.
pub trait Tagger: Send + Sync {
    /// The entities of each text, in the order of the texts. When a batch fails or panics, each of its texts is tagged
    /// again alone, so that only the text at fault has no answer.
    ///
    /// # Errors
    /// A text cannot be tagged.
    fn tag(&self, texts: &[String]) -> Result<Vec<Vec<Entity>>, StageError>;

    /// About how many tokens a text has: texts of similar length are tagged together.
    fn tokens(&self, text: &str) -> usize;

    /// What the model is.
    fn about(&self) -> About;
}

/// Opens the model: at the start, and again for a reload.
pub type Open = dyn Fn() -> Result<Arc<dyn Tagger>, StageError> + Send + Sync;
