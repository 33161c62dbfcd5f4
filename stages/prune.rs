//! `prune`: measures which heads and neurons matter least and takes them out of the matrices for good.

mod allocation;
mod goal;
mod importance;
mod labelled;
mod means;
mod recovery;
mod report;
mod rounds;
pub(crate) mod sections;
mod surgery;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage_contract::{Available, Context, Device, Input, Invalid, Optional, Output, Spec, Stage, StageError};

pub use self::goal::{Allocation, Size};
use self::{
    goal::Budget,
    recovery::Lessons,
    report::{Pruning, chart},
    rounds::{Done, Rounds},
};
use self::{
    importance::{Criterion, Importance, Moment, highest},
    labelled::Labelled,
    means::Means,
    surgery::{Kept, remove},
};
use distillation::{Training, Weights, check_logits, search};
use encoder::{
    backend::device,
    config::Config,
    finite::naming,
    infer::encode,
    logits::Logits,
    model::{Model, ModelFolder},
    network::Network,
    tagger::tag,
    trim::{self, Usage},
};
use measure::{profile::Profile, scores::score};
use text::{
    corpus::{Corpus, Text},
    labels::{Scheme, spans},
    tokenizer::Tokenizer,
};

const MODEL: Input<ModelFolder> = Input::new("model", "the model to make smaller");
const TRAIN: Input<Corpus> = Input::new("train", "records that importance is measured on").filled();
const DEV: Optional<Corpus> =
    Optional::new("dev", "records to say in the report what removal costs, and for recovery").filled();
const TEACHER: Optional<ModelFolder> =
    Optional::new("teacher", "what budgets are shares of, and what recovery learns from");
const TEXT: Optional<Text> =
    Optional::new("text", "text whose sub-words decide the vocabulary beside those of `train`");
const PROFILE: Optional<Profile> = Optional::new("profile", "the table of `profile`, for a latency budget");
const LOGITS: Optional<Logits> =
    Optional::new("logits", "what the teacher said of each word of `train`; else recovery asks it");
const PRUNED: Output<Model> = Output::new("model", "the smaller model");
const REPORT: Output<Pruning> =
    Output::new("report", "scores, what was kept, and parameters before and after");

/// Removes attention heads, FFN neurons and vocabulary for good, in one cut or in rounds with recovery between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Prune {
    /// How removal is shared out: layer, global (both by `heads` and `ffn`), budget, uniform (both by `params`, `flops`,
    /// `latency`).
    pub allocation: Allocation,
    /// Share of the heads to remove, rounded down to whole heads: 0.25 takes 3 of 12 and 2 of 10. For `layer` and `global`.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub heads: f64,
    /// Share of the FFN neurons to remove; what stays is rounded up to a multiple. For `layer` and `global`.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub ffn: f64,
    /// Most parameters, CRF included: a share of the teacher's (0.545) or a number ("60M"); 0 = no limit. For `budget` and
    /// `uniform`.
    pub params: Size,
    /// Most FLOPs of the layers on 64 tokens, as a share of the teacher's; 0 = no limit. For `budget` and `uniform`.
    #[schemars(range(min = 0, max = 1))]
    pub flops: f64,
    /// Longest latency by the table of `profile`, as a share of the teacher's by the same table; 0 = no limit. For `budget`
    /// and `uniform`.
    #[schemars(range(min = 0, max = 1))]
    pub latency: f64,
    /// Layers to keep, before all else; 0 = all. One inner layer after another goes, each time the one without which the
    /// model's own word distributions on some of `train` move least.
    pub layers: usize,
    /// Entries of the vocabulary to keep: specials, single characters, and what the text uses most; 0 = all.
    pub vocabulary: usize,
    /// FFN widths are a multiple of this.
    #[schemars(range(min = 1))]
    pub multiple: usize,
    /// What decides: `taylor` or `fisher` (gradient at a gate, over records), or the controls `magnitude` and `random`.
    pub criterion: Criterion,
    /// Batches that `taylor`, `fisher` and `means` look at, at most.
    #[schemars(range(min = 1))]
    pub batches: usize,
    /// Tokens a batch, at most.
    #[schemars(range(min = 1))]
    pub tokens: usize,
    /// Whether what is removed leaves its mean output in the bias behind it.
    pub means: bool,
    /// Cuts on the way to the goal; importance is measured anew before each.
    #[schemars(range(min = 1))]
    pub rounds: u32,
    /// Share of the train part that is trained on after each cut but the last (`finetune` follows that); 0 = no recovery.
    #[schemars(range(min = 0, max = 1))]
    pub recovery: f64,
    /// Weights of the losses in recovery; a loss that is not named does not count.
    pub weights: Weights,
    /// What recovery may be told, as `finetune`.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            allocation: Allocation::Layer,
            heads: 0.25,
            ffn: 0.0,
            params: Size::Number(0.0),
            flops: 0.0,
            latency: 0.0,
            layers: 0,
            vocabulary: 0,
            multiple: 8,
            criterion: Criterion::Taylor,
            batches: 32,
            tokens: 1024,
            means: true,
            rounds: 1,
            recovery: 0.0,
            weights: Weights::of(&[("ce", 1.0), ("kd", 0.8), ("hidden", 0.15), ("crf", 0.15)]),
            training: Training::default(),
        }
    }
}

impl Stage for Prune {
    const SPEC: Spec = Spec {
        name: "prune",
        version: 2,
        doc: "measures which heads and neurons matter least and removes them physically",
        inputs: &[
            MODEL.port(),
            TRAIN.port(),
            DEV.port(),
            TEACHER.port(),
            TEXT.port(),
            PROFILE.port(),
            LOGITS.port(),
        ],
        outputs: &[PRUNED.port(), REPORT.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        self.check_goal()?;
        self.training.check()?;
        self.weights.check("weights")?;
        if self.layers == 1 {
            return Err(Invalid::new("`layers` is 1, and the first and the last layer stay")
                .at("layers")
                .help("layers = 2, or 0 to keep all"));
        }
        if self.recovery > 0.0 && self.rounds == 1 {
            return Err(Invalid::new("recovery comes between cuts, and there is one")
                .at("recovery")
                .help("set rounds = 4, or leave recovery to `finetune`"));
        }
        Ok(())
    }

    fn check_inputs(&self, wired: &[&str]) -> Result<(), Invalid> {
        self.check_goal_inputs(wired)?;
        for port in [TEACHER.name(), DEV.name()] {
            if self.recovery > 0.0 && !wired.contains(&port) {
                return Err(Invalid::new(format!("recovery needs the input `{port}`"))
                    .at("recovery")
                    .help(format!("add `{port}` to the inputs, or set recovery = 0")));
            }
        }
        Ok(())
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let look = |folder: ModelFolder, port| {
            let looked = folder.look().map_err(|e| Invalid::of(&e).at(port))?;
            // The model that is not made yet has its tokenizer from the teacher.
            self.can_trim(&looked.1)?;
            Ok::<_, Invalid>(looked.0)
        };
        check_logits(inputs.optional(&LOGITS), inputs.optional(&TEACHER))?;
        let teacher =
            inputs.read_optional(&TEACHER)?.map(|folder| look(folder, TEACHER.name())).transpose()?;
        let Some(model) = inputs.read(&MODEL)? else { return Ok(()) };
        let config = look(model, MODEL.name())?;
        // How many heads a layer keeps is not known yet.
        let (parts, width) = (self.training.relation_heads, config.head_dim);
        if self.recovery > 0.0 && self.weights.get("relation") > 0.0 && !width.is_multiple_of(parts) {
            return Err(Invalid::new(format!(
                "{parts} relation heads do not divide a head's width of {width}"
            ))
            .at("relation_heads")
            .help(format!("use {width}, or one of its divisors")));
        }
        let most = config.layers.iter().map(|layer| layer.heads).max().unwrap_or(0);
        let shares = matches!(self.allocation, Allocation::Layer);
        let whole = |heads| goal::keeps_heads(self.heads, heads) == heads;
        if shares && self.heads > 0.0 && config.layers.iter().all(|layer| whole(layer.heads)) {
            return Err(Invalid::new(format!("heads = {} of {most} is less than one head", self.heads))
                .at("heads")
                .help("ask for at least one head a layer, or for heads = 0"));
        }
        if self.layers > config.layers.len() {
            let (asked, has) = (self.layers, config.layers.len());
            return Err(Invalid::new(format!("`layers` is {asked}, but the model has {has}"))
                .at("layers")
                .help("ask for fewer, or for 0 to keep all"));
        }
        if self.vocabulary > config.vocab {
            let (asked, has) = (self.vocabulary, config.vocab);
            return Err(Invalid::new(format!("`vocabulary` is {asked}, but the model has {has} entries"))
                .at("vocabulary")
                .help("ask for fewer, or for 0 to keep all"));
        }
        let profile = inputs.optional(&PROFILE).map(<Profile as stage_contract::Artifact>::load).transpose();
        let profile = profile.map_err(|e| Invalid::of(&e).at(PROFILE.name()))?;
        self.feasible(&config, teacher.as_ref(), profile.as_ref()).map_err(|e| {
            let limit = ["params", "flops", "latency"]
                .into_iter()
                .find(|name| e.to_string().contains(&format!("`{name}`")));
            Invalid::of(&e).at(limit.unwrap_or("allocation"))
        })
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let device = device::burn(cx.device);
        let given = cx.read(&MODEL)?.open(&device)?;
        let teacher = cx.read_optional(&TEACHER)?;
        let teacher_config = teacher.as_ref().map(|teacher| Config::load(&teacher.path)).transpose()?;
        let profile = cx.read_optional(&PROFILE)?;
        self.feasible(&given.config, teacher_config.as_ref(), profile.as_ref())?;
        let budget = self.budget(teacher_config.as_ref(), profile.as_ref())?;
        let dev = cx.read_optional(&DEV)?;
        let records = cx.read(&TRAIN)?;

        let rounds = Rounds::at(cx.checkpoint);
        let (mut model, mut done) = if let Some((model, done)) = rounds.last(self.rounds, &device)? {
            cx.show(format!("resuming after round {} of {}", done.rounds, self.rounds));
            (model, done)
        } else {
            let mut done = Done { kept: Kept::all(&given.config), ..Done::default() };
            let model = self.fewer(cx, &given, &records, &mut done)?;
            let model = self.trimmed(cx, model, &records, &mut done)?;
            (model, done)
        };
        // What cuts begin with: the given widths of the layers that are left, and the vocabulary that is left.
        let layers = done.layers().map(|layer| given.config.layers[layer]).collect();
        let start = Config { vocab: model.config.vocab, layers, ..given.config.clone() };
        let lessons = match (&teacher, &dev) {
            (Some(teacher), Some(dev)) if self.recovery > 0.0 && done.rounds + 1 < self.rounds => {
                Some(Lessons::new(cx, self, &model, teacher, [&records, dev])?)
            }
            _ => None,
        };
        // None without dev, and where there is no entity on either side.
        let f1 = |model: &Model| match &dev {
            Some(dev) => fidelity(cx, model, dev),
            None => Ok(None),
        };
        let before = f1(&given)?;
        let mut after = before;
        for round in done.rounds + 1..=self.rounds {
            model = self.cut(cx, &model, &start, &records, &budget, round, &mut done)?;
            let cut = f1(&model)?;
            if let (Some(lessons), true) = (&lessons, round < self.rounds) {
                let checkpoint = rounds.training(round);
                let own =
                    Context { checkpoint: &checkpoint, seed: cx.seed.wrapping_add(u64::from(round)), ..*cx };
                model = self.recover(&own, model, lessons, round)?;
            }
            after = if lessons.is_some() && round < self.rounds { f1(&model)? } else { cut };
            done.rounds = round;
            done.report.push(json!({
                "round": round,
                "parameters": model.config.all_parameters(),
                "dev_f1": {"cut": cut, "recovered": after},
                "layers": model.config.layers.iter().map(|l| json!({"heads": l.heads, "ffn": l.ffn})).collect::<Vec<_>>(),
            }));
            if round < self.rounds {
                rounds.keep(&model, &done)?;
            }
        }

        metric(cx, "parameters.before", given.config.all_parameters());
        metric(cx, "parameters.after", model.config.all_parameters());
        let dev = match (before, after) {
            (Some(before), Some(after)) => {
                cx.metric("dev.f1.before", before);
                cx.metric("dev.f1.after", after);
                json!({"f1": {"before": before, "after": after}})
            }
            _ => Value::Null,
        };
        cx.show(chart(&given.config, &done));
        model.config.record(self.facts(&given.config, &model.config, &done, [before, after]));
        let report = self.report(&given.config, &model.config, &budget, &done, &dev);
        cx.write(&PRUNED, &model)?;
        cx.write(&REPORT, &report)
    }
}

impl Prune {
    fn can_trim(&self, tokenizer: &Tokenizer) -> Result<(), Invalid> {
        if self.vocabulary == 0 {
            return Ok(());
        }
        tokenizer.can_trim().map_err(|e| Invalid::of(&e).at("vocabulary"))
    }

    /// Whether the smallest shape meets the budget: asked before any work on it.
    pub(crate) fn feasible(
        &self,
        model: &Config,
        teacher: Option<&Config>,
        profile: Option<&Profile>,
    ) -> Result<(), StageError> {
        let budget = self.budget(teacher, profile)?;
        let vocab = if self.vocabulary == 0 { model.vocab } else { self.vocabulary.min(model.vocab) };
        // Which layers stay is not known yet; the smallest shape is the same for all.
        let layers = if self.layers == 0 { model.layers.len() } else { self.layers };
        let layers = model.layers.iter().copied().take(layers).collect();
        let start = Config { vocab, layers, ..model.clone() };
        let nothing = Importance {
            heads: start.layers.iter().map(|layer| vec![0.0; layer.heads]).collect(),
            ffn: start.layers.iter().map(|layer| vec![0.0; layer.ffn]).collect(),
        };
        self.shape(&start, &start, &nothing, &budget, self.rounds).map(drop)
    }

    /// The model with the layers that are kept.
    fn fewer(
        &self,
        cx: &Context<'_>,
        given: &Model,
        records: &Corpus,
        done: &mut Done,
    ) -> Result<Model, StageError> {
        if self.layers == 0 || self.layers == given.config.layers.len() {
            return Ok(given.clone());
        }
        let texts = encode(given, records.records.iter().map(|r| (r.text.as_str(), r.words.as_slice())))?;
        let kept = search::reported(cx, given, &texts, self.layers, &device::burn(cx.device))?;
        done.keep_layers(&kept);
        Ok(search::only(given, &kept))
    }

    /// The model with the vocabulary that is kept.
    fn trimmed(
        &self,
        cx: &Context<'_>,
        given: Model,
        records: &Corpus,
        done: &mut Done,
    ) -> Result<Model, StageError> {
        if self.vocabulary == 0 {
            return Ok(given);
        }
        let text = cx.read_optional(&TEXT)?;
        let more = text.iter().flat_map(|text| &text.lines).map(|line| line.text.as_str());
        let texts: Vec<&str> =
            records.records.iter().map(|record| record.text.as_str()).chain(more).collect();
        let before = Usage::of(&given.tokenizer, &texts)?;
        let trimmed = given.tokenizer.trim(&before.pieces, self.vocabulary)?;
        let after = Usage::of(&trimmed.tokenizer, &texts)?;
        let usage = |usage: &Usage, size: usize| {
            json!({
                "size": size,
                "pieces_per_word": ratio(usage.total(), usage.words),
                "unknown": ratio(usage.unknown, usage.total()),
            })
        };
        done.vocabulary = json!({
            "before": usage(&before, given.config.vocab),
            "after": usage(&after, trimmed.origin.len()),
        });
        let (mut config, mut weights) = (given.config.clone(), given.network.weights(&given.config));
        trim::cut(&mut config, &mut weights, &trimmed);
        let network = Network::from_weights(&config, weights, &device::burn(cx.device))?;
        Ok(Model { config, network, tokenizer: trimmed.tokenizer })
    }

    /// One cut: scores, widths, and the smaller model.
    #[expect(clippy::too_many_arguments, reason = "the state of one round, and what all rounds share")]
    fn cut(
        &self,
        cx: &Context<'_>,
        model: &Model,
        start: &Config,
        records: &Corpus,
        budget: &Budget<'_>,
        round: u32,
        done: &mut Done,
    ) -> Result<Model, StageError> {
        let (importance, means, measured) = self.measure(cx, model, records, round)?;
        let shape = self.shape(start, &model.config, &importance, budget, round)?;
        let scores = importance.heads.iter().zip(&importance.ffn);
        let kept: Vec<Kept> = shape
            .layers
            .iter()
            .zip(scores)
            .map(|(layer, (heads, ffn))| Kept {
                heads: highest(heads, layer.heads),
                ffn: highest(ffn, layer.ffn),
            })
            .collect();
        let (mut config, mut weights) = (model.config.clone(), model.network.weights(&model.config));
        remove(&mut config, &mut weights, &kept, means.as_ref());
        done.cut(&kept);
        if done.scores.is_none() {
            done.scores = Some(done.in_given(importance));
            done.measured = measured;
        }
        let network = Network::from_weights(&config, weights, &device::burn(cx.device))?;
        Ok(Model { config, network, tokenizer: model.tokenizer.clone() })
    }

    /// Scores, mean outputs, and what they were measured on (null for controls without means).
    fn measure(
        &self,
        cx: &Context<'_>,
        model: &Model,
        records: &Corpus,
        round: u32,
    ) -> Result<(Importance, Option<Means>, Value), StageError> {
        let (config, network, device) = (&model.config, &model.network, device::burn(cx.device));
        let moment = match self.criterion {
            Criterion::Taylor => Some(Moment::Absolute),
            Criterion::Fisher => Some(Moment::Square),
            Criterion::Magnitude | Criterion::Random => None,
        };
        let control = || match self.criterion {
            Criterion::Magnitude => Importance::magnitude(config, &network.weights(config)),
            _ => Importance::random(config, cx.seed.wrapping_add(u64::from(round))),
        };
        if moment.is_none() && !self.means {
            return Ok((control(), None, Value::Null));
        }
        let records = &records.records;
        let texts = encode(model, records.iter().map(|r| (r.text.as_str(), r.words.as_slice())))?;
        let labelled = Labelled::new(texts, records, &config.labels)?;
        if round == 1 {
            for (kind, words) in &labelled.unknown {
                cx.show(format!(
                    "{words} words of `train` are out of the loss: they are tagged {kind}, for which the model has no label"
                ));
            }
        }
        let batches = labelled.batches(self.batches, self.tokens, cx.seed.wrapping_add(u64::from(round)))?;
        let passes = usize::from(moment.is_some()) + usize::from(self.means);
        let step = if self.rounds == 1 {
            "measuring".to_owned()
        } else {
            format!("measuring for round {round}/{}", self.rounds)
        };
        let mut progress = cx.progress(step, (passes * batches.len()) as u64, "batches");
        let mut advance = |count: usize| {
            progress.advance(count as u64);
            cx.check_cancelled()
        };
        let importance = match moment {
            Some(moment) => {
                Importance::measured(moment, config, network, &labelled, &batches, &device, &mut advance)?
            }
            None => control(),
        };
        let means = if self.means {
            Some(Means::measure(config, network, &labelled, &batches, &device, &mut advance)?)
        } else {
            None
        };
        let words: usize = batches.iter().flatten().map(|&text| labelled.texts[text].words).sum();
        Ok((
            importance,
            means,
            json!({"batches": batches.len(), "words": words, "words_of_unknown_types": labelled.unknown}),
        ))
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 parameters")]
fn metric(cx: &Context<'_>, name: &str, value: usize) {
    cx.metric(name, value as f64);
}

#[expect(clippy::cast_precision_loss, reason = "counts of sub-words")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Strict micro F1 against the tags of the records; none where there is no entity on either side.
fn fidelity(cx: &Context<'_>, model: &Model, dev: &Corpus) -> Result<Option<f64>, StageError> {
    const BUDGET: usize = 2048;
    cx.check_cancelled()?;
    let texts = encode(model, dev.records.iter().map(|r| (r.text.as_str(), r.words.as_slice())))?;
    let mut progress = cx.progress("dev", texts.len() as u64, "sentences");
    let tagged = tag(model, &texts, BUDGET, &[], &device::burn(cx.device), Some(&mut progress));
    let tagged = naming(tagged, |text| &dev.records[text].id)?;
    let gold: Vec<_> = dev.records.iter().map(|record| spans(&record.tags, Scheme::Bio)).collect();
    Ok(score(&gold, &tagged.spans()).micro.f1)
}

#[cfg(test)]
mod tests;
