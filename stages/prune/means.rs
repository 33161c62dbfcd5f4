//! What heads and neurons say on average: a unit that is removed leaves that behind as a bias.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use stage_contract::StageError;

use encoder::{
    backend::readback::host,
    batch::{Batch, Encoded},
    config::Config,
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
    /// Reads `texts[i]` for each `i` of each batch. `step` is called after every few batches with their number. The
    /// network must not be on an autodiff device.
    ///
    /// # Errors
    /// What `step` returns, to stop early.
    pub fn measure(
        config: &Config,
        network: &Network,
        texts: &[Encoded],
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
        for group in batches.chunks(at_once) {
            let sums: Vec<_> = group
                .par_iter()
                .map(|members| {
                    let batch = Batch::pack(texts, members);
                    let sums = Sums::default();
                    let _ = network.forward_probed(&Inputs::new(&batch, config, device), &[], Some(&sums));
                    (batch.ids.len(), sums)
                })
                .collect();
            // In the order of batches, whatever thread was faster: the same bits every time.
            for (count, sums) in sums {
                tokens += count;
                means.heads.iter_mut().zip(sums.heads.take()).for_each(|(mean, sum)| add(mean, &sum));
                means.ffn.iter_mut().zip(sums.ffn.take()).for_each(|(mean, sum)| add(mean, &sum));
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
