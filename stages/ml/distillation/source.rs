//! Where the transitions that the CRF is compared with come from.

use burn::tensor::Device;
use stage_contract::{Context, StageError};

use crate::{
    crf::{
        fitted::{Emitted, fitted},
        transitions::{Transitions, bigram},
    },
    examples::Examples,
    params::{CrfTeacher, Training},
    projection::project,
};
use encoder::{finite::naming, infer::word_logits, model::Model};
use text::labels::Labels;

/// Texts that a fit looks at, at most: some tens of thousands of words for some tens of weights.
const FIT: usize = 2000;

/// Stands for a probability of 0, which has no logarithm.
const LEAST: f32 = 1e-30;

impl Training {
    /// The teacher's transitions, from what it says of the train part. A student's CRF begins with them; those of
    /// `structural` and `none`, which have nothing else to do, are bigrams.
    ///
    /// # Errors
    /// Cancelled.
    pub fn transitions(
        &self,
        cx: &Context<'_>,
        student: &Labels,
        teacher: &Model,
        train: &Examples,
        device: &Device,
    ) -> Result<Transitions, StageError> {
        if self.crf_teacher != CrfTeacher::Fitted {
            return Ok(bigram(student, &train.annotations()));
        }
        let texts = self.emitted(cx, student, teacher, train, device)?;
        cx.show(format!("fitting the CRF teacher's transitions on {} annotated sentences", texts.len()));
        Ok(fitted(student, &texts))
    }

    /// Some annotated texts without a masked word, each word with log q at T = 1 beside its tag.
    fn emitted(
        &self,
        cx: &Context<'_>,
        student: &Labels,
        teacher: &Model,
        train: &Examples,
        device: &Device,
    ) -> Result<Vec<Emitted>, StageError> {
        cx.check_cancelled()?;
        let known = train.known();
        let stride = known.len().div_ceil(FIT).max(1);
        let some = train.only(&known.into_iter().step_by(stride).collect::<Vec<_>>());
        let logits = if let Some(logits) = some.logits() {
            logits.to_vec()
        } else {
            let mut progress = cx.progress("reading for the CRF", some.len() as u64, "sentences");
            let budget = 2 * self.batch_tokens;
            let read = word_logits(teacher, some.as_teacher(), budget, device, Some(&mut progress));
            naming(read, |text| some.id(text))?.into_iter().map(|logits| logits.values).collect()
        };
        cx.check_cancelled()?;
        let emissions = |values: &[f32]| {
            let words = u32::try_from(values.len() / teacher.config.labels.len()).unwrap_or(u32::MAX);
            let labels = &teacher.config.labels;
            let q = project(labels, student, values, &[0, words], 1.0).q;
            q.into_iter().map(|q| q.max(LEAST).ln()).collect()
        };
        Ok(logits
            .iter()
            .zip(&some.tags)
            .map(|(logits, tags)| Emitted {
                emissions: emissions(logits),
                path: tags.iter().copied().flatten().collect(),
            })
            .collect())
    }
}
