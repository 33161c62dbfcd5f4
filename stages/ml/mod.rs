//! What stages share. Never imports a stage.

pub mod batch;
pub mod config;
pub mod corpus;
pub mod crf;
pub mod decode;
pub mod device;
pub mod infer;
pub mod labels;
pub(crate) mod links;
pub mod losses;
pub mod model;
pub mod random;
pub mod scores;
pub mod tokenizer;
pub(crate) mod window;
pub mod words;
