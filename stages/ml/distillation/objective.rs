//! Patient knowledge distillation (Sun et al. 2019) on words: the part that `distill` and `finetune` share.

use std::collections::BTreeMap;

use burn::tensor::{Bool, Tensor, TensorData};
use serde_json::{Value, json};
use stage_contract::{Context, StageError};

use crate::{
    examples::Examples,
    losses::{
        Weights,
        loss::{Lesson, Loss, Pass, Said, Wants},
    },
    params::DecodeBy,
    setup::{HISTORY, STUDENT},
    targets::Targets,
};
use encoder::{
    backend::{fused, grid::indices, precision::Precision, readback::host},
    batch::{Batch, Encoded},
    calibration::Calibration,
    config::{Config, Decode},
    decode::Decoded,
    finite::{finite, named, naming, place},
    infer::{WordLogits, absent},
    inputs::Inputs,
    model::Model,
    network::Network,
    tagger::{tag, ways},
};
use measure::scores::score;
use text::labels::{Scheme, Span, spans};
use train::{
    checkpoint::Dev,
    objective::{At, Fault, Objective, Term},
    trainer::{Trained, train},
};

/// So much better, in F1, a CRF must be on dev to be used: without it every program can read the student.
const WORTH_A_CRF: f64 = 0.002;

/// A student on its way, its teacher, and what it learns from.
pub struct Distillation<'a> {
    /// Both models (the student's network is handed to the loop, the teacher's is frozen and without autodiff), and how
    /// one learns from the other.
    pub lesson: Lesson<'a>,
    /// What to learn.
    pub train: &'a Examples,
    /// What to be measured on.
    pub dev: &'a Examples,
    /// The losses that `weights` may name: [`LOSSES`](crate::losses::LOSSES), or others.
    pub losses: &'a [&'a dyn Loss],
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

    /// Says how the student is to be decoded, and writes it and the curves of its training. `facts` are what the stage knows
    /// of how it was made.
    ///
    /// # Errors
    /// A logit is not finite, or the disk refuses.
    pub fn save(&self, cx: &Context<'_>, mut trained: Trained, facts: Value) -> Result<(), StageError> {
        let student = self.lesson.student;
        let mut config = student.config.clone();
        let by = self.scores(&trained.network)?;
        if let (Some(argmax), Some(crf)) = (by.get(&Decode::Argmax), by.get(&Decode::Crf)) {
            cx.metric("dev.f1_argmax", argmax.score.f1);
            cx.metric("dev.f1_crf", crf.score.f1);
            let worth = crf.score.f1.zip(argmax.score.f1).map(|(crf, argmax)| crf - argmax);
            config.decode = self.said_decode().unwrap_or(if worth > Some(WORTH_A_CRF) {
                Decode::Crf
            } else {
                Decode::Argmax
            });
        }
        trained.dev = one(by, config.decode, student.config.decode);
        config.record(self.facts(&trained, facts));
        config.calibrate(&self.calibration(&config, &trained.network)?);
        let stored = self.lesson.training.dtype;
        trained.save(cx, Model { config, ..student.clone() }, stored, &STUDENT, &HISTORY)
    }

    /// How sure the student is, beside how often it is right on dev.
    fn calibration(&self, config: &Config, network: &Network) -> Result<Calibration, StageError> {
        let model = Model { config: config.clone(), network: network.clone(), ..self.lesson.student.clone() };
        let budget = 2 * self.lesson.training.batch_tokens;
        let tagged = tag(&model, &self.dev.encoded, budget, &[], &network.device(), None)?;
        let found: Vec<_> = tagged.decoded.iter().map(Decoded::entities).collect();
        Ok(Calibration::fit(&found, &self.dev.gold))
    }

    /// What the stage knows, and what all trainings do.
    fn facts(&self, trained: &Trained, facts: Value) -> Value {
        let Lesson { teacher, training, .. } = self.lesson;
        let mut facts = facts;
        let more = json!({
            "teacher": {
                "weights": teacher.config.all_parameters(),
                "layers": teacher.config.layers.len(),
                "types": teacher.config.labels.types(),
            },
            "sentences": { "train": self.train.len(), "of these gold": self.train.gold_texts(), "dev": self.dev.len() },
            "temperature": training.temperature,
            "sub-words taught": training.subwords,
            "best epoch": trained.epoch,
            "F1 on dev (agreement with the teacher's tags)": trained.dev.score.f1,
        });
        if let (Some(facts), Value::Object(more)) = (facts.as_object_mut(), more) {
            facts.extend(more);
        }
        facts
    }

    fn targets(&self, batch: &Batch, taught: Option<&Batch>) -> Targets {
        Targets::new(batch, taught, self.train, self.lesson.labels(), self.lesson.training.subwords)
    }

    /// How the student is to be decoded, where the user says it.
    fn said_decode(&self) -> Option<Decode> {
        match self.lesson.training.decode {
            DecodeBy::Auto => None,
            DecodeBy::Argmax => Some(Decode::Argmax),
            DecodeBy::Crf => Some(Decode::Crf),
        }
    }

    /// On dev by every way to decode it, in f32, as whoever reads the student's file will run it.
    fn scores(&self, network: &Network) -> Result<BTreeMap<Decode, Dev>, StageError> {
        let network = network.clone().at(Precision::F32);
        let model = Model { network, ..self.lesson.student.clone() };
        let budget = 2 * self.lesson.training.batch_tokens;
        let scores = each_way(&model, &self.dev.encoded, &self.dev.gold, &self.dev.tags, budget);
        naming(scores, |text| self.dev.id(text))
    }

    /// Where the teacher's numbers stop being finite.
    fn teacher_fault(&self, batch: &Batch) -> Option<Fault> {
        let Model { network, config, .. } = self.lesson.teacher;
        let place = format!("the teacher's numbers overflow in {}", place_of(network, config, batch)?);
        Some(Fault { place, given: true })
    }

    /// What the teacher's `network` says of a batch and its `wanted` hidden states `[tokens, hidden]`. It reads the batch
    /// only where nothing is known of it or states are wanted.
    ///
    /// # Errors
    /// On the CPU: a logit is not finite. Elsewhere the loss shows it, because nothing is read here.
    fn teach(
        &self,
        network: &Network,
        batch: &Batch,
        packed: &Inputs,
        wanted: &[usize],
    ) -> Result<(Said, Vec<Tensor<2>>), StageError> {
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
                let rows = batch.rows_of_all();
                let logits = output.logits.clone().select(0, indices(&rows, &device));
                // Else the word after such a one would be inside or begin by what the teacher says of `<s>`.
                let absent = absent(from);
                let mut covered = batch.covered.clone();
                covered.resize(rows.len(), true);
                if here {
                    let mut logits = host(logits);
                    if !finite(&logits) {
                        return Err(self.unusable(batch));
                    }
                    let rows = logits.chunks_exact_mut(from.len()).zip(&covered);
                    rows.filter(|(_, covered)| !**covered).for_each(|(row, _)| row.copy_from_slice(&absent));
                    Said::Host(logits)
                } else {
                    Said::Device(Box::new(replaced(logits, &covered, absent)))
                }
            }
            (None, None) => Said::Host(Vec::new()),
        };
        Ok((said, output.map(|output| output.hidden).unwrap_or_default()))
    }

    fn unusable(&self, batch: &Batch) -> StageError {
        let fault = self.teacher_fault(batch);
        let place = fault.map_or("the teacher's logits are not finite".to_owned(), |fault| fault.place);
        let records = named("record", batch.members.iter().map(|text| self.train.id(*text)));
        StageError::new(format!("{place}, of {records}")).help(
            "use another checkpoint of this model, or another `precision`: where numbers overflow, what it says means \
             nothing",
        )
    }
}

fn place_of(network: &Network, config: &Config, batch: &Batch) -> Option<String> {
    place(network, config, &Inputs::new(batch, config, &network.device()))
}

/// `[rows, columns]` with the same row for each that is not `covered`.
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
        let targets = self.targets(&batch, theirs.as_ref());

        let losses = self.losses.iter().copied().filter(|loss| weights.get(loss.name()) > 0.0);
        let losses: Vec<(&dyn Loss, Wants)> = losses.map(|loss| (loss, loss.wants(&lesson))).collect();
        let wanted = losses.iter().flat_map(|(_, wants)| wants.states.iter().copied());
        let (ours, theirs): (Vec<usize>, Vec<usize>) = wanted.unzip();
        let their_packed = Inputs::new(taught, &lesson.teacher.config, device);
        let (said, their_states) = if losses.iter().any(|(_, wants)| wants.logits) || !theirs.is_empty() {
            self.teach(teacher, taught, &their_packed, &theirs)?
        } else {
            (Said::Host(Vec::new()), Vec::new())
        };
        let packed = Inputs::new(&batch, &lesson.student.config, &network.device());
        let output = network.forward(&packed, &ours);
        let rows = indices(&targets.rows, &network.device());
        let their_rows = indices(&targets.taught, device);
        let mut states = output.hidden.into_iter().zip(their_states).map(|(student, teacher)| {
            (student.select(0, rows.clone()), teacher.select(0, their_rows.clone()))
        });
        let pieces = &targets.pieces.rows;
        let pieces =
            (!pieces.is_empty()).then(|| output.logits.clone().select(0, indices(pieces, &network.device())));
        let mut pass = Pass {
            lesson,
            network,
            teacher,
            batch: &batch,
            packed: [&packed, &their_packed],
            targets: &targets,
            logits: output.logits.select(0, rows.clone()),
            pieces,
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
        self.targets(&batch, self.train.as_taught(members).as_ref()).words.len()
    }

    fn id(&self, text: usize) -> &str {
        self.train.id(text)
    }

    fn fault(&self, network: &Network, members: &[usize]) -> Option<Fault> {
        let batch = Batch::pack(&self.train.encoded, members);
        let taught = self.train.as_taught(members);
        self.teacher_fault(taught.as_ref().unwrap_or(&batch)).or_else(|| {
            let place = place_of(network, &self.lesson.student.config, &batch)?;
            Some(Fault { place: format!("the student's numbers overflow in {place}"), given: false })
        })
    }

    fn reads(&self) -> Option<&Network> {
        Some(&self.lesson.teacher.network)
    }

    fn dev(&self, network: &Network) -> Result<Dev, StageError> {
        let own = self.lesson.student.config.decode;
        Ok(one(self.scores(network)?, self.said_decode().unwrap_or(own), own))
    }
}

/// How good a model is on texts of which the entities and each word's label (`None`: out of the loss) are known, in
/// batches of at most `budget` tokens.
///
/// # Errors
/// A logit is not finite.
pub fn dev(
    model: &Model,
    texts: &[Encoded],
    gold: &[Vec<Span>],
    tags: &[Vec<Option<usize>>],
    budget: usize,
) -> Result<Dev, StageError> {
    let own = model.config.decode;
    each_way(model, texts, gold, tags, budget).map(|by| one(by, own, own))
}

/// [`dev`] by every way to decode the model, from one pass over the texts.
fn each_way(
    model: &Model,
    texts: &[Encoded],
    gold: &[Vec<Span>],
    tags: &[Vec<Option<usize>>],
    budget: usize,
) -> Result<BTreeMap<Decode, Dev>, StageError> {
    let tagged = tag(model, texts, budget, &[], &model.network.device(), None)?;
    let loss = mean_cross_entropy(tags, &tagged.logits);
    let of = |tags: Vec<Vec<String>>| {
        let found: Vec<_> = tags.iter().map(|tags| spans(tags, Scheme::Bio)).collect();
        Dev { score: score(gold, &found).micro, loss }
    };
    Ok(ways(model, &tagged, &[]).into_iter().map(|(way, tags)| (way, of(tags))).collect())
}

/// One of the ways: the wanted one, else the model's own, which is always there.
fn one(mut by: BTreeMap<Decode, Dev>, wanted: Decode, own: Decode) -> Dev {
    by.remove(&wanted).or_else(|| by.remove(&own)).expect("a model has its own way")
}

/// Mean over owned words with a tag of -log softmax; none where there is none.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn mean_cross_entropy(tags: &[Vec<Option<usize>>], logits: &[WordLogits]) -> Option<f64> {
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
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests;
