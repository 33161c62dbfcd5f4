use std::path::Path;

use serde_json::Value;

use crate::{
    Available, Context, Device, DeviceRequest, Devices, Invalid, Kind, Spec, Stage, StageError, Tool,
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

/// One kind of stage that this binary can execute.
#[derive(Clone, Copy)]
pub struct StageKind {
    /// What it declares.
    pub spec: Spec,
    /// JSON schema of its parameters: names, types, defaults and documentation.
    pub schema: fn() -> Value,
    /// Parameters as JSON to the stage; stops at the first that does not fit.
    pub parse: fn(Value) -> Result<Box<dyn AnyStage>, BadParameter>,
}

impl StageKind {
    fn of<S: Stage>() -> Self {
        Self {
            spec: S::SPEC,
            schema: || schemars::schema_for!(S).to_value(),
            parse: |value| match serde_path_to_error::deserialize::<_, S>(value) {
                Ok(stage) => Ok(Box::new(stage)),
                Err(error) => Err(BadParameter {
                    path: error
                        .path()
                        .iter()
                        .filter_map(|segment| match segment {
                            serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
                            serde_path_to_error::Segment::Map { key } => Some(key.clone()),
                            serde_path_to_error::Segment::Enum { .. }
                            | serde_path_to_error::Segment::Unknown => None,
                        })
                        .collect(),
                    message: error.inner().to_string(),
                }),
            },
        }
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
    /// What it is made of, sorted, each with its hash: `ml/losses.rs`, `crate tokenizers`.
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

/// Looks at a source before it is used, as far as that is quick.
///
/// # Errors
/// Why no stage could use it.
pub type Look = fn(&Path) -> Result<(), Invalid>;

/// All that a binary knows: stages, names of stages left out of this build, tools.
#[derive(Clone)]
pub struct Registry {
    /// How results of this build differ from another's.
    pub build: Build,
    stages: Vec<StageKind>,
    absent: Vec<&'static str>,
    sources: Vec<(Kind, Look)>,
    tools: Vec<Tool>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(build: Build) -> Self {
        Self { build, stages: Vec::new(), absent: Vec::new(), sources: Vec::new(), tools: Vec::new() }
    }

    /// Adds a stage.
    #[must_use]
    pub fn stage<S: Stage>(mut self) -> Self {
        self.stages.push(StageKind::of::<S>());
        self
    }

    /// Names a stage that exists, but not in this build.
    #[must_use]
    pub fn absent(mut self, names: &[&'static str]) -> Self {
        self.absent.extend(names);
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
    pub fn look(&self, kind: Kind, path: &Path) -> Result<(), Invalid> {
        self.sources.iter().filter(|(known, _)| *known == kind).try_for_each(|(_, look)| look(path))
    }

    /// Adds a tool: a subcommand that is no stage.
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
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

    /// Whether the name is of a stage left out of this build.
    #[must_use]
    pub fn is_absent(&self, name: &str) -> bool {
        self.absent.contains(&name)
    }

    /// Names of the stages that exist, but not in this build.
    #[must_use]
    pub fn absent_stages(&self) -> &[&'static str] {
        &self.absent
    }

    /// The tools.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }
}
