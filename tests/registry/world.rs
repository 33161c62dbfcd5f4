//! A project with a source on a hub, of a kind made for that: a box.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use hub::testing::FakeHub;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage_contract::{
    Artifact, Available, Context, Device, Given, Input, Invalid, Kind, Output, Preview, Registry, Shape,
    Spec, Stage, StageError, Template, given,
};

use super::super::{
    project::{Ended, Project, text},
    toy::Toy,
};

/// What counts as one thing.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    #[default]
    Line,
    Document,
}

/// How a box is unpacked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Packing {
    /// What counts as one thing.
    unit: Unit,
    /// So many may be broken.
    #[schemars(range(max = 100))]
    broken: u32,
    /// What things are called.
    names: BTreeMap<String, String>,
}

/// The names of the files in a folder, and how they were to be read.
struct Packed {
    files: Vec<String>,
    packing: Packing,
}

impl Artifact for Packed {
    const KIND: Kind =
        Kind { name: "box", shape: Shape::Folder, extension: "", doc: "a folder with a wheel" };

    fn load(path: &Path) -> Result<Self, StageError> {
        Self::read(path, &Value::Null, &|_| {})
    }

    fn read(path: &Path, options: &Value, note: &dyn Fn(String)) -> Result<Self, StageError> {
        let entries = fs::read_dir(path).map_err(|e| StageError::io("read", path, e))?;
        let names: BTreeSet<_> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let packing: Packing = given(options)?;
        if packing.broken > 0 {
            note(format!("{} may be broken", packing.broken));
        }
        Ok(Self { files: names.into_iter().collect(), packing })
    }

    fn save(&self, _path: &Path) -> Result<(), StageError> {
        Err(StageError::new("is only read"))
    }
}

const PACKED: Input<Packed> = Input::new("packed", "a box");
const TOY: Output<Toy> = Output::new("toy", "what is in it");

/// Says what is in a box.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Unpack {}

impl Stage for Unpack {
    const SPEC: Spec = Spec {
        name: "unpack",
        version: 1,
        doc: "says what is in a box",
        inputs: &[PACKED.port()],
        outputs: &[TOY.port()],
        measures: false,
    };

    fn preflight(&self, inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        let is_burnt = inputs.path(&PACKED).is_some_and(|path| path.join("burnt").exists());
        let unit: Packing = given(inputs.options(PACKED.name())).map_err(|e| Invalid::of(&e))?;
        if is_burnt {
            let message =
                format!("the box is burnt, read by {}", json!(unit.unit).as_str().unwrap_or_default());
            return Err(Invalid::new(message).at("packed").help("take another"));
        }
        if let Some(name) = unit.names.keys().find(|name| *name != "wheel") {
            let message = format!("`names` has {name}, which is not in the box");
            return Err(Invalid::new(message).at("packed").help("name wheel"));
        }
        Ok(())
    }

    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        let Packed { files, packing } = cx.read(&PACKED)?;
        let text = json!({ "files": files, "packing": packing }).to_string();
        cx.write(&TOY, &Toy { name: "box".to_owned(), values: vec![0.0, 1.0], text })
    }
}

/// The wheel, and its label.
fn needed(files: &[String]) -> Result<Vec<String>, Invalid> {
    let wanted = ["label.txt", "wheel.bin"];
    match wanted.iter().find(|wanted| files.iter().all(|file| file != *wanted)) {
        Some(lacking) => Err(Invalid::new(format!("the box has no {lacking}"))),
        None => Ok(wanted.map(str::to_owned).into()),
    }
}

/// The label says what is in it, and comes before the wheel.
const PREVIEW: Preview = Preview { reads: |file| file == "label.txt", look: legible };

fn legible(folder: &Path, options: &Value) -> Result<(), Invalid> {
    let packing: Packing = given(options).map_err(|e| Invalid::of(&e))?;
    let label = fs::read_to_string(folder.join("label.txt")).unwrap_or_default();
    if label == "burnt" {
        let wrong = format!("the label is burnt, and {} things may be broken", packing.broken);
        return Err(Invalid::new(wrong).help("take another box"));
    }
    Ok(())
}

pub fn with(registry: Registry) -> Registry {
    const NEW: Template = Template {
        alone: &[],
        given: &[(
            "pipeline.toml",
            "[sources]\nbox = { path = \"data/box\", kind = \"box\" }\n[stage.unpack]\ninputs = { packed = \"sources.box\" }\n",
        )],
        sources: &[Given { name: "box", kind: Packed::KIND, required: true, doc: "a box" }],
        fit: |_, _| Ok(Vec::new()),
    };
    let registry = registry.stage::<Unpack>().options::<Packing>(Packed::KIND).template(NEW);
    registry.files(Packed::KIND, needed).preview(Packed::KIND, PREVIEW)
}

pub(super) const REPO: &str = "owner/box";

pub(super) fn wheel() -> Vec<u8> {
    vec![b'o'; 300_000]
}

/// A project with a source on a hub, and that hub; the hub's own cache lies beside the project's.
pub(super) struct World {
    pub hub: FakeHub,
    pub project: Project,
    pub commit: String,
}

pub(super) fn pipeline(source: &str) -> String {
    format!(
        "[sources]\nbox = {{ {source}, kind = \"box\" }}\n[stage.unpack]\ninputs = {{ packed = \"sources.box\" }}\n"
    )
}

impl World {
    pub fn new() -> Self {
        let hub = FakeHub::start();
        let commit =
            hub.commit(REPO, &[("label.txt", b"round"), ("wheel.bin", &wheel()), ("rust.txt", b"x")]);
        Self { hub, project: Project::new(&pipeline(&format!("hub = \"{REPO}\""))), commit }
    }

    pub fn home(&self) -> PathBuf {
        self.project.path("home")
    }

    pub fn with(&self, more: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let (endpoint, home) = (self.hub.endpoint(), self.home());
        let own = [
            ("HF_ENDPOINT", endpoint.as_str()),
            ("HF_HOME", home.to_str().expect("is UTF-8")),
            ("HF_HUB_OFFLINE", "0"),
        ];
        self.project.with(&[&own, more].concat(), arguments)
    }

    pub fn ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.with(&[], arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}\n{}\n{}", ended.out, ended.err);
        ended
    }

    pub fn outcome(&self, arguments: &[&str]) -> String {
        let events = self.ok(&[&["run", "--format", "json"], arguments].concat()).events();
        text(&events.iter().find(|event| event["event"] == "stage").expect("ended")["outcome"])
    }

    pub fn toy(&self) -> Value {
        let toy: Value =
            serde_json::from_str(&self.project.read("artifacts/unpack/toy.json")).expect("is JSON");
        serde_json::from_str(toy["text"].as_str().expect("is text")).expect("is JSON")
    }
}
