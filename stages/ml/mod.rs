//! What stages share. Never imports a stage.

pub mod batch;
pub mod config;
pub mod corpus;
pub mod crf;
pub mod decode;
pub mod device;
#[cfg(test)]
pub(crate) mod fixture;
pub mod infer;
pub mod labels;
pub mod latency;
pub mod layout;
pub(crate) mod links;
pub mod losses;
pub mod model;
pub mod packed;
pub mod random;
pub mod scores;
pub mod tokenizer;
pub mod weights;
pub(crate) mod window;
pub mod words;
