//! An audit, from the first file to the last.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::{
    claims::{self, Claim},
    finding::{Finding, Severity},
    labels::{self, Said},
    said::listening,
    stock,
    units::{self, Units},
    vocabulary::{self, Vocabulary},
    weights::{self, Part, Weights},
};
use distillation::check_student;
use encoder::{
    config::Config,
    layout::{Mismatch, disagree, mismatches},
};
use export::Target;
use text::folder;

/// What a model folder is, and what is wrong with it.
#[derive(Debug, Serialize)]
pub(super) struct Audit {
    /// As it was named.
    pub model: String,
    /// Whether ner-pipe can use it: then there is no finding of severity `error`.
    pub usable: bool,
    /// What for.
    pub uses: Uses,
    /// As config.json has it.
    pub model_type: Option<String>,
    /// Null where config.json is not understood.
    pub shape: Option<Shape>,
    pub parameters: Parameters,
    pub weights: Stored,
    pub zeros: Zeros,
    pub labels: Option<Said>,
    pub vocabulary: Option<Vocabulary>,
    /// The worst first.
    pub findings: Vec<Finding>,
}

/// What a model can be used for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Uses {
    pub teacher: bool,
    /// As `prune` and `finetune` take it.
    pub student: bool,
    /// What `export --to` makes of it.
    pub exports: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Shape {
    pub hidden: usize,
    pub head_dim: usize,
    pub positions: usize,
    /// Sub-words of the longest text, specials included.
    pub longest: usize,
    pub crf: bool,
    pub decode: &'static str,
    /// Heads and neurons of each layer.
    pub layers: Vec<[usize; 2]>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Parameters {
    /// In the tensors that the model uses.
    pub counted: usize,
    /// In all tensors.
    pub all: usize,
    /// By the sizes of config.json; null where it is not understood.
    pub by_config: Option<usize>,
    pub claimed: Vec<Claim>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Stored {
    pub files: Vec<Part>,
    /// Numbers by their type.
    pub types: std::collections::BTreeMap<String, usize>,
    pub bytes: usize,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Zeros {
    pub numbers: usize,
    /// Of so many in matrices.
    pub of: usize,
    pub units: Option<Units>,
}

impl Audit {
    /// Looks at everything in a folder; `name` is what the user calls it.
    pub fn of(model: &Path, name: &str) -> Self {
        let (mut audit, said) = listening(|| Self::silent(model, name));
        audit.findings.extend(said.into_iter().map(Finding::note));
        audit.findings.sort_by_key(|finding| finding.severity);
        let mut seen: Vec<Finding> = Vec::new();
        audit.findings.retain(|finding| {
            let new = !seen.contains(finding);
            seen.push(finding.clone());
            new
        });
        audit
    }

    fn silent(model: &Path, name: &str) -> Self {
        let mut findings = Vec::new();
        let (stock, config) = config(model, &mut findings);
        let read = weights::read(model, config.as_ref(), &mut findings);
        let weights = read.unwrap_or_else(|error| {
            findings.push(Finding::of(&error));
            Weights::default()
        });
        let labels = stock.as_ref().and_then(|stock| labels::read(stock, &mut findings));
        let word = config.as_ref().map(|config| format!("{}.weight", config.architecture.tensors().word));
        let rows = word.and_then(|name| weights.blank.get(&name)).map(|blank| blank.rows.as_slice());
        let vocabulary = vocabulary::read(model, config.as_ref(), stock.as_ref(), rows, &mut findings);
        let mut units = None;
        // Of what cannot be read nothing is known.
        if let (Some(config), true) = (&config, weights.is_whole) {
            disagreements(config, &weights, &mut findings);
            let (counted, finding) = units::count(config, &weights);
            units = Some(counted);
            findings.extend(finding);
        }
        findings.extend(weights::scattered(&weights, config.as_ref().map(|config| config.architecture)));
        stock::read(model, stock.as_ref(), config.as_ref(), &weights, &mut findings);
        let claimed = claims::all(model, stock.as_ref(), &weights);
        let embedding = rows.map_or(0, <[bool]>::len) * config.as_ref().map_or(0, |config| config.hidden);
        findings.extend(claims::judged(model, &claimed, &weights, embedding));
        let usable = findings.iter().all(|finding| finding.severity != Severity::Error);
        Self {
            model: name.to_owned(),
            usable,
            uses: config.as_ref().filter(|_| usable).map(Uses::of).unwrap_or_default(),
            model_type: stock.as_ref().and_then(|stock| stock["model_type"].as_str()).map(str::to_owned),
            shape: config.as_ref().map(Shape::of),
            parameters: Parameters {
                counted: weights.parameters,
                all: weights.numbers(),
                by_config: config.as_ref().map(Config::all_parameters),
                claimed,
            },
            zeros: Zeros { numbers: weights.zeros, of: weights.in_matrices, units },
            weights: Stored { files: weights.files, types: weights.stored, bytes: weights.bytes },
            labels,
            vocabulary,
            findings,
        }
    }
}

/// config.json as it stands, and what is understood of it.
fn config(model: &Path, findings: &mut Vec<Finding>) -> (Option<Value>, Option<Config>) {
    let stock = match Config::read(model) {
        Ok(stock) => stock,
        Err(error) => {
            findings.push(Finding::of(&error).file(folder::CONFIG));
            return (None, None);
        }
    };
    match Config::parse(stock.clone()) {
        Ok(config) => (Some(stock), Some(config)),
        Err(error) => {
            findings.push(Finding::of(&error).file(folder::CONFIG));
            (Some(stock), None)
        }
    }
}

/// Shapes of tensors against config.json: what is missing, and what has another shape.
fn disagreements(config: &Config, weights: &Weights, findings: &mut Vec<Finding>) {
    let wrong = mismatches(config, &weights.shapes, &weights.left);
    let (missing, other): (Vec<Mismatch>, Vec<Mismatch>) =
        wrong.into_iter().partition(|wrong| !weights.shapes.contains_key(&wrong.tensor));
    for all in [missing, other] {
        let Some(first) = all.first() else { continue };
        let more = if all.len() > 1 { format!(", and {} more", all.len() - 1) } else { String::new() };
        let finding = Finding::of(&disagree(first));
        let what = format!(
            "{}{more}; transformers draws what is missing at random, and refuses other shapes",
            finding.what
        );
        let names = all.into_iter().map(|wrong| wrong.tensor).filter(|name| !name.is_empty());
        findings.push(Finding { what, ..finding }.tensors(names));
    }
}

impl Uses {
    fn of(config: &Config) -> Self {
        let exports = Target::ALL.into_iter().filter(|to| export::check(config, *to).is_ok());
        Self {
            teacher: true,
            student: check_student(config).is_ok(),
            exports: exports.map(Target::name).collect(),
        }
    }
}

impl Shape {
    fn of(config: &Config) -> Self {
        Self {
            hidden: config.hidden,
            head_dim: config.head_dim,
            positions: config.positions,
            longest: config.max_pieces(),
            crf: config.crf,
            decode: config.decode.name(),
            layers: config.layers.iter().map(|layer| [layer.heads, layer.ffn]).collect(),
        }
    }
}
