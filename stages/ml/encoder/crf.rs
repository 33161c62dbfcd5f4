//! Linear-chain CRF over the words of a text, in log space (Lafferty et al. 2001). Exact forward-backward on the host
//! in f64: 7 labels and at most some hundred words are too little work for a device.

use text::labels::{Labels, Tag};

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

/// Sums of gradients of one or several texts with respect to the CRF's own weights. Illegal moves stay at 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrfGradient {
    /// `[labels, labels]`
    pub transitions: Vec<f64>,
    /// `[labels]`
    pub start: Vec<f64>,
    /// `[labels]`
    pub end: Vec<f64>,
}

impl CrfGradient {
    /// Nothing summed yet.
    #[must_use]
    pub fn zero(labels: usize) -> Self {
        Self { transitions: vec![0.0; labels * labels], start: vec![0.0; labels], end: vec![0.0; labels] }
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.transitions, &other.transitions),
            (&mut self.start, &other.start),
            (&mut self.end, &other.end),
        ] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }
}

/// Forward and backward sums of one text.
struct Lattice {
    /// `[words, labels]` log of the sum over all ways to get to a label at a word, its emission included.
    alpha: Vec<f64>,
    /// `[words, labels]` log of the sum over all ways to go on from it, its emission not included.
    beta: Vec<f64>,
    log_z: f64,
}

impl Crf {
    /// Puts weights (`[labels, labels]` as `[from, to]`, `[labels]`, `[labels]`) under the mask of `labels`:
    /// illegal moves and illegal starts get -inf, every end is legal.
    ///
    /// # Panics
    /// When a weight has another shape than `labels` says.
    #[must_use]
    pub fn new(labels: &Labels, transitions: &[f32], start: &[f32], end: &[f32]) -> Self {
        Self::exact(labels, &wide(transitions), &wide(start), &wide(end))
    }

    /// [`Self::new`] of f64 weights.
    ///
    /// # Panics
    /// When they are not as long as that.
    #[must_use]
    pub fn exact(labels: &Labels, transitions: &[f64], start: &[f64], end: &[f64]) -> Self {
        let n = labels.len();
        assert_eq!((transitions.len(), start.len(), end.len()), (n * n, n, n), "CRF weights for {n} labels");
        let masked = |legal, weight: f64| if legal { weight } else { f64::NEG_INFINITY };
        Self {
            labels: n,
            transitions: (0..n * n)
                .map(|i| masked(labels.legal(Some(i / n), i % n), transitions[i]))
                .collect(),
            start: (0..n).map(|i| masked(labels.legal(None, i), start[i])).collect(),
            end: end.to_vec(),
        }
    }

    /// log Z of a text from its emissions `[words, labels]`; 0 for a text without words.
    #[must_use]
    pub fn log_z(&self, emissions: &[f32]) -> f64 {
        self.forward(&wide(emissions)).1
    }

    /// Score of a path, in log units and not normalised; -inf when it makes an illegal move.
    #[must_use]
    pub fn score(&self, emissions: &[f32], path: &[usize]) -> f64 {
        self.path_score(&wide(emissions), path)
    }

    /// Most probable legal labels of a text; ties go to the lower label.
    #[must_use]
    pub fn viterbi(&self, emissions: &[f32]) -> Vec<usize> {
        let n = self.labels;
        let words = emissions.len() / n;
        if words == 0 {
            return Vec::new();
        }
        let mut best: Vec<f64> = (0..n).map(|j| self.start[j] + f64::from(emissions[j])).collect();
        let mut back = vec![0; words * n];
        for word in 1..words {
            let row = &emissions[word * n..][..n];
            let next = (0..n).map(|to| {
                let from = argmax((0..n).map(|from| best[from] + self.transitions[from * n + to]));
                back[word * n + to] = from;
                best[from] + self.transitions[from * n + to] + f64::from(row[to])
            });
            best = next.collect();
        }
        let mut path = vec![argmax((0..n).map(|j| best[j] + self.end[j])); words];
        for word in (1..words).rev() {
            path[word - 1] = back[word * n + path[word]];
        }
        path
    }

    /// `[words, labels]` posterior marginals; each word's row sums to 1.
    #[must_use]
    pub fn marginals(&self, emissions: &[f32]) -> Vec<f64> {
        let lattice = self.lattice(&wide(emissions));
        lattice.alpha.iter().zip(&lattice.beta).map(|(a, b)| (a + b - lattice.log_z).exp()).collect()
    }

    /// `[words - 1, labels, labels]` posterior marginals of neighbours as `[.., from, to]`; each block sums to 1.
    #[must_use]
    pub fn pair_marginals(&self, emissions: &[f32]) -> Vec<f64> {
        let emissions = wide(emissions);
        let lattice = self.lattice(&emissions);
        let n = self.labels;
        let words = emissions.len() / n;
        let mut pairs = Vec::with_capacity(words.saturating_sub(1) * n * n);
        for word in 1..words {
            self.each_pair(&lattice, &emissions, word, |_, probability| pairs.push(probability));
        }
        pairs
    }

    /// Expected path score under marginals made elsewhere: `words` `[words, labels]` and `pairs`
    /// `[words - 1, labels, labels]`. With a teacher's marginals this is `E_T[score_S]` of
    /// docs/math.md, "The CRF's teacher". -inf when they put weight on an illegal move.
    #[must_use]
    pub fn expected_score(&self, emissions: &[f32], words: &[f64], pairs: &[f64]) -> f64 {
        self.expectation(&wide(emissions), words, pairs)
    }

    /// Negative log-likelihood of one text. Adds d nll / d emissions to `emissions_gradient` and
    /// d nll / d weights to `gradient` (which starts as [`CrfGradient::zero`]). A text without words has 0.
    ///
    /// `gold` must be legal, as [`repair`] makes it: the likelihood of an illegal path is 0 and its nll +inf.
    pub fn nll(
        &self,
        emissions: &[f32],
        gold: &[usize],
        emissions_gradient: &mut [f64],
        gradient: &mut CrfGradient,
    ) -> f64 {
        self.nll_wide(&wide(emissions), gold, emissions_gradient, gradient)
    }

    /// Cross-entropy of one text with a distribution over its paths whose marginals are `words` and `pairs` (as in
    /// [`Self::expected_score`]): log Z less the expected score. Adds its gradients as [`Self::nll`] does. A text without
    /// words has 0; marginals that put weight on an illegal move have +inf.
    pub fn cross_entropy(
        &self,
        emissions: &[f32],
        words: &[f64],
        pairs: &[f64],
        emissions_gradient: &mut [f64],
        gradient: &mut CrfGradient,
    ) -> f64 {
        let n = self.labels;
        let Some(last) = words.len().checked_sub(n) else { return 0.0 };
        let emissions = wide(emissions);
        let log_z = self.add_expected(&emissions, emissions_gradient, gradient);
        take(emissions_gradient, words);
        take(&mut gradient.start, &words[..n]);
        take(&mut gradient.end, &words[last..]);
        pairs.chunks_exact(n * n).for_each(|block| take(&mut gradient.transitions, block));
        log_z - self.expectation(&emissions, words, pairs)
    }

    /// [`Self::nll`] on f64, so that tests can compare it with finite differences.
    fn nll_wide(
        &self,
        emissions: &[f64],
        gold: &[usize],
        emissions_gradient: &mut [f64],
        gradient: &mut CrfGradient,
    ) -> f64 {
        let n = self.labels;
        let (Some(&first), Some(&last)) = (gold.first(), gold.last()) else { return 0.0 };
        // Expected counts under the model ..
        let log_z = self.add_expected(emissions, emissions_gradient, gradient);
        // .. less the counts of the gold path.
        for (word, &label) in gold.iter().enumerate() {
            emissions_gradient[word * n + label] -= 1.0;
        }
        gradient.start[first] -= 1.0;
        gradient.end[last] -= 1.0;
        for pair in gold.windows(2) {
            gradient.transitions[pair[0] * n + pair[1]] -= 1.0;
        }
        log_z - self.path_score(emissions, gold)
    }

    /// Adds the expected counts of labels and moves, which are the gradient of log Z; returns log Z.
    fn add_expected(
        &self,
        emissions: &[f64],
        emissions_gradient: &mut [f64],
        gradient: &mut CrfGradient,
    ) -> f64 {
        let n = self.labels;
        let lattice = self.lattice(emissions);
        let marginals: Vec<f64> =
            lattice.alpha.iter().zip(&lattice.beta).map(|(a, b)| (a + b - lattice.log_z).exp()).collect();
        let final_row = emissions.len() - n;
        emissions_gradient.iter_mut().zip(&marginals).for_each(|(g, p)| *g += p);
        gradient.start.iter_mut().zip(&marginals).for_each(|(g, p)| *g += p);
        gradient.end.iter_mut().zip(&marginals[final_row..]).for_each(|(g, p)| *g += p);
        for word in 1..emissions.len() / n {
            self.each_pair(&lattice, emissions, word, |at, p| gradient.transitions[at] += p);
        }
        lattice.log_z
    }

    fn path_score(&self, emissions: &[f64], path: &[usize]) -> f64 {
        let n = self.labels;
        let (Some(&first), Some(&last)) = (path.first(), path.last()) else { return 0.0 };
        let words: f64 = path.iter().enumerate().map(|(word, &label)| emissions[word * n + label]).sum();
        let moves: f64 = path.windows(2).map(|pair| self.transitions[pair[0] * n + pair[1]]).sum();
        self.start[first] + words + moves + self.end[last]
    }

    fn expectation(&self, emissions: &[f64], words: &[f64], pairs: &[f64]) -> f64 {
        // 0 · -inf is 0 here: a move that never happens costs nothing, legal or not.
        fn dot(probabilities: &[f64], scores: &[f64]) -> f64 {
            probabilities.iter().zip(scores).filter(|(p, _)| **p != 0.0).map(|(p, s)| p * s).sum()
        }
        let n = self.labels;
        if words.is_empty() {
            return 0.0;
        }
        let moves: f64 = pairs.chunks_exact(n * n).map(|block| dot(block, &self.transitions)).sum();
        dot(&words[..n], &self.start)
            + dot(words, emissions)
            + moves
            + dot(&words[words.len() - n..], &self.end)
    }

    /// `alpha` and log Z.
    fn forward(&self, emissions: &[f64]) -> (Vec<f64>, f64) {
        let n = self.labels;
        let mut alpha = Vec::with_capacity(emissions.len());
        for (word, row) in emissions.chunks_exact(n).enumerate() {
            for (to, emission) in row.iter().enumerate() {
                let sum = if word == 0 {
                    self.start[to]
                } else {
                    let before = &alpha[(word - 1) * n..][..n];
                    log_sum((0..n).map(|from| before[from] + self.transitions[from * n + to]))
                };
                alpha.push(sum + emission);
            }
        }
        let log_z = alpha
            .len()
            .checked_sub(n)
            .map_or(0.0, |last| log_sum(alpha[last..].iter().zip(&self.end).map(|(a, e)| a + e)));
        (alpha, log_z)
    }

    fn lattice(&self, emissions: &[f64]) -> Lattice {
        let n = self.labels;
        let words = emissions.len() / n;
        let (alpha, log_z) = self.forward(emissions);
        let mut beta = vec![0.0; words * n];
        if let Some(last) = words.checked_sub(1) {
            beta[last * n..].copy_from_slice(&self.end);
        }
        for word in (1..words).rev() {
            for from in 0..n {
                beta[(word - 1) * n + from] = log_sum((0..n).map(|to| {
                    self.transitions[from * n + to] + emissions[word * n + to] + beta[word * n + to]
                }));
            }
        }
        Lattice { alpha, beta, log_z }
    }

    /// Gives `each` the place in `[from, to]` and the posterior of every move from `word - 1` to `word`.
    fn each_pair(&self, lattice: &Lattice, emissions: &[f64], word: usize, mut each: impl FnMut(usize, f64)) {
        let n = self.labels;
        for from in 0..n {
            for to in 0..n {
                let score = lattice.alpha[(word - 1) * n + from]
                    + self.transitions[from * n + to]
                    + emissions[word * n + to]
                    + lattice.beta[word * n + to];
                each(from * n + to, (score - lattice.log_z).exp());
            }
        }
    }
}

/// Makes a path legal: an I-X that may not stand where it stands becomes B-X. Paths become illegal when a model
/// without CRF decodes word by word, and when words that own no sub-word are taken out of a text.
pub fn repair(labels: &Labels, path: &mut [usize]) {
    let mut before = None;
    for label in path {
        if !labels.legal(before, *label)
            && let Tag::Inside(kind) = labels.tags()[*label]
            && let Some(begin) = labels.tags().iter().position(|tag| *tag == Tag::Begin(kind))
        {
            *label = begin;
        }
        before = Some(*label);
    }
}

fn take(from: &mut [f64], what: &[f64]) {
    from.iter_mut().zip(what).for_each(|(from, what)| *from -= what);
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// log Σ exp, exact for -inf.
fn log_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY { max } else { max + values.map(|v| (v - max).exp()).sum::<f64>().ln() }
}

/// Index of the first largest value.
fn argmax(values: impl Iterator<Item = f64>) -> usize {
    values.enumerate().fold((0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best }).0
}

#[cfg(test)]
mod tests;
