//! Batches of texts of similar length.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use crate::{metrics::Metrics, queue::Waiting};

/// The queue's end for the model: what waits, in the order of arrival, with the estimated tokens.
pub struct Pool {
    arrivals: Receiver<Waiting>,
    waiting: Vec<(usize, Waiting)>,
    budget: usize,
    window: Duration,
    metrics: Arc<Metrics>,
}

/// What the model reads next.
pub struct Batch {
    /// Never empty; in the order of arrival.
    pub texts: Vec<Waiting>,
    /// Estimated tokens, padding included.
    pub tokens: usize,
}

impl Pool {
    /// Batches of at most `budget` tokens; while the model is idle a text waits `window` for others.
    pub fn new(arrivals: Receiver<Waiting>, budget: usize, window: Duration, metrics: Arc<Metrics>) -> Self {
        Self { arrivals, waiting: Vec::new(), budget, window, metrics }
    }

    /// Waits for the next batch. None when no more can come.
    pub fn next(&mut self, tokens: impl Fn(&str) -> usize) -> Option<Batch> {
        let estimated = |waiting: Waiting| (tokens(&waiting.text).max(1), waiting);
        loop {
            self.waiting.extend(self.arrivals.try_iter().map(estimated));
            let before = self.waiting.len();
            self.waiting.retain(|(_, waiting)| !waiting.reply.is_closed());
            self.metrics.abandoned(before - self.waiting.len());
            let Some((_, oldest)) = self.waiting.first() else {
                self.waiting.push(estimated(self.arrivals.recv().ok()?));
                continue;
            };
            let filled = self.waiting.iter().map(|(tokens, _)| tokens).sum::<usize>() >= self.budget;
            let rest = (oldest.since + self.window).saturating_duration_since(Instant::now());
            if !filled && !rest.is_zero() {
                match self.arrivals.recv_timeout(rest) {
                    Ok(waiting) => {
                        self.waiting.push(estimated(waiting));
                        continue;
                    }
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => {}
                }
            }
            return Some(self.take());
        }
    }

    fn take(&mut self) -> Batch {
        let lengths: Vec<_> = self.waiting.iter().map(|(tokens, _)| *tokens).collect();
        let chosen = choose(&lengths, self.budget);
        let longest = chosen.iter().map(|at| lengths[*at]).max().unwrap_or_default();
        let mut at = 0;
        let texts = self.waiting.extract_if(.., |_| {
            at += 1;
            chosen.contains(&(at - 1))
        });
        let texts: Vec<_> = texts.map(|(_, waiting)| waiting).collect();
        Batch { tokens: longest * texts.len(), texts }
    }
}

/// The first text, so that none waits for ever, and those closest to it in length that fit: as many tokens as the longest
/// has count for each.
fn choose(lengths: &[usize], budget: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..lengths.len()).collect();
    let Some(first) = lengths.first() else { return order };
    order.sort_by_key(|at| (lengths[*at].abs_diff(*first), *at));
    let (mut chosen, mut longest) = (Vec::new(), 0);
    for at in order {
        let padded = longest.max(lengths[at]);
        if chosen.is_empty() || padded * (chosen.len() + 1) <= budget {
            longest = padded;
            chosen.push(at);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::queue::Queue;

    #[test]
    fn a_batch_holds_the_oldest_text_and_others_of_its_length() {
        assert_eq!(choose(&[10, 500, 11, 9, 480, 10], 40), [0, 5, 2]);
        assert_eq!(choose(&[500, 10, 480], 1000), [0, 2]);
        assert_eq!(choose(&[5000, 10], 1000), [0], "longer than a batch, it is one alone");
        assert!(choose(&[], 1000).is_empty());
    }

    #[test]
    fn texts_are_batched_by_length_and_the_order_of_arrival_is_kept() {
        let (queue, arrivals) = Queue::new(8, Arc::new(AtomicU64::new(0)));
        let mut pool = Pool::new(arrivals, 12, Duration::ZERO, Arc::default());
        let texts = ["aa", "bbbbbbbbbb", "c", "dd", "gone"].map(str::to_owned).to_vec();
        let mut outcomes = queue.offer(texts).expect("there is room");
        outcomes.pop();
        assert_eq!(queue.length(), 5);
        let mut next = || {
            let batch = pool.next(str::len).expect("more waits");
            (batch.texts.iter().map(|waiting| waiting.text.clone()).collect::<Vec<_>>(), batch.tokens)
        };
        assert_eq!(next(), (vec!["aa".to_owned(), "c".to_owned(), "dd".to_owned()], 6));
        assert_eq!(next(), (vec!["bbbbbbbbbb".to_owned()], 10));
        assert_eq!(queue.length(), 0);
        drop(queue);
        assert!(pool.next(str::len).is_none());
    }
}
