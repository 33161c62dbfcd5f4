//! Who may use what: names and frames are dealt among parts that share none.

use text::random::stream;

/// Who may use a name or a frame: no two parts share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Gold train.
    Train,
    /// Gold dev and test.
    Evaluation,
    /// Unlabelled text, which also borrows from train and never from evaluation.
    Unlabelled,
}

impl Part {
    /// All of them, in the order of [`Shares`].
    pub(super) const ALL: [Self; 3] = [Self::Train, Self::Evaluation, Self::Unlabelled];

    /// Of ten names five go to train, three to unlabelled text and two to evaluation.
    pub(super) const HANDS: [Self; 10] = [
        Self::Train,
        Self::Unlabelled,
        Self::Train,
        Self::Evaluation,
        Self::Train,
        Self::Unlabelled,
        Self::Train,
        Self::Evaluation,
        Self::Train,
        Self::Unlabelled,
    ];

    /// The part of a person's name, by a hash of it: whatever list it is in, it goes to one part.
    pub(super) fn of(name: &str) -> Self {
        // FNV's low bits follow the last letters; the high ones mix all of them.
        let hash = stream(&name.to_lowercase()) >> 32;
        usize::try_from(hash % 10).map_or(Self::Train, |hand| Self::HANDS[hand])
    }
}

/// What is dealt, by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shares<T>([Vec<T>; 3]);

impl<T> Default for Shares<T> {
    fn default() -> Self {
        Self([Vec::new(), Vec::new(), Vec::new()])
    }
}

impl<T> Shares<T> {
    /// Gives `value` to a part.
    pub(super) fn give(&mut self, part: Part, value: T) {
        self.0[part as usize].push(value);
    }

    /// What a part has.
    pub(super) fn of(&self, part: Part) -> &[T] {
        &self.0[part as usize]
    }
}
