//! How much a head or a neuron matters: gates on what could be removed, and the loss's gradient at the open gate.
//!
//! Taylor: a gate ξ = 1 stands on each head's context and on each FFN neuron after GELU. Removing it is ξ = 0, so to first
//! order the loss changes by |∂L/∂ξ| (Michel et al. 2019, eq. 2; the seed's gradient times activation). The score is the
//! mean of |∂L/∂ξ| over batches, where L is the model's own loss on the batch's tags: the CRF's likelihood when there is
//! one, else cross-entropy. Fisher: the mean of (∂L/∂ξ)², half of which is the loss's rise to second order at a minimum
//! (Kwon et al. 2022, eq. 5). Both compare units of all layers as they are; a control's scores compare within a layer.

use burn::{module::Module, tensor::Device};
use rand::Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::StageError;

use crate::prune::labelled::Labelled;
use distillation::{crf::likelihood::crf_nll, losses::ce::cross_entropy};
use encoder::{
    arch::{Axis, Part},
    backend::{grid::indices, readback::host},
    batch::Batch,
    config::Config,
    finite::{finite, layer as layer_name, place},
    inputs::Inputs,
    layer::Widths,
    network::{Masks, Network},
    weights::{Along, Weights},
};
use text::random;

/// What decides which heads and neurons go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Criterion {
    /// The loss's gradient with respect to a gate on it, over batches of the records (default).
    #[default]
    Taylor,
    /// The mean square of that gradient.
    Fisher,
    /// The L2 norm of its weights: a control that looks at no data.
    Magnitude,
    /// Chance: a control.
    Random,
}

/// Which moment of the gradients is a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// E|∂L/∂ξ|
    Absolute,
    /// E(∂L/∂ξ)²
    Square,
}

/// Scores, higher is more important.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// `[layers][heads]`
    pub heads: Vec<Vec<f64>>,
    /// `[layers][ffn]`
    pub ffn: Vec<Vec<f64>>,
}

impl Importance {
    /// E over batches of |∂L/∂ξ|, or of its square. `step` is called after every few batches with their number.
    ///
    /// # Errors
    /// What `step` returns, to stop early; or a gradient is not finite, by batch, records and layer.
    pub fn measured(
        moment: Moment,
        config: &Config,
        network: &Network,
        records: &Labelled,
        batches: &[Vec<usize>],
        device: &Device,
        mut step: impl FnMut(usize) -> Result<(), StageError>,
    ) -> Result<Self, StageError> {
        let autodiff = device.clone().autodiff();
        let network = network.clone().train().no_grad();
        let at_once = if *device == Device::flex() { rayon::current_num_threads() } else { 1 };
        let mut sum = Self::zero(config);
        for (first, group) in (0..).step_by(at_once).zip(batches.chunks(at_once)) {
            let gradients = group
                .par_iter()
                .map(|members| gradients(config, &network, records, members, &autodiff))
                .collect::<Vec<_>>();
            for (number, (gradients, members)) in gradients.iter().zip(group).enumerate() {
                if let Some(layer) = gradients.as_ref().and_then(Gradients::odd) {
                    let place = place(&network.valid(), config, &records.packed(config, members, device));
                    let place =
                        place.map_or_else(|| layer_name(config, layer), |place| format!("{place}, forward"));
                    return Err(records.odd("the gradient", &place, first + number, members));
                }
            }
            // In the order of batches, whatever thread was faster: the same bits every time.
            gradients.iter().flatten().for_each(|gradients| sum.add(moment, gradients));
            step(group.len())?;
        }
        Ok(sum.scaled(1.0 / float(batches.len())))
    }

    /// L2 norm of a unit's rows and columns in the matrices of its layer, biases left out.
    #[must_use]
    pub fn magnitude(config: &Config, weights: &Weights) -> Self {
        let square =
            |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>();
        let tensors = config.architecture.tensors();
        let mut sum = Self::zero(config);
        for layer in 0..config.layers.len() {
            for (part, output, input) in tensors.matrices() {
                let name = format!("{}.weight", tensors.part(layer, part));
                let Some(array) = weights.get(&name) else { continue };
                let row = array.shape[1];
                for (axis, along) in [(output, Along::Rows), (input, Along::Columns)] {
                    let Some((scores, width)) = sum.group(axis, layer, config) else { continue };
                    for (unit, score) in scores.iter_mut().enumerate() {
                        let own = unit * width..(unit + 1) * width;
                        *score += match along {
                            Along::Rows => {
                                square(&mut array.values[own.start * row..own.end * row].iter().copied())
                            }
                            Along::Columns => {
                                let from = |values: &[f32]| values[own.clone()].to_vec();
                                square(&mut array.values.chunks_exact(row).flat_map(from))
                            }
                        };
                    }
                }
            }
        }
        let root = |scores: &mut Vec<f64>| scores.iter_mut().for_each(|score| *score = score.sqrt());
        sum.heads.iter_mut().chain(&mut sum.ffn).for_each(root);
        sum
    }

    /// Chance, from `seed`.
    #[must_use]
    pub fn random(config: &Config, seed: u64) -> Self {
        let mut rng = random::rng(seed, "importance");
        let mut scores = Self::zero(config);
        for score in scores.heads.iter_mut().chain(&mut scores.ffn).flatten() {
            *score = rng.random();
        }
        scores
    }

    /// The scores of a prunable group in a layer, and how many entries of the axis each unit has.
    fn group(&mut self, axis: Axis, layer: usize, config: &Config) -> Option<(&mut Vec<f64>, usize)> {
        match axis {
            Axis::Hidden => None,
            Axis::Heads => Some((&mut self.heads[layer], config.head_dim)),
            Axis::Neurons => Some((&mut self.ffn[layer], 1)),
        }
    }

    fn zero(config: &Config) -> Self {
        Self {
            heads: config.layers.iter().map(|layer| vec![0.0; layer.heads]).collect(),
            ffn: config.layers.iter().map(|layer| vec![0.0; layer.ffn]).collect(),
        }
    }

    fn add(&mut self, moment: Moment, gradients: &Gradients) {
        for (sums, gradients) in
            self.heads.iter_mut().zip(&gradients.heads).chain(self.ffn.iter_mut().zip(&gradients.ffn))
        {
            for (sum, gradient) in sums.iter_mut().zip(gradients) {
                let size = f64::from(gradient.abs());
                *sum += match moment {
                    Moment::Absolute => size,
                    Moment::Square => size * size,
                };
            }
        }
    }

    fn scaled(mut self, by: f64) -> Self {
        self.heads.iter_mut().chain(&mut self.ffn).flatten().for_each(|score| *score *= by);
        self
    }

    /// Divides the scores of a layer's heads, and of its neurons, by their mean: for criteria that cannot compare heads
    /// with neurons, or one layer with another. A control under a budget then takes about the same share everywhere.
    #[must_use]
    pub fn relative(mut self) -> Self {
        for scores in self.heads.iter_mut().chain(&mut self.ffn) {
            let mean = scores.iter().sum::<f64>() / float(scores.len());
            if mean > 0.0 {
                for score in scores.iter_mut() {
                    *score /= mean;
                }
            }
        }
        self
    }

    /// [`Self::relative`] scores times what a unit has of parameters: for each parameter they are alike everywhere.
    #[must_use]
    pub fn by_cost(self, config: &Config) -> Self {
        let mut scores = self.relative();
        for (layer, widths) in config.widths().enumerate() {
            for axis in [Axis::Heads, Axis::Neurons] {
                let Some((scores, width)) = scores.group(axis, layer, config) else { continue };
                let cost = float(parameters(config, &widths, axis) * width);
                for score in scores {
                    *score *= cost;
                }
            }
        }
        scores
    }

    /// Divides the scores of a layer's heads, and of its neurons, by their L2 norm, as Michel et al. (2019) do before they
    /// compare layers. Scores that are all 0 stay.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        for scores in self.heads.iter_mut().chain(&mut self.ffn) {
            let norm = scores.iter().map(|score| score * score).sum::<f64>().sqrt();
            if norm > 0.0 {
                for score in scores {
                    *score /= norm;
                }
            }
        }
        self
    }
}

/// Parameters of one entry of an axis: its rows with their biases, and its columns.
fn parameters(config: &Config, widths: &Widths, axis: Axis) -> usize {
    let of = |(part, output, input): (Part, Axis, Axis)| {
        let bias = usize::from(part.has_bias());
        let rows = if output == axis { input.len(widths) + bias } else { 0 };
        let columns = if input == axis { output.len(widths) } else { 0 };
        rows + columns
    };
    config.architecture.tensors().matrices().map(of).sum()
}

/// The `count` highest scores, as ascending indices; ties go to the lower index.
#[must_use]
pub fn highest(scores: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// ∂L/∂ξ of one batch, a vector a layer.
struct Gradients {
    heads: Vec<Vec<f32>>,
    ffn: Vec<Vec<f32>>,
}

impl Gradients {
    /// The topmost layer, from 0, with one that is not finite: gradients flow down.
    fn odd(&self) -> Option<usize> {
        let layers = self.heads.iter().zip(&self.ffn).enumerate().rev();
        let mut odd = layers.filter(|(_, (heads, ffn))| !(finite(heads) && finite(ffn)));
        odd.next().map(|(layer, _)| layer)
    }
}

/// `None` for a batch none of whose words owns a sub-word.
fn gradients(
    config: &Config,
    network: &Network,
    records: &Labelled,
    members: &[usize],
    device: &Device,
) -> Option<Gradients> {
    let batch = Batch::pack(&records.texts, members);
    let (used, gold) = supervised(&batch, records);
    if used.is_empty() {
        return None;
    }
    let masks = Masks::open(network, device);
    let logits = network.forward_probed(&Inputs::new(&batch, config, device), &[], Some(&masks)).logits;
    let rows: Vec<_> = used.iter().map(|&word| batch.rows[word]).collect();
    let logits = logits.select(0, indices(&rows, device));
    let loss = match network.crf_weights() {
        Some(crf) => crf_nll(logits, &crf, &gold, &starts(&batch, &used), &config.labels),
        None => cross_entropy(logits, &gold, &vec![1.0; gold.len()]),
    };
    let gradients = loss.backward();
    let of = |gates: Vec<burn::tensor::Tensor<1>>| {
        gates
            .into_iter()
            .map(|gate| {
                let [size] = gate.dims();
                gate.grad(&gradients).map_or_else(|| vec![0.0; size], host)
            })
            .collect()
    };
    Some(Gradients { heads: of(masks.heads), ffn: of(masks.ffn) })
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn float(count: usize) -> f64 {
    count as f64
}

/// The words of a batch that count, and their output columns.
fn supervised(batch: &Batch, records: &Labelled) -> (Vec<usize>, Vec<usize>) {
    let gold = batch.members.iter().flat_map(|&text| &records.gold[text]);
    let words = gold.enumerate().filter(|(word, _)| batch.owned[*word]);
    words.filter_map(|(word, column)| Some((word, (*column)?))).unzip()
}

/// `[texts + 1]` how many of the words in `used` come before each text.
fn starts(batch: &Batch, used: &[usize]) -> Vec<u32> {
    let before = |first: &u32| used.partition_point(|word| *word < *first as usize);
    batch.texts.iter().map(|first| u32::try_from(before(first)).expect("no more words than rows")).collect()
}

#[cfg(test)]
mod tests;
