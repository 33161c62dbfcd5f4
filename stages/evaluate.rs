//! What the student is worth: size, speed, fidelity to the teacher, quality against gold.

mod compare;
mod differences;
mod evaluation;
mod foreign;
mod gates;
mod reading;
mod report;
pub(crate) mod sections;
mod slices;
mod table;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fs, path::Path};

use burn::tensor::Device as BurnDevice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{
    Artifact, Available, Context, Device, Event, Further, Input, Invalid, Optional, Output, Spec, Stage,
    StageError,
};

use self::evaluation::{Evaluation, Foreign};
pub use self::gates::{Gate, Gates};
use self::{
    compare::Comparison,
    differences::{Differences, MOST},
    gates::Names,
    reading::Reading,
    report::{Findings, Size},
    slices::{Cut, Known},
};
use encoder::{
    backend::{device, prepacked::WeightFormat},
    batch::Encoded,
    infer::encode,
    model::{Model, ModelFolder},
};
use measure::{
    bootstrap::Bootstrap,
    latency::{self, Plan, Timings},
};
use text::{
    corpus::{Corpus, Gold, Record},
    labels::{Labels, Policy, Types},
};

/// Measures teacher and students side by side and writes one report with two tables that are never mixed: *fidelity*,
/// the agreement with the teacher's own tags on the test part, and *quality*, the score against gold tags. Gates say
/// whether the numbers are good enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluate {
    /// What types of gold mean that are called otherwise: `{ PERSON = "PER", DATE = "outside", MISC = "ignore" }`.
    /// `outside` makes them O; `ignore` leaves out the words so tagged, and every entity that touches one. Where it says nothing,
    /// the teacher's own `types` count; a type that the final model lacks and of which nobody says anything is O too, and makes
    /// gates on its set inconclusive.
    pub types: Types,
    /// Tokens that a model reads at once while it tags the test part and gold. Sets speed and memory, not results.
    #[schemars(range(min = 64))]
    pub batch_tokens: usize,
    /// Draws of the paired bootstrap.
    #[schemars(range(min = 100))]
    pub samples: usize,
    /// Share of the draws inside of an interval.
    #[schemars(range(min = 0.5), extend("exclusiveMaximum" = 1))]
    pub confidence: f64,
    /// Up to how many words a text is short, and up to how many of medium length.
    pub length_bounds: [usize; 2],
    /// Rounds of the latency measurement, after a warm-up of a tenth. In every round each model tags one sentence of
    /// 32 tokens. Other cells of the matrix take as many where time lasts, and at least 3.
    #[schemars(range(min = 1))]
    pub rounds: usize,
    /// Tokens of a sentence in the cells of the latency matrix.
    #[schemars(inner(range(min = 3)))]
    pub latency_tokens: Vec<usize>,
    /// Sentences at once in the cells of the latency matrix.
    #[schemars(inner(range(min = 1)))]
    pub latency_batches: Vec<usize>,
    /// What throughput (half of it, but 3 rounds at least) and the latency matrix may take together. Cells for which it
    /// does not last, the largest first, are left out and listed in the report.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// Bounds on any number of the report, by a name of your own; `ner-pipe run` ends with exit code 6 when one fails.
    pub gates: Gates,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            types: Types::default(),
            batch_tokens: 2048,
            samples: 1000,
            confidence: 0.95,
            length_bounds: [10, 25],
            rounds: 50,
            latency_tokens: vec![16, 32, 64, 128, 512],
            latency_batches: vec![1, 8, 32],
            seconds: 10.0,
            gates: Gates::new(),
        }
    }
}

const TEACHER: Input<ModelFolder> = Input::new("teacher", "the model that fidelity is measured against");
const DISTILLED: Optional<ModelFolder> = Optional::new("distilled", "the student after distillation");
const PRUNED: Optional<ModelFolder> = Optional::new("pruned", "the student after pruning");
const FINAL: Input<ModelFolder> = Input::new("final", "the student that will be used");
const CE_ONLY: Optional<ModelFolder> =
    Optional::new("ce_only", "baseline: a student of the same size that learned from hard tags alone");
const RANDOM_PRUNED: Optional<ModelFolder> =
    Optional::new("random_pruned", "baseline: a student of the same size whose units were drawn by chance");
const MODELS: Further<ModelFolder> = Further::new("model", "what else to compare, under a name of your own");
const TEST: Input<Corpus> = Input::new("test", "the test part, for fidelity").filled();
const GOLD: Optional<Gold> =
    Optional::new("gold", "gold sets, for quality; without them quality is not evaluated").filled();
const TRAIN: Optional<Corpus> =
    Optional::new("train", "the training part: tells mentions that training has seen from others");
const REPORT: Output<Evaluation> = Output::new("report", "all numbers of all models");
const DIFFERENCES: Output<Differences> = Output::new(
    "differences",
    "sentences that teacher and final model tag differently, with every model's tags: text, unlike the report",
);

/// Texts that throughput is measured on at most.
const TEXTS: usize = 200;

impl Stage for Evaluate {
    const SPEC: Spec = Spec {
        name: "evaluate",
        version: 2,
        doc: "measure size, speed, fidelity and quality of teacher and students",
        inputs: &[
            TEACHER.port(),
            DISTILLED.port(),
            PRUNED.port(),
            FINAL.port(),
            CE_ONLY.port(),
            RANDOM_PRUNED.port(),
            MODELS.port(),
            TEST.port(),
            GOLD.port(),
            TRAIN.port(),
        ],
        outputs: &[REPORT.port(), DIFFERENCES.port()],
        measures: true,
    };

    fn check(&self) -> Result<(), Invalid> {
        if self.length_bounds[0] >= self.length_bounds[1] {
            return Err(Invalid::new("`length_bounds` must rise")
                .at("length_bounds")
                .help("length_bounds = [10, 25]"));
        }
        gates::rules(&self.gates).map(drop)
    }

    fn check_inputs(&self, wired: &[&str]) -> Result<(), Invalid> {
        let data = [TEST.name(), GOLD.name(), TRAIN.name()];
        let models: BTreeSet<&str> = wired.iter().copied().filter(|name| !data.contains(name)).collect();
        let names = Names {
            models: Some(models),
            gold: wired.contains(&GOLD.name()),
            train: wired.contains(&TRAIN.name()),
            ..Names::default()
        };
        if !self.types.is_empty() && !names.gold {
            return Err(Invalid::new("`types` is of gold, and no gold is wired")
                .at("types")
                .help("add `gold = \"sources.gold\"` to `inputs`, or remove `types`"));
        }
        gates::check(&self.gates, &names)
    }

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let named = [
            TEACHER.name(),
            DISTILLED.name(),
            PRUNED.name(),
            FINAL.name(),
            CE_ONLY.name(),
            RANDOM_PRUNED.name(),
        ];
        let further = inputs.further::<Self, _>(&MODELS).map(|(name, _)| name);
        let (mut types, mut student) = (None, None);
        let mut meanings = self.types.clone();
        let mut known: BTreeSet<String> = BTreeSet::new();
        for port in named.into_iter().chain(further) {
            let Some(folder) = inputs.named::<ModelFolder>(port)? else { continue };
            let (config, _) = folder.look().map_err(|e| Invalid::of(&e).at(port))?;
            if port == TEACHER.name() {
                meanings = meanings.or(&folder.options.types);
            }
            known.extend(config.labels.types().iter().cloned());
            if port == FINAL.name() {
                types = Some(config.labels.types().iter().cloned().collect());
            }
            if port == FINAL.name() || student.is_none() {
                student = Some(Labels::bio(config.labels.types_to(Policy::Learn)));
            }
        }
        if let Some(path) = inputs.path(&TEST)
            && fs::metadata(path).is_ok_and(|file| file.len() == 0)
        {
            return Err(empty_test().at(TEST.name()));
        }
        let sources = self.sources(inputs.path(&TEST))?;
        let mut sets = None;
        if let Some(mut gold) = inputs.read_optional(&GOLD)? {
            if let Some(student) = &student {
                foreign::check(&self.types, &gold, &known)?;
                foreign::rename(&mut gold, &meanings);
                compare::check_gold(&gold, student).map_err(|e| e.at(GOLD.name()))?;
                let own = student.types().iter().cloned().collect();
                for note in foreign::unknown(&foreign::undeclared(&gold, &own, &meanings), &gold, &own) {
                    inputs.note(note);
                }
            }
            sets = Some(gold.sets.into_iter().map(|set| set.name).collect());
        }
        gates::check(&self.gates, &Names { types, sources, sets, gold: true, train: true, models: None })
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let clock = cx.measure()?;
        let device = device::burn(cx.device);
        let test = cx.read(&TEST)?.records;
        let mut gold = cx.read_optional(&GOLD)?.unwrap_or_default();
        let known = cx.read_optional(&TRAIN)?.map(|train| Known::new(&train));

        // In the order of the report; the teacher first. All stay loaded, because latency takes them in turn.
        let subjects = subjects(cx, &device)?;
        let types = types(&subjects)?;
        let known_types: BTreeSet<String> =
            subjects.iter().flat_map(|subject| subject.model.config.labels.types()).cloned().collect();
        foreign::check(&self.types, &gold, &known_types)?;
        let meanings = self.types.or(&subjects[0].folder.options.types);
        let dropped = foreign::rename(&mut gold, &meanings);
        compare::check_gold(&gold, &last(&subjects).model.config.labels)?;
        // What a gate names is looked for before the long work.
        gates::check(
            &self.gates,
            &Names {
                models: Some(subjects.iter().map(|subject| subject.name.as_str()).collect()),
                types: Some(types.clone()),
                sources: Some(test.iter().map(|record| record.source.clone()).collect()),
                sets: Some(gold.sets.iter().map(|set| set.name.clone()).collect()),
                gold: !gold.sets.is_empty(),
                train: known.is_some(),
            },
        )?;

        let sizes = subjects.iter().map(|subject| Size::of(cx, subject, self.batch_tokens));
        let sizes = sizes.collect::<Result<_, _>>()?;
        let texts = sample(&subjects, &test)?;
        let timings = self.time(cx, &clock, &subjects, &texts, &device)?;

        let comparison = Comparison::new(types, &subjects[0].model.config.labels, &meanings);
        let cut = Cut {
            types: comparison.types.iter().cloned().collect(),
            bounds: self.length_bounds,
            known: known.as_ref(),
            bootstrap: self.bootstrap(cx.seed),
        };
        let records: Vec<&Record> = test.iter().collect();
        let read = |part: &str, records: &[&Record]| -> Result<Vec<Reading>, StageError> {
            let how = (self.batch_tokens, &device);
            let of = |subject| Reading::of(cx, subject, part, records, &comparison, how);
            subjects.iter().map(of).collect()
        };
        let on_test = read("test", &records)?;
        let foreign = Foreign {
            teacher: on_test[0].outside.clone(),
            teacher_unknown: foreign::unsaid(&on_test[0].outside, &meanings),
            gold: foreign::lacked(&gold, &comparison.types, dropped),
            unknown: foreign::undeclared(&gold, &comparison.types, &meanings),
        };
        let pairs = reading::pairs(on_test[0].tags(), &on_test, &comparison);
        let fidelity = cut.scores("fidelity", &records, &pairs, Some(0));
        let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
        let last_at = names.iter().position(|name| name == FINAL.name()).unwrap_or(0);
        let mut differences = Differences::default();
        let tags: Vec<_> = on_test.iter().map(Reading::tags).collect();
        differences.add("test", &records, false, &names, &tags, [&pairs[0], &pairs[last_at]]);

        let records: Vec<&Record> = gold.sets.iter().flat_map(|set| &set.records).collect();
        let right: Vec<Vec<String>> = records.iter().map(|record| record.tags.clone()).collect();
        let on_gold = if records.is_empty() { None } else { Some(read("gold", &records)?) };
        let quality = on_gold.as_ref().map(|readings| {
            let pairs = reading::pairs(&right, readings, &comparison);
            let mut from = 0;
            for set in &gold.sets {
                let part = from..from + set.records.len();
                from = part.end;
                let tags: Vec<_> = readings.iter().map(|reading| &reading.tags()[part.clone()]).collect();
                let pairs = [&pairs[0][part.clone()], &pairs[last_at][part.clone()]];
                differences.add(&set.name, &records[part], true, &names, &tags, pairs);
            }
            cut.scores("quality", &records, &pairs, None)
        });
        let gold_read = on_gold.as_deref().map(|readings| (readings, right.as_slice()));
        let decodings = reading::decodings(&subjects, &on_test, gold_read, &comparison);
        let calibrations = reading::calibrations(&on_test, gold_read, &comparison);
        let bootstrap = cut.bootstrap;
        let findings =
            Findings { names, sizes, timings, texts, fidelity, quality, decodings, calibrations, bootstrap };
        let evaluation = Evaluation {
            models: findings.models(cx),
            types: comparison.types,
            ignored: comparison.ignored,
            test: report::test_part(&test),
            gold: report::gold_part(&gold),
            bootstrap,
            lengths: report::lengths(self.length_bounds),
            speed: findings.speed(self.seconds),
            differences: report::differences(&test, &pairs[last_at], MOST),
            gates: findings.verdicts(&self.gates, &foreign)?,
            foreign,
        };
        send(cx, &evaluation);
        cx.show(table::text(&evaluation));
        cx.write(&DIFFERENCES, &differences)?;
        cx.write(&REPORT, &evaluation)
    }
}

/// One of the models under test.
struct Subject {
    name: String,
    model: Model,
    folder: ModelFolder,
}

impl Subject {
    fn open(name: &str, folder: ModelFolder, device: &BurnDevice) -> Result<Self, StageError> {
        let model = folder.open(device)?.prepack(WeightFormat::F32);
        Ok(Self { name: name.to_owned(), model, folder })
    }
}

fn subjects(cx: &Context<'_>, device: &BurnDevice) -> Result<Vec<Subject>, StageError> {
    let mut subjects = vec![Subject::open(TEACHER.name(), cx.read(&TEACHER)?, device)?];
    for (name, folder) in [
        (DISTILLED.name(), cx.read_optional(&DISTILLED)?),
        (PRUNED.name(), cx.read_optional(&PRUNED)?),
        (FINAL.name(), Some(cx.read(&FINAL)?)),
        (CE_ONLY.name(), cx.read_optional(&CE_ONLY)?),
        (RANDOM_PRUNED.name(), cx.read_optional(&RANDOM_PRUNED)?),
    ] {
        if let Some(folder) = folder {
            subjects.push(Subject::open(name, folder, device)?);
        }
    }
    for (name, folder) in cx.read_further(&Evaluate::SPEC, &MODELS)? {
        subjects.push(Subject::open(&name, folder, device)?);
    }
    Ok(subjects)
}

/// The final model; there always is one.
fn last(subjects: &[Subject]) -> &Subject {
    subjects.iter().find(|subject| subject.name == FINAL.name()).unwrap_or(&subjects[0])
}

/// The same texts for every model, cut into its own sub-words: evenly drawn from the test part, so that lengths are mixed
/// as they are.
fn sample(subjects: &[Subject], test: &[Record]) -> Result<Vec<Vec<Encoded>>, StageError> {
    let count = test.len().min(TEXTS);
    let chosen: Vec<&Record> = (0..count).map(|at| &test[at * test.len() / count]).collect();
    let texts = || chosen.iter().map(|record| (record.text.as_str(), record.words.as_slice()));
    subjects.iter().map(|subject| encode(&subject.model, texts())).collect()
}

impl Evaluate {
    fn bootstrap(&self, seed: u64) -> Bootstrap {
        Bootstrap { samples: self.samples, confidence: self.confidence, seed }
    }

    /// Where the test part's texts come from, when a gate asks for that and it is there to look at.
    fn sources(&self, test: Option<&Path>) -> Result<Option<BTreeSet<String>>, Invalid> {
        let Some(path) = test.filter(|_| self.gates.values().any(|gate| gate.source.is_some())) else {
            return Ok(None);
        };
        let corpus = Corpus::load(path).map_err(|e| Invalid::of(&e).at(TEST.name()))?;
        Ok(Some(corpus.records.into_iter().map(|record| record.source).collect()))
    }

    fn time(
        &self,
        cx: &Context<'_>,
        clock: &stage_contract::Clock,
        subjects: &[Subject],
        texts: &[Vec<Encoded>],
        device: &BurnDevice,
    ) -> Result<Timings, StageError> {
        let tokens = self.latency_tokens.iter();
        let cells = tokens.flat_map(|&tokens| self.latency_batches.iter().map(move |&batch| (tokens, batch)));
        let plan = Plan {
            rounds: self.rounds,
            cells: cells.collect(),
            seconds: self.seconds,
            batch_tokens: self.batch_tokens,
        };
        let models: Vec<&Model> = subjects.iter().map(|subject| &subject.model).collect();
        latency::measure(cx, clock, &plan, &models, texts, device)
    }
}

/// The types to score: the final model's. The teacher must know one of them.
fn types(subjects: &[Subject]) -> Result<BTreeSet<String>, StageError> {
    let of = |subject: &Subject| subject.model.config.labels.types().iter().cloned().collect::<BTreeSet<_>>();
    let (teacher, student) = (of(&subjects[0]), of(last(subjects)));
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

/// What goes into the lock, what was measured and must not, and what the gates say.
fn send(cx: &Context<'_>, evaluation: &Evaluation) {
    for (name, model) in &evaluation.models {
        cx.measured(format!("{name}.latency.p50_ms"), model.latency.main.p50_ms);
        cx.measured(format!("{name}.latency.ratio"), model.latency.main.ratio);
        cx.measured(format!("{name}.throughput.ratio"), model.throughput.ratio);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 parameters")]
        cx.metric(format!("{name}.parameters"), model.parameters as f64);
        let tables = [
            ("fidelity", Some(model.fidelity.all.micro.score)),
            ("quality", model.quality.as_ref().map(|quality| quality.all.micro.score)),
        ];
        for (table, score) in tables {
            let Some(score) = score.filter(|_| (name.as_str(), table) != (TEACHER.name(), "fidelity")) else {
                continue;
            };
            cx.metric(format!("{name}.{table}.f1"), score.f1);
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 entities")]
            cx.metric(format!("{name}.{table}.entities"), score.support as f64);
            if name == FINAL.name() {
                cx.metric(format!("{name}.{table}.precision"), score.precision);
                cx.metric(format!("{name}.{table}.recall"), score.recall);
            }
        }
    }
    for (name, verdict) in &evaluation.gates {
        cx.sink.send(Event::Gate { name: name.clone(), outcome: verdict.outcome.name().to_owned() });
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn empty_test() -> Invalid {
    Invalid::new("the test part has no record").help("give `split` more sentences, or a larger test share")
}
