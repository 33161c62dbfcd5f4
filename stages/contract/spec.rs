use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::Port;

/// What a stage declares about itself.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The name for `use = ".."`.
    pub name: &'static str,
    /// Raised by hand when the meaning of an output changes though no code did.
    pub version: u32,
    /// One line for `ner-pipe stages`.
    pub doc: &'static str,
    /// What it reads.
    pub inputs: &'static [Port],
    /// What it writes, all of it on every success.
    pub outputs: &'static [Port],
    /// It measures the machine (latency, memory): its key then includes device class, CPU and threads,
    /// and only then does [`Context::measure`] give it a clock.
    pub measures: bool,
}

impl Spec {
    /// The port that an input of this name goes to: the one so called, else that for [`Further`](crate::Further) ones.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<&'static Port> {
        let named = self.inputs.iter().find(|port| !port.further && port.name == name);
        named.or_else(|| self.further())
    }

    /// The port for inputs under names of the user's.
    #[must_use]
    pub fn further(&self) -> Option<&'static Port> {
        self.inputs.iter().find(|port| port.further)
    }

    /// Of all `inputs`, those that go to the port for [`Further`](crate::Further) ones.
    pub(crate) fn among<'p>(
        &self,
        inputs: &'p BTreeMap<String, PathBuf>,
    ) -> impl Iterator<Item = (&'p str, &'p Path)> {
        let further = |name: &str| self.port(name).is_some_and(|port| port.further);
        inputs
            .iter()
            .filter(move |(name, _)| further(name))
            .map(|(name, path)| (name.as_str(), path.as_path()))
    }
}
