//! What heads and neurons say on average: a unit that is removed leaves that behind as a bias.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use stage_contract::StageError;

use crate::prune::labelled::Labelled;
use encoder::{
    backend::readback::host,
    batch::Batch,
    config::Config,
    finite::{finite, layer as layer_name},
    inputs::Inputs,
    layer::Probe,
    network::Network,
};

/// Mean outputs over the tokens of some texts, specials included.
#[derive(Clone, Debug, PartialEq)]
pub struct Means {
    /// `[layers][heads * head_dim]` of the heads' contexts.
    pub heads: Vec<Vec<f64>>,
    /// `[layers][ffn]` of the neurons after GELU.
    pub ffn: Vec<Vec<f64>>,
}

impl Means {
    /// Reads `records.texts[i]` for each `i` of each batch. `step` is called after every few batches with their number. The
    /// network must not be on an autodiff device.
    ///
    /// # Errors
    /// What `step` returns, to stop early; or an output is not finite, by batch, records and layer.
    pub fn measure(
        config: &Config,
        network: &Network,
        records: &Labelled,
        batches: &[Vec<usize>],
        device: &Device,
        mut step: impl FnMut(usize) -> Result<(), StageError>,
    ) -> Result<Self, StageError> {
        let at_once = if *device == Device::flex() { rayon::current_num_threads() } else { 1 };
        let mut means = Self {
            heads: config.layers.iter().map(|layer| vec![0.0; layer.heads * config.head_dim]).collect(),
            ffn: config.layers.iter().map(|layer| vec![0.0; layer.ffn]).collect(),
        };
        let mut tokens = 0;
        for (first, group) in (0..).step_by(at_once).zip(batches.chunks(at_once)) {
            let sums: Vec<_> = group
                .par_iter()
                .map(|members| {
                    let batch = Batch::pack(&records.texts, members);
                    let sums = Sums::default();
                    let _ = network.forward_probed(&Inputs::new(&batch, config, device), &[], Some(&sums));
                    (batch.ids.len(), sums)
                })
                .collect();
            // In the order of batches, whatever thread was faster: the same bits every time.
            for (number, ((count, sums), members)) in sums.into_iter().zip(group).enumerate() {
                tokens += count;
                let (heads, ffn) = (sums.heads.take(), sums.ffn.take());
                let layers = heads.iter().zip(&ffn);
                if let Some(layer) = layers.clone().position(|(heads, ffn)| !(finite(heads) && finite(ffn))) {
                    return Err(records.odd("the mean", &layer_name(config, layer), first + number, members));
                }
                means.heads.iter_mut().zip(&heads).for_each(|(mean, sum)| add(mean, sum));
                means.ffn.iter_mut().zip(&ffn).for_each(|(mean, sum)| add(mean, sum));
            }
            step(group.len())?;
        }
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 tokens")]
        let share = 1.0 / tokens.max(1) as f64;
        means.heads.iter_mut().chain(&mut means.ffn).flatten().for_each(|sum| *sum *= share);
        Ok(means)
    }
}

fn add(mean: &mut [f64], sum: &[f32]) {
    mean.iter_mut().zip(sum).for_each(|(mean, sum)| *mean += f64::from(*sum));
}

/// Column sums of one batch, layer after layer.
#[derive(Default)]
struct Sums {
    heads: RefCell<Vec<Vec<f32>>>,
    ffn: RefCell<Vec<Vec<f32>>>,
}

impl Probe for Sums {
    fn context(&self, _layer: usize, context: Tensor<2>) -> Tensor<2> {
        self.heads.borrow_mut().push(columns(&context));
        context
    }

    fn neurons(&self, _layer: usize, neurons: Tensor<2>) -> Tensor<2> {
        self.ffn.borrow_mut().push(columns(&neurons));
        neurons
    }
}

fn columns(rows: &Tensor<2>) -> Vec<f32> {
    host(rows.clone().sum_dim(0))
}
