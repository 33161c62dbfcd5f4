//! The examples of docs/adding.md: a loss, an encoder, a stage and a section of the report, made outside of the packages
//! that use them.

use std::{collections::BTreeMap, fs, io, path::Path};

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use distillation::{
    Distillation, Examples, Lesson, Training, Weights,
    crf::transitions::bigram,
    losses::loss::{Loss, Pass},
};
use encoder::{
    arch::{Architecture, Family, Keys, Part, Tensors, distilbert::DistilBert, post_norm},
    backend::{device::resolve, prepacked::WeightFormat, readback::host},
    config::Config,
    inputs::Inputs,
    network::Network,
    testing::{
        batch, elsewhere,
        fixture::{model, teacher_labels},
        furthest, tiny, trained,
    },
};
use stage_contract::{
    Artifact, Build, Context, Input, Invalid, Kind, Output, Registry, Shape, Spec, Stage, StageError,
    report::{Block, Cell, Fold, Measure, Section, Table, Topic},
    testing::context,
};
use text::{
    corpus::{self, Provenance, Record, Text},
    labels::Labels,
    words::words,
};
use train::objective::{At, Objective};

// docs/adding.md: stage
const TEXT: Input<Text> = Input::new("text", "raw text");
const LENGTHS: Output<Lengths> = Output::new("lengths", "how many lines have so many words");

/// Counts the words of each line.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Count {
    /// Longer lines count as this long.
    longest: usize,
}

impl Default for Count {
    fn default() -> Self {
        Self { longest: 100 }
    }
}

impl Stage for Count {
    const SPEC: Spec = Spec {
        name: "count",
        version: 1,
        doc: "counts the words of each line",
        inputs: &[TEXT.port()],
        outputs: &[LENGTHS.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        if self.longest == 0 {
            return Err(Invalid::new("`longest` is 0").at("longest").help("use 1 or more"));
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let mut lengths = Lengths::default();
        for line in cx.read(&TEXT)?.lines {
            *lengths.0.entry(words(&line.text).len().min(self.longest)).or_default() += 1;
        }
        cx.write(&LENGTHS, &lengths)
    }
}
// end

// docs/adding.md: artifact
/// How many lines have so many words.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Lengths(BTreeMap<usize, usize>);

impl Artifact for Lengths {
    const KIND: Kind =
        Kind { name: "lengths", shape: Shape::File, extension: "json", doc: "lines by number of words" };

    fn load(path: &Path) -> Result<Self, StageError> {
        serde_json::from_str(&corpus::read(path)?)
            .map_err(|e| StageError::because(format!("cannot read {}", path.display()), e))
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        corpus::write(path, |out| serde_json::to_writer(out, self).map_err(io::Error::from))
    }
}
// end

// docs/adding.md: section
const TOPIC: Topic = Topic::new(250, "Lengths");

/// A table of all lengths.
fn lengths(Lengths(counts): &Lengths) -> Vec<Section> {
    let table = Table {
        title: "Lines by number of words".to_owned(),
        fold: Fold::Open,
        columns: vec![Measure::number("Words").into(), Measure::number("Lines").into()],
        rows: counts.iter().map(|(words, lines)| vec![Cell::from(*words), Cell::from(*lines)]).collect(),
    };
    vec![Section::new(TOPIC, vec![Block::Table(table)])]
}

fn registry(build: Build) -> Registry {
    Registry::new(build).stage::<Count>().show(lengths)
}
// end

// docs/adding.md: encoder
/// BERT's layer under other names; config.json has the keys of `DistilBERT`.
#[derive(Debug)]
struct Plain;

impl Architecture for Plain {
    fn families(&self) -> &'static [Family] {
        &[Family { model_type: "plain", class: "PlainForTokenClassification" }]
    }

    fn keys(&self) -> &'static Keys {
        DistilBert.keys()
    }

    fn tensors(&self) -> &'static Tensors {
        &const {
            Tensors {
                word: "plain.words",
                positions: Some("plain.positions"),
                types: None,
                norm: Part::norm("plain.norm"),
                layers: "plain.layers",
                parts: &post_norm::parts(["query", "key", "value", "output", "norm1", "up", "down", "norm2"]),
                shared: &[],
                head: "classifier",
                unused: &["plain.pooler."],
            }
        }
    }
}
// end

// docs/adding.md: loss
/// Minus the entropy of the student's distribution, which makes it certain.
struct Certainty;

impl Loss for Certainty {
    fn name(&self) -> &'static str {
        "certainty"
    }

    fn doc(&self) -> &'static str {
        "minus the entropy of the student's distribution"
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        let [words, _] = pass.logits.dims();
        // The mean of nothing would be NaN.
        let loss = if words == 0 {
            Tensor::zeros([1], &pass.logits.device())
        } else {
            let log = activation::log_softmax(pass.logits.clone(), 1);
            (log.clone().exp() * log).sum_dim(1).mean()
        };
        vec![(self.name(), loss)]
    }
}
// end

#[test]
fn a_stage_from_outside_runs_and_its_output_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let [input, output] = ["text.txt", "lengths.json"].map(|name| folder.path().join(name));
    fs::write(&input, "Paul\nAnna dort\nLe chat noir dort\n").expect("written");
    let inputs = BTreeMap::from([("text".to_owned(), input)]);
    let outputs = BTreeMap::from([("lengths".to_owned(), output.clone())]);
    let stage = Count { longest: 3 };
    stage.run(&Context { inputs: &inputs, outputs: &outputs, ..context() }).expect("counted");
    let registry = registry(Build { code: &[], compiler: "", device: resolve });
    let sections = registry.sections(Lengths::KIND, &output).expect("a whole file");
    let [Block::Table(table)] = sections[0].blocks.as_slice() else { panic!("one table") };
    let row = |words: usize| vec![Cell::from(words), Cell::from(1_usize)];
    assert_eq!(table.rows, [1, 2, 3].map(row));
    let kinds: Vec<&str> = registry.kinds().iter().map(|kind| kind.name).collect();
    assert!(kinds.contains(&"lengths"), "{kinds:?}");
    let wrong = Count { longest: 0 }.check().expect_err("no length");
    assert_eq!(wrong.at.as_deref(), Some("longest"));
}

#[test]
fn an_encoder_from_outside_is_built_from_its_tensors_and_computes_the_same_everywhere() {
    let (config, device) = (Config { architecture: &Plain, ..tiny() }, Device::flex());
    let weights = trained(&config, &device).weights(&config);
    let query = weights.get("plain.layers.1.query.weight").expect("its own name");
    assert_eq!(query.shape, [config.layers[1].heads * config.head_dim, config.hidden]);
    assert_eq!(weights.parameters(), config.all_parameters());
    let network = Network::from_weights(&config, weights, &device).expect("all tensors, and no other");
    let batch = batch(&[5, 3]);
    let logits =
        |network: &Network| host(network.forward(&Inputs::new(&batch, &config, &device), &[]).logits);
    let right = elsewhere(|| logits(&network));
    assert!(right.iter().all(|logit| logit.is_finite()));
    let near = |found: &[f32]| furthest(found, &right) < 1e-4;
    assert!(near(&logits(&network)), "the kernels compute what Burn's operations compute");
    assert!(near(&logits(&network.prepack(&config, WeightFormat::F32))), "prepacked too");
}

#[test]
fn a_loss_from_outside_is_a_term_of_a_training() {
    let (teacher, student) = (model(teacher_labels(), &[]), model(Labels::bio(["PER", "LOC", "ORG"]), &[]));
    let training = Training::default();
    let record = Record {
        id: "a:1".to_owned(),
        text: "Anna Anna".to_owned(),
        source: "a".to_owned(),
        group: "a:1".to_owned(),
        words: vec![[0, 4], [5, 9]],
        tags: vec!["B-PER".to_owned(), "B-PER".to_owned()],
        score: vec![1.0; 2],
        provenance: Provenance::Silver { model: "12ab".to_owned() },
    };
    let examples =
        Examples::new(&student, &[&record], &teacher.config.labels, &training).expect("known tags");
    let transitions = bigram(&student.config.labels, &examples.annotations());
    let lesson = Lesson {
        teacher: &teacher,
        student: &student,
        training: &training,
        pairs: &[],
        relation: None,
        transitions: &transitions,
    };
    let losses: [&dyn Loss; 1] = [&Certainty];
    let weights = |_| Weights::of(&[("certainty", 0.1)]);
    let distillation =
        Distillation { lesson, train: &examples, dev: &examples, losses: &losses, weights: &weights };
    let network = student.network.clone().train();
    let terms = distillation.terms(&network, None, &[0], At { epoch: 1, share: 0.0 }).expect("a batch");
    let [term] = terms.as_slice() else { panic!("one term") };
    assert_eq!(term.name, "certainty");
    assert!((term.weight - 0.1).abs() < 1e-12);
    // The entropy of seven labels is at most ln 7.
    let loss = host(term.loss.clone())[0];
    assert!((-1.946..0.0).contains(&loss), "{loss}");
}

#[test]
fn adding_md_quotes_these_examples_verbatim() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("a file of the repository");
    let page = read("docs/adding.md");
    let mut names = Vec::new();
    // An executor belongs to the runner, which nothing here may depend on.
    for source in ["stages/tests/adding.rs", "src/executor/execute/tests.rs"].map(read) {
        for piece in source.split("\n// docs/adding.md: ").skip(1) {
            let (name, rest) = piece.split_once('\n').expect("a name");
            let (code, _) = rest.split_once("// end\n").expect("an end");
            assert!(page.contains(&format!("```rust\n{code}```\n")), "docs/adding.md lacks {name}:\n{code}");
            names.push(name.to_owned());
        }
    }
    assert_eq!(names, ["stage", "artifact", "section", "encoder", "loss", "executor"]);
    assert_eq!(page.matches("```rust\n").count(), names.len(), "docs/adding.md has an example of its own");
}
