//! Stages that do nothing, with ports and parameters like those of the real ones.

use std::{collections::BTreeMap, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage_contract::{
    Artifact, Available, Build, Context, Device, Further, Input, Invalid, Kind, Optional, Output, Registry,
    Spec, Stage, StageError,
};

pub fn registry() -> Registry {
    let build = Build { code: &[], compiler: "", device: |_| Ok((Device::CPU.into(), None)) };
    Registry::new(build)
        .stage::<Annotate>()
        .stage::<Split>()
        .stage::<Distill>()
        .stage::<Summarise>()
        .stage::<Compare>()
        .options::<Reading>(Text::KIND)
}

/// What one sentence is.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    /// A line.
    #[default]
    Line,
    /// A file.
    Document,
}

/// How text is read.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Reading {
    /// What one sentence is.
    unit: Unit,
    /// So many lines may be unreadable.
    #[schemars(range(max = 100))]
    errors: u32,
}

macro_rules! artifacts {
    ($($name:ident = $kind:expr;)*) => {$(
        pub struct $name;

        impl Artifact for $name {
            const KIND: Kind = $kind;

            fn load(_: &Path) -> Result<Self, StageError> {
                Ok(Self)
            }

            fn save(&self, _: &Path) -> Result<(), StageError> {
                Ok(())
            }
        }
    )*};
}

artifacts! {
    AnyFile = Kind::FILE;
    Text = Kind {
        name: "text",
        shape: stage_contract::Shape::FileOrFolder,
        extension: "",
        doc: "raw UTF-8 text, one sentence a line: a file, or a folder whose file stems name the sources",
    };
    Gold = Kind {
        name: "gold",
        shape: stage_contract::Shape::FileOrFolder,
        extension: "",
        doc: "gold tags: CoNLL/BIO columns or {\"tokens\",\"ner_tags\"} JSONL: a file, or a folder whose file stems name the sets",
    };
    Model = Kind {
        name: "model",
        shape: stage_contract::Shape::Folder,
        extension: "",
        doc: "a token classifier in Hugging Face layout: config.json, safetensors, and a tokenizer",
    };
    Records = Kind {
        name: "records",
        shape: stage_contract::Shape::File,
        extension: "jsonl",
        doc: "annotated sentences, one JSON object a line",
    };
    Report = Kind { name: "report", shape: stage_contract::Shape::File, extension: "json", doc: "a JSON report" };
}

/// What happens to MISC.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Misc {
    /// It becomes O.
    #[default]
    Outside,
    /// It is out of every loss.
    Ignore,
    /// It stays a type.
    Keep,
}

/// How annotation is done.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Annotate {
    /// What becomes of words that the teacher tags MISC.
    misc: Misc,
    /// Only that many sentences; all when left out.
    sample: Option<usize>,
}

impl Annotate {
    const TEXT: Input<Text> = Input::new("text", "sentences to annotate");
    const TEACHER: Input<Model> = Input::new("teacher", "the model that annotates");
    const RECORDS: Output<Records> = Output::new("records", "annotated sentences");
    const COUNTS: Output<Report> = Output::new("counts", "label counts");
}

impl Stage for Annotate {
    const SPEC: Spec = Spec {
        name: "annotate",
        version: 1,
        doc: "tags raw text with the teacher",
        inputs: &[Self::TEXT.port(), Self::TEACHER.port()],
        outputs: &[Self::RECORDS.port(), Self::COUNTS.port()],
        measures: false,
    };

    fn preflight(&self, inputs: &Available<'_>, _: Device) -> Result<(), Invalid> {
        match inputs.path(&Self::TEACHER) {
            Some(path) if !path.join("config.json").exists() => {
                Err(Invalid::new("the teacher has no config.json")
                    .at("teacher")
                    .help("copy it from the model's page"))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, _: &Context<'_>) -> Result<(), StageError> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Split {
    /// Shares of train, dev and test; they sum to 1.
    #[schemars(inner(range(min = 0, max = 1)))]
    shares: [f64; 3],
}

impl Default for Split {
    fn default() -> Self {
        Self { shares: [0.8, 0.1, 0.1] }
    }
}

impl Split {
    const RECORDS: Input<Records> = Input::new("records", "annotated sentences");
    const TRAIN: Output<Records> = Output::new("train", "to learn from");
    const DEV: Output<Records> = Output::new("dev", "to choose by");
}

impl Stage for Split {
    const SPEC: Spec = Spec {
        name: "split",
        version: 1,
        doc: "parts the records",
        inputs: &[Self::RECORDS.port()],
        outputs: &[Self::TRAIN.port(), Self::DEV.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        let sum: f64 = self.shares.iter().sum();
        if (sum - 1.0).abs() < 1e-9 {
            return Ok(());
        }
        let invalid = Invalid::new(format!("the shares sum to {sum:.3}, and not to 1"));
        Err(invalid.at("shares").help("write `shares = [0.8, 0.1, 0.1]`"))
    }

    fn empty(&self) -> Vec<(&'static str, &'static str)> {
        if self.shares[1] > 0.0 { Vec::new() } else { vec![(Self::DEV.name(), "shares")] }
    }

    fn run(&self, _: &Context<'_>) -> Result<(), StageError> {
        Ok(())
    }
}

/// How the learning rate falls.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Decay {
    #[default]
    Linear,
    Cosine,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Schedule {
    /// Share of the steps.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    warmup: f64,
    /// After it.
    kind: Decay,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { warmup: 0.1, kind: Decay::Linear }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Distill {
    /// Passes over the training part.
    #[schemars(range(min = 1))]
    epochs: usize,
    /// Softens both distributions.
    temperature: f64,
    /// Layers of the teacher that the student starts from.
    #[schemars(length(min = 1, max = 12))]
    layers: Vec<usize>,
    /// Of the encoder; the head learns faster.
    #[schemars(extend("exclusiveMinimum" = 0))]
    learning: f64,
    /// The learning rate over time.
    schedule: Schedule,
}

impl Default for Distill {
    fn default() -> Self {
        Self {
            epochs: 3,
            temperature: 2.5,
            layers: vec![0, 1, 2],
            learning: 2e-5,
            schedule: Schedule::default(),
        }
    }
}

impl Distill {
    const TRAIN: Input<Records> = Input::new("train", "to learn from");
    const DEV: Input<Records> = Input::new("dev", "to choose the best epoch by").filled();
    const TEACHER: Input<Model> = Input::new("teacher", "the model to learn from");
    const GOLD: Optional<Gold> = Optional::new("gold", "sentences that join training with weight 1");
    const MODEL: Output<Model> = Output::new("model", "the student");
}

impl Stage for Distill {
    const SPEC: Spec = Spec {
        name: "distill",
        version: 1,
        doc: "trains a student on the teacher's distributions",
        inputs: &[Self::TRAIN.port(), Self::DEV.port(), Self::TEACHER.port(), Self::GOLD.port()],
        outputs: &[Self::MODEL.port()],
        measures: false,
    };

    fn check(&self) -> Result<(), Invalid> {
        if self.temperature <= 0.0 {
            return Err(Invalid::new("a temperature is more than 0")
                .at("temperature")
                .help("write `temperature = 2.5`"));
        }
        if self.epochs == 0 {
            return Err(Invalid::new("no epoch teaches nothing").at("epochs").help("write `epochs = 3`"));
        }
        Ok(())
    }

    fn preflight(&self, _: &Available<'_>, _: Device) -> Result<(), Invalid> {
        let invalid = Invalid::new("half of the steps is too long a warm-up for this corpus");
        if self.schedule.warmup >= 0.5 {
            return Err(invalid.at("schedule.warmup").help("write `warmup = 0.1`"));
        }
        Ok(())
    }

    fn run(&self, _: &Context<'_>) -> Result<(), StageError> {
        Ok(())
    }
}

/// What several stages have in common.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Common {
    /// How the learning rate falls.
    decay: Decay,
    /// Of two neighbours.
    #[schemars(range(min = 0))]
    weight: f64,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Summarise {
    #[serde(flatten)]
    common: Common,
}

impl Summarise {
    const FILE: Input<AnyFile> = Input::new("file", "what to summarise");
    const OUT: Output<AnyFile> = Output::new("out", "the summary");
}

impl Stage for Summarise {
    const SPEC: Spec = Spec {
        name: "summarise",
        version: 1,
        doc: "counts lines and bytes",
        inputs: &[Self::FILE.port()],
        outputs: &[Self::OUT.port()],
        measures: false,
    };

    fn run(&self, _: &Context<'_>) -> Result<(), StageError> {
        Ok(())
    }
}

/// A bound on a number.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Gate {
    /// Of which model.
    model: String,
    /// At most this.
    #[schemars(range(min = 0))]
    max: Option<f64>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Compare {
    /// Bounds by a name of your own.
    gates: BTreeMap<String, Gate>,
}

impl Compare {
    const TEACHER: Input<Model> = Input::new("teacher", "what to compare with");
    const GOLD: Optional<Gold> = Optional::new("gold", "what is right");
    const MODELS: Further<Model> = Further::new("model", "what else to compare");
    const REPORT: Output<Report> = Output::new("report", "all numbers");
}

impl Stage for Compare {
    const SPEC: Spec = Spec {
        name: "compare",
        version: 1,
        doc: "compares any number of models",
        inputs: &[Self::TEACHER.port(), Self::MODELS.port(), Self::GOLD.port()],
        outputs: &[Self::REPORT.port()],
        measures: false,
    };

    fn check_inputs(&self, wired: &[&str]) -> Result<(), Invalid> {
        let strangers = self.gates.iter().find(|(_, gate)| !wired.contains(&gate.model.as_str()));
        strangers.map_or(Ok(()), |(name, gate)| {
            let invalid = Invalid::new(format!("there is no model `{}`", gate.model));
            Err(invalid.at(format!("gates.{name}.model")).help("name one of the inputs"))
        })
    }

    fn run(&self, _: &Context<'_>) -> Result<(), StageError> {
        Ok(())
    }
}
