//! The dependency graph: topological order, and cycles.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
};

use petgraph::{
    Direction,
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

/// Every edge goes from a dependency to the node that reads it.
pub(super) struct Graph(DiGraph<(), ()>);

impl Graph {
    /// `edges` are `(dependency, reader)`.
    pub fn new(nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut graph = DiGraph::new();
        for _ in 0..nodes {
            graph.add_node(());
        }
        for (read, reader) in edges.into_iter().collect::<BTreeSet<_>>() {
            graph.add_edge(NodeIndex::new(read), NodeIndex::new(reader), ());
        }
        Self(graph)
    }

    /// Nodes in topological order, ties by index. Nodes on a cycle, or downstream of one, are left out.
    pub fn order(&self) -> Vec<usize> {
        let count = |node| self.0.neighbors_directed(node, Direction::Incoming).count();
        let mut waits: Vec<_> = self.0.node_indices().map(count).collect();
        let mut ready: BinaryHeap<_> =
            (0..waits.len()).filter(|&node| waits[node] == 0).map(Reverse).collect();
        let mut order = Vec::new();
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for reader in self.0.neighbors(NodeIndex::new(node)) {
                waits[reader.index()] -= 1;
                if waits[reader.index()] == 0 {
                    ready.push(Reverse(reader.index()));
                }
            }
        }
        order
    }

    /// One shortest cycle of every strongly connected component, from its smallest node: each node is read by
    /// the next one, and the last by the first.
    pub fn cycles(&self) -> Vec<Vec<usize>> {
        let mut found: Vec<_> = tarjan_scc(&self.0)
            .into_iter()
            .filter_map(|component| self.shortest_cycle(*component.iter().min()?))
            .collect();
        found.sort();
        found
    }

    fn shortest_cycle(&self, start: NodeIndex) -> Option<Vec<usize>> {
        let mut before = vec![None; self.0.node_count()];
        let mut open = VecDeque::from([start]);
        while let Some(node) = open.pop_front() {
            let mut readers: Vec<_> = self.0.neighbors(node).collect();
            readers.sort();
            for reader in readers {
                if reader == start {
                    let mut cycle = vec![node.index()];
                    let mut at = node;
                    while let Some(previous) = before[at.index()] {
                        at = previous;
                        cycle.push(at.index());
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                if before[reader.index()].is_none() {
                    before[reader.index()] = Some(node);
                    open.push_back(reader);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_in_file_order() {
        let graph = Graph::new(5, [(3, 0), (4, 1), (3, 1)]);
        assert_eq!(graph.order(), [2, 3, 0, 4, 1]);
        assert!(graph.cycles().is_empty());
    }

    #[test]
    fn each_component_gives_its_shortest_cycle() {
        let graph = Graph::new(6, [(0, 1), (1, 2), (2, 0), (1, 0), (4, 4), (2, 3)]);
        assert_eq!(graph.cycles(), [vec![0, 1], vec![4]]);
        assert_eq!(graph.order(), [5]);
    }
}
