//! The training loop: batches by token budget, one or several a step, warm-up and decay, clipping, the best epoch by strict dev F1,
//! checkpoints from which a killed run goes on to the same bytes.

use burn::{
    module::{Module, ModuleMapper, Param},
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Context, Devices, Output, StageError};

use crate::ml::{
    batch::{Encoded, buckets},
    checkpoint::{Checkpoint, Dev, State},
    corpus::History,
    device, fused,
    ledger::{Ledger, Part},
    memory::{self, Cost, Room},
    model::{Model, ModelFolder, Network},
    optimizer::{self, Groups, Norm},
    replicas::Replicas,
};

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Straight down to 0 at the last step.
    #[default]
    Linear,
    /// Half a cosine down to 0.
    Cosine,
    /// Stays.
    Constant,
}

/// What a training run is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Passes over the texts.
    pub epochs: u32,
    /// Peak learning rate.
    pub rate: f64,
    /// Factors and weight decay.
    pub groups: Groups,
    /// Share of all steps in which the rate rises from 0.
    pub warmup: f64,
    /// What it does then.
    pub decay: Decay,
    /// Limit of the global gradient norm; 0 = none.
    pub clip: f64,
    /// Tokens in a batch.
    pub batch_tokens: usize,
    /// Batches a step.
    pub accumulate: usize,
    /// Stop after so many epochs without a better dev F1; 0 = never.
    pub patience: u32,
    /// Whether what is quick to compute again is not kept for the backward pass.
    pub recompute: bool,
    /// For the `pruning_ratio` column of the history: share of the teacher's heads that are gone.
    pub pruned: f64,
}

impl Plan {
    /// Learning rate at a 0-based step of `steps`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
    pub fn rate_at(&self, step: usize, steps: usize) -> f64 {
        let warmup = (self.warmup * steps as f64).ceil();
        let at = step as f64;
        if at < warmup {
            return self.rate * (at + 1.0) / (warmup + 1.0);
        }
        let left = (steps as f64 - at) / (steps as f64 - warmup).max(1.0);
        match self.decay {
            Decay::Linear => self.rate * left,
            Decay::Cosine => self.rate * 0.5 * (1.0 - (std::f64::consts::PI * left).cos()),
            Decay::Constant => self.rate,
        }
    }
}

/// One weighted term of a loss.
pub struct Term {
    /// Its name in the history.
    pub name: &'static str,
    /// Its weight now.
    pub weight: f64,
    /// Its raw value `[1]`.
    pub loss: Tensor<1>,
}

/// Where a step stands in a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    /// 1-based.
    pub epoch: u32,
    /// Share of the training that lies behind it: 0 at the first step, 1 at the last.
    pub share: f64,
}

/// What is trained for.
pub trait Objective: Sync {
    /// The terms of the loss of a batch, in a fixed order: means over its [`Self::words`]. They live where the network does
    /// ([`Network::device`]), and off the CPU nothing on the way to them is read. `read` is that device's copy of what
    /// [`Self::reads`] names; none where that itself is.
    ///
    /// # Errors
    /// When a batch cannot be made.
    fn terms(
        &self,
        network: &Network,
        read: Option<&Network>,
        members: &[usize],
        at: At,
    ) -> Result<Vec<Term>, StageError>;

    /// How many words of a batch the terms are means over.
    fn words(&self, members: &[usize]) -> usize;

    /// A network that is read beside the one that is trained.
    fn reads(&self) -> Option<&Network> {
        None
    }

    /// Scores a network (no autodiff) on the dev part.
    ///
    /// # Errors
    /// When decoding fails.
    fn dev(&self, network: &Network) -> Result<Dev, StageError>;
}

/// What a run leaves.
pub struct Trained {
    /// The network of the best epoch, without autodiff.
    pub network: Network,
    /// Its dev scores.
    pub dev: Dev,
    /// Its 1-based epoch.
    pub epoch: u32,
    /// The curves.
    pub history: History,
}

/// Steps between two checkpoints inside an epoch: a few minutes of a large student on two cores.
const CHECKPOINT_STEPS: usize = 100;

/// Steps off the CPU between two looks at what they cost: each look waits for the device.
const READ_STEPS: usize = 20;

/// Trains `network` on `texts` (all of them every epoch).
///
/// # Errors
/// Cancelled, an objective's error, a loss that is no number, a disk that refuses checkpoints, or a text that is too long for
/// a GPU's memory.
pub fn train(
    cx: &Context<'_>,
    plan: &Plan,
    network: Network,
    texts: &[Encoded],
    objective: &dyn Objective,
) -> Result<Trained, StageError> {
    let devices = Devices { first: cx.device, further: cx.further.to_vec() };
    let room = Room::on(&devices, Cost::training(&network, objective.reads(), plan.recompute));
    memory::within(&devices, || {
        let train = || train_in(cx, plan, network, texts, objective, room.as_ref());
        device::on_pool(&device::burn(cx.device), train)
    })
}

/// [`train`] in so much memory; none is no limit.
pub(super) fn train_in(
    cx: &Context<'_>,
    plan: &Plan,
    network: Network,
    texts: &[Encoded],
    objective: &dyn Objective,
    room: Option<&Room>,
) -> Result<Trained, StageError> {
    room.map_or(Ok(()), |room| room.check(texts))?;
    // The batches of each step.
    let order = |epoch: u32| -> Vec<Vec<Vec<usize>>> {
        let batches = buckets(texts, plan.batch_tokens, Some(cx.seed.wrapping_add(u64::from(epoch))));
        let cut =
            |batches: &[Vec<usize>]| room.map_or_else(|| batches.to_vec(), |room| room.cut(batches, texts));
        batches.chunks(plan.accumulate.max(1)).map(cut).collect()
    };
    // Shuffling changes how texts fall into batches, so each epoch has its own number of steps.
    let epochs: Vec<usize> = (1..=plan.epochs).map(|epoch| order(epoch).len()).collect();
    let steps: usize = epochs.iter().sum();
    let checkpoint = Checkpoint::at(cx.checkpoint);
    let mut optimizer = optimizer::Groupwise::new(plan.groups, network.layers.len());
    let (mut network, mut best, mut state) = match checkpoint.load(&network)? {
        Some(saved) => {
            optimizer = saved.optimizer(optimizer)?;
            cx.show(format!("resuming at epoch {}, step {} of {steps}", saved.state.epoch, saved.state.step));
            (saved.network, saved.best, saved.state)
        }
        None => (network, None, State::default()),
    };
    let device = network.device();
    network = trainable(network, plan.recompute);
    let further = cx.further.iter().map(|further| device::burn(*further)).collect();
    let mut replicas = Replicas::of(&network, objective.reads(), further, plan.recompute)?;
    // The CPU has nothing to wait for, and sees a loss that is no number before it steps.
    let most = if fused::runs_on(&device) { 1 } else { READ_STEPS };
    let mut ledger = Ledger::default();

    let more = |state: &State| state.epoch <= plan.epochs && !state.stopped(plan.patience);
    while more(&state) {
        let batches = order(state.epoch);
        let mut progress =
            cx.progress(format!("epoch {}/{}", state.epoch, plan.epochs), batches.len() as u64, "steps");
        progress.advance(state.batch as u64);
        let steps_now = batches.len();
        for batches in &batches[state.batch..] {
            if let Err(cancelled) = cx.check_cancelled() {
                // Best effort: what a cancelled run loses without it is at most CHECKPOINT_STEPS steps.
                let _ = ledger
                    .read(&mut state)
                    .and_then(|()| checkpoint.save(&network, best.as_ref(), &optimizer, &state));
                return Err(cancelled);
            }
            let rate = plan.rate_at(state.step, steps);
            let at = At { epoch: state.epoch, share: share(state.step, steps) };
            let (gradients, parts) = replicas.backward(objective, &network, texts, batches, at)?;
            let norm = Norm::of(&network, &gradients, &device);
            ledger.enter(&mut state, rate, &norm, parts);
            let whole = state.step.is_multiple_of(CHECKPOINT_STEPS);
            if ledger.waiting() >= most || whole {
                ledger.read(&mut state)?;
            }
            network = optimizer.step(rate, network, gradients, &norm, plan.clip);
            replicas.follow(&network);
            progress.advance(1);
            if whole && state.batch < steps_now {
                checkpoint.save(&network, best.as_ref(), &optimizer, &state)?;
            }
        }
        ledger.read(&mut state)?;
        let valid = network.valid();
        let dev = objective.dev(&valid)?;
        let epoch = state.epoch;
        if state.finish_epoch(dev, plan.pruned) {
            best = Some(valid);
        }
        cx.show(format!(
            "epoch {epoch}/{}: train loss {:.4}, dev loss {:.4}, dev F1 {:.2}{}",
            plan.epochs,
            state.train_loss(),
            dev.loss,
            100.0 * dev.score.f1,
            if state.best_epoch == epoch { " (best so far)" } else { "" },
        ));
        // After the last epoch hardly any run would read it; one that is killed there repeats the steps since the last.
        if more(&state) {
            checkpoint.save(&network, best.as_ref(), &optimizer, &state)?;
        }
    }
    let network =
        best.ok_or_else(|| StageError::new("no epoch was trained").help("set `epochs` to 1 or more"))?;
    Ok(Trained { network, dev: state.best_dev(), epoch: state.best_epoch, history: state.into_history() })
}

/// How much of `steps` lies behind a 0-based step.
#[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
fn share(step: usize, steps: usize) -> f64 {
    step as f64 / steps.saturating_sub(1).max(1) as f64
}

/// Gradients and loss of one step over all its batches: as one batch of all their texts has them, because each batch's means
/// over words count by its words.
pub(super) fn backward(
    objective: &dyn Objective,
    network: &Network,
    batches: &[Vec<usize>],
    at: At,
) -> Result<(GradientsParams, Vec<Part>), StageError> {
    accumulate(objective, network, None, batches.iter().zip(shares(objective, batches)), at)
}

/// Gradients and losses of some batches, each counted by its share, on the device of `network` and of `read`.
pub(super) fn accumulate<'b>(
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
pub(super) fn trainable(network: Network, recompute: bool) -> Network {
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
pub(super) fn shares(objective: &dyn Objective, batches: &[Vec<usize>]) -> Vec<f64> {
    if batches.len() == 1 {
        return vec![1.0];
    }
    let words: Vec<usize> = batches.iter().map(|members| objective.words(members)).collect();
    match words.iter().sum::<usize>() {
        0 => vec![1.0 / batches.len() as f64; batches.len()],
        all => words.into_iter().map(|words| words as f64 / all as f64).collect(),
    }
}

impl Trained {
    /// Writes the best epoch's network in the shape of `model` and the curves, and records its dev scores.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(
        self,
        cx: &Context<'_>,
        model: Model,
        to: &Output<ModelFolder>,
        history: &Output<History>,
    ) -> Result<(), StageError> {
        cx.metric("dev.f1", self.dev.score.f1);
        cx.metric("dev.precision", self.dev.score.precision);
        cx.metric("dev.recall", self.dev.score.recall);
        cx.metric("dev.loss", self.dev.loss);
        cx.metric("best_epoch", f64::from(self.epoch));
        Model { network: self.network, ..model }.save(cx.output(to)?)?;
        cx.write(history, &self.history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(decay: Decay) -> Plan {
        Plan {
            epochs: 1,
            rate: 1.0,
            groups: Groups { head: 1.0, crf: 1.0, layer: 1.0, weight_decay: 0.0 },
            warmup: 0.1,
            decay,
            clip: 1.0,
            batch_tokens: 1,
            accumulate: 1,
            patience: 0,
            recompute: false,
            pruned: 0.0,
        }
    }

    #[test]
    fn the_rate_rises_through_the_warm_up_and_falls_to_almost_nothing() {
        for decay in [Decay::Linear, Decay::Cosine] {
            let rates: Vec<f64> = (0..100).map(|step| plan(decay).rate_at(step, 100)).collect();
            assert!(rates[..11].is_sorted() && rates[0] > 0.0, "{rates:?}");
            assert!(rates[10..].is_sorted_by(|a, b| a >= b), "{rates:?}");
            assert!((rates[10] - 1.0).abs() < 1e-12 && rates[99] < 0.02, "{rates:?}");
        }
    }

    #[test]
    fn a_constant_rate_stays_after_the_warm_up() {
        assert!((10..100).all(|step| (plan(Decay::Constant).rate_at(step, 100) - 1.0).abs() < 1e-12));
    }
}
