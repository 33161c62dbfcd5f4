//! Linear-chain CRF over the words of a text, in log space (Lafferty et al. 2001). Exact forward-backward on the host:
//! 7 labels and at most some hundred words are too little work for a device.

use crate::ml::labels::Labels;

/// Transition scores with the constant mask of illegal moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Crf {
    labels: usize,
    /// `[labels, labels]` as `[from, to]`; -inf where illegal.
    transitions: Vec<f64>,
    /// `[labels]`; -inf where illegal.
    start: Vec<f64>,
    /// `[labels]`
    end: Vec<f64>,
}

/// Sums of gradients of one or several texts with respect to the CRF's own weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrfGradient {
    /// `[labels, labels]`
    pub transitions: Vec<f64>,
    /// `[labels]`
    pub start: Vec<f64>,
    /// `[labels]`
    pub end: Vec<f64>,
}

impl Crf {
    /// Puts weights (`[labels, labels]`, `[labels]`, `[labels]`) under the mask of `labels`.
    #[must_use]
    pub fn new(labels: &Labels, transitions: &[f32], start: &[f32], end: &[f32]) -> Self {
        let _ = (labels, transitions, start, end);
        todo!()
    }

    /// log Z of a text from its emissions `[words, labels]`.
    #[must_use]
    pub fn log_z(&self, emissions: &[f32]) -> f64 {
        let _ = emissions;
        todo!()
    }

    /// Most probable legal labels of a text; ties go to the lower label.
    #[must_use]
    pub fn viterbi(&self, emissions: &[f32]) -> Vec<usize> {
        let _ = emissions;
        todo!()
    }

    /// `[words, labels]` posterior marginals.
    #[must_use]
    pub fn marginals(&self, emissions: &[f32]) -> Vec<f64> {
        let _ = emissions;
        todo!()
    }

    /// Negative log-likelihood of one text. Adds d nll / d emissions to `emissions_gradient` and
    /// d nll / d weights to `gradient`.
    pub fn nll(
        &self,
        emissions: &[f32],
        gold: &[usize],
        emissions_gradient: &mut [f64],
        gradient: &mut CrfGradient,
    ) -> f64 {
        let _ = (emissions, gold, emissions_gradient, gradient);
        todo!()
    }
}
