//! What fits into a GPU's memory: a step's batches are cut as finely as it takes. That changes no result but its rounding,
//! because each batch counts by its words, so a key need not know how large the memory was.

use std::{
    any::Any,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use burn::module::Module;
use stage_contract::{Device, Devices, StageError};

use encoder::{
    backend::{device, precision::Precision},
    batch::Encoded,
    layer::{Layer, Widths},
    network::Network,
};

/// Of what is free, the share that is planned with: pools keep pages, and kernels are tuned on buffers of their own.
const PLANNED: f64 = 0.85;

/// What to do.
const MORE_ROOM: &str = "set gradient_checkpointing = true or precision = \"bf16\", end what else runs on that GPU, or use --device cpu";

/// Bytes that a training takes beside its weights, as a sum of terms in what a batch is made of. Counted from the operations in
/// `encoder/backend/fused.rs`, each with all that it keeps for its backward pass, and so more than it will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Weights of what is trained and of what is read.
    weights: u64,
    /// Whatever the batch, beside them.
    fixed: u64,
    /// For each token.
    token: u64,
    /// For each cell of the rectangle `[windows, length]` in attention.
    cell: u64,
    /// For each pair of cells of a window.
    pair: u64,
}

const F32: u64 = 4;

impl Cost {
    /// Of training a network; `read` is one that is only read, for its hidden states.
    pub fn training(network: &Network, read: Option<&Network>, recompute: bool) -> Self {
        let narrow = match network.precision {
            Precision::F32 => F32,
            Precision::Bf16 => F32 / 2,
        };
        let labels = network.head.weight.dims()[1] as u64;
        let parameters = network.num_params() as u64;
        let mut cost = Self {
            weights: F32 * (parameters + read.map_or(0, |read| read.num_params() as u64)),
            // Gradients, two moments, and a tensor on its way in the step; the rounded weights, if any.
            fixed: parameters * (4 * F32 + if narrow < F32 { narrow } else { 0 }),
            // Logits under the losses, and twice the matrices of the CRF's product, three to a pair of words.
            token: F32 * (8 * labels + 6 * labels * labels * labels),
            ..Self::default()
        };
        for layer in &network.layers {
            let (hidden, heads, all, ffn) = sizes(layer);
            // The residual stream with both norms is f32; what is quick to compute again is about half of it all.
            let (stream, between, ffns, pairs) = if recompute { (7, 4, 2, 3) } else { (13, 4, 4, 5) };
            cost.token += F32 * stream * hidden + narrow * (between * all + ffns * ffn);
            cost.cell += narrow * 8 * all;
            cost.pair += F32 * pairs * heads;
        }
        // What is only read keeps its states, and what one layer needs.
        if let Some(read) = read {
            let layers = read.layers.iter().map(sizes);
            let most = layers.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1), a.2.max(b.2), a.3.max(b.3)));
            let (hidden, heads, all, ffn) = most.unwrap_or_default();
            cost.token += F32 * ((read.layers.len() as u64 + 6) * hidden + 4 * all + 3 * ffn);
            cost.cell += F32 * 8 * all;
            cost.pair += F32 * 3 * heads;
        }
        cost
    }

    /// Of a batch of windows of these lengths.
    fn of(&self, windows: impl Iterator<Item = usize>) -> u64 {
        let (mut count, mut longest, mut tokens) = (0, 0, 0);
        for length in windows {
            let length = length as u64;
            (count, longest, tokens) = (count + 1, length.max(longest), tokens + length);
        }
        let cells: u64 = count * longest;
        self.fixed + tokens * self.token + cells * self.cell + cells * longest * self.pair
    }
}

/// Hidden width, heads, their width together, and neurons.
fn sizes(layer: &Layer) -> (u64, u64, u64, u64) {
    let Widths { hidden, heads, attention, neurons, .. } = layer.widths;
    (hidden as u64, heads as u64, attention as u64, neurons as u64)
}

/// What there is, and what is needed of it.
#[derive(Clone, Debug)]
pub struct Room {
    device: Device,
    cost: Cost,
    /// Bytes to plan with.
    bytes: u64,
}

impl Room {
    /// Of the device that has least, beside weights that are on the first already and will be on the others; none where
    /// memory is not a device's own.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of some bytes"
    )]
    #[must_use]
    pub fn on(devices: &Devices, cost: Cost) -> Option<Self> {
        let rooms = devices.iter().filter_map(|device| {
            let bytes = (device::free(device)? as f64 * PLANNED) as u64;
            let copied = if device == devices.first { 0 } else { cost.weights };
            Some(Self { device, cost, bytes: bytes.saturating_sub(copied) })
        });
        rooms.min_by_key(|room| room.bytes)
    }

    /// With so many bytes to plan with.
    #[must_use]
    pub fn of(cost: Cost, bytes: u64) -> Self {
        Self { device: Device::cuda(0), cost, bytes }
    }

    fn takes(&self, members: &[usize], texts: &[Encoded]) -> u64 {
        self.cost
            .of(members.iter().flat_map(|&text| texts[text].windows.iter().map(|window| window.ids.len())))
    }

    /// Looks whether each text fits alone.
    ///
    /// # Errors
    /// One does not: with the numbers, and before any step.
    pub fn check(&self, texts: &[Encoded]) -> Result<(), StageError> {
        let worst = (0..texts.len()).map(|text| (self.takes(&[text], texts), texts[text].tokens())).max();
        let Some((takes, tokens)) = worst.filter(|(takes, _)| *takes > self.bytes) else { return Ok(()) };
        Err(StageError::new(format!(
            "the longest text has {tokens} tokens and takes {} of memory to train on, but {} has {} to give",
            size(takes),
            self.device,
            size(self.bytes)
        ))
        .help(MORE_ROOM))
    }

    /// The same texts in the same order, in batches that fit.
    #[must_use]
    pub fn cut(&self, batches: &[Vec<usize>], texts: &[Encoded]) -> Vec<Vec<usize>> {
        let mut fitting: Vec<Vec<usize>> = Vec::with_capacity(batches.len());
        for batch in batches {
            let mut part: Vec<usize> = Vec::with_capacity(batch.len());
            for &text in batch {
                part.push(text);
                if part.len() > 1 && self.takes(&part, texts) > self.bytes {
                    part.pop();
                    fitting.push(std::mem::replace(&mut part, vec![text]));
                }
            }
            fitting.push(part);
        }
        fitting
    }
}

/// Does something on a device, and says what to do when its memory runs out after all: Burn panics, and its words would not be
/// shown.
///
/// # Errors
/// What the work says, or that memory ran out.
pub fn within<T>(
    device: &impl Display,
    work: impl FnOnce() -> Result<T, StageError>,
) -> Result<T, StageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        if !is_shortage(panic.as_ref()) {
            resume_unwind(panic);
        }
        Err(StageError::new(format!("{device} ran out of memory")).help(MORE_ROOM))
    })
}

/// Whether a panic is `CubeCL`'s `IoError` or `LaunchError`, or the driver's own word, about memory.
fn is_shortage(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or_default().to_lowercase().replace(['-', '_', ' '], "");
    ["outofmemory", "outofdevicememory"].iter().any(|sign| text.contains(sign))
}

/// Bytes as a person reads them.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
#[must_use]
pub fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use encoder::{
        config::{Config, LayerShape},
        testing::tiny,
    };
    use text::tokenizer::Window;

    fn text(windows: &[usize]) -> Encoded {
        let windows = windows.iter().map(|&n| Window { ids: vec![7; n], ..Window::default() }).collect();
        Encoded { windows, words: 1 }
    }

    const COST: Cost = Cost { weights: 0, fixed: 1000, token: 10, cell: 2, pair: 1 };

    #[test]
    fn padding_and_pairs_count_by_the_longest_window() {
        assert_eq!(COST.of([3, 5].into_iter()), 1000 + 8 * 10 + 10 * 2 + 50);
        assert_eq!(COST.of([].into_iter()), 1000);
    }

    #[test]
    fn a_text_that_fits_nowhere_is_refused_with_the_numbers_before_any_step() {
        let texts = [text(&[5]), text(&[400, 300])];
        let need = COST.of([400, 300].into_iter());
        Room::of(COST, need).check(&texts).expect("just enough");
        let error = Room::of(COST, need - 1).check(&texts).expect_err("one byte short");
        let said = error.to_string();
        assert!(said.starts_with("the longest text has 700 tokens and takes"), "{said}");
        assert!(said.contains("cuda:0"), "{said}");
        assert!(error.advice().is_some_and(|help| help.contains("gradient_checkpointing")));
    }

    /// What the process grew by in a forward pass of four layers of the base size on the CPU (Burn's own operations under
    /// autodiff, `VmRSS`), in MiB. A GPU's backend may keep more of them apart, so the formula stays above.
    #[test]
    fn the_formula_is_above_what_burn_was_seen_to_keep_and_not_by_far() {
        let layers =
            vec![LayerShape { heads: 12, ffn: 3072, from_teacher_layer: 0, ..LayerShape::default() }; 4];
        let config = Config { hidden: 768, head_dim: 64, layers, vocab: 1000, positions: 514, ..tiny() };
        let network = Network::init(&config, 1, &burn::tensor::Device::flex());
        for (lengths, precision, recompute, seen) in [
            (vec![64; 8], Precision::F32, false, 124),
            (vec![128; 8], Precision::F32, false, 297),
            (vec![128, 100, 90, 120, 64, 70, 80, 110], Precision::F32, false, 243),
            (vec![512; 2], Precision::F32, false, 516),
            (vec![128; 8], Precision::F32, true, 225),
            (vec![128; 8], Precision::Bf16, false, 255),
        ] {
            let cost = Cost::training(&network.clone().at(precision), None, recompute);
            let found = (cost.of(lengths.iter().copied()) - cost.fixed) >> 20;
            assert!((seen * 3 / 2..seen * 5 / 2).contains(&found), "{lengths:?}: {found} MiB, {seen} seen");
        }
        let beside = Cost::training(&network, Some(&network), false).of([64; 8].into_iter());
        assert!(beside > Cost::training(&network, None, false).of([64; 8].into_iter()));
    }

    #[test]
    fn memory_that_runs_out_is_an_error_with_advice_and_other_panics_go_on() {
        for words in [
            "Error while reading data: out of device memory allocating 1073741824 bytes",
            "An out-of-memory error happened during launch",
            "called `Result::unwrap()` on an `Err` value: DriverError(CUDA_ERROR_OUT_OF_MEMORY)",
            "OutOfMemory { size: 1 }",
        ] {
            let error = within::<()>(&Device::cuda(1), || panic!("{words}")).expect_err("no memory");
            assert_eq!(error.to_string(), "cuda:1 ran out of memory");
            assert!(error.advice().is_some_and(|help| help.contains("bf16")));
        }
        assert_eq!(within(&Device::CPU, || Ok(7)).expect("all is well"), 7);
        let other = catch_unwind(|| within::<()>(&Device::CPU, || panic!("of another sort")));
        assert_eq!(other.expect_err("goes on").downcast_ref::<&str>(), Some(&"of another sort"));
    }

    proptest! {
        #[test]
        fn cut_batches_hold_every_text_once_in_order_and_fit(
            lengths in prop::collection::vec(1_usize..60, 1..40), bytes in 1000_u64..20_000, size in 1_usize..12,
        ) {
            let texts: Vec<Encoded> = lengths.iter().map(|&n| text(&[n])).collect();
            let batches: Vec<Vec<usize>> = (0..texts.len()).collect::<Vec<_>>().chunks(size).map(<[_]>::to_vec).collect();
            let room = Room::of(COST, bytes);
            let parts = room.cut(&batches, &texts);
            prop_assert_eq!(parts.concat(), batches.concat());
            let fits = room.check(&texts).is_ok();
            for part in &parts {
                prop_assert!(!part.is_empty());
                prop_assert!(part.len() == 1 || room.takes(part, &texts) <= bytes);
                prop_assert!(!fits || room.takes(part, &texts) <= bytes);
            }
            let ample = Room::of(COST, u64::MAX).cut(&batches, &texts);
            prop_assert_eq!(ample, batches);
        }
    }
}
