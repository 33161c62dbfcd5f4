//! The encoders that are known: one file each, and its line in [`ARCHITECTURES`].

mod architecture;
pub mod bert;
pub mod deberta;
mod declarations;
mod demand;
pub mod distilbert;
pub mod modernbert;
pub mod post_norm;
pub mod roberta;

pub use self::{
    architecture::{Architecture, Pass},
    declarations::{Axis, Family, Keys, Part, Settings, Share, Tensors, matrices},
};

/// Every encoder.
pub const ARCHITECTURES: [&dyn Architecture; 5] =
    [&roberta::Roberta, &bert::Bert, &distilbert::DistilBert, &modernbert::ModernBert, &deberta::Deberta];

/// The encoder whose configuration has this `model_type`.
#[must_use]
pub fn find(model_type: &str) -> Option<&'static dyn Architecture> {
    let answers =
        |encoder: &&dyn Architecture| encoder.families().iter().any(|family| family.model_type == model_type);
    ARCHITECTURES.into_iter().find(answers)
}

/// Every `model_type` that is read, for messages.
#[must_use]
pub fn model_types() -> Vec<&'static str> {
    let families = ARCHITECTURES.into_iter().flat_map(Architecture::families);
    families.map(|family| family.model_type).collect()
}

#[cfg(test)]
mod tests;
