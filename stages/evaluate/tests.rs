mod foreign;
mod judged;
mod told;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, atomic::AtomicBool},
};

use serde_json::Value;
use stage_contract::{Event, Sink};

use stage_contract::testing::context;

use super::{compare::Pair, slices::Slice, *};
use crate::evaluate::evaluation::{Length, Mention, Outcome as Word};
use encoder::{
    tagger::tag,
    testing::fixture::{model, teacher_labels},
};
use text::corpus::{GoldSet, Provenance, Report};

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Sink for Events {
    fn send(&self, event: Event) {
        self.0.lock().expect("alone").push(event);
    }
}

/// A folder with models, a test part and gold, and what a run of the stage made of it.
struct Bench {
    folder: tempfile::TempDir,
    inputs: BTreeMap<String, PathBuf>,
}

struct Outcome {
    report: Value,
    differences: Vec<differences::Difference>,
    events: Vec<Event>,
}

fn record(source: &str, number: usize, text: &str) -> Record {
    let mut words = Vec::new();
    let mut at = 0;
    for word in text.split(' ') {
        words.push([at, at + word.chars().count()]);
        at += word.chars().count() + 1;
    }
    Record {
        id: format!("{source}:{number}"),
        text: text.to_owned(),
        source: source.to_owned(),
        group: format!("{source}:{number}"),
        tags: vec!["O".to_owned(); words.len()],
        score: vec![1.0; words.len()],
        words,
        provenance: Provenance::Gold,
    }
}

fn gold(name: &str, sentences: &[(&str, &str)]) -> GoldSet {
    let split = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    GoldSet::new(name, sentences.iter().map(|(words, tags)| (split(words), split(tags))))
}

/// Few rounds, little time.
fn quick() -> Evaluate {
    Evaluate { rounds: 3, batch_tokens: 128, seconds: 0.2, samples: 200, ..Evaluate::default() }
}

fn gates(value: Value) -> Gates {
    serde_json::from_value(value).expect("are gates")
}

impl Bench {
    /// Teacher and final model, and three sentences of two sources.
    fn new(final_model: &Model) -> Self {
        let mut bench = Self { folder: tempfile::tempdir().expect("a folder"), inputs: BTreeMap::new() };
        bench.model("teacher", &model(teacher_labels(), &[]));
        bench.model("final", final_model);
        bench.test(vec![
            record("notes", 1, "Anna vit à Paris"),
            record("notes", 2, "Anna Anna et la CAF"),
            record("web", 1, "Paris fête Noël"),
        ]);
        bench
    }

    fn path(&mut self, port: &str) -> PathBuf {
        let path = self.folder.path().join(port);
        self.inputs.insert(port.to_owned(), path.clone());
        path
    }

    fn model(&mut self, port: &str, model: &Model) {
        model.save(&self.path(port)).expect("saved");
    }

    fn test(&mut self, records: Vec<Record>) {
        Corpus { records }.save(&self.path("test")).expect("saved");
    }

    fn gold(&mut self, sets: Vec<GoldSet>) {
        Gold { sets }.save(&self.path("gold")).expect("saved");
    }

    fn run(&self, measures: bool) -> Result<Outcome, StageError> {
        self.stage(&quick(), measures)
    }

    /// With options of sources.
    fn told(&self, stage: &Evaluate, options: &BTreeMap<String, Value>) -> Result<Outcome, StageError> {
        self.stage_with(stage, true, options)
    }

    fn stage(&self, stage: &Evaluate, measures: bool) -> Result<Outcome, StageError> {
        self.stage_with(stage, measures, &BTreeMap::new())
    }

    fn stage_with(
        &self,
        stage: &Evaluate,
        measures: bool,
        options: &BTreeMap<String, Value>,
    ) -> Result<Outcome, StageError> {
        let report = self.folder.path().join("report.json");
        let differences = self.folder.path().join("differences.jsonl");
        let outputs = [("report", &report), ("differences", &differences)];
        let outputs = outputs.map(|(name, path)| (name.to_owned(), path.clone())).into();
        let (events, cancelled) = (Events::default(), AtomicBool::new(false));
        stage.run(&Context {
            inputs: &self.inputs,
            options,
            outputs: &outputs,
            cancelled: &cancelled,
            sink: &events,
            measures,
            ..context()
        })?;
        let typed = Evaluation::load(&report).expect("a report of evaluate");
        let Report(report) = Report::load(&report).expect("a report");
        assert_eq!(serde_json::to_value(&typed).expect("JSON"), report, "the types say all of it");
        let Differences(differences) = Differences::load(&differences).expect("sentences");
        Ok(Outcome { report, differences, events: events.0.into_inner().expect("alone") })
    }

    fn preflight(&self) -> Result<(), Invalid> {
        Evaluate::default().preflight(&Available::new(&self.inputs), Device::CPU)
    }
}

impl Outcome {
    fn at(&self, path: &str) -> &Value {
        self.report.pointer(&format!("/{path}")).unwrap_or_else(|| panic!("{path} is not in the report"))
    }

    fn number(&self, path: &str) -> f64 {
        self.at(path).as_f64().expect("a number")
    }

    /// Precision, recall, F1, support; NaN for null.
    fn score(&self, path: &str) -> [f64; 4] {
        let part = |part: &str| self.at(&format!("{path}/{part}"));
        ["precision", "recall", "f1", "support"].map(|name| match part(name) {
            Value::Null => UNDEFINED,
            number => number.as_f64().expect("a number"),
        })
    }

    fn shown(&self) -> String {
        let text = |event: &Event| if let Event::Show { text } = event { Some(text.clone()) } else { None };
        let table = |text: &String| text.starts_with("size and speed");
        self.events.iter().filter_map(text).find(table).expect("a table")
    }
}

/// Scores of `[models][records]` pairs, with few draws.
fn board(records: &[&Record], models: &[Vec<Pair>], known: Option<&Known>) -> slices::Board {
    let cut = Cut {
        types: ["LOC", "ORG", "PER"].map(str::to_owned).into(),
        bounds: [2, 4],
        known,
        bootstrap: Bootstrap { samples: 100, confidence: 0.95, seed: 1 },
    };
    cut.scores("x", records, models, None)
}

/// What the report has as null.
const UNDEFINED: f64 = f64::NAN;

fn same(found: [f64; 4], right: [f64; 4]) {
    let same = |(f, r): (&f64, f64)| (f - r).abs() < 1e-12 || (f.is_nan() && r.is_nan());
    assert!(found.iter().zip(right).all(same), "{found:?} is not {right:?}");
}

const PERFECT: [f64; 3] = [1.0; 3];

fn perfect(support: f64) -> [f64; 4] {
    let [p, r, f] = PERFECT;
    [p, r, f, support]
}

#[test]
fn the_report_holds_sizes_latencies_fidelity_and_quality_of_every_model() {
    let last = model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]);
    let mut bench = Bench::new(&last);
    bench.model("pruned", &model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.gold(vec![
        gold(
            "a",
            &[("Anna vit à Paris", "B-PER O O B-LOC"), ("la CAF", "O B-ORG"), ("joyeux Noël", "O B-MISC")],
        ),
        gold("b", &[("Paris Paris", "B-LOC B-LOC")]),
    ]);
    bench.preflight().expect("nothing is wrong");
    let outcome = bench.run(true).expect("a report");

    let names: Vec<_> = outcome.at("models").as_object().expect("models").keys().collect();
    assert_eq!(names, ["teacher", "pruned", "final"], "a model that is not wired is not there");
    let parameters = last.config.parameters() + 63;
    assert_eq!(outcome.at("models/final/parameters"), parameters);
    assert_eq!(outcome.at("models/final/crf_parameters"), 63);
    assert_eq!(outcome.at("models/final/bytes"), 4 * parameters);
    let file = |name: &str| fs::metadata(bench.inputs["final"].join(name)).expect("a file").len();
    let on_disk = file("config.json") + file("model.safetensors") + file("tokenizer.json");
    assert_eq!(outcome.at("models/final/bytes_on_disk"), on_disk);
    assert_eq!(outcome.at("models/teacher/crf_parameters"), 0);

    for model in names {
        assert!(outcome.number(&format!("models/{model}/latency/p50_ms")) > 0.0);
        assert_eq!(outcome.at(&format!("models/{model}/latency/tokens")), 32);
    }
    same([outcome.number("models/teacher/latency/ratio"), 1.0, 1.0, 0.0], perfect(0.0));

    // The teacher finds Anna, Paris, Anna Anna, CAF and Paris; MISC is O. The final model does not see the CAF.
    same(outcome.score("models/teacher/fidelity/micro"), perfect(5.0));
    same(outcome.score("models/pruned/fidelity/micro"), perfect(5.0));
    same(outcome.score("models/final/fidelity/micro"), [1.0, 0.8, 8.0 / 9.0, 5.0]);
    same(outcome.score("models/final/fidelity/macro"), [2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 5.0]);
    same(outcome.score("models/final/fidelity/per_type/ORG"), [UNDEFINED, 0.0, 0.0, 1.0]);
    assert_eq!(outcome.at("models/final/fidelity/per_type/ORG/found"), 0);
    same(outcome.score("models/final/fidelity/by_source/notes/micro"), [1.0, 0.75, 6.0 / 7.0, 4.0]);
    same(outcome.score("models/final/fidelity/by_source/web/micro"), perfect(1.0));
    assert!(outcome.at("models/final/fidelity/per_type").get("MISC").is_none());

    // Gold: Anna, Paris, CAF in a (MISC is O), two adjacent Paris in b that nobody tells apart.
    same(outcome.score("models/teacher/quality/micro"), [0.75, 0.6, 2.0 / 3.0, 5.0]);
    same(outcome.score("models/teacher/quality/sets/a/micro"), perfect(3.0));
    same(outcome.score("models/teacher/quality/sets/b/micro"), [0.0, 0.0, 0.0, 2.0]);
    same(outcome.score("models/final/quality/micro"), [2.0 / 3.0, 0.4, 0.5, 5.0]);
    assert_eq!(outcome.at("gates"), &serde_json::json!({}));
    assert_eq!(outcome.at("test/texts"), 3);
    assert_eq!(outcome.at("gold"), &serde_json::json!({"texts": 4, "sets": {"a": 3, "b": 1}}));

    // What differs from run to run is marked, and nothing else is.
    for event in &outcome.events {
        if let Event::Metric { name, measured, .. } = event {
            let clocked = name.contains("latency") || name.contains("throughput");
            assert_eq!(clocked, *measured, "{name}");
        }
    }
    let metric = |wanted: &str| {
        outcome.events.iter().find_map(|event| match event {
            Event::Metric { name, value, .. } if name == wanted => Some(*value),
            _ => None,
        })
    };
    assert_eq!(metric("final.fidelity.recall"), Some(0.8));
    assert_eq!(metric("final.quality.f1"), Some(0.5));
    assert_eq!(metric("final.quality.entities"), Some(5.0));
    assert_eq!(metric("final.parameters"), Some(f64::from(u32::try_from(parameters).expect("small"))));
}

#[test]
fn a_type_that_the_final_model_lacks_is_o_or_left_out() {
    let test = || vec![record("x", 1, "Noël Anna"), record("x", 2, "Anna Noël Anna")];
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.test(test());
    bench.gold(vec![gold("g", &[("Anna Anna", "B-PER B-MISC")])]);
    // As O, gold says that the entity ends after the first word, and so both models are wrong.
    let outside = bench.run(true).expect("a report");
    same(outside.score("models/final/fidelity/micro"), perfect(3.0));
    same(outside.score("models/teacher/quality/micro"), [0.0, 0.0, 0.0, 1.0]);
    // Left out, the entity they found touches a word that does not count.
    let types = [("MISC", "ignore")].into_iter().collect();
    let ignore = bench.stage(&Evaluate { types, ..quick() }, true).expect("a report");
    same(ignore.score("models/final/fidelity/micro"), perfect(3.0));
    same(ignore.score("models/teacher/quality/micro"), [UNDEFINED, 0.0, 0.0, 1.0]);
    assert_eq!(ignore.at("models/teacher/quality/per_type/PER/support"), 1);
    assert_eq!(ignore.at("ignored"), &serde_json::json!(["MISC"]));
    // A final model that has it learned it, like any other.
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG", "MISC"]), &[]));
    bench.test(test());
    let kept = bench.run(true).expect("a report");
    same(kept.score("models/final/fidelity/micro"), perfect(5.0));
    same(kept.score("models/final/fidelity/per_type/MISC"), perfect(2.0));
}

#[test]
fn an_entity_that_touches_an_ignored_word_does_not_count() {
    let types: Types = [("MISC", "ignore")].into_iter().collect();
    let teacher = teacher_labels().renamed(&types).expect("it has MISC");
    let comparison =
        |teacher: &Labels, types: &Types| Comparison::new(["PER".to_owned()].into(), teacher, types);
    let tags = |text: &str| vec![text.split(' ').map(str::to_owned).collect::<Vec<_>>()];
    let score = |comparison: &Comparison, right: &str, found: &str| {
        let pairs = comparison.pairs(&tags(right), &tags(found));
        let micro = board(&[&record("x", 1, right)], &[pairs], None).all(0).micro.score;
        (micro.precision.expect("some are found"), micro.recall.expect("some are there"))
    };
    let (right, found) = ("B-PER O B-MISC I-MISC", "B-PER O B-PER O");
    let outside = comparison(&teacher_labels(), &Types::default());
    assert_eq!(score(&outside, right, found), (0.5, 1.0));
    for ignore in [comparison(&teacher, &Types::default()), comparison(&teacher_labels(), &types)] {
        assert_eq!(score(&ignore, right, found), (1.0, 1.0));
        assert_eq!(score(&ignore, right, "B-PER I-PER O O"), (0.0, 0.0), "a wrong border still counts");
        assert_eq!(score(&ignore, right, "B-PER O B-MISC I-MISC"), (1.0, 1.0), "foreign types never count");
    }
}

#[test]
fn where_nobody_finds_anything_no_score_is_defined() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.test(vec![record("x", 1, "rien ici")]);
    let outcome = bench.run(true).expect("a report");
    let nothing = [UNDEFINED, UNDEFINED, UNDEFINED, 0.0];
    same(outcome.score("models/teacher/fidelity/micro"), nothing);
    same(outcome.score("models/teacher/fidelity/by_source/x/macro"), nothing);
    same(outcome.score("models/final/fidelity/micro"), nothing);
    assert_eq!(outcome.at("models/final/fidelity/f1_drop"), &Value::Null);
    let said: Vec<&str> = outcome
        .events
        .iter()
        .filter_map(|event| if let Event::Show { text } = event { Some(text.as_str()) } else { None })
        .filter(|text| text.starts_with("`final.fidelity.f1` is undefined"))
        .collect();
    assert_eq!(said.len(), 1, "what is not recorded is said");
}

#[test]
fn a_set_without_a_type_like_the_students_is_not_to_be_made_outside_as_a_whole() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.gold(vec![gold("bio", &[("TP53 mute", "B-GENE O")])]);
    let wrong = bench.preflight().expect_err("nothing in common");
    let help = wrong.help.as_deref().unwrap_or_default();
    assert!(!help.contains("outside") && help.contains("which of LOC, ORG, PER each of them is"), "{help}");
}

#[test]
fn mistakes_are_found_before_any_work() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.gold(vec![gold("wnut", &[("Anna", "B-person")])]);
    let wrong = bench.preflight().expect_err("other names");
    assert_eq!(wrong.at.as_deref(), Some("gold"));
    assert_eq!(
        wrong.message,
        "gold set `wnut` has the types person, none of which is the student's (LOC, ORG, PER)"
    );
    assert_eq!(
        wrong.help.as_deref(),
        Some("say what they mean in the parameters of `evaluate`: `types = { person = \"PER\" }`")
    );
    bench.inputs.remove("gold");
    fs::write(&bench.inputs["test"], "").expect("emptied");
    assert_eq!(bench.preflight().expect_err("empty").at.as_deref(), Some("test"));
    fs::remove_file(bench.inputs["final"].join("tokenizer.json")).expect("removed");
    let wrong = bench.preflight().expect_err("a model without tokenizer");
    assert_eq!(wrong.at.as_deref(), Some("final"));
    assert!(wrong.message.contains("tokenizer.json"), "{}", wrong.message);

    let check = |stage: Evaluate| stage.check().expect_err("senseless").at;
    for (stage, at) in [
        (Evaluate { length_bounds: [9, 9], ..Evaluate::default() }, "length_bounds"),
        (Evaluate { gates: gates(serde_json::json!({ "g": {} })), ..Evaluate::default() }, "gates.g.metric"),
    ] {
        assert_eq!(check(stage).as_deref(), Some(at));
    }
    Evaluate::default().check().expect("the defaults make sense");
}

#[test]
fn without_the_right_to_measure_it_does_not_run() {
    let bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let error = bench.run(false).err().expect("no clock");
    assert!(error.to_string().contains("measures"), "{error}");
    const { assert!(Evaluate::SPEC.measures) };
}

#[test]
fn models_without_a_common_type_are_refused() {
    let labels = Labels::parse(&["O".to_owned(), "I-GENE".to_owned()]).expect("labels");
    let bench = Bench::new(&model(labels, &[]));
    let error = bench.run(true).err().expect("nothing to compare").to_string();
    assert_eq!(error, "teacher (LOC, MISC, ORG, PER) and final model (GENE) have no entity type in common");
}

#[test]
fn sources_lengths_and_mentions_are_scored_apart() {
    let records = [
        record("notes", 1, "Anna dort"),
        record("notes", 2, "Anna et Paris hier"),
        record("web", 1, "Paris et la belle ville Nantes"),
    ];
    let tags =
        |rows: [&str; 3]| rows.map(|row| row.split(' ').map(str::to_owned).collect::<Vec<_>>()).to_vec();
    let right = tags(["B-PER O", "B-PER O B-LOC O", "B-LOC O O O O B-LOC"]);
    // Misses the second Anna, takes a town for a person.
    let found = tags(["B-PER O", "O O B-LOC O", "B-LOC O O O O B-PER"]);
    let comparison =
        Comparison { types: ["LOC", "ORG", "PER"].map(str::to_owned).into(), ignored: BTreeSet::new() };
    let pairs = comparison.pairs(&right, &found);
    // Of the mentions only *anna* as a person and *Paris* as an organisation were seen.
    let mut seen = [record("x", 1, "ANNA"), record("x", 2, "Paris")];
    seen[0].tags = vec!["B-PER".to_owned()];
    seen[1].tags = vec!["B-ORG".to_owned()];
    let known = Known::new(&Corpus { records: seen.to_vec() });
    let itself = comparison.pairs(&right, &right);
    let board = board(&records.iter().collect::<Vec<_>>(), &[itself, pairs], Some(&known));
    let totals = |slice: &Slice, model| {
        let counts = board.slice(slice).expect("a slice").counts(model);
        let total = |of: fn(&measure::scores::Counts) -> usize| counts.iter().map(of).sum::<usize>();
        (total(|c| c.correct), total(|c| c.found), total(|c| c.gold))
    };
    for (slice, right) in [
        (Slice::All, (3, 4, 5)),
        (Slice::Source("notes".to_owned()), (2, 2, 3)),
        (Slice::Source("web".to_owned()), (1, 2, 2)),
        (Slice::Length(Length::Short), (1, 1, 1)),
        (Slice::Length(Length::Medium), (1, 1, 2)),
        (Slice::Length(Length::Long), (1, 2, 2)),
        (Slice::Mention(Mention::Seen), (1, 1, 2)),
        (Slice::Mention(Mention::Unseen), (2, 3, 3)),
    ] {
        assert_eq!(totals(&slice, 1), right, "{slice:?}");
        assert_eq!(totals(&slice, 0).0, right.2, "{slice:?} of who is right");
    }
    let whole = board.all(1);
    let lost = whole.f1_drop.expect("there are entities");
    assert!((lost.value - (1.0 - 6.0 / 9.0)).abs() < 1e-12);
    let [low, high] = lost.interval.expect("and draws");
    assert!((0.0..=lost.value).contains(&low) && (lost.value..=1.0).contains(&high), "{lost:?}");
    assert_eq!(whole.per_type["PER"].score.support, 2);
    assert!(whole.per_type["PER"].f1_interval.is_some() && !whole.per_type.contains_key("ORG"));
}

#[test]
fn further_models_stand_in_the_report_under_their_names() {
    let mut bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]));
    bench.model("random_pruned", &model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG", "LOC"]));
    bench.model("seed-recipe", &model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    bench.model("p60", &model(Labels::bio(["PER", "LOC", "ORG"]), &["PER"]));
    bench.preflight().expect("nothing is wrong");
    let outcome = bench.run(true).expect("a report");
    let names: Vec<_> = outcome.at("models").as_object().expect("models").keys().collect();
    assert_eq!(names, ["teacher", "final", "random_pruned", "p60", "seed-recipe"]);
    same(outcome.score("models/seed-recipe/fidelity/micro"), perfect(5.0));
    same(outcome.score("models/p60/fidelity/micro"), [1.0, 0.6, 0.75, 5.0]);
    assert_eq!(outcome.at("types"), &serde_json::json!(["LOC", "ORG", "PER"]), "those of the final model");
    fs::remove_file(bench.inputs["p60"].join("tokenizer.json")).expect("removed");
    assert_eq!(bench.preflight().expect_err("no tokenizer").at.as_deref(), Some("p60"));
}

#[test]
fn speed_size_and_shape_are_told_of_every_model() {
    let bench = Bench::new(&model(Labels::bio(["PER", "LOC", "ORG"]), &["ORG"]));
    let stage =
        Evaluate { latency_tokens: vec![16, 32, 64], latency_batches: vec![1, 2], seconds: 5.0, ..quick() };
    let outcome = bench.stage(&stage, true).expect("a report");
    let cells = |path: &str| -> Vec<(u64, u64)> {
        let list = outcome.at(path).as_array().expect("a list").iter();
        let number = |cell: &Value, key: &str| cell[key].as_u64().expect("a count");
        list.map(|cell| (number(cell, "tokens"), number(cell, "batch"))).collect()
    };
    let skipped: Vec<_> = outcome.at("speed/skipped").as_array().expect("a list").iter().collect();
    assert_eq!(skipped, [&serde_json::json!([64, 1]), &serde_json::json!([64, 2])], "it reads 62 at once");
    for name in ["teacher", "final"] {
        let latency = format!("models/{name}/latency");
        assert_eq!(cells(&format!("{latency}/matrix")), [(16, 1), (16, 2), (32, 1), (32, 2)]);
        let times = ["p50_ms", "p90_ms", "p99_ms"].map(|key| outcome.number(&format!("{latency}/{key}")));
        assert!(times[0] > 0.0 && times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
        assert!(outcome.number(&format!("models/{name}/throughput/sentences_per_s")) > 0.0);
        assert_eq!(outcome.at(&format!("models/{name}/throughput/texts")), 3);
        let memory = |key: &str| outcome.number(&format!("models/{name}/memory/{key}"));
        same([memory("weights") + memory("activations"), 0.0, 0.0, 0.0], [memory("peak"), 0.0, 0.0, 0.0]);
        assert_eq!(outcome.at(&format!("models/{name}/memory/how")), "computed");
        assert_eq!(
            outcome.at(&format!("models/{name}/shape/layers/0")),
            &serde_json::json!({
                "heads": 2, "ffn": 8, "from_teacher_layer": 0
            })
        );
        assert!(outcome.number(&format!("models/{name}/flops")) > 0.0);
    }
    same([outcome.number("models/teacher/throughput/ratio"), 1.0, 1.0, 0.0], perfect(0.0));
    assert_eq!(outcome.at("models/teacher/latency/ratio_interval"), &serde_json::json!([1.0, 1.0]));
    // No time at all leaves the one cell and the three rounds that there always are.
    let hurried = bench.stage(&Evaluate { seconds: 0.0, ..quick() }, true).expect("a report");
    assert_eq!(hurried.at("models/final/latency/tokens"), 32);
    assert_eq!(hurried.at("models/final/throughput/rounds"), 3);
    assert_eq!(hurried.at("models/final/latency/matrix").as_array().expect("a list").len(), 1);
}

/// The one number about a real teacher that others computed, with transformers: words rejoined, first sub-word decides,
/// strict entities of PER, LOC and ORG.
#[test]
fn the_real_teacher_reaches_what_is_known_of_it() {
    let Some(real) = encoder::testing::real("") else { return };
    let device = BurnDevice::flex();
    let model = Model::load(&real.join("teacher"), &device).expect("the teacher");
    let gold = Gold::load(&real.join("gold/encyclopedia_dev.bio")).expect("gold");
    let comparison =
        Comparison { types: ["PER", "LOC", "ORG"].map(str::to_owned).into(), ignored: BTreeSet::new() };
    let records = &gold.sets[0].records;
    let texts = records.iter().map(|record| (record.text.as_str(), record.words.as_slice()));
    let encoded = encode(&model, texts).expect("sub-words");
    let tagged = tag(&model, &encoded, 2048, &[], &device, None).expect("finite");
    let tags: Vec<_> = tagged.decoded.into_iter().map(|text| text.tags).collect();
    let right: Vec<_> = records.iter().map(|record| record.tags.clone()).collect();
    let pairs = comparison.pairs(&right, &tags);
    let found = board(&records.iter().collect::<Vec<_>>(), &[pairs], None).all(0).micro.score;
    let points = |value: f64| (value * 1000.0).round() / 10.0;
    let micro = [found.precision, found.recall, found.f1].map(|score| points(score.expect("entities")));
    // Not to the digit: how the others treated MISC and adjacent gold entities of one type is not known.
    for (found, known) in micro.into_iter().zip([89.9, 92.4, 91.1]) {
        assert!((found - known).abs() < 0.35, "{micro:?}");
    }
}
