//! What steps cost, kept on the device until enough of them are there to be read at once.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use stage_contract::StageError;

use crate::{
    checkpoint::State,
    history::{Step, Term},
    objective::{Fault, Objective},
    optimizer::Norm,
};
use encoder::{backend::readback::hosts, finite::named};

/// One batch of a step: its share of the step's words, what its loss summed to, and its terms with their weights; out of any
/// graph of gradients.
#[derive(Clone, Debug)]
pub struct Part {
    /// Of the step's words.
    pub share: f64,
    /// `[1]`
    pub sum: Tensor<1>,
    /// Name, weight, `[1]`.
    pub terms: Vec<(&'static str, f64, Tensor<1>)>,
}

impl Part {
    /// The same, on a device.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        let terms = self.terms.into_iter();
        let terms = terms.map(|(name, weight, loss)| (name, weight, loss.to_device(device)));
        Self { share: self.share, sum: self.sum.to_device(device), terms: terms.collect() }
    }
}

/// A step that is done or under way, and not read yet.
#[derive(Debug)]
struct Entry {
    step: u64,
    epoch: u32,
    rate: f64,
    texts: Vec<usize>,
    /// Of each batch.
    parts: Vec<(f64, Vec<(&'static str, f64)>)>,
    /// `[values]` squared norm, then each batch's sum and terms.
    values: Tensor<1>,
}

/// A step whose loss or gradient is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// From 1.
    pub step: u64,
    /// From 1.
    pub epoch: u32,
    /// Its texts.
    pub texts: Vec<usize>,
    loss: f64,
    norm: f64,
    /// Terms that are not finite.
    terms: Vec<String>,
}

impl Broken {
    /// Names the step, its terms and its records; and where numbers stop being finite, if that is known.
    #[must_use]
    pub fn told(&self, objective: &dyn Objective, fault: Option<&Fault>) -> StageError {
        let Self { step, epoch, texts, loss, norm, terms } = self;
        let of = if terms.is_empty() { String::new() } else { format!(" (of {})", terms.join(", ")) };
        let records = named("record", texts.iter().map(|text| objective.id(*text)));
        let place = fault.map_or_else(String::new, |fault| format!(": {}", fault.place));
        let help = match fault {
            Some(Fault { given: true, .. }) => {
                "use another checkpoint of this model, or another `precision`: where numbers overflow, what it says means \
                 nothing"
            }
            _ => "lower `lr`, or raise `warmup`",
        };
        StageError::new(format!(
            "the loss is {loss}{of} and its gradient {norm} at epoch {epoch}, step {step}, of {records}{place}"
        ))
        .help(help)
    }
}

/// Steps not read yet.
#[derive(Debug, Default)]
pub struct Ledger {
    open: Vec<Entry>,
}

impl Ledger {
    /// Enters the step that `state` is about to take on some texts, and counts it.
    pub fn enter(
        &mut self,
        state: &mut State,
        rate: f64,
        norm: &Norm,
        parts: Vec<Part>,
        texts: impl Iterator<Item = usize>,
    ) {
        let mut values = vec![norm.squares()];
        let mut names = Vec::with_capacity(parts.len());
        for part in parts {
            values.push(part.sum);
            let terms = part.terms.into_iter().map(|(name, weight, loss)| {
                values.push(loss);
                (name, weight)
            });
            names.push((part.share, terms.collect()));
        }
        let values = Tensor::cat(values, 0);
        let (step, epoch, texts) = (state.step as u64 + 1, state.epoch, texts.collect());
        self.open.push(Entry { step, epoch, rate, texts, parts: names, values });
        state.advance();
    }

    /// How many steps wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.len()
    }

    /// Reads all that waits, in one transfer, into the history of `state`.
    ///
    /// # Errors
    /// The first step whose loss or norm is no number.
    pub fn read(&mut self, state: &mut State) -> Result<(), Box<Broken>> {
        let open = std::mem::take(&mut self.open);
        let values = hosts(open.iter().map(|entry| entry.values.clone()));
        for (entry, values) in open.into_iter().zip(values) {
            state.record(entry.line(&values)?);
        }
        Ok(())
    }
}

impl Entry {
    /// A line of the history: each term raw and weighted, over all batches of the step.
    fn line(self, values: &[f32]) -> Result<Step, Box<Broken>> {
        let (norm, mut rest) = values.split_first().map_or((0.0, values), |(norm, rest)| (*norm, rest));
        let mut next = || {
            let (value, after) =
                rest.split_first().map_or((f32::NAN, rest), |(value, after)| (*value, after));
            rest = after;
            f64::from(value)
        };
        let (norm, mut loss, mut terms) = (Norm::from_squares(norm), 0.0, BTreeMap::new());
        for (share, names) in self.parts {
            loss += next();
            for (name, weight) in names {
                let raw = share * next();
                let all: &mut Term = terms.entry(name.to_owned()).or_insert(Term { raw: 0.0, weighted: 0.0 });
                all.raw += raw;
                all.weighted += weight * raw;
            }
        }
        let (step, epoch) = (self.step, self.epoch);
        if !(loss.is_finite() && norm.is_finite()) {
            let terms = terms.into_iter().filter(|(_, term)| !term.raw.is_finite());
            let (texts, terms) = (self.texts, terms.map(|(name, _)| name).collect());
            return Err(Box::new(Broken { step, epoch, texts, loss, norm, terms }));
        }
        Ok(Step { step, epoch, lr: self.rate, grad_norm: norm, loss, terms })
    }
}
