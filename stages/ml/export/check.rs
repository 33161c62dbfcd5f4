//! Whether an export says what its model says, before anybody gets it.

use burn::tensor::Device;
use encoder::{
    batch::Encoded,
    decode::{Decoding, decode},
    infer::{self, WordLogits},
    model::Model,
};
use measure::scores::{Counts, count};
use serde::Serialize;
use stage_contract::StageError;
use text::{
    labels::{Scheme, spans},
    tokenizer::Window,
    words::words,
};

/// Sentences where the user gives none.
const BUILT_IN: &str = include_str!("sentences.txt");

/// Tokens that are read at once.
const BATCH_TOKENS: usize = 2048;

/// Texts to compare on.
#[derive(Clone, Debug)]
pub struct Texts {
    texts: Vec<String>,
    given: bool,
}

impl Texts {
    /// `number` of the texts given, evenly spread over them; all where there are fewer.
    #[must_use]
    pub fn given(texts: impl IntoIterator<Item = String>, number: usize) -> Self {
        let texts: Vec<String> = texts.into_iter().collect();
        let all = texts.len();
        let chosen = |place: usize| place * number / all.max(1) != (place + 1) * number / all.max(1);
        let texts = texts.into_iter().enumerate().filter(|(place, _)| number >= all || chosen(*place));
        Self { texts: texts.map(|(_, text)| text).collect(), given: true }
    }

    /// French sentences.
    #[must_use]
    pub fn built_in() -> Self {
        Self { texts: BUILT_IN.lines().map(str::to_owned).collect(), given: false }
    }

    /// The texts, and all of them as one, which fills a model's longest windows.
    fn with_whole(&self) -> Vec<String> {
        self.texts.iter().cloned().chain([self.texts.join(" ")]).collect()
    }
}

/// How an export and its model compare, word by word.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Where the texts are from: `given`, or `built-in`.
    pub texts_from: &'static str,
    /// Texts, the last of which is all others as one.
    pub texts: usize,
    /// Words of all texts.
    pub words: usize,
    /// Entities that the model finds.
    pub entities: usize,
    /// Words whose tag is another.
    pub other_tags: usize,
    /// A power of ten that no logit differs by: the last bits are another on every machine.
    pub logits_within: f64,
    /// Strict micro F1 of the export's entities against the model's, in points; null where neither finds one.
    pub agreement: Option<f64>,
    /// Words of which the argmax of the export's logits says something else than the model, which may have a CRF.
    pub other_by_argmax: usize,
}

/// What is compared with.
pub struct Reference<'a> {
    model: &'a Model,
    texts: Vec<Encoded>,
    logits: Vec<WordLogits>,
    given: bool,
}

impl<'a> Reference<'a> {
    /// What the model says of texts.
    ///
    /// # Errors
    /// There is none, or a logit is not finite.
    pub fn new(model: &'a Model, texts: &Texts) -> Result<Self, StageError> {
        if texts.texts.iter().all(|text| words(text).is_empty()) {
            return Err(StageError::new("there is no word to compare the export on")
                .help("give texts with words, or none: some sentences are built in"));
        }
        let given = texts.given;
        let texts = texts.with_whole();
        let places: Vec<_> = texts.iter().map(|text| words(text)).collect();
        let pairs = texts.iter().zip(&places).map(|(text, words)| (text.as_str(), words.as_slice()));
        let texts = infer::encode(model, pairs)?;
        let logits = infer::word_logits(model, &texts, BATCH_TOKENS, &model.network.device(), None)?;
        Ok(Self { model, texts, logits, given })
    }

    /// What another model in the same vocabulary says.
    ///
    /// # Errors
    /// A logit is not finite.
    pub fn said_by(&self, other: &Model) -> Result<Vec<WordLogits>, StageError> {
        infer::word_logits(other, &self.texts, BATCH_TOKENS, &other.network.device(), None)
    }

    /// What whoever reads windows says.
    ///
    /// # Errors
    /// It cannot.
    pub fn read_by(
        &self,
        read: impl Fn(&[&Window]) -> Result<Vec<f32>, StageError> + Sync,
    ) -> Result<Vec<WordLogits>, StageError> {
        let device = Device::flex();
        infer::read(&self.model.config.labels, &self.texts, BATCH_TOKENS, &device, None, read)
            .map_err(|error| StageError::because("the export cannot be read", error))
    }

    /// Compares.
    #[must_use]
    pub fn compare(&self, said: &[WordLogits]) -> Comparison {
        let (labels, by) = (&self.model.config.labels, Decoding::of(self.model));
        let mut compared = Comparison {
            texts_from: if self.given { "given" } else { "built-in" },
            texts: self.texts.len(),
            ..Comparison::default()
        };
        let (mut furthest, mut counts) = (0.0_f32, Counts::default());
        for (own, said) in self.logits.iter().zip(said) {
            let distances = own.values.iter().zip(&said.values).map(|(own, said)| (own - said).abs());
            // `max` would pass over what is no number.
            furthest = distances.fold(furthest, |most, next| if next <= most { most } else { next });
            let tags = |logits, by: &Decoding| decode(labels, by, logits, &[]).tags;
            let (right, found) = (tags(own, &by), tags(said, &by));
            compared.words += right.len();
            compared.other_tags += differing(&right, &found);
            compared.other_by_argmax += differing(&right, &tags(said, &Decoding::Argmax));
            let (right, found) = (spans(&right, Scheme::Bio), spans(&found, Scheme::Bio));
            counts += count(&right, &found).into_values().sum();
        }
        compared.entities = counts.gold;
        compared.logits_within = power_above(furthest);
        compared.agreement = counts.score().f1.map(|f1| 100.0 * f1);
        compared
    }
}

fn differing(one: &[String], other: &[String]) -> usize {
    one.iter().zip(other).filter(|(one, other)| one != other).count()
}

/// The least power of ten that is not below; 0 for 0.
fn power_above(distance: f32) -> f64 {
    if distance == 0.0 { 0.0 } else { 10.0_f64.powf(f64::from(distance).log10().ceil()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_drawn_evenly_and_all_of_few() {
        let texts = |all: usize, number| Texts::given((0..all).map(|text| text.to_string()), number).texts;
        assert_eq!(texts(3, 200), ["0", "1", "2"]);
        assert_eq!(texts(10, 3), ["3", "6", "9"]);
        assert_eq!(texts(1000, 200).len(), 200);
    }

    #[test]
    fn a_distance_is_told_by_the_power_of_ten_above_it() {
        for (distance, power) in [(0.0, 0.0), (3e-6, 1e-5), (0.02, 0.1)] {
            assert!((power_above(distance) - power).abs() <= power * 1e-9, "{distance}");
        }
        assert!(power_above(f32::NAN).is_nan());
    }
}
