//! The training loop: batches by token budget, one or several a step, warm-up and decay, clipping, the best epoch by strict dev F1,
//! checkpoints from which a killed run goes on to the same bytes.

use burn::{module::Module, optim::GradientsParams};
use stage_contract::{Context, Devices, Output, StageError};

use crate::{
    checkpoint::{Checkpoint, Dev, State},
    gradient::trainable,
    history::History,
    ledger::Ledger,
    memory::{self, Cost, Room},
    objective::{At, Fault, Objective},
    optimizer::{self, Norm},
    plan::Plan,
    replicas::Replicas,
};
use encoder::{
    backend::{device, fused, readback::host},
    batch::{Encoded, buckets},
    model::{Model, ModelFolder},
    network::Network,
    weights::Stored,
};

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
///
/// # Errors
/// As [`train`].
pub fn train_in(
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
                if ledger.read(&mut state).is_ok() {
                    let _ = checkpoint.save(&network, best.as_ref(), &optimizer, &state);
                }
                return Err(cancelled);
            }
            let rate = plan.rate_at(state.step, steps);
            let at = At { epoch: state.epoch, share: share(state.step, steps) };
            let (gradients, parts) = replicas.backward(objective, &network, texts, batches, at)?;
            let norm = Norm::of(&network, &gradients, &device);
            ledger.enter(&mut state, rate, &norm, parts, batches.iter().flatten().copied());
            let whole = state.step.is_multiple_of(CHECKPOINT_STEPS);
            if ledger.waiting() >= most || whole {
                ledger.read(&mut state).map_err(|broken| {
                    // Where steps are read late, those that came after changed the network.
                    let fault = (most == 1).then(|| fault(objective, &network, &gradients, batches));
                    broken.told(objective, fault.flatten().as_ref())
                })?;
            }
            network = optimizer.step(rate, network, gradients, &norm, plan.clip);
            replicas.follow(&network);
            progress.advance(1);
            if whole && state.batch < steps_now {
                checkpoint.save(&network, best.as_ref(), &optimizer, &state)?;
            }
        }
        ledger.read(&mut state).map_err(|broken| broken.told(objective, None))?;
        let (valid, epoch) = (network.valid(), state.epoch);
        let dev = objective.dev(&valid).map_err(|error| after(epoch, error))?;
        if state.finish_epoch(dev, plan.pruned) {
            best = Some(valid);
        }
        cx.show(format!(
            "epoch {epoch}/{}: train loss {:.4}, dev loss {}, dev F1 {}{}",
            plan.epochs,
            state.train_loss(),
            dev.loss.map_or("undefined (no word counts)".to_owned(), |loss| format!("{loss:.4}")),
            dev.score.f1.map_or("undefined (no entity)".to_owned(), |f1| format!("{:.2}", 100.0 * f1)),
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

/// Where numbers stop being finite: in a forward pass, else in the gradients of the layers, from which they flow down.
fn fault(
    objective: &dyn Objective,
    network: &Network,
    gradients: &GradientsParams,
    batches: &[Vec<usize>],
) -> Option<Fault> {
    let valid = network.valid();
    let forward = batches.iter().find_map(|members| objective.fault(&valid, members));
    forward.or_else(|| {
        let device = valid.device();
        let odd = |layer: &usize| {
            let norm = Norm::of(&network.layers[*layer], gradients, &device);
            !host(norm.squares()).iter().all(|square| square.is_finite())
        };
        let last = (0..network.layers.len()).rev().find(odd)?;
        let place = format!("the gradient overflows in layer {} of {}", last + 1, network.layers.len());
        Some(Fault { place, given: false })
    })
}

fn after(epoch: u32, error: StageError) -> StageError {
    match error {
        StageError::Cancelled => StageError::Cancelled,
        error @ StageError::Failed { .. } => {
            StageError::because(format!("cannot score dev after epoch {epoch}"), error)
        }
    }
}

/// How much of `steps` lies behind a 0-based step.
#[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
fn share(step: usize, steps: usize) -> f64 {
    step as f64 / steps.saturating_sub(1).max(1) as f64
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
        stored: Stored,
        to: &Output<ModelFolder>,
        history: &Output<History>,
    ) -> Result<(), StageError> {
        cx.metric("dev.f1", self.dev.score.f1);
        cx.metric("dev.precision", self.dev.score.precision);
        cx.metric("dev.recall", self.dev.score.recall);
        cx.metric("dev.loss", self.dev.loss);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 entities")]
        cx.metric("dev.entities", self.dev.score.support as f64);
        cx.metric("best_epoch", f64::from(self.epoch));
        Model { network: self.network, ..model }.save_as(cx.output(to)?, stored)?;
        cx.write(history, &self.history)
    }
}
