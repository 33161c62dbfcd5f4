//! The student's CRF beside the teacher: likelihood, transitions, distributions over paths.

pub mod fitted;
pub mod lattice;
pub mod likelihood;
pub mod structural;
pub mod transitions;
