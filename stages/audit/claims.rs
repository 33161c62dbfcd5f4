//! What is claimed of a model's size: by its config.json, its index, its files, its card.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;
use serde_json::Value;

use super::{
    finding::{Finding, counted, grouped},
    weights::Weights,
};
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

/// Numbers of parameters that a line of a card states, and how far off each may be.
fn stated(line: &str) -> Vec<(f64, f64)> {
    let chars: Vec<char> = line.to_lowercase().chars().collect();
    let mut numbers: Vec<(usize, usize, f64, f64)> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let glued = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '.');
        if !chars[at].is_ascii_digit() || glued {
            at += 1;
            continue;
        }
        let (end, value, digit) = number(&chars, at);
        let (after, unit) = unit(&chars, end);
        numbers.push((at, after, value * unit, digit * unit));
        at = after.max(end);
    }
    let words: Vec<usize> =
        (0..chars.len()).filter(|at| chars[*at..].starts_with(&['p', 'a', 'r', 'a', 'm'])).collect();
    let near = |place: usize, (from, to, ..): (usize, usize, f64, f64)| {
        let between = if place >= to { to..place } else { place..from };
        between.len() <= REACH + if place >= to { 0 } else { "parameters".len() }
            && !chars[between].iter().any(char::is_ascii_digit)
    };
    let said = numbers.into_iter().filter(|number| words.iter().any(|place| near(*place, *number)));
    // Fewer are no model's: they are a stage's or a rate's.
    said.filter(|(_, _, value, _)| *value >= 10_000.0)
        .map(|(_, _, value, digit)| (value, (digit / 2.0).max(value / 100.0)))
        .collect()
}

/// Where the number ends that begins here, what it is, and what its last digit counts.
fn number(chars: &[char], from: usize) -> (usize, f64, f64) {
    let digits = |at: usize| chars[at..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut end = from + digits(from);
    let mut text: String = chars[from..end].iter().collect();
    let mut groups = 0;
    while chars.get(end).is_some_and(|c| [',', '.', ' ', '_', '\u{a0}', '\u{202f}', '\''].contains(c))
        && digits(end + 1) == 3
        && text.len() <= 3 + 3 * groups
    {
        text.extend(&chars[end + 1..end + 4]);
        groups += 1;
        end += 4;
    }
    let mut digit = 1.0;
    if groups == 0 && chars.get(end).is_some_and(|c| ['.', ','].contains(c)) && digits(end + 1) > 0 {
        let more = digits(end + 1);
        text.push('.');
        text.extend(&chars[end + 1..end + 1 + more]);
        digit = 0.1_f64.powi(i32::try_from(more).unwrap_or(i32::MAX));
        end += 1 + more;
    }
    (end, text.parse().unwrap_or(0.0), digit)
}

/// Where the unit ends that stands behind a number, and what it multiplies by.
fn unit(chars: &[char], from: usize) -> (usize, f64) {
    const UNITS: [(&str, f64); 12] = [
        ("k", 1e3),
        ("thousand", 1e3),
        ("mille", 1e3),
        ("m", 1e6),
        ("mio", 1e6),
        ("million", 1e6),
        ("millions", 1e6),
        ("b", 1e9),
        ("bn", 1e9),
        ("g", 1e9),
        ("billion", 1e9),
        ("milliards", 1e9),
    ];
    let gap = chars[from..].iter().take_while(|c| [' ', '\u{a0}', '\u{202f}', '-'].contains(c)).count();
    let begin = from + gap.min(1);
    let word: String = chars[begin.min(chars.len())..].iter().take_while(|c| c.is_alphabetic()).collect();
    let found = UNITS.iter().find(|(name, _)| *name == word);
    found.map_or((from, 1.0), |(name, times)| (begin + name.chars().count(), *times))
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
