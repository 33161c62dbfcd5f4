//! Where the boxes of a graph stand: layers left to right, each box as near to its neighbours as the others let it
//! (Sugiyama, Tagawa and Toda 1981). Long wires of one box share their way through the layers between.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::float;

/// What stands in a layer: a box, or the way of a box's wires past this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Box(usize),
    Way { from: usize, layer: usize },
}

/// A graph with places.
pub(super) struct Layout {
    /// Layer and middle, from the top, of each box.
    pub boxes: Vec<(usize, f64)>,
    /// Likewise of every stop of each wire, both ends included.
    pub wires: Vec<Vec<(usize, f64)>>,
    /// Layers there are.
    pub layers: usize,
    /// From the top of the first to the bottom of the last.
    pub height: f64,
}

/// Room for a box, and for a wire that passes.
const BOX: f64 = 62.0;
const WAY: f64 = 14.0;

impl Layout {
    /// `layers` has the layer of each box; a wire goes to a later one.
    pub fn of(layers: &[usize], wires: &[(usize, usize)]) -> Self {
        let count = layers.iter().max().map_or(0, |last| last + 1);
        let mut rows: Vec<Vec<Item>> = vec![Vec::new(); count];
        for (index, layer) in layers.iter().enumerate() {
            rows[*layer].push(Item::Box(index));
        }
        let mut links: BTreeSet<(Item, Item)> = BTreeSet::new();
        let mut routes = Vec::new();
        for &(from, to) in wires {
            let mut route = vec![Item::Box(from)];
            for (layer, row) in rows.iter_mut().enumerate().take(layers[to]).skip(layers[from] + 1) {
                let way = Item::Way { from, layer };
                if !row.contains(&way) {
                    row.push(way);
                }
                route.push(way);
            }
            route.push(Item::Box(to));
            links.extend(route.windows(2).map(|pair| (pair[0], pair[1])));
            routes.push(route);
        }
        let links: Vec<(Item, Item)> = links.into_iter().collect();
        order(&mut rows, &links);
        let places = place(&rows, &links);
        let spot = |item: Item| match item {
            Item::Box(index) => (layers[index], places[&item]),
            Item::Way { layer, .. } => (layer, places[&item]),
        };
        let bottom = rows.iter().flatten().map(|item| places[item] + room(*item) / 2.0).fold(0.0, f64::max);
        Self {
            boxes: (0..layers.len()).map(|index| spot(Item::Box(index))).collect(),
            wires: routes.into_iter().map(|route| route.into_iter().map(spot).collect()).collect(),
            layers: count,
            height: bottom,
        }
    }
}

fn room(item: Item) -> f64 {
    if matches!(item, Item::Box(_)) { BOX } else { WAY }
}

/// Sorts each layer by where its neighbours are, forth and back, and keeps the best.
fn order(rows: &mut [Vec<Item>], links: &[(Item, Item)]) {
    const SWEEPS: usize = 8;
    let mut best = (crossings(rows, links), rows.to_vec());
    for sweep in 0..SWEEPS {
        let forth = sweep % 2 == 0;
        let ranks: Vec<usize> =
            if forth { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for rank in ranks {
            let at: BTreeMap<Item, usize> = rows
                .iter()
                .flat_map(|row| row.iter().enumerate().map(|(place, item)| (*item, place)))
                .collect();
            let mean = |item: &Item| {
                let others = links.iter().filter_map(|(from, to)| match forth {
                    true if to == item => Some(*from),
                    false if from == item => Some(*to),
                    _ => None,
                });
                let others: Vec<f64> = others.map(|other| float(at[&other])).collect();
                if others.is_empty() {
                    float(at[item])
                } else {
                    others.iter().sum::<f64>() / float(others.len())
                }
            };
            rows[rank].sort_by(|a, b| mean(a).total_cmp(&mean(b)));
        }
        let now = crossings(rows, links);
        if now < best.0 {
            best = (now, rows.to_vec());
        }
    }
    rows.clone_from_slice(&best.1);
}

fn crossings(rows: &[Vec<Item>], links: &[(Item, Item)]) -> usize {
    let at: BTreeMap<Item, (usize, usize)> = rows
        .iter()
        .enumerate()
        .flat_map(|(layer, row)| row.iter().enumerate().map(move |(place, item)| (*item, (layer, place))))
        .collect();
    let ends: Vec<_> = links.iter().map(|(from, to)| (at[from], at[to].1)).collect();
    let pairs =
        ends.iter().enumerate().flat_map(|(n, one)| ends[n + 1..].iter().map(move |other| (one, other)));
    pairs
        .filter(|(((layer, from), to), ((other_layer, other_from), other_to))| {
            layer == other_layer && (from < other_from && to > other_to || from > other_from && to < other_to)
        })
        .count()
}

/// The middle of each item: where its neighbours are, as far as the order lets it.
fn place(rows: &[Vec<Item>], links: &[(Item, Item)]) -> BTreeMap<Item, f64> {
    const ROUNDS: usize = 12;
    let apart = |one: Item, other: Item| f64::midpoint(room(one), room(other));
    let mut places = BTreeMap::new();
    for row in rows {
        let mut next = 0.0;
        for item in row {
            places.insert(*item, next + room(*item) / 2.0);
            next += room(*item);
        }
    }
    for _ in 0..ROUNDS {
        for row in rows {
            let wanted: Vec<f64> = row
                .iter()
                .map(|item| {
                    let others = links.iter().filter_map(|(from, to)| match item {
                        _ if to == item => Some(places[from]),
                        _ if from == item => Some(places[to]),
                        _ => None,
                    });
                    let others: Vec<f64> = others.collect();
                    if others.is_empty() {
                        places[item]
                    } else {
                        others.iter().sum::<f64>() / float(others.len())
                    }
                })
                .collect();
            let mut found: Vec<f64> = Vec::new();
            for (index, item) in row.iter().enumerate() {
                let least = index.checked_sub(1).map(|last| found[last] + apart(row[last], *item));
                found.push(least.map_or(wanted[index], |least| wanted[index].max(least)));
            }
            // Pushed down alone they would all sink: as a whole they go back to where they want to be.
            let drift = found.iter().zip(&wanted).map(|(found, wanted)| found - wanted).sum::<f64>()
                / float(row.len().max(1));
            for (item, at) in row.iter().zip(found) {
                places.insert(*item, at - drift);
            }
        }
    }
    let top =
        rows.iter().flatten().map(|item| places[item] - room(*item) / 2.0).fold(f64::INFINITY, f64::min);
    for at in places.values_mut() {
        *at -= top;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{BOX, Layout};

    #[test]
    fn a_chain_is_straight_and_boxes_of_a_layer_are_apart() {
        let chain = Layout::of(&[0, 1, 2], &[(0, 1), (1, 2)]);
        assert!(chain.boxes.iter().all(|(_, at)| (at - BOX / 2.0).abs() < 0.5), "{:?}", chain.boxes);
        let fan = Layout::of(&[0, 1, 1, 1, 2], &[(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (0, 4)]);
        let mut middle: Vec<f64> = fan.boxes[1..4].iter().map(|(_, at)| *at).collect();
        middle.sort_by(f64::total_cmp);
        assert!(middle.windows(2).all(|pair| pair[1] - pair[0] >= BOX - 1e-6), "{middle:?}");
        assert_eq!(fan.wires[6].len(), 3, "a long wire has a stop in each layer between");
    }

    #[test]
    fn wires_that_need_not_cross_do_not() {
        let crossed = Layout::of(&[0, 0, 1, 1], &[(0, 3), (1, 2)]);
        let at = |index: usize| crossed.boxes[index].1;
        assert!((at(0) < at(1)) == (at(3) < at(2)));
    }
}
