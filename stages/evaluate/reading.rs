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
    finite::naming,
    infer::encode,
    subwords,
    tagger::{tag, ways},
};
use measure::scores::score;
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
            ways: ways(model, &tagged, &outside),
            outside: tagged.made_outside,
        })
    }

    /// Its own tags.
    pub fn tags(&self) -> &[Vec<String>] {
        self.ways.get(&self.own).map_or(&[], Vec::as_slice)
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

/// The entities of each sentence that count, by model.
pub(super) fn pairs(right: &[Vec<String>], readings: &[Reading], comparison: &Comparison) -> Vec<Vec<Pair>> {
    readings.iter().map(|found| comparison.pairs(right, found.tags())).collect()
}
