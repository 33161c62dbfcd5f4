//! `WebAnno` TSV 3, which `INCEpTION` writes too: a word a line with its place and the labels of each layer.

use stage_contract::StageError;

use super::super::{
    format::{File, Format, Want},
    item::{Found, Place},
    options::Options,
    sentence::Sentence,
};
use crate::labels::as_tag;

/// `1-1<tab>0-5<tab>Marie<tab>*[1]<tab>PER[1]`
pub struct Webanno;

const MARK: &str = "#FORMAT=WebAnno TSV 3";
/// Columns before those of the layers: number, place, word.
const FIRST: usize = 3;

impl Format for Webanno {
    fn name(&self) -> &'static str {
        "WebAnno TSV"
    }

    fn sniff(&self, file: &File, _want: Want, _options: &Options) -> bool {
        file.text.starts_with(MARK)
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        let features = features(file);
        let tag = match options.columns {
            Some(columns) => columns.among(FIRST + features.len()).map(|(_, tag)| tag),
            None => column(&features).ok_or_else(|| "no layer of labels".to_owned()),
        };
        let tag = tag.map_err(|problem| {
            StageError::new(format!("{}: {problem}", file.path.display()))
                .help("export it with a layer of named entities, or say which column has them, as in `columns = { word = 3, tag = 5 }`")
        })?;
        found.form.push(format!("tag {}", tag + 1));
        let mut sentence = Sentence::default();
        let mut open = None;
        let mut stacked = 0;
        for (line, number) in file.text.lines().zip(1..) {
            if line.trim().is_empty() {
                sentence.end(None, want, &mut found);
                open = None;
            } else if !line.starts_with('#') {
                match read_word(&mut sentence, &mut open, (line, number), tag) {
                    Ok(several) => stacked += usize::from(several),
                    Err(reason) => sentence.reject(Place::Line(number), reason),
                }
            }
        }
        sentence.end(None, want, &mut found);
        let rest = "several labels: the first is taken";
        found.count(stacked, &format!("word has {rest}"), &format!("words have {rest}"));
        Ok(found)
    }
}

/// Each feature that a column is of: whether its layer is one of spans, and one of named entities; its name.
type Feature<'f> = (bool, bool, &'f str);

fn features(file: &File) -> Vec<Feature<'_>> {
    let mut features = Vec::new();
    for (_, line) in file.lines() {
        let Some(layer) = ["#T_SP=", "#T_CH=", "#T_RL="].iter().find_map(|mark| line.strip_prefix(mark))
        else {
            continue;
        };
        let mut parts = layer.split('|');
        let name = parts.next().unwrap_or_default();
        features
            .extend(parts.map(|feature| (line.starts_with("#T_SP="), name.contains("NamedEntity"), feature)));
    }
    features
}

/// The column of the labels, from 0: the feature `value` of the layer of named entities, else the first feature of that name,
/// else the last feature of a layer of spans.
fn column(features: &[Feature<'_>]) -> Option<usize> {
    let find = |fits: &dyn Fn(&Feature<'_>) -> bool| features.iter().position(fits);
    let place = find(&|(_, entity, feature)| *entity && *feature == "value")
        .or_else(|| find(&|(span, _, feature)| *span && ["value", "label"].contains(feature)))
        .or_else(|| features.iter().rposition(|(span, ..)| *span));
    place.map(|place| FIRST + place)
}

/// Reads a word's line into its sentence; whether it has several labels. `open` is the span that the word before is in: `1` of `[1]`.
///
/// # Errors
/// It has no word.
fn read_word(
    sentence: &mut Sentence,
    open: &mut Option<String>,
    (line, number): (&str, usize),
    tag: usize,
) -> Result<bool, &'static str> {
    let cells: Vec<&str> = line.split('\t').collect();
    let (Some(id), Some(word)) = (cells.first(), cells.get(2)) else { return Err("no word") };
    // `1-2.1` is a part of the word 1-2.
    if id.contains('.') {
        return Ok(false);
    }
    let cell = cells.get(tag).map_or("_", |cell| cell.trim());
    let first = cell.split('|').next().unwrap_or_default();
    let (label, span) = match first.split_once('[') {
        Some((label, span)) => (label, Some(span.trim_end_matches(']').to_owned())),
        None => (first, None),
    };
    let outside = ["_", "*", ""].contains(&label);
    let prefix = if span.is_some() && span == *open { "I" } else { "B" };
    sentence.push(
        *word,
        if outside { "O".to_owned() } else { format!("{prefix}-{}", as_tag(label)) },
        Place::Line(number),
    );
    *open = span.filter(|_| !outside);
    Ok(cell.contains('|'))
}
