//! A training on several devices: each holds a copy of the network and of what is read beside it, and takes an even part of
//! every step's texts, in a thread of its own. The parts' gradients meet on the first device, which alone steps; the others
//! then take its parameters. So a step is that of one device but for rounding, moments are kept once, and copies cannot drift
//! apart. Burn's `all_reduce` would move half as much, but only CUDA has it, so that nothing of it could be tested here.

use burn::{
    module::Module,
    optim::{GradientsAccumulator, GradientsParams},
    tensor::Device,
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use stage_contract::StageError;

use crate::{
    gradient::{accumulate, backward, shares, trainable},
    ledger::Part,
    objective::{At, Objective},
};
use encoder::{batch::Encoded, network::Network};

/// What there is beside the first device: mostly nothing.
pub struct Replicas {
    further: Vec<Replica>,
    /// One for each device, for the whole training, because `CubeCL` gives each thread a stream with memory of its own.
    threads: Option<ThreadPool>,
    recompute: bool,
}

struct Replica {
    device: Device,
    network: Network,
    read: Option<Network>,
}

impl Replicas {
    /// Of a network that is to be trained on further devices, and of what the objective reads.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn of(
        network: &Network,
        read: Option<&Network>,
        devices: Vec<Device>,
        recompute: bool,
    ) -> Result<Self, StageError> {
        let pool = || ThreadPoolBuilder::new().num_threads(devices.len() + 1).build();
        let threads = (!devices.is_empty()).then(pool).transpose();
        let threads = threads.map_err(|e| StageError::because("cannot start a thread for each device", e))?;
        let replica = |device: Device| Replica {
            network: trainable(network.valid().to_device(&device), recompute),
            read: read.map(|read| read.clone().to_device(&device)),
            device,
        };
        Ok(Self { further: devices.into_iter().map(replica).collect(), threads, recompute })
    }

    /// Gives every device the parameters that the first has now.
    pub fn follow(&mut self, network: &Network) {
        for replica in &mut self.further {
            replica.network = trainable(network.valid().to_device(&replica.device), self.recompute);
        }
    }

    /// See [`backward`]: the same, on all devices.
    ///
    /// # Errors
    /// The objective's.
    pub fn backward(
        &self,
        objective: &dyn Objective,
        network: &Network,
        texts: &[Encoded],
        batches: &[Vec<usize>],
        at: At,
    ) -> Result<(GradientsParams, Vec<Part>), StageError> {
        let Some(threads) = &self.threads else { return backward(objective, network, batches, at) };
        let (places, parts): (Vec<_>, Vec<_>) =
            deal(batches, texts, 1 + self.further.len()).into_iter().unzip();
        let shares = shares(objective, &parts);
        let found = threads.broadcast(|thread| {
            let mine = places.iter().zip(parts.iter().zip(shares.iter().copied()));
            let mine = mine.filter(|(place, _)| **place == thread.index()).map(|(_, part)| part);
            match thread.index().checked_sub(1).map(|further| &self.further[further]) {
                None => accumulate(objective, network, None, mine, at),
                Some(replica) => accumulate(objective, &replica.network, replica.read.as_ref(), mine, at),
            }
        });
        let first = network.device().inner();
        let (mut gradients, mut all) = (GradientsAccumulator::new(), Vec::with_capacity(parts.len()));
        // In the order of devices, whichever was ready first.
        for found in found {
            let (theirs, parts) = found?;
            gradients.accumulate(network, theirs.to_device(&first, network));
            all.extend(parts.into_iter().map(|part| part.on(&first)));
        }
        Ok((gradients.grads(), all))
    }
}

/// A step's batches in parts, each with the number of its device: to each device about as many tokens, in order. A batch
/// across the border is cut between two texts, so that everyone has work while there are so many texts.
fn deal(batches: &[Vec<usize>], texts: &[Encoded], devices: usize) -> Vec<(usize, Vec<usize>)> {
    let all: usize = batches.iter().flatten().map(|&text| texts[text].tokens()).sum();
    let mut left = batches.iter().map(Vec::len).sum::<usize>();
    let (mut parts, mut before, mut next) = (Vec::with_capacity(batches.len() + devices), 0, 0);
    for batch in batches {
        let mut part: (usize, Vec<usize>) = (0, Vec::with_capacity(batch.len()));
        for &text in batch {
            let tokens = texts[text].tokens();
            // Where the text's middle lies, but so that no device is left out.
            let fair = (2 * before + tokens) * devices / (2 * all).max(1);
            let place = fair.max(devices.saturating_sub(left)).min(next);
            if place != part.0 && !part.1.is_empty() {
                parts.push(std::mem::take(&mut part));
            }
            part.0 = place;
            part.1.push(text);
            (before, left, next) = (before + tokens, left - 1, place + 1);
        }
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use text::tokenizer::Window;

    fn texts(lengths: &[usize]) -> Vec<Encoded> {
        let window = |&n: &usize| Window { ids: vec![7; n], ..Window::default() };
        lengths.iter().map(|n| Encoded { windows: vec![window(n)], words: 1 }).collect()
    }

    #[test]
    fn one_batch_is_cut_and_many_are_dealt_by_tokens() {
        let texts = texts(&[4, 4, 4, 4, 100, 1, 1]);
        assert_eq!(deal(&[vec![0, 1, 2, 3]], &texts, 2), [(0, vec![0, 1]), (1, vec![2, 3])]);
        let odd = [vec![0, 1], vec![2], vec![3]];
        assert_eq!(deal(&odd, &texts, 2), [(0, vec![0, 1]), (1, vec![2]), (1, vec![3])]);
        assert_eq!(
            deal(&[vec![5, 6, 4]], &texts, 3),
            [(0, vec![5]), (1, vec![6]), (2, vec![4])],
            "nobody is left out for one long text"
        );
        assert_eq!(deal(&[vec![4]], &texts, 2), [(0, vec![4])], "a text is never cut");
    }

    proptest! {
        #[test]
        fn every_text_is_dealt_once_in_order_and_every_device_has_work(
            lengths in prop::collection::vec(1_usize..60, 1..40), devices in 2_usize..5, size in 1_usize..12,
        ) {
            let texts = texts(&lengths);
            let order: Vec<usize> = (0..texts.len()).collect();
            let batches: Vec<_> = order.chunks(size).map(<[_]>::to_vec).collect();
            let parts = deal(&batches, &texts, devices);
            prop_assert_eq!(parts.iter().flat_map(|(_, part)| part.clone()).collect::<Vec<_>>(), order);
            prop_assert!(parts.is_sorted_by_key(|(place, _)| *place));
            prop_assert!(parts.len() < batches.len() + devices);
            let load = |device| parts.iter().filter(|(place, _)| *place == device)
                .flat_map(|(_, part)| part).map(|&text| lengths[text]).sum::<usize>();
            let (all, most) = (lengths.iter().sum::<usize>(), lengths.iter().max().copied().unwrap_or(0));
            for device in 0..devices {
                prop_assert!(device >= texts.len() || load(device) > 0);
                prop_assert!(load(device) <= all / devices + 2 * most, "{} of {}", load(device), all);
            }
        }
    }
}
