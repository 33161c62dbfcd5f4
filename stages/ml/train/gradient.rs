//! The gradient of a step.

use burn::{
    module::{Module, ModuleMapper, Param},
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{Device, Tensor},
};
use stage_contract::StageError;

use crate::{
    ledger::Part,
    objective::{At, Objective},
};
use encoder::network::Network;

/// Gradients and loss of one step over all its batches: as one batch of all their texts has them, because each batch's means
/// over words count by its words.
///
/// # Errors
/// The objective's.
pub fn backward(
    objective: &dyn Objective,
    network: &Network,
    batches: &[Vec<usize>],
    at: At,
) -> Result<(GradientsParams, Vec<Part>), StageError> {
    accumulate(objective, network, None, batches.iter().zip(shares(objective, batches)), at)
}

/// Gradients and losses of some batches, each counted by its share, on the device of `network` and of `read`.
///
/// # Errors
/// The objective's.
///
/// # Panics
/// Of an objective without a term.
pub fn accumulate<'b>(
    objective: &dyn Objective,
    network: &Network,
    read: Option<&Network>,
    batches: impl Iterator<Item = (&'b Vec<usize>, f64)>,
    at: At,
) -> Result<(GradientsParams, Vec<Part>), StageError> {
    let mut gradients = GradientsAccumulator::new();
    let mut parts = Vec::new();
    for (members, share) in batches {
        let terms = objective.terms(network, read, members, at)?;
        let weighted = terms.iter().map(|term| term.loss.clone().mul_scalar(term.weight * share));
        let sum = weighted.reduce(|a, b| a + b).expect("an objective has at least one term");
        gradients.accumulate(network, GradientsParams::from_grads(sum.backward(), network));
        let terms = terms.into_iter().map(|term| (term.name, term.weight, term.loss.inner()));
        parts.push(Part { share, sum: sum.inner(), terms: terms.collect() });
    }
    Ok((gradients.grads(), parts))
}

/// The network under autodiff; with `recompute` its backward pass computes again what is quick to compute.
#[must_use]
pub fn trainable(network: Network, recompute: bool) -> Network {
    struct Recompute(Device);
    impl ModuleMapper for Recompute {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| match self.0.gradient_checkpointing_strategy() {
                Some(strategy) => tensor.with_gradient_checkpointing_strategy(strategy),
                None => tensor,
            })
        }
    }
    let device = network.device();
    let network = network.train();
    if recompute { network.map(&mut Recompute(device.autodiff().gradient_checkpointing())) } else { network }
}

/// Each batch's share of a step's words.
#[expect(clippy::cast_precision_loss, reason = "counts of words")]
pub fn shares(objective: &dyn Objective, batches: &[Vec<usize>]) -> Vec<f64> {
    if batches.len() == 1 {
        return vec![1.0];
    }
    let words: Vec<usize> = batches.iter().map(|members| objective.words(members)).collect();
    match words.iter().sum::<usize>() {
        0 => vec![1.0 / batches.len() as f64; batches.len()],
        all => words.into_iter().map(|words| words as f64 / all as f64).collect(),
    }
}
