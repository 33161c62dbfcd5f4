//! The training loop: optimiser, checkpoints, replicas on several devices, memory.

pub mod checkpoint;
pub mod curves;
pub mod gradient;
pub mod history;
pub mod ledger;
pub mod memory;
pub mod objective;
pub mod optimizer;
pub mod plan;
pub mod replicas;
pub mod trainer;
