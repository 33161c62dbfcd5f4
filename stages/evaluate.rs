//! What the student is worth: size, speed, fidelity to the teacher, quality against gold.

mod compare;
mod report;
mod table;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fs};

use burn::tensor::Device as BurnDevice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{
    Artifact, Available, Context, Device, Input, Invalid, Optional, Output, Spec, Stage, StageError,
};

use self::{
    compare::Comparison,
    report::{Evaluation, ModelReport, Size},
};
use crate::ml::{
    corpus::{Corpus, Gold, Record, Report},
    crf::Crf,
    decode::decode,
    device,
    infer::{encode, word_logits},
    labels::Labels,
    latency::{self, Latency, Setting},
    losses::Misc,
    model::{self, Model, ModelFolder},
};

/// Measures teacher and students side by side and writes one report with two tables that are never mixed: *fidelity*,
/// the agreement with the teacher's own tags on the test part, and *quality*, the score against gold tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluate {
    /// What becomes of a type that the final model lacks (MISC), in the teacher's tags and in gold: `outside` makes it O
    /// (the teacher's probability of MISC joins O's); `ignore` leaves out the words so tagged, and every entity that
    /// touches one; `keep` is for a final model that has MISC itself, and treats any other such type as `outside` does.
    pub misc: Misc,
    /// Rounds of the latency measurement, after a warm-up of a tenth. In every round each model tags one sentence of
    /// 32 tokens.
    pub rounds: usize,
    /// Tokens that a model reads at once while it tags the test part and gold. Sets speed and memory, not results.
    pub batch_tokens: usize,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self { misc: Misc::Outside, rounds: 50, batch_tokens: 2048 }
    }
}

const TEACHER: Input<ModelFolder> = Input::new("teacher", "the model that fidelity is measured against");
const DISTILLED: Optional<ModelFolder> = Optional::new("distilled", "the student after distillation");
const PRUNED: Optional<ModelFolder> = Optional::new("pruned", "the student after pruning");
const FINAL: Input<ModelFolder> = Input::new("final", "the student that will be used");
const TEST: Input<Corpus> = Input::new("test", "the test part, for fidelity");
const GOLD: Optional<Gold> =
    Optional::new("gold", "gold sets, for quality; without them quality is not evaluated");
const REPORT: Output<Report> = Output::new("report", "all numbers of all models");

impl Stage for Evaluate {
    const SPEC: Spec = Spec {
        name: "evaluate",
        version: 1,
        doc: "measure size, speed, fidelity and quality of teacher and students",
        inputs: &[TEACHER.port(), DISTILLED.port(), PRUNED.port(), FINAL.port(), TEST.port(), GOLD.port()],
        outputs: &[REPORT.port()],
        measures: true,
    };

    fn check(&self) -> Result<(), Invalid> {
        for (name, value, least) in [("rounds", self.rounds, 1), ("batch_tokens", self.batch_tokens, 64)] {
            if value < least {
                return Err(Invalid::new(format!("`{name}` must be at least {least}"))
                    .at(name)
                    .help(format!("{name} = {}", if name == "rounds" { 50 } else { 2048 })));
            }
        }
        Ok(())
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let models = [
            (TEACHER.name(), inputs.path(&TEACHER)),
            (DISTILLED.name(), inputs.optional(&DISTILLED)),
            (PRUNED.name(), inputs.optional(&PRUNED)),
            (FINAL.name(), inputs.path(&FINAL)),
        ];
        for (port, path) in models {
            if let Some(path) = path {
                model::outside(path).map_err(|e| model::invalid(&e).at(port))?;
            }
        }
        if let Some(path) = inputs.path(&TEST)
            && fs::metadata(path).is_ok_and(|file| file.len() == 0)
        {
            return Err(empty_test().at(TEST.name()));
        }
        if let Some(path) = inputs.optional(&GOLD) {
            let gold = Gold::load(path).map_err(|e| model::invalid(&e).at(GOLD.name()))?;
            compare::check_gold(&gold, &Labels::student(self.misc == Misc::Keep))
                .map_err(|e| e.at(GOLD.name()))?;
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let clock = cx.measure()?;
        let device = device::burn(cx.device);
        let test = cx.read(&TEST)?.records;
        if test.is_empty() {
            return Err(empty_test().into());
        }
        let gold = cx.read_optional(&GOLD)?.unwrap_or_default();

        // In the order of the report; the teacher first. All stay loaded, because latency takes them in turn.
        let mut subjects = vec![Subject::open("teacher", &cx.read(&TEACHER)?, &device)?];
        for (name, folder) in
            [("distilled", cx.read_optional(&DISTILLED)?), ("pruned", cx.read_optional(&PRUNED)?)]
        {
            if let Some(folder) = folder {
                subjects.push(Subject::open(name, &folder, &device)?);
            }
        }
        subjects.push(Subject::open("final", &cx.read(&FINAL)?, &device)?);

        let types = types(&subjects)?;
        let known = &subjects[subjects.len() - 1].model.config.labels;
        compare::check_gold(&gold, known)?;
        let comparison = Comparison { types, misc: self.misc };

        let models: Vec<&Model> = subjects.iter().map(|subject| &subject.model).collect();
        let setting = Setting::new(cx, &models, self.rounds);
        let latencies = latency::measure(cx, &clock, &setting, &models, &device)?;

        let mut reports: Vec<ModelReport> = Vec::new();
        let mut teacher_tags: Option<Vec<Vec<String>>> = None;
        for (subject, latency) in subjects.iter().zip(latencies) {
            let tags = self.tags(cx, subject, "test", &test, &comparison, &device)?;
            let fidelity = if let Some(teacher) = &teacher_tags {
                comparison.by_source(&test, teacher, &tags)
            } else {
                let itself = comparison.with_itself(&test, &tags);
                teacher_tags = Some(tags);
                itself
            };
            let sets = gold
                .sets
                .iter()
                .map(|set| self.tags(cx, subject, &set.name, &set.records, &comparison, &device))
                .collect::<Result<Vec<_>, _>>()?;
            let quality = (!gold.sets.is_empty()).then(|| comparison.with_gold(&gold, &sets));
            reports.push(ModelReport { name: subject.name, size: subject.size, latency, fidelity, quality });
        }

        let evaluation =
            Evaluation { models: reports, setting, test: &test, gold: &gold, comparison: &comparison };
        send(cx, &evaluation);
        cx.show(table::text(&evaluation));
        cx.write(&REPORT, &evaluation.report())
    }
}

/// One of the models under test.
struct Subject {
    name: &'static str,
    model: Model,
    crf: Option<Crf>,
    size: Size,
}

impl Subject {
    fn open(name: &'static str, folder: &ModelFolder, device: &BurnDevice) -> Result<Self, StageError> {
        let model = folder.open(device)?;
        let size = Size::of(&model.config, &folder.path)?;
        Ok(Self { name, crf: model.crf(), model, size })
    }
}

impl Evaluate {
    /// BIO tags of each record's words.
    fn tags(
        &self,
        cx: &Context<'_>,
        subject: &Subject,
        part: &str,
        records: &[Record],
        comparison: &Comparison,
        device: &BurnDevice,
    ) -> Result<Vec<Vec<String>>, StageError> {
        cx.check_cancelled()?;
        let labels = &subject.model.config.labels;
        let step = format!("{} on {part}", subject.name);
        let mut progress = cx.progress(step, records.len() as u64, "sentences");
        let texts = records.iter().map(|record| (record.text.as_str(), record.words.as_slice()));
        let encoded = encode(&subject.model, texts)?;
        let logits = word_logits(&subject.model, &encoded, self.batch_tokens, device, Some(&mut progress));
        let outside = comparison.outside(labels);
        Ok(logits.iter().map(|logits| decode(labels, subject.crf.as_ref(), logits, &outside).tags).collect())
    }
}

/// The types to score: the final model's. The teacher must know one of them.
fn types(subjects: &[Subject]) -> Result<BTreeSet<String>, StageError> {
    let of = |subject: &Subject| subject.model.config.labels.types().iter().cloned().collect::<BTreeSet<_>>();
    let (teacher, student) = (of(&subjects[0]), of(&subjects[subjects.len() - 1]));
    if teacher.is_disjoint(&student) {
        return Err(StageError::new(format!(
            "teacher ({}) and final model ({}) have no entity type in common",
            list(&teacher),
            list(&student)
        ))
        .help("wire the teacher that the student was distilled from"));
    }
    Ok(student)
}

/// What goes into the lock, and what was measured and must not.
fn send(cx: &Context<'_>, evaluation: &Evaluation<'_>) {
    for model in &evaluation.models {
        let Latency { p50_ms, ratio } = model.latency;
        cx.measured(format!("{}.latency.p50_ms", model.name), p50_ms);
        cx.measured(format!("{}.latency.ratio", model.name), ratio);
    }
    let (Some(teacher), Some(last)) = (evaluation.models.first(), evaluation.models.last()) else { return };
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 parameters")]
    cx.metric("final.parameters", last.size.parameters as f64);
    let tables = [
        ("fidelity", Some(last.fidelity.all.micro)),
        ("quality", last.quality.as_ref().map(|q| q.all.micro)),
    ];
    for (table, score) in tables {
        if let Some(score) = score {
            cx.metric(format!("final.{table}.f1"), score.f1);
            cx.metric(format!("final.{table}.precision"), score.precision);
            cx.metric(format!("final.{table}.recall"), score.recall);
        }
    }
    if let Some(quality) = &teacher.quality {
        cx.metric("teacher.quality.f1", quality.all.micro.f1);
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn empty_test() -> Invalid {
    Invalid::new("the test part has no record").help("give `split` more sentences, or a larger test share")
}
