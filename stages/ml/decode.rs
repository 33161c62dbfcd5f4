//! From word logits to tags and entities: argmax over types for an IO model, Viterbi for a student's CRF.

use crate::ml::{crf::Crf, infer::WordLogits, labels::Labels};

/// Decoded words of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// BIO tag of each word, with types as the model has them.
    pub tags: Vec<String>,
    /// Probability at T = 1 (CRF: marginal) of each word's type (FORMATS, "CRF" and "Words").
    pub score: Vec<f64>,
}

/// Decodes one text. IO: argmax over types at T = 1, then B- where the type differs from the previous word's, else I-.
/// BIO with a CRF: Viterbi, marginals. BIO without: argmax, repaired to legal BIO.
/// `outside` names types that become O before the argmax decides (the MISC policy): their probability joins O's.
#[must_use]
pub fn decode(labels: &Labels, crf: Option<&Crf>, logits: &WordLogits, outside: &[&str]) -> Decoded {
    let _ = (labels, crf, logits, outside);
    todo!()
}
