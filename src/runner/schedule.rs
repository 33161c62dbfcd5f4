//! What to start next: which nodes have their inputs, and whether what they request is free. It is pure: no
//! threads, no clock.

use std::collections::{BTreeMap, BTreeSet};

/// The resource whose units have numbers: two stages may share two GPUs, but not the same one.
const GPU: &str = "gpu";

/// What an executing node occupies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// How much of each resource.
    pub resources: BTreeMap<String, u64>,
    /// Names that no two executing nodes may share.
    pub mutexes: BTreeSet<String>,
}

/// A node that may execute now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Which.
    pub node: usize,
    /// The GPUs it has to itself.
    pub gpus: Vec<u64>,
}

/// The nodes of a run: waiting for inputs, ready, queued for resources, executing, done.
///
/// Of several that could be next, the smallest is: nodes are numbered in the order of work. One that
/// needs more than is free does not hold up those behind it.
#[derive(Debug)]
pub struct Schedule {
    /// How many inputs' nodes are not done, by node.
    waits: BTreeMap<usize, usize>,
    readers: BTreeMap<usize, Vec<usize>>,
    ready: BTreeSet<usize>,
    parked: BTreeSet<usize>,
    queue: BTreeMap<usize, Request>,
    executing: BTreeMap<usize, (Request, Vec<u64>)>,
    jobs: usize,
    free: BTreeMap<String, u64>,
    gpus: BTreeSet<u64>,
}

impl Schedule {
    /// For these nodes, each with those of them that it reads from; at most `jobs` execute at once, and
    /// together they occupy no more than `totals`.
    pub fn new(
        nodes: impl IntoIterator<Item = (usize, Vec<usize>)>,
        jobs: usize,
        totals: BTreeMap<String, u64>,
    ) -> Self {
        let mut schedule = Self {
            waits: BTreeMap::new(),
            readers: BTreeMap::new(),
            ready: BTreeSet::new(),
            parked: BTreeSet::new(),
            queue: BTreeMap::new(),
            executing: BTreeMap::new(),
            jobs,
            gpus: (0..totals.get(GPU).copied().unwrap_or(0)).collect(),
            free: totals,
        };
        for (node, upstream) in nodes {
            if upstream.is_empty() {
                schedule.ready.insert(node);
            }
            schedule.waits.insert(node, upstream.len());
            for before in upstream {
                schedule.readers.entry(before).or_default().push(node);
            }
        }
        schedule
    }

    /// A node whose inputs' nodes are all done; each is given once.
    pub fn ready(&mut self) -> Option<usize> {
        self.ready.pop_first()
    }

    /// A node that was ready waits for another one that makes the same result: it is ready again when any node is
    /// done.
    pub fn park(&mut self, node: usize) {
        self.parked.insert(node);
    }

    /// A ready node has to execute, and needs this.
    pub fn queue(&mut self, node: usize, request: Request) {
        self.queue.insert(node, request);
    }

    /// A queued node that may execute now; it occupies what it needs.
    pub fn allocate(&mut self) -> Option<Allocation> {
        if self.executing.len() >= self.jobs {
            return None;
        }
        let node = *self.queue.iter().find(|(_, request)| self.fits(request))?.0;
        let request = self.queue.remove(&node)?;
        for (name, amount) in &request.resources {
            if let Some(free) = self.free.get_mut(name) {
                *free = free.saturating_sub(*amount);
            }
        }
        let count = request.resources.get(GPU).copied().unwrap_or(0);
        let gpus: Vec<u64> = (0..count).filter_map(|_| self.gpus.pop_first()).collect();
        self.executing.insert(node, (request, gpus.clone()));
        Some(Allocation { node, gpus })
    }

    /// A node no longer executes: what it occupied is free.
    pub fn release(&mut self, node: usize) {
        let Some((request, gpus)) = self.executing.remove(&node) else { return };
        for (name, amount) in &request.resources {
            if let Some(free) = self.free.get_mut(name) {
                *free += amount;
            }
        }
        self.gpus.extend(gpus);
    }

    /// A node is done with, however it ended.
    pub fn done(&mut self, node: usize) {
        self.release(node);
        self.queue.remove(&node);
        for reader in self.readers.remove(&node).unwrap_or_default() {
            if let Some(waits) = self.waits.get_mut(&reader) {
                *waits -= 1;
                if *waits == 0 {
                    self.ready.insert(reader);
                }
            }
        }
        self.ready.append(&mut self.parked);
    }

    /// The nodes that are queued: after a cancel, none of them will start.
    pub fn queued(&self) -> Vec<usize> {
        self.queue.keys().copied().collect()
    }

    fn fits(&self, request: &Request) -> bool {
        request.resources.iter().all(|(name, amount)| self.free.get(name).is_none_or(|free| amount <= free))
            && self.executing.values().all(|(other, _)| other.mutexes.is_disjoint(&request.mutexes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(resources: &[(&str, u64)], mutexes: &[&str]) -> Request {
        Request {
            resources: resources.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect(),
            mutexes: mutexes.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn schedule(nodes: &[(usize, &[usize])], jobs: usize, totals: &[(&str, u64)]) -> Schedule {
        let nodes = nodes.iter().map(|(node, upstream)| (*node, upstream.to_vec()));
        Schedule::new(nodes, jobs, request(totals, &[]).resources)
    }

    fn all_ready(schedule: &mut Schedule) -> Vec<usize> {
        std::iter::from_fn(|| schedule.ready()).collect()
    }

    fn all_allocated(schedule: &mut Schedule) -> Vec<usize> {
        std::iter::from_fn(|| schedule.allocate()).map(|allocation| allocation.node).collect()
    }

    #[test]
    fn a_node_is_ready_when_all_before_it_are_done_and_only_once() {
        let mut schedule = schedule(&[(0, &[]), (1, &[]), (2, &[0, 1]), (3, &[0])], 1, &[]);
        assert_eq!(all_ready(&mut schedule), [0, 1]);
        schedule.done(0);
        assert_eq!(all_ready(&mut schedule), [3]);
        schedule.done(1);
        assert_eq!(all_ready(&mut schedule), [2]);
        assert!(all_ready(&mut schedule).is_empty());
    }

    #[test]
    fn no_more_execute_than_jobs_and_the_smallest_is_first() {
        let mut schedule = schedule(&[(0, &[]), (1, &[]), (2, &[])], 2, &[]);
        for node in [2, 0, 1] {
            schedule.queue(node, Request::default());
        }
        assert_eq!(all_allocated(&mut schedule), [0, 1]);
        schedule.done(1);
        assert_eq!(all_allocated(&mut schedule), [2]);
    }

    #[test]
    fn what_does_not_fit_waits_and_holds_up_nobody() {
        let mut schedule = schedule(&[(0, &[]), (1, &[]), (2, &[])], 8, &[("cpu", 4), ("licence", 1)]);
        schedule.queue(0, request(&[("cpu", 3)], &[]));
        schedule.queue(1, request(&[("cpu", 2), ("licence", 1)], &[]));
        schedule.queue(2, request(&[("cpu", 1), ("licence", 1)], &[]));
        assert_eq!(all_allocated(&mut schedule), [0, 2], "1 lacks a cpu");
        schedule.done(0);
        assert!(all_allocated(&mut schedule).is_empty(), "1 lacks the licence");
        schedule.done(2);
        assert_eq!(all_allocated(&mut schedule), [1]);
        schedule.done(1);
        assert_eq!(schedule.free, request(&[("cpu", 4), ("licence", 1)], &[]).resources);
    }

    #[test]
    fn nodes_that_share_a_mutex_never_execute_at_once() {
        let mut schedule = schedule(&[(0, &[]), (1, &[]), (2, &[])], 8, &[]);
        schedule.queue(0, request(&[], &["db", "port"]));
        schedule.queue(1, request(&[], &["db"]));
        schedule.queue(2, request(&[], &["other"]));
        assert_eq!(all_allocated(&mut schedule), [0, 2]);
        schedule.done(2);
        assert!(all_allocated(&mut schedule).is_empty());
        schedule.done(0);
        assert_eq!(all_allocated(&mut schedule), [1]);
    }

    #[test]
    fn every_gpu_is_given_to_one_node_and_comes_back() {
        let mut schedule = schedule(&[(0, &[]), (1, &[]), (2, &[])], 8, &[("gpu", 3)]);
        schedule.queue(0, request(&[("gpu", 2)], &[]));
        schedule.queue(1, request(&[("gpu", 1)], &[]));
        schedule.queue(2, request(&[("gpu", 1)], &[]));
        assert_eq!(schedule.allocate(), Some(Allocation { node: 0, gpus: vec![0, 1] }));
        assert_eq!(schedule.allocate(), Some(Allocation { node: 1, gpus: vec![2] }));
        assert_eq!(schedule.allocate(), None);
        schedule.release(0);
        assert_eq!(schedule.allocate(), Some(Allocation { node: 2, gpus: vec![0] }));
    }

    #[test]
    fn a_released_node_can_be_queued_again_and_its_readers_still_wait() {
        let mut schedule = schedule(&[(0, &[]), (1, &[0])], 1, &[("cpu", 1)]);
        assert_eq!(all_ready(&mut schedule), [0]);
        schedule.queue(0, request(&[("cpu", 1)], &[]));
        assert_eq!(all_allocated(&mut schedule), [0]);
        schedule.release(0);
        assert!(all_ready(&mut schedule).is_empty());
        schedule.queue(0, request(&[("cpu", 1)], &[]));
        assert_eq!(all_allocated(&mut schedule), [0]);
        schedule.done(0);
        assert_eq!(all_ready(&mut schedule), [1]);
    }

    /// Nodes of every shape, ending in another order than they began: nothing is overdrawn, every
    /// node executes once and after those before it, and the same endings give the same beginnings.
    #[test]
    fn whatever_the_graph_all_execute_in_order_and_nothing_is_overdrawn() {
        let run = |seed: u64| {
            let mut state = seed;
            let mut random = |below: u64| {
                // Knuth's MMIX generator.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % below
            };
            let nodes: Vec<(usize, Vec<usize>)> =
                (0..40).map(|node| (node, (0..node).filter(|_| random(12) == 0).collect())).collect();
            let needs: Vec<_> = (0..40)
                .map(|_| {
                    request(
                        &[("cpu", random(5)), ("gpu", random(3))],
                        if random(4) == 0 { &["m"] } else { &[] },
                    )
                })
                .collect();
            let totals = request(&[("cpu", 4), ("gpu", 2)], &[]).resources;
            let mut schedule = Schedule::new(nodes.clone(), 3, totals);
            let (mut begun, mut executing, mut done) =
                (Vec::new(), Vec::<Allocation>::new(), BTreeSet::new());
            loop {
                while let Some(node) = schedule.ready() {
                    schedule.queue(node, needs[node].clone());
                }
                while let Some(allocation) = schedule.allocate() {
                    assert!(nodes[allocation.node].1.iter().all(|before| done.contains(before)));
                    begun.push(allocation.node);
                    executing.push(allocation);
                }
                let sum = |name| {
                    executing.iter().map(|allocation| needs[allocation.node].resources[name]).sum::<u64>()
                };
                assert!(executing.len() <= 3 && sum("cpu") <= 4 && sum("gpu") <= 2);
                assert!(
                    executing.iter().filter(|allocation| !needs[allocation.node].mutexes.is_empty()).count()
                        <= 1
                );
                let gpus: BTreeSet<_> = executing.iter().flat_map(|allocation| &allocation.gpus).collect();
                assert_eq!(gpus.len() as u64, sum("gpu"), "no GPU is given twice");
                if executing.is_empty() {
                    break;
                }
                let ended = usize::try_from(random(executing.len() as u64)).expect("is small");
                let ended = executing.remove(ended).node;
                done.insert(ended);
                schedule.done(ended);
            }
            assert_eq!(done.len(), 40);
            begun
        };
        for seed in 0..50 {
            assert_eq!(run(seed), run(seed));
        }
    }
}
