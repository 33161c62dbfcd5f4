//! Everything that a result depends on, as a readable manifest, and its hash: the [`Key`]. Only this module
//! uses blake3.
//!
//! Two results with one key are the same result, so whatever can change a result has to be in the
//! [`Manifest`], and nothing else may be: what does not change results (the device, file times, where an
//! output is published) would only cause needless re-runs.

mod digest;
mod environment;
mod found;
mod known;
mod machine;
mod memo;
mod stat;
mod tree;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use digest::Digest;
pub use found::Unreadable;
pub use machine::Machine;
pub use memo::Memo;
pub use tree::{Observed, observe};
pub use writes::Writes;

use crate::pipeline::{Node, Work};

/// The version of the manifest's format: raising it invalidates every key.
pub const FORMAT: u32 = 1;

/// The version of the stage `command`: of its interface to programs (see `executor`).
/// 2: of its environment it is given what is named, with one locale and time zone.
const COMMAND_VERSION: u32 = 2;

/// The name under which a result is found in `cache/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

impl Key {
    /// The first 12 hex digits, for display.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// Everything that one result depends on. Kept as `manifest.json` beside the result, so that
/// `ner-pipe why` can name what changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The stage's name (`use`), not the node's id.
    pub stage: String,
    /// The stage's version.
    pub version: u32,
    /// Fingerprint of the code in this binary; none for `command`, whose code is an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// All parameters with defaults filled in.
    pub params: Value,
    /// Content of each wired input, by port.
    pub inputs: BTreeMap<String, Digest>,
    /// What the pipeline file writes at the source of an input, by port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Value>,
    /// The outputs of a `command`: kind and file name, both of which its program can see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// Derived from the pipeline's seed and the name of the node's table; none for `command`, which gets no
    /// seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Only for a stage that measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

impl Manifest {
    /// The hash of the canonical form: object keys sorted, no white space.
    #[must_use]
    pub fn key(&self) -> Key {
        let value = serde_json::to_value(self).unwrap_or(Value::Null);
        Key(Digest::of(canonical(&value).as_bytes()))
    }
}

/// A node's manifest as far as it is known: downstream of a stage that has yet to execute, inputs are
/// missing.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    /// Without the unknown inputs.
    pub manifest: Manifest,
    /// Wired input ports whose content is not known yet.
    pub unknown: BTreeSet<String>,
}

impl Fingerprint {
    /// Of a node. `inputs` has the digest of each wire, in the order of [`Node::inputs`]; `code`
    /// ([`code_digest`]) and `machine` are not used for commands.
    ///
    /// # Errors
    /// Those of `machine`.
    pub fn of<E>(
        node: &Node,
        pipeline_seed: u64,
        code: String,
        inputs: &[Option<Digest>],
        machine: impl FnOnce() -> Result<Machine, E>,
    ) -> Result<Self, E> {
        let wires = node.inputs.iter().zip(inputs);
        let unknown =
            wires.clone().filter(|(_, digest)| digest.is_none()).map(|(wire, _)| wire.port.clone()).collect();
        let known =
            wires.filter_map(|(wire, digest)| digest.map(|digest| (wire.port.clone(), digest))).collect();
        let mut manifest = Manifest {
            format: FORMAT,
            stage: node.uses.clone(),
            version: COMMAND_VERSION,
            code: None,
            params: sorted(&node.parameters()),
            inputs: known,
            options: node.options().into_iter().map(|(port, value)| (port, sorted(&value))).collect(),
            outputs: BTreeMap::new(),
            seed: None,
            machine: None,
        };
        match &node.work {
            Work::Stage { kind, .. } => {
                manifest.version = kind.spec.version;
                manifest.code = Some(code);
                manifest.seed = Some(node_seed(pipeline_seed, &node.family));
                manifest.machine = if kind.spec.measures { Some(machine()?) } else { None };
            }
            Work::Command { env, .. } => {
                if !env.is_empty() {
                    manifest.params["env"] = environment::marks(env, |name| std::env::var_os(name));
                }
                manifest.outputs = node
                    .outputs
                    .iter()
                    .map(|out| (out.name.clone(), format!("{} {}", out.kind.name, file_name(&out.published))))
                    .collect();
            }
        }
        Ok(Self { manifest, unknown })
    }

    /// The key, when everything is known.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.unknown.is_empty().then(|| self.manifest.key())
    }

    /// Whether `other` equals this manifest for some content of the unknown inputs.
    #[must_use]
    pub fn may_become(&self, other: &Manifest) -> bool {
        // A manifest that lacks one of these inputs cannot match, whatever the input's content.
        if !self.unknown.iter().all(|port| other.inputs.contains_key(port)) {
            return false;
        }
        let mut other = other.clone();
        other.inputs.retain(|port, _| !self.unknown.contains(port));
        other == self.manifest
    }
}

/// The code fingerprint of a stage as it is in the key: a hash of its parts (made by `stages/build`). The
/// parts are stored with the result, so that the part that changed can be named.
#[must_use]
pub fn code_digest(parts: &[(&str, &str)]) -> String {
    let lines: Vec<String> = parts.iter().map(|(name, hash)| format!("{hash} {name}")).collect();
    Digest::of(lines.join("\n").as_bytes()).to_string()[..32].to_owned()
}

/// The last part of a path, as text.
#[must_use]
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The random seed of a node: it differs between two tables that use one stage, and does not depend on their
/// order in the file. `family` is the table's name: all instances of one table (`foreach`, `matrix`) have the
/// same seed, so that they differ by their values alone, and expanding a stage keeps the result it has.
#[must_use]
pub fn node_seed(pipeline_seed: u64, family: &str) -> u64 {
    let mut bytes = pipeline_seed.to_le_bytes().to_vec();
    bytes.extend_from_slice(family.as_bytes());
    Digest::of(&bytes).leading_u64()
}

/// JSON with object keys sorted and no white space: equal values give equal text.
fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

/// The same value with the keys of all objects sorted.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let by_name: BTreeMap<&String, &Value> = fields.iter().collect();
            Value::Object(by_name.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            stage: "distill".into(),
            version: 1,
            code: Some("c0de".into()),
            params: json!({"temperature": 2.5, "layers": [1, 2]}),
            inputs: [("train".to_owned(), Digest::of(b"a")), ("dev".to_owned(), Digest::of(b"b"))].into(),
            options: BTreeMap::new(),
            outputs: BTreeMap::new(),
            seed: Some(node_seed(42, "distill")),
            machine: None,
        }
    }

    #[test]
    fn the_order_of_parameters_does_not_count() {
        let (one, mut other) = (manifest(), manifest());
        other.params = json!({"layers": [1, 2], "temperature": 2.5});
        assert_eq!(one.key(), other.key());
        other.params = json!({"layers": [2, 1], "temperature": 2.5});
        assert_ne!(one.key(), other.key(), "the order of a list does");
    }

    #[test]
    fn every_part_counts() {
        let base = manifest().key();
        let changes: [fn(&mut Manifest); 8] = [
            |m| m.options.extend([("dev".to_owned(), json!({ "unit": "line" }))]),
            |m| m.stage = "prune".into(),
            |m| m.version = 2,
            |m| m.code = None,
            |m| m.params = json!({"temperature": 3.0, "layers": [1, 2]}),
            |m| m.inputs.extend([("dev".to_owned(), Digest::of(b"c"))]),
            |m| m.seed = Some(1),
            |m| m.machine = Some(Machine { device: "cpu".into(), processor: "x".into(), threads: 2 }),
        ];
        for change in changes {
            let mut other = manifest();
            change(&mut other);
            assert_ne!(other.key(), base, "{other:?}");
        }
    }

    #[test]
    fn a_manifest_survives_its_json() {
        let text = serde_json::to_string_pretty(&manifest()).expect("serialises");
        let back: Manifest = serde_json::from_str(&text).expect("reads back");
        assert_eq!(back.key(), manifest().key());
    }

    #[test]
    fn a_seed_differs_between_nodes_and_stays_the_same_for_one() {
        assert_eq!(node_seed(42, "distill"), node_seed(42, "distill"));
        assert_ne!(node_seed(42, "distill"), node_seed(42, "distill-small"));
        assert_ne!(node_seed(42, "distill"), node_seed(43, "distill"));
    }

    #[test]
    fn an_unknown_input_may_become_anything_but_the_rest_must_fit() {
        let whole = manifest();
        let mut partial = Fingerprint { manifest: manifest(), unknown: ["train".to_owned()].into() };
        partial.manifest.inputs.remove("train");
        assert!(partial.key().is_none());
        assert!(partial.may_become(&whole));
        assert!(!partial.may_become(&partial.manifest), "it had no such input");
        partial.manifest.version = 2;
        assert!(!partial.may_become(&whole));
    }
}
