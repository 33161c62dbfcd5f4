//! What is claimed of a model's size: by its config.json, its index, its files, its card.

use std::{collections::BTreeMap, fs, ops::Range, path::Path, sync::LazyLock};

use regex::Regex;
use serde::Serialize;
use serde_json::Value;
use stage_contract::report::{counted, grouped};

use super::{finding::Finding, weights::Weights};
use text::folder;

/// Names that a number of parameters goes by, as a key.
const KEYS: [&str; 8] = [
    "num_parameters",
    "n_parameters",
    "parameters",
    "num_params",
    "n_params",
    "params",
    "total_params",
    "total_parameters",
];

/// So far from its number a word may be that says what it counts.
const REACH: usize = 24;

/// Somebody says how many parameters there are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Claim {
    /// Where: a file, and a line or a key of it.
    pub file: String,
    pub at: String,
    pub parameters: f64,
    /// How far off a rounded number may be.
    #[serde(skip)]
    within: f64,
}

impl Claim {
    fn exact(file: &str, at: &str, value: &Value) -> Option<Self> {
        let parameters = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Self { file: file.to_owned(), at: format!("`{at}`"), parameters, within: 0.5 })
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of parameters against a rounded one")]
    fn means(&self, count: usize) -> bool {
        (self.parameters - count as f64).abs() <= self.within
    }
}

/// All claims on the number of parameters.
pub(super) fn all(model: &Path, config: Option<&Value>, weights: &Weights) -> Vec<Claim> {
    let of_keys = |file: &str, values: &Value| -> Vec<Claim> {
        KEYS.iter().filter_map(|key| Claim::exact(file, key, values.get(key)?)).collect()
    };
    let mut claims = config.map_or_else(Vec::new, |config| of_keys(folder::CONFIG, config));
    for (name, index) in indices(model) {
        claims.extend(of_keys(name, &index["metadata"]));
    }
    for (file, key, value) in &weights.information {
        claims.extend(
            KEYS.contains(&key.as_str()).then(|| Claim::exact(file, key, &value.clone().into())).flatten(),
        );
    }
    let card = fs::read(model.join(folder::CARD)).unwrap_or_default();
    for (number, line) in (1..).zip(String::from_utf8_lossy(&card).lines()) {
        let stated = stated(line).into_iter();
        claims.extend(stated.map(|(parameters, within)| Claim {
            file: folder::CARD.to_owned(),
            at: format!("line {number}"),
            parameters,
            within,
        }));
    }
    claims
}

fn indices(model: &Path) -> impl Iterator<Item = (&'static str, Value)> {
    let read =
        |name: &'static str| folder::optional(&model.join(name)).ok().flatten().map(|value| (name, value));
    [folder::INDEX, folder::PYTORCH_INDEX].into_iter().filter_map(read)
}

/// What of it is not so. `embedding` are the numbers of the word embedding, which some leave out when they count.
pub(super) fn judged(model: &Path, claims: &[Claim], weights: &Weights, embedding: usize) -> Vec<Finding> {
    let counts = [weights.parameters, weights.numbers(), weights.parameters.saturating_sub(embedding)];
    let right = |claim: &Claim| counts.iter().any(|count| claim.means(*count));
    let some_right = claims.iter().any(|claim| claim.file == folder::CARD && right(claim));
    let mut found = Vec::new();
    if weights.files.is_empty() {
        return found;
    }
    for claim in claims.iter().filter(|claim| !right(claim)) {
        let counted = grouped(weights.parameters);
        let what =
            format!("{} says {} parameters, and there are {counted}", claim.at, shown(claim.parameters));
        let without = weights.parameters.saturating_sub(weights.zeros);
        found.push(if weights.zeros > 0 && claim.means(without) {
            Finding::warning(format!("{what}: zeros are not counted, and cost what others cost"))
                .help("count all of them; a `prune` stage takes heads and neurons of zeros out for good")
        } else if claim.file == folder::CARD && some_right {
            // A card speaks of other models too.
            Finding::note(what)
        } else {
            Finding::warning(what).help(format!("write {counted} there"))
        });
        found.last_mut().into_iter().for_each(|finding| finding.file = Some(claim.file.clone()));
    }
    for (name, index) in indices(model) {
        let total = index["metadata"]["total_size"].as_f64();
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 bytes")]
        let bytes = weights.bytes as f64;
        if let Some(total) = total.filter(|total| (total - bytes).abs() > 0.5) {
            let counted = grouped(weights.bytes);
            let what =
                format!("`metadata.total_size` says {} bytes, and the tensors have {counted}", shown(total));
            found.push(
                Finding::warning(what)
                    .file(name)
                    .key("metadata.total_size")
                    .help(format!("write {} there", weights.bytes)),
            );
        }
        found.extend(misplaced(name, &index, &weights.places));
    }
    found
}

/// What an index says of places that are not so: transformers looks for a tensor where the index says that it is.
fn misplaced(name: &str, index: &Value, places: &BTreeMap<String, String>) -> Option<Finding> {
    let map = index["weight_map"].as_object()?;
    let unknown = places.keys().filter(|tensor| !map.contains_key(*tensor));
    let elsewhere =
        map.iter().filter(|(tensor, file)| file.as_str() != places.get(*tensor).map(String::as_str));
    let wrong: Vec<String> = unknown.chain(elsewhere.map(|(tensor, _)| tensor)).cloned().collect();
    (!wrong.is_empty()).then(|| {
        Finding::warning(format!(
            "of {} it says another file than the one that has it",
            counted(wrong.len(), "tensor")
        ))
        .file(name)
        .key("weight_map")
        .tensors(wrong)
        .help("copy the index again from the model's own repository")
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is claimed is a count")]
fn shown(number: f64) -> String {
    grouped(number.max(0.0) as usize)
}

/// A number as cards write it, and what it counts in: `110M`, `59 958 919`, `33.4 million`.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?x) (?: ^ | [^\w.] )
        (?: (?<grouped> \d{1,3} (?: [,.\x20_'\u{a0}\u{202f}] \d{3} )+ )
          | (?<whole> \d+ ) (?: [.,] (?<digits> \d+ ) )? )
        (?: [\x20\u{a0}\u{202f}-]?
            (?<unit> k | thousand | mille | m | mio | millions? | b | bn | g | billions? | milliards? ) )? \b";
    Regex::new(pattern).expect("a pattern")
});

/// Numbers of parameters that a line of a card states, and how far off each may be.
fn stated(line: &str) -> Vec<(f64, f64)> {
    let line = line.to_lowercase();
    let near = |number: Range<usize>| {
        line.match_indices("param").any(|(place, _)| {
            let before = place < number.start;
            let between = if before { place..number.start } else { number.end..place };
            let reach = REACH + if before { "parameters".len() } else { 0 };
            line.get(between).is_some_and(|between| {
                between.len() <= reach && !between.contains(|c: char| c.is_ascii_digit())
            })
        })
    };
    let said = NUMBER.captures_iter(&line).filter_map(|found| {
        let unit = match found.name("unit").map_or("", |unit| unit.as_str()) {
            "" => 1.0,
            "k" | "thousand" | "mille" => 1e3,
            "m" | "mio" | "million" | "millions" => 1e6,
            _ => 1e9,
        };
        let first = found.name("grouped").or(found.name("whole"))?;
        let digits = found.name("digits").map_or("", |digits| digits.as_str());
        let whole: String = first.as_str().chars().filter(char::is_ascii_digit).collect();
        let value: f64 = format!("{whole}.{digits}").parse().ok()?;
        // Half of what the last digit counts, and a hundredth at least.
        let last = 0.1_f64.powi(i32::try_from(digits.len()).ok()?);
        near(first.start()..found.get(0)?.end())
            .then_some((value * unit, (last * unit / 2.0).max(value * unit / 100.0)))
    });
    // Fewer are no model's: they are a stage's or a rate's.
    said.filter(|(value, _)| *value >= 10_000.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_parameters_are_found_however_they_are_written_and_no_others() {
        for (line, numbers) in [
            ("CamemBERT-NER model (12 layers, 110M params) into 10", &[110e6][..]),
            ("- **Reduce model size**: 110M → 70M parameters (-36%)", &[70e6]),
            ("- **Parameters**: ~110M", &[110e6]),
            ("| Parameters | 59,958,919 |", &[59_958_919.0]),
            ("59 958 919 paramètres", &[59_958_919.0]),
            ("0.5 billion parameters", &[0.5e9]),
            ("It has 33.4 million parameters.", &[33.4e6]),
            ("hyperparameters: 12 epochs, lr 2e-5, batch 16", &[]),
            ("trained on 96,230 sentences", &[]),
            ("20,259,783 parameters (61.6 %)", &[20_259_783.0]),
        ] {
            let found: Vec<f64> = stated(line).into_iter().map(|(number, _)| number).collect();
            assert_eq!(found.len(), numbers.len(), "{line}: {found:?}");
            assert!(found.iter().zip(numbers).all(|(a, b)| (a - b).abs() < 1.0), "{line}: {found:?}");
        }
    }

    #[test]
    fn a_rounded_number_means_what_rounds_to_it() {
        let claim = |line: &str| {
            let (parameters, within) = stated(line)[0];
            Claim { file: String::new(), at: String::new(), parameters, within }
        };
        assert!(claim("110M parameters").means(110_035_205) && claim("33 M parameters").means(32_882_693));
        assert!(
            !claim("70M parameters").means(95_860_999) && !claim("32,000,000 parameters").means(32_882_693)
        );
    }
}
