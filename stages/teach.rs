//! `teach`: a small CamemBERT-shaped teacher from scratch, for where no real one can be had.

mod vocabulary;

use std::collections::BTreeSet;

use burn::tensor::{Tensor, TensorData};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_contract::{Context, Input, Invalid, Optional, Output, Spec, Stage, StageError};

use distillation::{dev, losses::ce::cross_entropy};
use encoder::{
    arch::{Architecture, roberta::Roberta},
    backend::device,
    batch::{Batch, Encoded},
    config::{Config, Decode, LayerShape},
    finite::{naming, place},
    infer::encode,
    inputs::Inputs,
    model::{Model, ModelFolder},
    network::Network,
    weights::Stored,
};
use text::{
    corpus::{Gold, Record, Text},
    labels::{Labels, Policy, Scheme, Span, Types, spans, split_tag},
    random::rng,
    tokenizer::Tokenizer,
};
use train::{
    checkpoint::Dev,
    history::History,
    objective::{At, Fault, Objective, Term},
    optimizer::Groups,
    plan::{Decay, Plan},
    trainer::train,
};

/// Trains a small teacher with its own tokenizer on gold sentences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Teach {
    /// What types of gold are called: `{ PERSON = "PER", MISC = "outside" }`. A type that is not named keeps its name.
    pub types: Types,
    /// Entries of the vocabulary. Few, so that training splits names as it will split names it never saw.
    #[schemars(range(min = 1))]
    pub vocab: usize,
    /// Hidden width.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// Layers.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// Attention heads per layer.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// FFN neurons per layer.
    #[schemars(range(min = 1))]
    pub ffn: usize,
    /// Longest input in pieces, specials counted.
    #[schemars(range(min = 16))]
    pub positions: usize,
    /// Passes over the gold sentences.
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Peak learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lr: f64,
    /// Tokens in a batch.
    #[schemars(range(min = 1))]
    pub batch_tokens: usize,
    /// Share of the sub-words that a random one replaces in training, so that the context must decide what a word is.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub noise: f64,
}

impl Default for Teach {
    fn default() -> Self {
        Self {
            types: Types::default(),
            vocab: 1000,
            hidden: 128,
            layers: 6,
            heads: 4,
            ffn: 512,
            positions: 256,
            epochs: 6,
            lr: 1.5e-3,
            batch_tokens: 512,
            noise: 0.1,
        }
    }
}

const TRAIN: Input<Gold> = Input::new("train", "gold sentences to learn from").filled();
const DEV: Input<Gold> = Input::new("dev", "gold sentences to choose the best epoch by").filled();
const TEXT: Optional<Text> = Optional::new("text", "raw text that the vocabulary is made from too");
const MODEL: Output<ModelFolder> = Output::new("model", "the teacher of the best epoch");
const HISTORY: Output<History> = Output::new("history", "training curves");

impl Stage for Teach {
    const SPEC: Spec = Spec {
        name: "teach",
        version: 1,
        doc: "trains a small CamemBERT-shaped teacher from scratch, with its own tokenizer",
        inputs: &[TRAIN.port(), DEV.port(), TEXT.port()],
        outputs: &[MODEL.port(), HISTORY.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(Invalid::new(format!(
                "`hidden` {} is no multiple of `heads` {}",
                self.hidden, self.heads
            ))
            .at("heads")
            .help("choose heads that divide the hidden width"));
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let device = device::burn(cx.device);
        let (gold, dev) = (cx.read(&TRAIN)?, cx.read(&DEV)?);
        let text = cx.read_optional(&TEXT)?.unwrap_or_default();
        let records: Vec<&Record> = gold.sets.iter().flat_map(|s| &s.records).collect();
        let lines: Vec<&str> = records
            .iter()
            .map(|r| r.text.as_str())
            .chain(text.lines.iter().map(|l| l.text.as_str()))
            .collect();
        let tokenizer = Tokenizer::from_json(vocabulary::train(&lines, self.vocab)?)?;
        let config = self.config(&tokenizer, &records)?;
        let network = Network::init(&config, cx.seed, &device);
        let model = Model { config, network, tokenizer };
        let lesson = Lesson {
            train: Sentences::new(&model, &records, &self.types)?,
            dev: Sentences::new(
                &model,
                &dev.sets.iter().flat_map(|s| &s.records).collect::<Vec<_>>(),
                &self.types,
            )?,
            batch_tokens: self.batch_tokens,
            noise: self.noise,
            seed: cx.seed,
            model,
        };
        let plan = Plan {
            epochs: self.epochs,
            rate: self.lr,
            groups: Groups { head: 1.0, crf: 1.0, layer: 1.0, weight_decay: 0.01 },
            warmup: 0.1,
            decay: Decay::Linear,
            clip: 1.0,
            batch_tokens: self.batch_tokens,
            accumulate: 1,
            patience: 0,
            recompute: false,
            pruned: 0.0,
        };
        let trained = train(cx, &plan, lesson.model.network.clone(), &lesson.train.encoded, &lesson)?;
        let mut model = lesson.model;
        model.config.record(json!({
            "stage": Self::SPEC.name,
            "sentences": { "train": records.len(), "dev": lesson.dev.encoded.len() },
            "best epoch": trained.epoch,
            "F1 on dev": trained.dev.score.f1,
        }));
        trained.save(cx, model, Stored::F32, &MODEL, &HISTORY)
    }
}

impl Teach {
    /// IO labels of the types of gold, by name.
    fn labels(&self, gold: &[&Record]) -> Result<Labels, StageError> {
        let found = gold.iter().flat_map(|record| spans(&record.tags, Scheme::Bio)).map(|span| span.kind);
        let found: BTreeSet<String> = found.collect();
        if let Some((kind, _)) = self.types.iter().find(|(kind, _)| !found.contains(*kind)) {
            return Err(StageError::new(format!("`types` names {kind}, of which gold has no entity"))
                .help(format!("gold has {}", found.into_iter().collect::<Vec<_>>().join(", "))));
        }
        let cannot = |e| StageError::because("gold gives no labels to learn", e);
        let all = io(found.iter().map(String::as_str)).and_then(|labels| labels.renamed(&self.types));
        let all = all.map_err(cannot)?;
        let learned: BTreeSet<&str> = all.types_to(Policy::Learn).collect();
        io(learned.into_iter()).map_err(cannot)
    }

    fn config(&self, tokenizer: &Tokenizer, gold: &[&Record]) -> Result<Config, StageError> {
        let pad = tokenizer.special().pad;
        let layer = |i| LayerShape {
            heads: self.heads,
            ffn: self.ffn,
            from_teacher_layer: i,
            ..LayerShape::default()
        };
        Ok(Config {
            architecture: &Roberta,
            vocab: tokenizer.vocab_size(),
            hidden: self.hidden,
            head_dim: self.hidden / self.heads,
            layers: (0..self.layers).map(layer).collect(),
            positions: self.positions + Roberta.first_position(pad) as usize,
            pad,
            eps: 1e-5,
            settings: encoder::arch::Settings::default(),
            labels: self.labels(gold)?,
            crf: false,
            decode: Decode::Types,
            stock: serde_json::Value::Null,
        })
    }
}

/// O, and I- of each type.
fn io<'t>(types: impl Iterator<Item = &'t str>) -> Result<Labels, StageError> {
    let names: Vec<String> =
        ["O".to_owned()].into_iter().chain(types.map(|kind| format!("I-{kind}"))).collect();
    Labels::parse(&names)
}

/// Gold sentences, tokenised, with the IO column of each word.
struct Sentences {
    encoded: Vec<Encoded>,
    tags: Vec<Vec<Option<usize>>>,
    gold: Vec<Vec<Span>>,
    ids: Vec<String>,
}

impl Sentences {
    fn new(model: &Model, records: &[&Record], types: &Types) -> Result<Self, StageError> {
        let labels = &model.config.labels;
        let column = |record: &Record, tag: &str| {
            let kind = split_tag(tag).flatten().map(|(_, kind)| types.meaning(kind));
            let column = match kind.map(|kind| (kind, Types::policy(kind))) {
                None | Some((_, Policy::Outside)) => Some(labels.outside()),
                Some((_, Policy::Ignore)) => return Ok(None),
                Some((kind, Policy::Learn)) => labels.column_of(kind, false),
            };
            column.map(Some).ok_or_else(|| {
                StageError::new(format!(
                    "gold record {} has the tag {tag}, which the teacher does not learn",
                    record.id
                ))
                .help(format!("use entity types among {}", labels.types().join(", ")))
            })
        };
        let tags: Result<Vec<_>, _> =
            records.iter().map(|r| r.tags.iter().map(|tag| column(r, tag)).collect()).collect();
        Ok(Self {
            encoded: encode(model, records.iter().map(|r| (r.text.as_str(), r.words.as_slice())))?,
            tags: tags?,
            ids: records.iter().map(|record| record.id.clone()).collect(),
            gold: records
                .iter()
                .map(|record| {
                    let spans = spans(&record.tags, Scheme::Bio).into_iter();
                    let known = spans.map(|span| Span { kind: types.meaning(&span.kind).to_owned(), ..span });
                    known.filter(|span| labels.type_index(&span.kind).is_some()).collect()
                })
                .collect(),
        })
    }
}

/// Plain cross-entropy on gold tags.
struct Lesson {
    train: Sentences,
    dev: Sentences,
    batch_tokens: usize,
    noise: f64,
    seed: u64,
    model: Model,
}

impl Lesson {
    /// Replaces sub-words by random ones; the draw follows from seed, epoch and the batch's first text, so that a resumed
    /// run repeats it. Where a batch is cut, for memory or for several GPUs, the draw is another.
    fn disturb(&self, batch: &mut Batch, epoch: u32) {
        let first = batch.members.first().copied().unwrap_or_default();
        let mut rng = rng(self.seed, &format!("teach.noise {epoch} {first}"));
        let special = self.model.tokenizer.special();
        let specials = [special.bos, special.eos];
        let vocab = u32::try_from(self.model.config.vocab).unwrap_or(u32::MAX);
        for id in &mut batch.ids {
            if rng.random_bool(self.noise) && !specials.contains(id) {
                *id = rng.random_range(0..vocab);
            }
        }
    }
}

impl Lesson {
    /// The rows of a batch that count, and their columns: each word's first sub-word, and its others, so that whoever reads
    /// every sub-word finds the same. What stands before a word is O, unless it stands between two words of one type.
    fn taught(&self, batch: &Batch) -> (Vec<i64>, Vec<usize>) {
        let tags: Vec<Option<usize>> =
            batch.members.iter().flat_map(|&member| self.train.tags[member].iter().copied()).collect();
        let outside = self.model.config.labels.outside();
        let first = (0..batch.rows.len()).filter(|&word| batch.owned[word]);
        let first = first.filter_map(|word| Some((i64::from(batch.rows[word]), tags[word]?)));
        let others = batch.continuations.iter().filter_map(|piece| {
            let tag = tags[piece.word]?;
            let starts = batch.texts.iter().any(|&text| text as usize == piece.word);
            let before = if starts { None } else { tags[piece.word - 1] };
            let tag = if piece.leads && before != Some(tag) { outside } else { tag };
            Some((i64::try_from(piece.row).ok()?, tag))
        });
        first.chain(others).unzip()
    }
}

impl Objective for Lesson {
    fn terms(
        &self,
        network: &Network,
        _read: Option<&Network>,
        members: &[usize],
        at: At,
    ) -> Result<Vec<Term>, StageError> {
        let mut batch = Batch::pack(&self.train.encoded, members);
        self.disturb(&mut batch, at.epoch);
        let autodiff = network.device();
        let output = network.forward(&Inputs::new(&batch, &self.model.config, &autodiff), &[]);
        let (rows, tags) = self.taught(&batch);
        let logits = output.logits.select(0, Tensor::from_data(TensorData::from(rows.as_slice()), &autodiff));
        let loss = cross_entropy(logits, &tags, &vec![1.0; tags.len()]);
        Ok(vec![Term { name: "ce", weight: 1.0, loss }])
    }

    fn words(&self, members: &[usize]) -> usize {
        self.taught(&Batch::pack(&self.train.encoded, members)).1.len()
    }

    fn id(&self, text: usize) -> &str {
        &self.train.ids[text]
    }

    fn fault(&self, network: &Network, members: &[usize]) -> Option<Fault> {
        let (batch, config) = (Batch::pack(&self.train.encoded, members), &self.model.config);
        let place = place(network, config, &Inputs::new(&batch, config, &network.device()))?;
        Some(Fault { place: format!("the model's numbers overflow in {place}"), given: false })
    }

    fn dev(&self, network: &Network) -> Result<Dev, StageError> {
        let model = Model { network: network.clone(), ..self.model.clone() };
        let scores = dev(&model, &self.dev.encoded, &self.dev.gold, &self.dev.tags, 2 * self.batch_tokens);
        naming(scores, |text| &self.dev.ids[text])
    }
}
