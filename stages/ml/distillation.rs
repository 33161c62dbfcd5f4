//! Patient knowledge distillation (Sun et al. 2019) on words: the part that `distill` and `finetune` share.

mod examples;
mod fit;
pub mod loss;
mod source;
mod targets;

use burn::tensor::{Bool, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{Context, Invalid, StageError};

pub use self::{
    examples::Examples,
    fit::{check_labels, check_logits, hidden_pairs, relation_pair, student_labels},
    loss::{Lesson, Weights},
};
use self::{
    loss::{LOSSES, Loss, Pass, Wants},
    targets::Targets,
};

use crate::ml::{
    batch::Batch,
    checkpoint::Dev,
    decode::decode,
    fused,
    host::host,
    infer::{absent, word_logits},
    labels::{Scheme, Span, spans},
    losses::Misc,
    model::{Model, Network, Packed},
    optimizer::Groups,
    packed::indices,
    precision::Precision,
    scores::score,
    trainer::{At, Decay, Objective, Plan, Term, Trained, train},
};

/// Where the CRF's teacher transitions come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CrfTeacher {
    /// Tag bigrams of the teacher's annotations: log P(j|i) - log P(j).
    #[default]
    Bigram,
    /// Fitted by maximum likelihood to the teacher's annotations on its own frozen word probabilities.
    Fitted,
    /// The teacher's whole distribution over paths, at T = 1, in the place of transitions.
    Structural,
    /// None: the CRF learns from tags alone.
    None,
}

/// What every training on a teacher may be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Training {
    /// Temperature T of the soft targets.
    pub temperature: f64,
    /// Weight of the boundary part of KD: B- against I- is inferred from the IO teacher and not taught.
    pub boundary: f64,
    /// What becomes of the teacher's MISC: outside, ignore or keep.
    pub misc: Misc,
    /// The layers [student's, teacher's] that the relation loss compares, counted from 0; empty = the student's last and where it came from.
    pub relation_pair: Vec<usize>,
    /// In how many parts it looks at them, whatever the models' own heads are.
    pub relation_heads: usize,
    /// A silver word counts confidence^gamma in CE; gold counts 1.
    pub confidence_gamma: f64,
    /// Where the CRF's teacher transitions come from: bigram, fitted, structural or none.
    pub crf_teacher: CrfTeacher,
    /// Peak learning rate.
    pub lr: f64,
    /// Times the learning rate for the classifier.
    pub head_lr: f64,
    /// Times the learning rate for the CRF.
    pub crf_lr: f64,
    /// Times the learning rate for each layer down from the top one; the embeddings are one below the lowest.
    pub layer_lr: f64,
    /// Share of all steps in which the learning rate rises.
    pub warmup: f64,
    /// How it falls then: linear, cosine or constant.
    pub decay: Decay,
    /// Decoupled weight decay, except for biases, `LayerNorm` and CRF.
    pub weight_decay: f64,
    /// Limit of the global gradient norm; 0 = none.
    pub clip: f64,
    /// Tokens in a batch.
    pub batch_tokens: usize,
    /// Batches a step: as one batch of all their texts, in less memory.
    pub accumulate: usize,
    /// Stop after so many epochs without a better dev F1; 0 = never.
    pub patience: u32,
    /// What forward and backward passes compute in: f32, or bf16 with weights, moments and losses in f32.
    pub precision: Precision,
    /// Whether what is quick to compute again is not kept for the backward pass: less memory, more time.
    pub gradient_checkpointing: bool,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            temperature: 2.5,
            boundary: 0.5,
            misc: Misc::Outside,
            relation_pair: Vec::new(),
            relation_heads: 16,
            confidence_gamma: 1.0,
            crf_teacher: CrfTeacher::Bigram,
            lr: 2e-5,
            head_lr: 5.0,
            crf_lr: 50.0,
            layer_lr: 1.0,
            warmup: 0.1,
            decay: Decay::Linear,
            weight_decay: 0.01,
            clip: 1.0,
            batch_tokens: 1024,
            accumulate: 1,
            patience: 0,
            precision: Precision::F32,
            gradient_checkpointing: false,
        }
    }
}

impl Training {
    /// Checks ranges.
    ///
    /// # Errors
    /// The first parameter out of range, by name.
    pub fn check(&self) -> Result<(), Invalid> {
        let not_negative = |name, value: f64| {
            (value >= 0.0 && value.is_finite()).then_some(()).ok_or_else(|| {
                Invalid::new(format!("`{name}` is {value}, below 0")).at(name).help("use 0 or more")
            })
        };
        check_positive("temperature", self.temperature)?;
        check_positive("lr", self.lr)?;
        for (name, value) in [
            ("boundary", self.boundary),
            ("confidence_gamma", self.confidence_gamma),
            ("head_lr", self.head_lr),
            ("crf_lr", self.crf_lr),
            ("weight_decay", self.weight_decay),
            ("clip", self.clip),
        ] {
            not_negative(name, value)?;
        }
        if !(0.0..1.0).contains(&self.warmup) {
            return Err(Invalid::new(format!("`warmup` is {}, not a share", self.warmup))
                .at("warmup")
                .help("use a number from 0 up to but not including 1, such as 0.1"));
        }
        if !(self.layer_lr > 0.0 && self.layer_lr <= 1.0) {
            return Err(Invalid::new(format!("`layer_lr` is {}, not above 0 and up to 1", self.layer_lr))
                .at("layer_lr")
                .help("use 1 for one rate for all layers, or 0.9 so that each learns a tenth slower than the one above"));
        }
        if !matches!(self.relation_pair.len(), 0 | 2) {
            return Err(Invalid::new(format!("`relation_pair` has {} layers", self.relation_pair.len()))
                .at("relation_pair")
                .help("give the student's layer and the teacher's, such as [9, 11], or leave it out"));
        }
        if self.relation_heads == 0 {
            return Err(Invalid::new("`relation_heads` is 0").at("relation_heads").help("use 16"));
        }
        if self.accumulate == 0 {
            return Err(Invalid::new("`accumulate` is 0: no step would have a batch")
                .at("accumulate")
                .help("use 1 batch a step, or more where memory is short"));
        }
        if self.batch_tokens == 0 {
            return Err(Invalid::new("`batch_tokens` is 0")
                .at("batch_tokens")
                .help("use 1024, or less to save memory"));
        }
        Ok(())
    }

    /// The loop's part of it.
    #[must_use]
    pub fn plan(&self, epochs: u32, pruned: f64) -> Plan {
        Plan {
            epochs,
            rate: self.lr,
            groups: Groups {
                head: self.head_lr,
                crf: self.crf_lr,
                layer: self.layer_lr,
                weight_decay: self.weight_decay,
            },
            warmup: self.warmup,
            decay: self.decay,
            clip: self.clip,
            batch_tokens: self.batch_tokens,
            accumulate: self.accumulate,
            patience: self.patience,
            recompute: self.gradient_checkpointing,
            pruned,
        }
    }
}

/// Checks the parameter `name`.
///
/// # Errors
/// It is not above 0.
pub fn check_positive(name: &'static str, value: f64) -> Result<(), Invalid> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Invalid::new(format!("`{name}` is {value}, not above 0")).at(name).help("use a positive number"))
}

/// Checks that something is trained at all.
///
/// # Errors
/// No epoch.
pub fn check_epochs(epochs: u32) -> Result<(), Invalid> {
    if epochs == 0 {
        return Err(Invalid::new("`epochs` is 0: nothing would be learnt")
            .at("epochs")
            .help("use 1 or more"));
    }
    Ok(())
}

/// A student on its way, its teacher, and what it learns from.
pub struct Distillation<'a> {
    /// Both models (the student's network is handed to the loop, the teacher's is frozen and without autodiff), and how
    /// one learns from the other.
    pub lesson: Lesson<'a>,
    /// What to learn.
    pub train: &'a Examples,
    /// What to be measured on.
    pub dev: &'a Examples,
    /// Weights of the losses at a step.
    pub weights: &'a (dyn Fn(At) -> Weights + Sync),
}

impl Distillation<'_> {
    /// Runs the loop for `epochs`; `pruned` is the share of heads that are gone, for the curves.
    ///
    /// # Errors
    /// See [`train`].
    pub fn run(&self, cx: &Context<'_>, epochs: u32, pruned: f64) -> Result<Trained, StageError> {
        let Lesson { student, training, .. } = self.lesson;
        let plan = training.plan(epochs, pruned);
        let network = student.network.clone().at(training.precision);
        if network.precision != Precision::F32 && fused::runs_on(&network.device()) {
            cx.show("bf16 is slower than f32 on the CPU: it is meant for a GPU");
        }
        let trained = train(cx, &plan, network, &self.train.encoded, self)?;
        Ok(Trained { network: trained.network.at(Precision::F32), ..trained })
    }

    /// What the teacher's `network` says of a batch and its `wanted` hidden states `[tokens, hidden]`. It reads the batch
    /// only where nothing is known of it or states are wanted.
    fn teach(
        &self,
        network: &Network,
        batch: &Batch,
        packed: &Packed,
        wanted: &[usize],
    ) -> (Said, Vec<Tensor<2>>) {
        let from = self.lesson.teacher_labels();
        let device = network.device();
        let here = fused::runs_on(&device);
        let known = self.train.recalled(&batch.members);
        let read = known.is_none() || !wanted.is_empty();
        let output = read.then(|| network.forward(packed, wanted));
        let said = match (known, &output) {
            (Some(values), _) if here => Said::Host(values),
            (Some(values), _) => {
                let shape = [values.len() / from.len(), from.len()];
                Said::Device(Box::new(Tensor::from_data(TensorData::new(values, shape), &device)))
            }
            (None, Some(output)) => {
                let logits = output.logits.clone().select(0, packed.rows.clone());
                // Else the word after such a one would be inside or begin by what the teacher says of `<s>`.
                let absent = absent(from);
                if here {
                    let mut logits = host(logits);
                    let rows = logits.chunks_exact_mut(from.len()).zip(&batch.covered);
                    rows.filter(|(_, covered)| !**covered).for_each(|(row, _)| row.copy_from_slice(&absent));
                    Said::Host(logits)
                } else {
                    Said::Device(Box::new(replaced(logits, &batch.covered, absent)))
                }
            }
            (None, None) => Said::Host(Vec::new()),
        };
        (said, output.map(|output| output.hidden).unwrap_or_default())
    }
}

/// What the teacher says of the words of a batch, where the losses need it: `[words, teacher labels]` logits.
enum Said {
    /// On the CPU.
    Host(Vec<f32>),
    /// Elsewhere, where reading it would make the device wait.
    Device(Box<Tensor<2>>),
}

/// `[words, columns]` with the same row for each word that is not `covered`.
fn replaced(rows: Tensor<2>, covered: &[bool], row: Vec<f32>) -> Tensor<2> {
    let (shape, device) = (rows.dims(), rows.device());
    let bare = covered.iter().map(|covered| !covered).collect::<Vec<_>>();
    let bare = Tensor::<2, Bool>::from_data(TensorData::new(bare, [shape[0], 1]), &device);
    let row = Tensor::<2>::from_data(TensorData::new(row, [1, shape[1]]), &device);
    rows.mask_where(bare.expand(shape), row.expand(shape))
}

impl Objective for Distillation<'_> {
    fn terms(
        &self,
        network: &Network,
        read: Option<&Network>,
        members: &[usize],
        at: At,
    ) -> Result<Vec<Term>, StageError> {
        let lesson = self.lesson;
        let teacher = read.unwrap_or(&lesson.teacher.network);
        let device = &teacher.device();
        let weights = (self.weights)(at);
        let batch = Batch::pack(&self.train.encoded, members);
        let theirs = self.train.as_taught(members);
        let taught = theirs.as_ref().unwrap_or(&batch);
        let targets = Targets::new(&batch, taught, self.train);

        let losses = LOSSES.into_iter().filter(|loss| weights.get(loss.name()) > 0.0);
        let losses: Vec<(&dyn Loss, Wants)> = losses.map(|loss| (loss, loss.wants(&lesson))).collect();
        let wanted = losses.iter().flat_map(|(_, wants)| wants.states.iter().copied());
        let (ours, theirs): (Vec<usize>, Vec<usize>) = wanted.unzip();
        let their_packed = Packed::new(taught, &lesson.teacher.config, device);
        let (said, their_states) = if losses.iter().any(|(_, wants)| wants.logits) || !theirs.is_empty() {
            self.teach(teacher, taught, &their_packed, &theirs)
        } else {
            (Said::Host(Vec::new()), Vec::new())
        };
        let packed = Packed::new(&batch, &lesson.student.config, &network.device());
        let output = network.forward(&packed, &ours);
        let rows = indices(&targets.rows, &network.device());
        let their_rows = indices(&targets.taught, device);
        let mut states = output.hidden.into_iter().zip(their_states).map(|(student, teacher)| {
            (student.select(0, rows.clone()), teacher.select(0, their_rows.clone()))
        });
        let mut pass = Pass {
            lesson,
            network,
            teacher,
            batch: &batch,
            packed: [&packed, &their_packed],
            targets: &targets,
            logits: output.logits.select(0, rows.clone()),
            said: &said,
            states: Vec::new(),
        };
        let mut terms = Vec::new();
        for (loss, wants) in losses {
            pass.states = states.by_ref().take(wants.states.len()).collect();
            let weight = weights.get(loss.name());
            terms.extend(loss.terms(&pass).into_iter().map(|(name, loss)| Term { name, weight, loss }));
        }
        Ok(terms)
    }

    fn words(&self, members: &[usize]) -> usize {
        let batch = Batch::pack(&self.train.encoded, members);
        let taught = self.train.as_taught(members);
        Targets::new(&batch, taught.as_ref().unwrap_or(&batch), self.train).words.len()
    }

    fn reads(&self) -> Option<&Network> {
        Some(&self.lesson.teacher.network)
    }

    fn dev(&self, network: &Network) -> Result<Dev, StageError> {
        // In f32, as whoever reads the student's file will run it.
        let network = network.clone().at(Precision::F32);
        let model = Model { network, ..self.lesson.student.clone() };
        let labels = self.lesson.labels();
        let crf = model.crf();
        let budget = 2 * self.lesson.training.batch_tokens;
        let logits = word_logits(&model, &self.dev.encoded, budget, &model.network.device(), None)?;
        let found: Vec<Vec<Span>> = logits
            .iter()
            .map(|text| spans(&decode(labels, crf.as_ref(), text, &[]).tags, Scheme::Bio))
            .collect();
        let loss = mean_cross_entropy(&self.dev.tags, &logits);
        Ok(Dev { score: score(&self.dev.gold, &found).micro, loss })
    }
}

/// Mean over owned words with a tag of -log softmax.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn mean_cross_entropy(tags: &[Vec<Option<usize>>], logits: &[crate::ml::infer::WordLogits]) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for (tags, text) in tags.iter().zip(logits) {
        for (word, tag) in tags.iter().enumerate() {
            if let (true, Some(tag)) = (text.owned[word], *tag) {
                let row: Vec<f64> = text.word(word).iter().map(|&x| f64::from(x)).collect();
                let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                sum += top + row.iter().map(|x| (x - top).exp()).sum::<f64>().ln() - row[tag];
                count += 1;
            }
        }
    }
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests;
