//! `profile`: how long layers of different widths take here, for a latency budget of `prune`.

use burn::tensor::Device as BurnDevice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Available, Context, Device, Input, Invalid, Output, Spec, Stage, StageError};

use encoder::{
    backend::{device, prepacked::WeightFormat, readback::host},
    batch::Batch,
    config::{Config, LayerShape},
    inputs::Inputs,
    model::ModelFolder,
    network::Network,
};
use measure::{
    latency::in_turn,
    profile::{Profile, rising},
};

/// Measures layers with the widths of a model and with fewer heads and neurons, on random weights: time does not depend
/// on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Measure {
    /// Tokens of the sentence, one sentence at once.
    #[schemars(range(min = 3))]
    pub tokens: usize,
    /// Widths to measure between one head and all, and between no neuron and all.
    #[schemars(range(min = 2))]
    pub steps: usize,
    /// Rounds, after a warm-up of a tenth: in each, every shape once.
    #[schemars(range(min = 1))]
    pub rounds: usize,
}

impl Default for Measure {
    fn default() -> Self {
        Self { tokens: 32, steps: 6, rounds: 30 }
    }
}

const MODEL: Input<ModelFolder> = Input::new("model", "the model whose layers to measure: the teacher");
const TABLE: Output<Profile> = Output::new("table", "milliseconds by heads and by neurons of a layer");

/// Layers in a stack, so that one layer's time stands out of what surrounds it.
const STACK: usize = 4;

impl Stage for Measure {
    const SPEC: Spec = Spec {
        name: "profile",
        version: 1,
        doc: "measures layers of different widths, for a latency budget of `prune`",
        inputs: &[MODEL.port()],
        outputs: &[TABLE.port()],
        measures: true,
    };

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let Some(model) = inputs.read(&MODEL)? else { return Ok(()) };
        let (config, _) = model.look().map_err(|e| Invalid::of(&e).at(MODEL.name()))?;
        if self.tokens > config.max_pieces() {
            return Err(Invalid::new(format!(
                "`tokens` is {}, but the model reads {} at once",
                self.tokens,
                config.max_pieces()
            ))
            .at("tokens")
            .help(format!("tokens = {}", config.max_pieces().min(32))));
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let clock = cx.measure()?;
        let device = device::burn(cx.device);
        let (config, _) = cx.read(&MODEL)?.look()?;
        let widest = |width: fn(&LayerShape) -> usize| config.layers.iter().map(width).max().unwrap_or(1);
        let (most_heads, most_ffn) = (widest(|l| l.heads), widest(|l| l.ffn));
        let (heads, ffn) = (widths(most_heads, self.steps), widths(most_ffn, self.steps));

        // An empty stack, and stacks along both axes through the widest layer, which is measured once.
        let stack = |heads: usize, ffn: usize| {
            let layers =
                vec![LayerShape { heads, ffn, from_teacher_layer: 0, ..LayerShape::default() }; STACK];
            Subject::new(&Config { layers, ..config.clone() }, self.tokens, &device)
        };
        let empty = Subject::new(&Config { layers: vec![], ..config.clone() }, self.tokens, &device);
        let fewer_heads = heads.iter().map(|&heads| stack(heads, most_ffn));
        let narrower = ffn.iter().filter(|&&width| width < most_ffn).map(|&ffn| stack(most_heads, ffn));
        let subjects: Vec<Subject> = std::iter::once(empty).chain(fewer_heads).chain(narrower).collect();

        let warmup = (self.rounds / 10).max(2);
        let rounds = [warmup, self.rounds];
        let rounds = in_turn(cx, &clock, "measuring", subjects.len(), rounds, f64::INFINITY, |index| {
            let logits = subjects[index].run();
            debug_assert!(logits > 0, "so that the work cannot be left out");
        })?;
        let medians: Vec<f64> = (0..subjects.len()).map(|index| rounds.quantile(index, 0.5)).collect();
        let table = self.table(cx, &config, &heads, &ffn, &medians);
        cx.show(text(&table));
        cx.write(&TABLE, &table)
    }
}

impl Measure {
    /// From the medians of the empty stack, of the stacks by heads, and of those by neurons but the widest.
    fn table(
        &self,
        cx: &Context<'_>,
        config: &Config,
        heads: &[usize],
        ffn: &[usize],
        medians: &[f64],
    ) -> Profile {
        let rest_ms = medians[0];
        #[expect(clippy::cast_precision_loss, reason = "four")]
        let layer = |ms: &f64| (ms - rest_ms) / STACK as f64;
        let (by_heads, by_ffn) = medians[1..].split_at(heads.len());
        let by_heads = rising(&by_heads.iter().map(layer).collect::<Vec<_>>());
        let whole = by_heads.last().copied().unwrap_or_default();
        let by_ffn = rising(&by_ffn.iter().map(layer).chain([whole]).collect::<Vec<_>>());
        // A layer of no neurons is what the line through the two narrowest says; the FFN's part is what lies above it.
        let (narrow, next) = (by_ffn[0], by_ffn[1]);
        #[expect(clippy::cast_precision_loss, reason = "widths are small")]
        let slope = (next - narrow) / (ffn[1] - ffn[0]) as f64;
        #[expect(clippy::cast_precision_loss, reason = "widths are small")]
        let without = narrow - slope * ffn[0] as f64;
        Profile {
            hidden: config.hidden,
            head_dim: config.head_dim,
            tokens: self.tokens,
            threads: cx.threads,
            device: cx.device.to_string(),
            rest_ms,
            heads: heads.iter().copied().zip(by_heads.iter().map(|ms| ms - (whole - without))).collect(),
            ffn: ffn.iter().copied().zip(by_ffn.iter().map(|ms| ms - without)).collect(),
        }
    }
}

/// `steps` widths up to `most`, evenly apart; at least two where there are two.
fn widths(most: usize, steps: usize) -> Vec<usize> {
    let steps = steps.min(most).max(1);
    let mut widths: Vec<usize> = (1..=steps).map(|step| (most * step).div_ceil(steps)).collect();
    widths.dedup();
    widths
}

struct Subject {
    network: Network,
    config: Config,
    batch: Batch,
    device: BurnDevice,
}

impl Subject {
    fn new(config: &Config, tokens: usize, device: &BurnDevice) -> Self {
        let count = u32::try_from(tokens).unwrap_or(u32::MAX);
        let vocab = u32::try_from(config.vocab).unwrap_or(u32::MAX).max(1);
        let batch = Batch {
            // A prime stride (Knuth's multiplicative hash) scatters the rows, as words do.
            ids: (0..count).map(|place| place.wrapping_mul(2_654_435_761) % vocab).collect(),
            starts: vec![0, count],
            ..Batch::default()
        };
        let network = Network::init(config, 1, device).prepack(config, WeightFormat::F32);
        Self { network, config: config.clone(), batch, device: device.clone() }
    }

    /// Returns a number, so that the work cannot be left out.
    fn run(&self) -> usize {
        let packed = Inputs::new(&self.batch, &self.config, &self.device);
        host(self.network.forward(&packed, &[]).logits).len()
    }
}

fn text(table: &Profile) -> String {
    let rows = |rows: &[(usize, f64)], unit: &str| -> String {
        let cells: Vec<String> = rows.iter().map(|(width, ms)| format!("{width}: {ms:.3}")).collect();
        format!("ms of a layer by {unit}: {}", cells.join(", "))
    };
    format!(
        "{} tokens on {}: {:.3} ms without layers\n{}\n{}",
        table.tokens,
        table.device,
        table.rest_ms,
        rows(&table.heads, "heads"),
        rows(&table.ffn, "neurons")
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stage_contract::Artifact;

    use stage_contract::testing::context;

    use super::*;
    use encoder::testing::fixture::{model, teacher_labels};

    #[test]
    fn widths_lie_evenly_and_end_with_all() {
        assert_eq!(widths(12, 6), [2, 4, 6, 8, 10, 12]);
        assert_eq!(widths(1536, 4), [384, 768, 1152, 1536]);
        assert_eq!(widths(2, 6), [1, 2]);
    }

    #[test]
    fn the_table_puts_the_whole_layer_together_again() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        let teacher = model(teacher_labels(), &[]);
        teacher.save(&path("model")).expect("saved");
        let stage = Measure { tokens: 16, steps: 2, rounds: 3 };
        let outputs = BTreeMap::from([("table".to_owned(), path("table.json"))]);
        stage
            .run(&Context {
                inputs: &BTreeMap::from([("model".to_owned(), path("model"))]),
                outputs: &outputs,
                checkpoint: &path("checkpoint"),
                measures: true,
                ..context()
            })
            .expect("measured");
        let table = Profile::load(&outputs["table"]).expect("a table");
        table.check(&teacher.config).expect("of this model");
        assert_eq!(table.heads.iter().map(|(heads, _)| *heads).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(table.ffn.iter().map(|(width, _)| *width).collect::<Vec<_>>(), [4, 8]);
        assert!(table.latency(&teacher.config) > 0.0);
    }

    #[test]
    fn what_was_measured_becomes_parts_that_add_up() {
        let config = model(teacher_labels(), &[]).config;
        let medians = [1.0, 9.0, 13.0, 11.0]; // empty; 1 and 2 heads at 8 neurons; 4 neurons at 2 heads
        let root = tempfile::tempdir().expect("a folder");
        let cx = Context { checkpoint: root.path(), measures: true, ..context() };
        let table = Measure::default().table(&cx, &config, &[1, 2], &[4, 8], &medians);
        let of = |heads, ffn| {
            let layers =
                vec![LayerShape { heads, ffn, from_teacher_layer: 0, ..LayerShape::default() }; STACK];
            table.latency(&Config { layers, ..config.clone() })
        };
        assert!((of(2, 8) - 13.0).abs() < 1e-12);
        assert!((of(1, 8) - 9.0).abs() < 1e-12);
        assert!((of(2, 4) - 11.0).abs() < 1e-12);
    }
}
