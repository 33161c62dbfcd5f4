//! Encoders with a token classifier on top: configuration and weights of a model folder, forward passes, CRF, decoding.

pub mod arch;
pub mod backend;
pub mod batch;
pub mod calibration;
pub mod card;
pub mod config;
pub mod crf;
pub mod decode;
pub mod finite;
pub mod flops;
pub mod infer;
pub mod inputs;
pub mod layer;
pub mod layout;
pub mod logits;
pub mod model;
pub mod network;
pub mod predictor;
pub mod subwords;
pub mod tagger;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trim;
pub mod weights;
