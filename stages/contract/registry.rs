use std::{path::Path, sync::Arc};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Artifact, Available, Context, Device, DeviceRequest, Devices, Invalid, Kind, Spec, Stage, StageError,
    Template, Tool, report::Section,
};

/// A stage with its parameters set, whatever its type.
pub trait AnyStage: Send + Sync {
    /// All parameters with defaults filled in: content of the key.
    fn parameters(&self) -> Value;
    /// See [`Stage::check`].
    ///
    /// # Errors
    /// The first parameter that makes no sense.
    fn check(&self) -> Result<(), Invalid>;
    /// See [`Stage::check_inputs`].
    ///
    /// # Errors
    /// The first parameter that makes no sense.
    fn check_inputs(&self, wired: &[&str]) -> Result<(), Invalid>;
    /// See [`Stage::empty`].
    fn empty(&self) -> Vec<(&'static str, &'static str)>;
    /// See [`Stage::preflight`].
    ///
    /// # Errors
    /// What would make the stage fail later.
    fn preflight(&self, inputs: &Available<'_>, device: Device) -> Result<(), Invalid>;
    /// See [`Stage::run`].
    ///
    /// # Errors
    /// Why it stopped.
    fn run(&self, cx: &Context<'_>) -> Result<(), StageError>;
}

impl<S: Stage> AnyStage for S {
    fn parameters(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
    fn check(&self) -> Result<(), Invalid> {
        Stage::check(self)
    }
    fn check_inputs(&self, wired: &[&str]) -> Result<(), Invalid> {
        Stage::check_inputs(self, wired)
    }
    fn empty(&self) -> Vec<(&'static str, &'static str)> {
        Stage::empty(self)
    }
    fn preflight(&self, inputs: &Available<'_>, device: Device) -> Result<(), Invalid> {
        Stage::preflight(self, inputs, device)
    }
    fn run(&self, cx: &Context<'_>) -> Result<(), StageError> {
        Stage::run(self, cx)
    }
}

/// A parameter that does not fit the stage's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParameter {
    /// Where, from the parameters' table down: `["weights", "0"]`.
    pub path: Vec<String>,
    /// What is wrong, as serde says it.
    pub message: String,
}

/// What a table of the pipeline file may say: the parameters of a stage, the options of a source.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// JSON schema: names, types, defaults and documentation.
    pub schema: fn() -> Value,
    /// The same values with all defaults filled in; stops at the first that does not fit.
    pub fill: fn(Value) -> Result<Value, BadParameter>,
}

impl Form {
    /// Of a struct with `#[serde(default, deny_unknown_fields)]`.
    #[must_use]
    pub const fn of<T: Serialize + DeserializeOwned + JsonSchema>() -> Self {
        Self {
            schema: || schemars::schema_for!(T).to_value(),
            fill: |value| Ok(serde_json::to_value(parse::<T>(value)?).unwrap_or(Value::Null)),
        }
    }
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, BadParameter> {
    serde_path_to_error::deserialize(value).map_err(|error| BadParameter {
        path: error
            .path()
            .iter()
            .filter_map(|segment| match segment {
                serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
                serde_path_to_error::Segment::Map { key } => Some(key.clone()),
                serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
            })
            .collect(),
        message: error.inner().to_string(),
    })
}

/// One kind of stage that this binary can execute.
#[derive(Clone, Copy)]
pub struct StageKind {
    /// What it declares.
    pub spec: Spec,
    /// Its parameters.
    pub form: Form,
    /// Parameters as JSON to the stage; stops at the first that does not fit.
    pub parse: fn(Value) -> Result<Box<dyn AnyStage>, BadParameter>,
}

impl StageKind {
    fn of<S: Stage>() -> Self {
        Self { spec: S::SPEC, form: Form::of::<S>(), parse: |value| Ok(Box::new(parse::<S>(value)?)) }
    }
}

/// What this build is, beyond its stages.
#[derive(Clone, Copy)]
pub struct Build {
    /// The code that each stage's results depend on.
    pub code: &'static [Code],
    /// What compiled it; recorded beside a result, and no part of its key.
    pub compiler: &'static str,
    /// Turns `--device` into devices that are really there, and says what it took (`auto` only).
    pub device: FindDevice,
}

/// The code that a stage's results depend on, part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The stage's name; empty: every stage that is not named.
    pub stage: &'static str,
    /// What it is made of, sorted, each with its hash: `ml/distillation/losses.rs`, `crate tokenizers`.
    pub parts: &'static [(&'static str, &'static str)],
}

impl Build {
    /// The code of a stage.
    #[must_use]
    pub fn code(&self, stage: &str) -> &'static [(&'static str, &'static str)] {
        // A module is named as its stage is, as far as Rust allows.
        let module = stage.replace('-', "_");
        let named = self.code.iter().find(|code| code.stage == module);
        named.or_else(|| self.code.iter().find(|code| code.stage.is_empty())).map_or(&[], |code| code.parts)
    }
}

/// See [`Build::device`].
pub type FindDevice = fn(DeviceRequest) -> Result<(Devices, Option<String>), Invalid>;

/// Looks at a source before it is used, as far as that is quick; with its options, as [`Artifact::read`] gets them.
///
/// # Errors
/// Why no stage could use it.
pub type Look = fn(&Path, &Value) -> Result<(), Invalid>;

/// Which files of a repository a source of this kind needs, from the names of all: a name may have folders in it.
///
/// # Errors
/// What the repository lacks.
pub type Needed = fn(&[String]) -> Result<Vec<String>, Invalid>;

/// What of a repository of the hub is downloaded first and looked at, so that one that no stage could use is refused before
/// its large files come.
#[derive(Clone, Copy)]
pub struct Preview {
    /// Whether a file, by its name in the repository, is among them.
    pub reads: fn(&str) -> bool,
    /// As [`Look`], at a folder that may lack all other files.
    pub look: Look,
}

/// Reads an output and says what a page shows of it.
type View = Arc<dyn Fn(&Path) -> Result<Vec<Section>, StageError> + Send + Sync>;

/// All that a binary knows: stages, what flows between them and how it is shown, tools.
#[derive(Clone)]
pub struct Registry {
    /// How results of this build differ from another's.
    pub build: Build,
    stages: Vec<StageKind>,
    elsewhere: Option<&'static str>,
    sources: Vec<(Kind, Look)>,
    options: Vec<(Kind, Form)>,
    files: Vec<(Kind, Needed)>,
    previews: Vec<(Kind, Preview)>,
    views: Vec<(Kind, View)>,
    tools: Vec<Tool>,
    template: Option<Template>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(build: Build) -> Self {
        Self {
            build,
            stages: Vec::new(),
            elsewhere: None,
            sources: Vec::new(),
            options: Vec::new(),
            files: Vec::new(),
            previews: Vec::new(),
            views: Vec::new(),
            tools: Vec::new(),
            template: None,
        }
    }

    /// Adds a stage.
    #[must_use]
    pub fn stage<S: Stage>(mut self) -> Self {
        self.stages.push(StageKind::of::<S>());
        self
    }

    /// Says that this build lacks stages that others have, and how to get one: an imperative.
    #[must_use]
    pub fn elsewhere(mut self, help: &'static str) -> Self {
        self.elsewhere = Some(help);
        self
    }

    /// Says what a page shows of outputs of this kind: one that is wrong is an error of [`Artifact::load`].
    ///
    /// A function and no method of the artifact, so that it is no part of the code that results depend on.
    #[must_use]
    pub fn show<A: Artifact + 'static>(mut self, sections: fn(&A) -> Vec<Section>) -> Self {
        self.views.push((A::KIND, Arc::new(move |path| Ok(sections(&A::load(path)?)))));
        self
    }

    /// Says how a source of this kind is looked at.
    #[must_use]
    pub fn source(mut self, kind: Kind, look: Look) -> Self {
        self.sources.push((kind, look));
        self
    }

    /// Looks at a source; one of a kind of which nothing was said is taken as it is.
    ///
    /// # Errors
    /// Why no stage could use it.
    pub fn look(&self, kind: Kind, path: &Path, options: &Value) -> Result<(), Invalid> {
        self.sources.iter().filter(|(known, _)| *known == kind).try_for_each(|(_, look)| look(path, options))
    }

    /// Says what `pipeline.toml` may write at a source of this kind, beside where it lies: `O` has
    /// `#[serde(default, deny_unknown_fields)]`. Only what is written there counts for results.
    #[must_use]
    pub fn options<O: Serialize + DeserializeOwned + JsonSchema>(mut self, kind: Kind) -> Self {
        self.options.push((kind, Form::of::<O>()));
        self
    }

    /// The options of a source of this kind, where it has some.
    #[must_use]
    pub fn options_of(&self, kind: Kind) -> Option<&Form> {
        self.options.iter().find(|(known, _)| *known == kind).map(|(_, form)| form)
    }

    /// Says which files of a repository of the hub a source of this kind needs; all when nothing is said.
    #[must_use]
    pub fn files(mut self, kind: Kind, needed: Needed) -> Self {
        self.files.push((kind, needed));
        self
    }

    /// Which files of a repository a source of this kind needs.
    ///
    /// # Errors
    /// What the repository lacks.
    pub fn needed(&self, kind: Kind, files: &[String]) -> Result<Vec<String>, Invalid> {
        let known = self.files.iter().find(|(known, _)| *known == kind);
        known.map_or_else(|| Ok(files.to_vec()), |(_, needed)| needed(files))
    }

    /// Says what of a repository of the hub is looked at first for a source of this kind.
    #[must_use]
    pub fn preview(mut self, kind: Kind, preview: Preview) -> Self {
        self.previews.push((kind, preview));
        self
    }

    /// What of a repository is looked at first, where something was said.
    #[must_use]
    pub fn preview_of(&self, kind: Kind) -> Option<Preview> {
        self.previews.iter().find(|(known, _)| *known == kind).map(|(_, preview)| *preview)
    }

    /// What a page shows of an output, in the order of registration; nothing of a kind of which nothing was said.
    ///
    /// # Errors
    /// When it is unreadable or malformed.
    pub fn sections(&self, kind: Kind, path: &Path) -> Result<Vec<Section>, StageError> {
        let mut sections = Vec::new();
        for (_, view) in self.views.iter().filter(|(known, _)| known.name == kind.name) {
            sections.extend(view(path)?);
        }
        Ok(sections)
    }

    /// What a source or an output may be: a file, a folder, and what stages read, write, look at and show.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let ports = self.stages.iter().flat_map(|kind| kind.spec.inputs.iter().chain(kind.spec.outputs));
        let said = self.sources.iter().map(|(kind, _)| *kind).chain(self.views.iter().map(|(kind, _)| *kind));
        let said = said.chain(self.options.iter().map(|(kind, _)| *kind));
        let said = said.chain(self.files.iter().map(|(kind, _)| *kind));
        let said = said.chain(self.previews.iter().map(|(kind, _)| *kind));
        let mut kinds = vec![Kind::FILE, Kind::FOLDER];
        for kind in ports.map(|port| port.kind).chain(said) {
            if kinds.iter().all(|known| known.name != kind.name) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// The kind of this name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.kinds().into_iter().find(|kind| kind.name == name)
    }

    /// Adds a tool: a subcommand that is no stage.
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Says what `ner-pipe init` writes.
    #[must_use]
    pub fn template(mut self, template: Template) -> Self {
        self.template = Some(template);
        self
    }

    /// What `ner-pipe init` writes, where this build has something.
    #[must_use]
    pub fn new_project(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// The stages, in the order they were added.
    #[must_use]
    pub fn stages(&self) -> &[StageKind] {
        &self.stages
    }

    /// The stage of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&StageKind> {
        self.stages.iter().find(|kind| kind.spec.name == name)
    }

    /// How to get a build with more stages, where this one lacks some.
    #[must_use]
    pub fn more_elsewhere(&self) -> Option<&'static str> {
        self.elsewhere
    }

    /// The tools.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }
}
