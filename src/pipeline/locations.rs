//! Source locations of the parts of a node, for diagnostics.

use std::collections::BTreeMap;

use stage_contract::Invalid;

use super::overrides::typed;
use crate::problem::{Code, Location, Problem};

/// Source locations of a node's table.
pub(super) struct NodeLocations {
    pub header: Location,
    pub inputs: BTreeMap<String, Location>,
    pub outputs: BTreeMap<String, Location>,
    pub resources: BTreeMap<String, Location>,
    pub parameters: ParameterLocations,
    /// What the file writes of the options of the source that an input reads, by port name.
    pub options: BTreeMap<String, ParameterLocations>,
}

impl NodeLocations {
    /// Underlines the option of a source that `invalid` is about, else the input or the parameter that it names, else the
    /// stage's header.
    pub fn blame(&self, code: Code, invalid: &Invalid, otherwise: &str) -> Problem {
        let named = invalid.at.as_deref();
        let input = named.and_then(|name| self.inputs.get(name));
        let place = input.or_else(|| self.parameters.value(&named?.split('.').collect::<Vec<_>>()));
        let problem = Problem::invalid(code, invalid);
        let options = named.and_then(|name| self.options.get(name));
        if let (Some(option), Some(input)) = (options.and_then(|all| all.said(&invalid.message)), input) {
            return problem.at(option, "this").at(input, "read here");
        }
        match (place, named) {
            (Some(place), Some(name)) => {
                let typed = invalid.help.as_deref().and_then(|help| typed(help, place, name));
                let problem = problem.at(place, "this");
                match typed {
                    Some(help) => problem.help(help),
                    None => problem,
                }
            }
            // A default is not in the file, so the message must name the parameter.
            (None, Some(name)) => problem.at(&self.header, format!("{otherwise}: `{name}`")),
            (_, None) => problem.at(&self.header, otherwise),
        }
    }
}

/// Source locations of each parameter: of its key and its value, by its path from the table down.
#[derive(Clone, Default)]
pub(super) struct ParameterLocations(BTreeMap<Vec<String>, (Location, Location)>);

impl ParameterLocations {
    /// The location of a value, or else of the innermost value that contains it.
    pub fn value(&self, path: &[&str]) -> Option<&Location> {
        let mut path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        while !path.is_empty() {
            if let Some((_, value)) = self.0.get(&path) {
                return Some(value);
            }
            path.pop();
        }
        None
    }

    /// The location of what a message is about: of the first parameter that it quotes, or of a key in that which is among
    /// its words.
    fn said(&self, message: &str) -> Option<&Location> {
        let mut quoted = message.split('`').skip(1).step_by(2).map(|word| [word.to_owned()]);
        let path = quoted.find(|path| self.0.contains_key(path.as_slice()))?;
        let words = message.split_whitespace().map(|word| word.trim_matches([',', ';', ':', '`']));
        let mut inner = words.map(|word| [&path[..], &[word.to_owned()]].concat());
        inner.find_map(|path| self.key(&path)).or_else(|| self.0.get(path.as_slice()).map(|(_, value)| value))
    }

    pub fn key(&self, path: &[String]) -> Option<&Location> {
        self.0.get(path).map(|(key, _)| key)
    }

    /// Sets the locations of a parameter and drops those of its old nested values.
    pub fn replace(&mut self, path: &[String], key: Location, value: Location) {
        self.0.retain(|known, _| !known.starts_with(path));
        self.insert(path, key, value);
    }

    pub fn insert(&mut self, path: &[String], key: Location, value: Location) {
        self.0.insert(path.to_vec(), (key, value));
    }
}
