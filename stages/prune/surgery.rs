//! Physical removal of heads and neurons: matrices get smaller, and config.json says so (docs/math.md, "Removal").

use serde::{Deserialize, Serialize};

use crate::prune::means::Means;
use encoder::{
    arch::Axis,
    config::{Config, LayerShape},
    layer::Widths,
    weights::{Along, Weights},
};

/// What stays of one layer; ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Heads by their index.
    pub heads: Vec<usize>,
    /// FFN neurons by their index.
    pub ffn: Vec<usize>,
}

/// Cuts every layer down to what is kept of it: the rows, with their biases, and the columns that belong to a head or a
/// neuron. With `means` the mean activation of what is removed is added to the next bias (mean-activation bias
/// compensation), where there is one; without, that bias stays.
///
/// # Panics
/// When `kept` does not fit `config`, or `weights` or `means` do not.
pub fn remove(config: &mut Config, weights: &mut Weights, kept: &[Kept], means: Option<&Means>) {
    assert_eq!(kept.len(), config.layers.len(), "one entry a layer");
    let tensors = config.architecture.tensors();
    let widths: Vec<Widths> = config.widths().collect();
    for ((index, kept), widths) in kept.iter().enumerate().zip(widths) {
        let heads: Vec<_> = kept.heads.iter().flat_map(|head| columns(*head, config.head_dim)).collect();
        // What stays of an axis, and the means along it; none where nothing of it is pruned.
        let group = |axis: Axis| {
            let (keep, means) = match axis {
                Axis::Hidden => return None,
                Axis::Heads => (&heads, means.map(|means| &means.heads[index])),
                Axis::Neurons => (&kept.ffn, means.map(|means| &means.ffn[index])),
            };
            (keep.len() < axis.len(&widths)).then_some((keep, means))
        };
        for (part, output, input) in tensors.matrices() {
            let name = tensors.part(index, part);
            if let Some((keep, means)) = group(input) {
                if let Some(means) = means.filter(|_| part.has_bias()) {
                    compensate(weights, &name, means, keep);
                }
                cut(weights, &format!("{name}.weight"), keep, Along::Columns);
            }
            if let Some((keep, _)) = group(output) {
                cut(weights, &format!("{name}.weight"), keep, Along::Rows);
                if part.has_bias() {
                    cut(weights, &format!("{name}.bias"), keep, Along::Rows);
                }
            }
        }
        config.layers[index].heads = kept.heads.len();
        config.layers[index].ffn = kept.ffn.len();
    }
}

const ONE_MODEL: &str = "weights and configuration of one model";

fn cut(weights: &mut Weights, name: &str, keep: &[usize], along: Along) {
    let tensor = weights.get_mut(name).expect(ONE_MODEL);
    *tensor = tensor.keep(keep, along);
}

/// The rows or columns that belong to a head.
fn columns(head: usize, width: usize) -> std::ops::Range<usize> {
    head * width..(head + 1) * width
}

/// Adds to a linear layer's bias what it makes of the means of those inputs that are not `kept` (ascending).
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn compensate(weights: &mut Weights, linear: &str, means: &[f64], kept: &[usize]) {
    let gone: Vec<_> = (0..means.len()).filter(|input| kept.binary_search(input).is_err()).collect();
    let matrix = weights.get(&format!("{linear}.weight")).expect(ONE_MODEL);
    let said = |row: &[f32]| gone.iter().map(|&input| f64::from(row[input]) * means[input]).sum::<f64>();
    let more: Vec<f64> = matrix.values.chunks_exact(means.len()).map(said).collect();
    let bias = weights.get_mut(&format!("{linear}.bias")).expect(ONE_MODEL);
    bias.values.iter_mut().zip(more).for_each(|(bias, more)| *bias = (f64::from(*bias) + more) as f32);
}

impl Kept {
    /// Whether the layer itself went: one that stays has a head.
    #[must_use]
    pub fn gone(&self) -> bool {
        self.heads.is_empty()
    }

    /// All of every layer.
    #[must_use]
    pub fn all(config: &Config) -> Vec<Self> {
        let all =
            |layer: &LayerShape| Self { heads: (0..layer.heads).collect(), ffn: (0..layer.ffn).collect() };
        config.layers.iter().map(all).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::prune::labelled::Labelled;
    use encoder::{
        arch::{ARCHITECTURES, Settings},
        backend::{positions::Buckets, readback::host},
        batch::{Batch, Encoded},
        inputs::Inputs,
        layer::Probe,
        network::{Masks, Network},
        testing::{batch, furthest, tiny, trained},
    };
    use text::tokenizer::Window;

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
        let settings =
            Settings { rotary: Some([1e4, 1e3]), relative: Some(Buckets { count: Some(4), farthest: 20 }) };
        for architecture in ARCHITECTURES {
            pruned_equals_masked(&Config { architecture, settings, ..tiny() });
        }
    }

    fn pruned_equals_masked(config: &Config) {
        let device = Device::flex();
        let network = trained(config, &device);
        let batch = Inputs::new(&batch(&[5, 9, 18]), config, &device);
        let kept = kept();
        let gates = Masks {
            heads: kept.iter().zip(&config.layers).map(|(k, l)| shut(l.heads, &k.heads, &device)).collect(),
            ffn: kept.iter().zip(&config.layers).map(|(k, l)| shut(l.ffn, &k.ffn, &device)).collect(),
        };
        let masked = network.forward_probed(&batch, &[1, 2], Some(&gates));
        let whole = network.forward(&batch, &[]);

        let (mut small, mut weights) = (config.clone(), network.weights(config));
        remove(&mut small, &mut weights, &kept, None);
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

    /// Takes a mean in the place of a unit that is gone.
    struct Averaged<'a> {
        kept: &'a [Kept],
        means: &'a Means,
        width: usize,
    }

    impl Averaged<'_> {
        #[expect(clippy::cast_possible_truncation, reason = "activations are f32")]
        fn average(x: Tensor<2>, means: &[f64], kept: impl Fn(usize) -> bool) -> Tensor<2> {
            let device = x.device();
            let of = |value: &dyn Fn(usize) -> f32| {
                let row: Vec<f32> = (0..means.len()).map(value).collect();
                Tensor::<1>::from_floats(row.as_slice(), &device).unsqueeze()
            };
            let mean = of(&|at| if kept(at) { 0.0 } else { means[at] as f32 });
            x * of(&|at| f32::from(u8::from(kept(at)))) + mean
        }
    }

    impl Probe for Averaged<'_> {
        fn context(&self, layer: usize, context: Tensor<2>) -> Tensor<2> {
            let kept = |at: usize| self.kept[layer].heads.contains(&(at / self.width));
            Self::average(context, &self.means.heads[layer], kept)
        }

        fn neurons(&self, layer: usize, neurons: Tensor<2>) -> Tensor<2> {
            let kept = |at: usize| self.kept[layer].ffn.contains(&at);
            Self::average(neurons, &self.means.ffn[layer], kept)
        }
    }

    #[test]
    fn what_is_removed_leaves_its_mean_behind() {
        let (config, device) = (tiny(), Device::flex());
        let network = trained(&config, &device);
        let texts = [texts(&[5, 9]), texts(&[18, 3])].concat();
        let batches = [vec![0, 1], vec![2, 3]];
        let labelled = Labelled::new(texts.clone(), &[], &config.labels).expect("no tags");
        let means = Means::measure(&config, &network, &labelled, &batches, &device, |_| Ok(()));
        let means = means.expect("finite");

        let sums = |layer: usize| -> f64 {
            let batch = Inputs::new(&Batch::pack(&texts, &[0, 1, 2, 3]), &config, &device);
            let seen = Seen { layer, rows: RefCell::new(vec![]) };
            let _ = network.forward_probed(&batch, &[], Some(&seen));
            let rows = seen.rows.take();
            rows.iter().map(|row| f64::from(row[5])).sum::<f64>() / 35.0
        };
        assert!((means.ffn[1][5] - sums(1)).abs() < 1e-6, "the mean over all tokens of all batches");

        let kept = kept();
        let batch = Inputs::new(&batch(&[5, 9, 18]), &config, &device);
        let averaged = Averaged { kept: &kept, means: &means, width: config.head_dim };
        let averaged = network.forward_probed(&batch, &[1, 2], Some(&averaged));
        let (mut small, mut weights) = (config.clone(), network.weights(&config));
        remove(&mut small, &mut weights, &kept, Some(&means));
        let pruned = Network::from_weights(&small, weights, &device).expect("shapes follow");
        let pruned = pruned.forward(&batch, &[1, 2]);
        assert!(furthest(&host(pruned.logits), &host(averaged.logits)) < 1e-5);
        for (pruned, averaged) in pruned.hidden.into_iter().zip(averaged.hidden) {
            assert!(furthest(&host(pruned), &host(averaged)) < 1e-5);
        }
    }

    /// Keeps the neurons of a layer as rows.
    struct Seen {
        layer: usize,
        rows: RefCell<Vec<Vec<f32>>>,
    }

    impl Probe for Seen {
        fn context(&self, _layer: usize, context: Tensor<2>) -> Tensor<2> {
            context
        }

        fn neurons(&self, layer: usize, neurons: Tensor<2>) -> Tensor<2> {
            if layer == self.layer {
                let [_, width] = neurons.dims();
                let rows = host(neurons.clone());
                self.rows.borrow_mut().extend(rows.chunks_exact(width).map(<[f32]>::to_vec));
            }
            neurons
        }
    }

    fn texts(lengths: &[usize]) -> Vec<Encoded> {
        let text = |length: &usize| {
            let ids = (0..*length).map(|i| u32::try_from(4 + i * 7 % 40).expect("small")).collect();
            Encoded { windows: vec![Window { ids, ..Window::default() }], words: 0 }
        };
        lengths.iter().map(text).collect()
    }

    #[test]
    fn keeping_everything_changes_nothing() {
        let (config, device) = (tiny(), Device::flex());
        let weights = trained(&config, &device).weights(&config);
        let everything = Kept::all(&config);
        let (mut same, mut cut) = (config.clone(), weights.clone());
        remove(&mut same, &mut cut, &everything, None);
        assert_eq!((same, cut), (config, weights));
    }
}
