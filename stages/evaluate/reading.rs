//! What a model says of texts, in every way that its labels can be read.

use std::collections::BTreeMap;

use stage_contract::{Context, StageError};

use super::{
    Subject,
    compare::{Comparison, Pair},
    evaluation::{Calibrations, Counts, Decodings},
};
use burn::tensor::Device;
use encoder::{
    calibration::Calibration,
    config::Decode,
    decode::{Decoded, Entity},
    finite::naming,
    infer::encode,
    subwords,
    tagger::{tag, ways},
};
use measure::{
    calibration::{Calibrated, calibrated},
    scores::score,
};
use text::{
    corpus::Record,
    labels::{Scheme, spans},
};

/// BIO tags `[records][words]` of one model.
type Tags = Vec<Vec<String>>;

/// What one model says of some records.
pub(super) struct Reading {
    /// What it found of types that became O.
    pub outside: Counts,
    own: Decode,
    /// Its tags by each way that it has, its own among them.
    ways: BTreeMap<Decode, Tags>,
    /// Records in which sub-word by sub-word gives the same entities.
    alike: usize,
    /// The entities of its own tags, `[records]`, with the scores that the model gives.
    entities: Vec<Vec<Entity>>,
    calibration: Calibration,
}

impl Reading {
    /// Of one model, in batches of at most `budget` tokens.
    ///
    /// # Errors
    /// The user cancels, or a logit is not finite.
    pub fn of(
        cx: &Context<'_>,
        subject: &Subject,
        part: &str,
        records: &[&Record],
        comparison: &Comparison,
        (budget, device): (usize, &Device),
    ) -> Result<Self, StageError> {
        cx.check_cancelled()?;
        let (model, labels) = (&subject.model, &subject.model.config.labels);
        let mut progress =
            cx.progress(format!("{} on {part}", subject.name), records.len() as u64, "sentences");
        let texts =
            encode(model, records.iter().map(|record| (record.text.as_str(), record.words.as_slice())))?;
        let outside = comparison.outside(labels);
        let tagged = tag(model, &texts, budget, &outside, device, Some(&mut progress));
        let tagged = naming(tagged, |text| &records[text].id).map_err(|error| {
            StageError::because(format!("cannot tag {part} with `{}`", subject.name), error)
        })?;
        let alike = texts.iter().zip(&tagged.logits).zip(&tagged.decoded);
        let alike = alike.filter(|((text, logits), decoded)| {
            subwords::agree(labels, text, logits, &spans(&decoded.tags, Scheme::Bio))
        });
        Ok(Self {
            own: model.config.decode,
            alike: alike.count(),
            entities: tagged.decoded.iter().map(Decoded::entities).collect(),
            calibration: model.config.calibration()?,
            ways: ways(model, &tagged, &outside),
            outside: tagged.made_outside,
        })
    }

    /// Its own tags.
    pub fn tags(&self) -> &[Vec<String>] {
        self.ways.get(&self.own).map_or(&[], Vec::as_slice)
    }

    /// How far its scores are from how often it is right.
    fn calibrated(&self, right: &[Vec<String>], comparison: &Comparison) -> Option<Calibrated> {
        let pairs = comparison.pairs(right, self.tags());
        let (mut before, mut scored) = (Vec::new(), Vec::new());
        for ((right, found), entities) in pairs.iter().zip(&self.entities) {
            // All of its entities are there, in the order of the text; those of `found` are what counts of them.
            let spans = entities.iter().map(|entity| (entity, entity.span()));
            for (entity, span) in spans.filter(|(_, span)| found.contains(span)) {
                let is_right = right.contains(&span);
                before.push((entity.score, is_right));
                scored.push((self.calibration.calibrated(&entity.kind, entity.score), is_right));
            }
        }
        calibrated(&scored, (!self.calibration.is_empty()).then_some(&before))
    }

    /// F1 by each way against what is right; none where there is no entity.
    fn scores(&self, right: &[Vec<String>], comparison: &Comparison) -> BTreeMap<Decode, Option<f64>> {
        let of = |tags: &Tags| {
            let (right, found): (Vec<_>, Vec<_>) = comparison.pairs(right, tags).into_iter().unzip();
            score(&right, &found).micro.f1
        };
        self.ways.iter().map(|(way, tags)| (*way, of(tags))).collect()
    }
}

/// What each way of each model gives, beside the first model's tags on the test part, and beside gold.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 texts")]
pub(super) fn decodings(
    subjects: &[Subject],
    test: &[Reading],
    gold: Option<(&[Reading], &[Vec<String>])>,
    comparison: &Comparison,
) -> Vec<Decodings> {
    let of = |(at, subject): (usize, &Subject)| Decodings {
        by: subject.model.config.decode,
        fidelity: test[at].scores(test[0].tags(), comparison),
        quality: gold.map(|(readings, right)| readings[at].scores(right, comparison)),
        subwords: Some(test[at].alike as f64 / test[at].tags().len().max(1) as f64),
    };
    subjects.iter().enumerate().map(of).collect()
}

/// How sure each model is, beside how often it is right: the teacher's own tags and gold.
pub(super) fn calibrations(
    test: &[Reading],
    gold: Option<(&[Reading], &[Vec<String>])>,
    comparison: &Comparison,
) -> Vec<Calibrations> {
    let of = |(at, reading): (usize, &Reading)| Calibrations {
        // Whoever is compared with itself is always right.
        fidelity: (at > 0).then(|| reading.calibrated(test[0].tags(), comparison)).flatten(),
        quality: gold.and_then(|(readings, right)| readings[at].calibrated(right, comparison)),
    };
    test.iter().enumerate().map(of).collect()
}

/// The entities of each sentence that count, by model.
pub(super) fn pairs(right: &[Vec<String>], readings: &[Reading], comparison: &Comparison) -> Vec<Vec<Pair>> {
    readings.iter().map(|found| comparison.pairs(right, found.tags())).collect()
}
