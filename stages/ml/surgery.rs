//! Physical removal of heads and neurons: matrices get smaller, and config.json says so (ML.md §4, "Removal").

use crate::ml::{
    config::Config,
    layout::name,
    weights::{Array, Weights},
};

/// What stays of one layer; ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Heads by their index.
    pub heads: Vec<usize>,
    /// FFN neurons by their index.
    pub ffn: Vec<usize>,
}

/// Cuts every layer down to what is kept of it: rows of Q, K and V with their biases and columns of the attention's
/// output, rows of the FFN's first matrix with its bias and columns of its second. Output biases stay.
///
/// # Panics
/// When `kept` does not fit `config`, or `weights` do not.
pub fn remove(config: &mut Config, weights: &mut Weights, kept: &[Kept]) {
    assert_eq!(kept.len(), config.layers.len(), "one entry a layer");
    for (index, kept) in kept.iter().enumerate() {
        let shape = config.layers[index];
        let mut cut = |part: &str, kind: &str, keep: &[usize], axis: Axis| {
            let tensor = weights
                .get_mut(&name::layer(index, &format!("{part}.{kind}")))
                .expect("weights and configuration of one model");
            *tensor = tensor.keep(keep, axis);
        };
        if kept.heads.len() < shape.heads {
            let rows: Vec<_> = kept
                .heads
                .iter()
                .flat_map(|head| head * config.head_dim..(head + 1) * config.head_dim)
                .collect();
            for part in [name::QUERY, name::KEY, name::VALUE] {
                cut(part, "weight", &rows, Axis::Rows);
                cut(part, "bias", &rows, Axis::Rows);
            }
            cut(name::ATTENTION_OUTPUT, "weight", &rows, Axis::Columns);
        }
        if kept.ffn.len() < shape.ffn {
            cut(name::UP, "weight", &kept.ffn, Axis::Rows);
            cut(name::UP, "bias", &kept.ffn, Axis::Rows);
            cut(name::DOWN, "weight", &kept.ffn, Axis::Columns);
        }
        config.layers[index].heads = kept.heads.len();
        config.layers[index].ffn = kept.ffn.len();
    }
}

#[derive(Clone, Copy)]
enum Axis {
    Rows,
    Columns,
}

impl Array {
    /// The given rows or columns of a matrix, or entries of a vector.
    fn keep(&self, indices: &[usize], axis: Axis) -> Self {
        let rows = self.shape[0];
        let columns = self.values.len() / rows;
        let row = |row: usize| &self.values[row * columns..][..columns];
        let mut shape = self.shape.clone();
        let values = match axis {
            Axis::Rows => {
                shape[0] = indices.len();
                indices.iter().flat_map(|index| row(*index)).copied().collect()
            }
            Axis::Columns => {
                shape[1] = indices.len();
                (0..rows).flat_map(|r| indices.iter().map(move |index| row(r)[*index])).collect()
            }
        };
        Self { shape, values }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::ml::{
        layout::host,
        model::{
            Gates, Network, Packed,
            tests::{batch, furthest, tiny, trained},
        },
    };

    fn kept() -> Vec<Kept> {
        vec![
            Kept { heads: vec![0, 2, 3], ffn: (0..24).filter(|n| n % 3 != 1).collect() },
            Kept { heads: vec![1], ffn: vec![0, 1, 5, 7, 8, 9, 14, 15] },
        ]
    }

    fn shut(size: usize, kept: &[usize], device: &Device) -> Tensor<1> {
        let gates: Vec<f32> = (0..size).map(|i| f32::from(u8::from(kept.contains(&i)))).collect();
        Tensor::from_floats(gates.as_slice(), device)
    }

    #[test]
    fn a_pruned_model_equals_the_masked_one() {
        let (config, device) = (tiny(), Device::flex());
        let network = trained(&config, &device);
        let batch = Packed::new(&batch(&[5, 9, 18]), &config, &device);
        let kept = kept();
        let gates = Gates {
            heads: kept.iter().zip(&config.layers).map(|(k, l)| shut(l.heads, &k.heads, &device)).collect(),
            ffn: kept.iter().zip(&config.layers).map(|(k, l)| shut(l.ffn, &k.ffn, &device)).collect(),
        };
        let masked = network.forward_gated(&batch, &[1, 2], Some(&gates));
        let whole = network.forward(&batch, &[]);

        let (mut small, mut weights) = (config.clone(), network.weights(&config));
        remove(&mut small, &mut weights, &kept);
        assert_eq!(weights.parameters(), small.parameters() + small.crf_parameters());
        assert!(small.parameters() < config.parameters());
        assert_eq!(small.head_dim, config.head_dim);
        let pruned = Network::from_weights(&small, weights, &device).expect("shapes follow");
        let pruned = pruned.forward(&batch, &[1, 2]);

        assert!(
            furthest(&host(whole.logits), &host(masked.logits.clone())) > 1e-3,
            "the mask does something"
        );
        assert!(furthest(&host(pruned.logits), &host(masked.logits)) < 1e-5);
        for (pruned, masked) in pruned.hidden.into_iter().zip(masked.hidden) {
            assert!(furthest(&host(pruned), &host(masked)) < 1e-5);
        }
    }

    #[test]
    fn keeping_everything_changes_nothing() {
        let (config, device) = (tiny(), Device::flex());
        let weights = trained(&config, &device).weights(&config);
        let everything: Vec<_> = config
            .layers
            .iter()
            .map(|l| Kept { heads: (0..l.heads).collect(), ffn: (0..l.ffn).collect() })
            .collect();
        let (mut same, mut cut) = (config.clone(), weights.clone());
        remove(&mut same, &mut cut, &everything);
        assert_eq!((same, cut), (config, weights));
    }
}
