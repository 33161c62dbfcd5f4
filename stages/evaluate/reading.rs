//! What a model says of texts, in every way that its labels can be read.

use std::collections::BTreeMap;

use stage_contract::{Context, StageError};

use super::{
    Subject,
    compare::{Comparison, Pair},
    evaluation::{Counts, Decodings},
};
use burn::tensor::Device;
use encoder::{
    config::Decode,
    decode::{Decoding, decode},
    infer::encode,
    subwords,
    tagger::tag,
};
use measure::scores::score;
use text::{
    corpus::Record,
    labels::{Policy, Scheme, spans},
};

/// BIO tags `[records][words]` of one model.
pub(super) type Tags = Vec<Vec<String>>;

/// What one model says of some records.
pub(super) struct Reading {
    /// Its own tags.
    pub tags: Tags,
    /// What it found of types that became O.
    pub outside: Counts,
    /// Its tags by each way that it has, its own among them.
    ways: BTreeMap<Decode, Tags>,
    /// Records in which sub-word by sub-word gives the same entities.
    alike: usize,
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
        let mut outside = comparison.outside(labels);
        let tagged = tag(model, &texts, budget, &outside, device, Some(&mut progress))?;
        let alike = texts.iter().zip(&tagged.logits).zip(&tagged.decoded);
        let alike = alike.filter(|((text, logits), decoded)| {
            subwords::agree(labels, text, logits, &spans(&decoded.tags, Scheme::Bio))
        });
        let alike = alike.count();
        let tags: Tags = tagged.decoded.into_iter().map(|text| text.tags).collect();
        outside.extend(labels.types_to(Policy::Outside));
        let ways = Decoding::all(model).into_iter().map(|(way, by)| {
            let tags = if way == model.config.decode {
                tags.clone()
            } else {
                tagged.logits.iter().map(|logits| decode(labels, &by, logits, &outside).tags).collect()
            };
            (way, tags)
        });
        Ok(Self { ways: ways.collect(), tags, outside: tagged.made_outside, alike })
    }

    /// F1 by each way against what is right; none where there is no entity.
    fn scores(&self, right: &Tags, comparison: &Comparison) -> BTreeMap<Decode, Option<f64>> {
        let of = |tags: &Tags| {
            let (right, found): (Vec<_>, Vec<_>) = comparison.pairs(right, tags).into_iter().unzip();
            let any = right.iter().chain(&found).any(|spans| !spans.is_empty());
            any.then(|| score(&right, &found).micro.f1)
        };
        self.ways.iter().map(|(way, tags)| (*way, of(tags))).collect()
    }
}

/// What each way of each model gives, beside the first model's tags on the test part, and beside gold.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 texts")]
pub(super) fn decodings(
    subjects: &[Subject],
    test: &[Reading],
    gold: Option<(&[Reading], &Tags)>,
    comparison: &Comparison,
) -> Vec<Decodings> {
    let of = |(at, subject): (usize, &Subject)| Decodings {
        by: subject.model.config.decode,
        fidelity: test[at].scores(&test[0].tags, comparison),
        quality: gold.map(|(readings, right)| readings[at].scores(right, comparison)),
        subwords: Some(test[at].alike as f64 / test[at].tags.len().max(1) as f64),
    };
    subjects.iter().enumerate().map(of).collect()
}

/// The entities of each sentence that count, by model.
pub(super) fn pairs(right: &Tags, readings: &[Reading], comparison: &Comparison) -> Vec<Vec<Pair>> {
    readings.iter().map(|found| comparison.pairs(right, &found.tags)).collect()
}
