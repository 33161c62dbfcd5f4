//! Knowledge distillation: how a student begins, what it learns from, and the losses.

pub mod crf;
pub mod examples;
pub mod fit;
pub mod losses;
mod numbers;
pub mod objective;
pub mod params;
pub mod projection;
pub mod search;
pub mod setup;
pub mod soft;
mod source;
pub mod student;
pub mod targets;

pub use self::{
    examples::Examples,
    fit::{Marks, check_gold, check_logits, check_student, hidden_pairs, relation_pair, student_labels},
    losses::{Weights, loss::Lesson},
    objective::{Distillation, dev},
    params::{CrfTeacher, DecodeBy, Subwords, Training},
};
