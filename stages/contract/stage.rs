use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Artifact, Context, Device, Further, Input, Invalid, Optional, Spec, StageError};

/// A stage is its parameters: the fields are what `[stage.<id>.params]` may say, their doc comments
/// the documentation, [`Default`] the defaults, and all of it content of the key.
///
/// Derive `Serialize, Deserialize, JsonSchema` with `#[serde(default, deny_unknown_fields)]`.
pub trait Stage: Serialize + DeserializeOwned + JsonSchema + Default + Send + Sync + 'static {
    /// Name, version, ports.
    const SPEC: Spec;

    /// Checks the parameters by themselves, before any stage runs: how they fit together. What a single number or the length
    /// of a list may be is said beside the field (`#[schemars(range(min = 1))]`); the runner reports all that are out of
    /// range, in the words of this where it refuses the same parameter, and editors know it.
    ///
    /// # Errors
    /// The first parameter that makes no sense, by name.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Checks what the parameters say of the inputs, given the names of those that are wired, before any stage runs.
    ///
    /// # Errors
    /// The first parameter that makes no sense, by name.
    fn check_inputs(&self, _wired: &[&str]) -> Result<(), Invalid> {
        Ok(())
    }

    /// Outputs that hold nothing with these parameters, each with the parameter that makes it so. A stage whose input must hold
    /// something ([`Input::filled`]) is refused before any work when it is wired to one.
    fn empty(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// Looks at the inputs that exist already, before any work begins and only when the stage is about to execute.
    ///
    /// # Errors
    /// What would make the stage fail later.
    fn preflight(&self, _inputs: &Available<'_>, _device: Device) -> Result<(), Invalid> {
        Ok(())
    }

    /// Does the work.
    ///
    /// # Errors
    /// Why it stopped.
    fn run(&self, cx: &Context<'_>) -> Result<(), StageError>;
}

/// The inputs that exist before a run: sources, and outputs of stages that will be reused.
#[derive(Debug)]
pub struct Available<'a> {
    paths: &'a BTreeMap<String, PathBuf>,
    options: Option<&'a BTreeMap<String, Value>>,
    notes: RefCell<Vec<String>>,
}

impl<'a> Available<'a> {
    /// For the runner: port name to path, for those that exist.
    #[must_use]
    pub fn new(paths: &'a BTreeMap<String, PathBuf>) -> Self {
        Self { paths, options: None, notes: RefCell::default() }
    }

    /// For the runner: what is written at their sources, by port name.
    #[must_use]
    pub fn with_options(self, options: &'a BTreeMap<String, Value>) -> Self {
        Self { options: Some(options), ..self }
    }

    /// The options of an input, by its name, as [`Context::options`] has them.
    #[must_use]
    pub fn options(&self, name: &str) -> &'a Value {
        self.options.and_then(|options| options.get(name)).unwrap_or(&Value::Null)
    }

    /// Says something that stops nothing, and that is better known before the work than after it.
    pub fn note(&self, text: impl Into<String>) {
        self.notes.borrow_mut().push(text.into());
    }

    /// For the runner: what was said.
    #[must_use]
    pub fn into_notes(self) -> Vec<String> {
        self.notes.into_inner()
    }

    /// Reads this input, when it exists already.
    ///
    /// # Errors
    /// As its [`Artifact::read`], at the input; or it is empty where it must not be.
    pub fn read<A: Artifact>(&self, input: &Input<A>) -> Result<Option<A>, Invalid> {
        self.named(input.name())?.map(|value| input.port().expect_filled(value)).transpose()
    }

    /// Reads this optional input, when it is wired and exists already.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_optional<A: Artifact>(&self, input: &Optional<A>) -> Result<Option<A>, Invalid> {
        self.named(input.name())?.map(|value| input.port().expect_filled(value)).transpose()
    }

    /// Reads what is wired under this name, when it exists already.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn named<A: Artifact>(&self, name: &str) -> Result<Option<A>, Invalid> {
        let read = |path: &PathBuf| A::read(path, self.options(name), &|note| self.note(note));
        self.paths.get(name).map(read).transpose().map_err(|e| Invalid::of(&e).at(name))
    }

    /// Where this input lies, when it exists already.
    #[must_use]
    pub fn path<A: Artifact>(&self, input: &Input<A>) -> Option<&'a Path> {
        self.paths.get(input.name()).map(PathBuf::as_path)
    }

    /// Where this optional input lies, when it is wired and exists already.
    #[must_use]
    pub fn optional<A: Artifact>(&self, input: &Optional<A>) -> Option<&'a Path> {
        self.paths.get(input.name()).map(PathBuf::as_path)
    }

    /// Those of the further inputs that exist already, by name, in its order.
    pub fn further<S: Stage, A: Artifact>(
        &self,
        _: &Further<A>,
    ) -> impl Iterator<Item = (&'a str, &'a Path)> {
        S::SPEC.among(self.paths)
    }
}
