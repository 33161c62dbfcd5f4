//! What stages share. Never imports a stage.

pub mod batch;
pub mod bootstrap;
pub mod checkpoint;
pub mod clean;
pub mod cluster;
pub mod config;
pub mod corpus;
pub mod crf;
pub mod decode;
pub mod device;
pub mod distillation;
pub mod evaluation;
#[cfg(test)]
pub(crate) mod fixture;
pub mod flops;
pub(crate) mod fused;
pub mod importance;
pub mod infer;
pub mod labels;
pub mod latency;
pub mod layout;
mod links;
pub mod losses;
pub mod model;
pub mod mojibake;
pub mod optimizer;
pub mod packed;
pub mod random;
pub mod scores;
pub mod student;
pub mod surgery;
pub mod tokenizer;
pub mod trainer;
pub mod vocabulary;
pub mod weights;
pub(crate) mod window;
pub mod words;
