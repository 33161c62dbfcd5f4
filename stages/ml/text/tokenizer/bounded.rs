//! A normaliser that stops where it multiplies a text. A step may put anything in the place of a character, and another
//! step the same in the place of each of these: ten steps make a gigabyte of a letter.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

use super::charsmap;

/// A text may grow to so many times its size: U+FDFA, the character that grows most (Unicode 16, NFKC), becomes 11 times as
/// long, and twice that in the alphabet of a byte-level BPE.
const TIMES: usize = 64;
/// Any text may grow to so many bytes.
const ALWAYS: usize = 1 << 20;

thread_local! {
    /// Bytes that normalisers may make on this thread from now on; none once one would have made more.
    static LEFT: Cell<Option<usize>> = const { Cell::new(Some(ALWAYS)) };
}

/// Lets normalisers make what `bytes` of text may become.
pub(super) fn begin(bytes: usize) {
    LEFT.set(Some(bytes.saturating_mul(TIMES).max(ALWAYS)));
}

/// Whether one stopped since.
pub(super) fn is_exceeded() -> bool {
    LEFT.get().is_none()
}

/// A tokenizer.json's normaliser. The library drops the errors of normalisers where it tokenises: [`is_exceeded`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Bounded(NormalizerWrapper);

impl Normalizer for Bounded {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        let done = apply(&self.0, text);
        let left = LEFT.get().and_then(|left| left.checked_sub(text.len()));
        LEFT.set(left.filter(|_| done.is_ok()));
        done
    }
}

fn apply(step: &NormalizerWrapper, text: &mut NormalizedString) -> tokenizers::Result<()> {
    if let NormalizerWrapper::Sequence(steps) = step {
        return steps.as_ref().iter().try_for_each(|step| apply(step, text));
    }
    let most = text.len().saturating_mul(growth(step));
    if LEFT.get().is_none_or(|left| most > left) {
        return Err("it multiplies texts".into());
    }
    step.normalize(text)
}

/// The most bytes that a step makes of one.
fn growth(step: &NormalizerWrapper) -> usize {
    match step {
        NormalizerWrapper::Replace(replace) => 1 + replace.content.len(),
        NormalizerWrapper::Prepend(prepend) => 1 + prepend.prepend.len(),
        NormalizerWrapper::Precompiled(_) => charsmap::GROWTH,
        NormalizerWrapper::NFKC(_) | NormalizerWrapper::NFKD(_) => 11,
        // Decomposed, and then spaces around Chinese characters.
        NormalizerWrapper::BertNormalizer(_) => 5,
        NormalizerWrapper::NFC(_) | NormalizerWrapper::NFD(_) | NormalizerWrapper::Lowercase(_) => 3,
        NormalizerWrapper::ByteLevel(_) => 2,
        _ => 1,
    }
}
