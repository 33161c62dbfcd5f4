//! `prune`: measures which heads and neurons matter least and takes them out of the matrices for good.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage_contract::{Available, Context, Device, Input, Invalid, Optional, Output, Spec, Stage, StageError};

use crate::ml::{
    config::Config,
    corpus::{Corpus, Report},
    decode::decode,
    device,
    importance::{Criterion, Importance, Labelled, highest},
    infer::{encode, word_logits},
    labels::{Scheme, spans},
    model::{self, Model, ModelFolder, Network},
    scores::score,
    surgery::{Kept, remove},
};

const MODEL: Input<ModelFolder> = Input::new("model", "the model to make smaller");
const TRAIN: Input<Corpus> = Input::new("train", "records that importance is measured on");
const DEV: Optional<Corpus> =
    Optional::new("dev", "records to say in the report what removal costs before any recovery");
const PRUNED: Output<Model> = Output::new("model", "the smaller model");
const REPORT: Output<Report> =
    Output::new("report", "scores, what was kept, and parameters before and after");

/// FFN widths stay a multiple of this, which kernels on CPU and GPU handle best.
const NEURONS: usize = 8;

/// Removes attention heads and FFN neurons for good.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// Share of the heads that every layer loses, rounded down to whole heads: 0.25 takes 3 of 12 and 2 of 10.
    pub heads: f64,
    /// Share of the FFN neurons that every layer loses; what stays is rounded up to a multiple of 8.
    pub ffn: f64,
    /// What decides: `taylor` (gradient at a gate, over records), or the controls `magnitude` and `random`.
    pub criterion: Criterion,
    /// Batches that `taylor` looks at, at most.
    pub batches: usize,
    /// Tokens a batch, at most.
    pub tokens: usize,
}

impl Default for Prune {
    fn default() -> Self {
        Self { heads: 0.25, ffn: 0.0, criterion: Criterion::Taylor, batches: 32, tokens: 1024 }
    }
}

impl Stage for Prune {
    const SPEC: Spec = Spec {
        name: "prune",
        version: 1,
        doc: "measures which heads and neurons matter least and removes them physically",
        inputs: &[MODEL.port(), TRAIN.port(), DEV.port()],
        outputs: &[PRUNED.port(), REPORT.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        for (name, share) in [("heads", self.heads), ("ffn", self.ffn)] {
            if !(0.0..1.0).contains(&share) {
                return Err(Invalid::new(format!(
                    "{name} = {share} is no share of at least 0 and less than 1"
                ))
                .at(name)
                .help(format!("{name} = 0.25")));
            }
        }
        for (name, number) in [("batches", self.batches), ("tokens", self.tokens)] {
            if number == 0 {
                return Err(Invalid::new(format!("{name} is 0")).at(name).help(format!("{name} = 32")));
            }
        }
        Ok(())
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let Some(path) = inputs.path(&MODEL) else { return Ok(()) };
        let (config, _) = model::outside(path).map_err(|e| model::invalid(&e).at("model"))?;
        if self.heads > 0.0 && config.layers.iter().all(|layer| self.keeps_heads(layer.heads) == layer.heads)
        {
            let most = config.layers.iter().map(|layer| layer.heads).max().unwrap_or(0);
            return Err(Invalid::new(format!("heads = {} of {most} is less than one head", self.heads))
                .at("heads")
                .help("ask for at least one head a layer, or for heads = 0"));
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let device = device::burn(cx.device);
        let model = cx.read(&MODEL)?.open(&device)?;
        let dev = cx.read_optional(&DEV)?;
        let (importance, measured) = self.importance(cx, &model)?;
        let kept = self.choose(&model.config, &importance);

        let (mut config, mut weights) = (model.config.clone(), model.network.weights(&model.config));
        remove(&mut config, &mut weights, &kept);
        let network = Network::from_weights(&config, weights, &device)?;
        let pruned = Model { config, network, tokenizer: model.tokenizer.clone() };

        let (before, after) = (model.config.all_parameters(), pruned.config.all_parameters());
        metric(cx, "parameters.before", before);
        metric(cx, "parameters.after", after);
        let dev = match &dev {
            None => Value::Null,
            Some(dev) => {
                let (whole, cut) = (fidelity(cx, &model, dev)?, fidelity(cx, &pruned, dev)?);
                cx.metric("dev.f1.before", whole);
                cx.metric("dev.f1.after", cut);
                json!({"f1": {"before": whole, "after": cut}})
            }
        };
        let report = json!({
            "criterion": self.criterion,
            "measured_on": measured,
            "parameters": {"before": before, "after": after, "crf": pruned.config.crf_parameters()},
            "dev": dev,
            "layers": layers(&model.config, &importance, &kept),
        });
        cx.write(&PRUNED, &pruned)?;
        cx.write(&REPORT, &Report(report))
    }
}

impl Prune {
    /// Scores, and what they were measured on (null for the controls).
    fn importance(&self, cx: &Context<'_>, model: &Model) -> Result<(Importance, Value), StageError> {
        match self.criterion {
            Criterion::Random => Ok((Importance::random(&model.config, cx.seed), Value::Null)),
            Criterion::Magnitude => {
                let weights = model.network.weights(&model.config);
                Ok((Importance::magnitude(&model.config, &weights), Value::Null))
            }
            Criterion::Taylor => {
                let records = cx.read(&TRAIN)?.records;
                let texts = encode(model, records.iter().map(|r| (r.text.as_str(), r.words.as_slice())))?;
                let records = Labelled::new(texts, &records, &model.config.labels)?;
                let batches = records.batches(self.batches, self.tokens, cx.seed)?;
                let mut progress = cx.progress("measuring importance", batches.len() as u64, "batches");
                let device = device::burn(cx.device);
                let scores =
                    Importance::taylor(&model.config, &model.network, &records, &batches, &device, |done| {
                        progress.advance(done as u64);
                        cx.check_cancelled()
                    })?;
                let words: usize = batches.iter().flatten().map(|&text| records.texts[text].words).sum();
                Ok((scores, json!({"batches": batches.len(), "words": words})))
            }
        }
    }

    fn choose(&self, config: &Config, importance: &Importance) -> Vec<Kept> {
        let scores = importance.heads.iter().zip(&importance.ffn);
        config
            .layers
            .iter()
            .zip(scores)
            .map(|(layer, (heads, ffn))| Kept {
                heads: highest(heads, self.keeps_heads(layer.heads)),
                ffn: highest(ffn, self.keeps_neurons(layer.ffn)),
            })
            .collect()
    }

    fn keeps_heads(&self, heads: usize) -> usize {
        heads - removed(self.heads, heads).min(heads - 1)
    }

    fn keeps_neurons(&self, neurons: usize) -> usize {
        (neurons - removed(self.ffn, neurons)).next_multiple_of(NEURONS).min(neurons)
    }
}

/// A share of `count`, rounded down.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]
fn removed(share: f64, count: usize) -> usize {
    // 0.29 * 100 is 28.999999999999996: a share that means a whole number gives that number.
    (share * count as f64 + 1e-9).floor() as usize
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 parameters")]
fn metric(cx: &Context<'_>, name: &str, value: usize) {
    cx.metric(name, value as f64);
}

/// Strict micro F1 against the tags of the records.
fn fidelity(cx: &Context<'_>, model: &Model, dev: &Corpus) -> Result<f64, StageError> {
    const BUDGET: usize = 2048;
    cx.check_cancelled()?;
    let texts = encode(model, dev.records.iter().map(|r| (r.text.as_str(), r.words.as_slice())))?;
    let mut progress = cx.progress("dev", texts.len() as u64, "sentences");
    let logits = word_logits(model, &texts, BUDGET, &device::burn(cx.device), Some(&mut progress));
    let crf = model.crf();
    let gold: Vec<_> = dev.records.iter().map(|record| spans(&record.tags, Scheme::Bio)).collect();
    let found: Vec<_> = logits
        .iter()
        .map(|logits| spans(&decode(&model.config.labels, crf.as_ref(), logits, &[]).tags, Scheme::Bio))
        .collect();
    Ok(score(&gold, &found).micro.f1)
}

/// The report's part on each layer; neurons are too many to list.
fn layers(config: &Config, importance: &Importance, kept: &[Kept]) -> Vec<Value> {
    kept.iter()
        .enumerate()
        .map(|(layer, kept)| {
            let scores = &importance.ffn[layer];
            let of = |keep: bool| {
                let neurons = scores.iter().enumerate().filter(move |(n, _)| kept.ffn.binary_search(n).is_ok() == keep);
                neurons.map(|(_, score)| *score)
            };
            json!({
                "layer": layer,
                "from_teacher_layer": config.layers[layer].from_teacher_layer,
                "heads": {"before": config.layers[layer].heads, "kept": kept.heads, "scores": importance.heads[layer]},
                "ffn": {
                    "before": config.layers[layer].ffn,
                    "after": kept.ffn.len(),
                    "lowest_kept": of(true).reduce(f64::min),
                    "highest_removed": of(false).reduce(f64::max),
                },
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
