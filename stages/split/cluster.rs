//! Clusters of texts that say the same, so that no part of a split knows another's: equal keys ([`text::clean::key`]),
//! near duplicates, and documents.
//!
//! Near duplicates are found by `MinHash` with banding (Broder 1997; Leskovec, Rajaraman and Ullman, *Mining of Massive
//! Datasets*, §3.4) over sets of five characters, and confirmed by their exact Jaccard similarity.

use std::collections::BTreeMap;

use rayon::prelude::*;

use text::clean;

/// One text to be put into a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The text.
    pub text: &'a str,
    /// Its document: members of one document are in one cluster.
    pub group: &'a str,
}

/// The clusters of some texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// `[members]` index of each member's cluster.
    pub of: Vec<usize>,
    /// `[clusters]` name of each cluster: the least key in it. Depends on the members and not on their order.
    pub names: Vec<String>,
}

/// Characters in a shingle: shorter than most words, so that one changed word costs few shingles.
const SHINGLE: usize = 5;
/// Bands x rows of the signature: a pair of similarity s meets in some band with probability 1 - (1 - s⁴)¹⁶,
/// which is 0.9998 at 0.8 and 0.99 at 0.7.
const BANDS: usize = 16;
const ROWS: usize = 4;
/// Least `similarity` that the bands above find well enough.
pub const LEAST_SIMILARITY: f64 = 0.6;
/// Texts of one bucket that a further one is compared with; bounds the work where a corpus is made of templates.
const REPRESENTATIVES: usize = 64;

/// Clusters `members`. Texts whose shingle sets have a Jaccard similarity of at least `similarity` are near duplicates;
/// 1 leaves it at equal keys. The result does not depend on the order of members.
#[must_use]
pub fn clusters(members: &[Member<'_>], similarity: f64) -> Clusters {
    let keys: Vec<String> = members.par_iter().map(|member| clean::key(member.text)).collect();
    // Everything from here works on distinct keys in their order.
    let mut index: BTreeMap<&str, usize> = keys.iter().map(|key| (key.as_str(), 0)).collect();
    for (place, slot) in index.values_mut().enumerate() {
        *slot = place;
    }
    let distinct: Vec<&str> = index.keys().copied().collect();
    let mut union = Union::new(distinct.len());
    if similarity < 1.0 {
        join_near(&distinct, similarity, &mut union);
    }
    let mut documents: BTreeMap<&str, usize> = BTreeMap::new();
    for (member, key) in members.iter().zip(&keys) {
        let key = index[key.as_str()];
        let first = *documents.entry(member.group).or_insert(key);
        union.join(first, key);
    }
    // The root of a set is its least index, hence its least key.
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    for key in 0..distinct.len() {
        let root = union.root(key);
        let next = numbers.len();
        numbers.entry(root).or_insert(next);
    }
    let names = numbers.keys().map(|&root| distinct[root].to_owned()).collect();
    let of = keys.iter().map(|key| numbers[&union.root(index[key.as_str()])]).collect();
    Clusters { of, names }
}

fn join_near(keys: &[&str], similarity: f64, union: &mut Union) {
    let shingles: Vec<Vec<u32>> = keys.par_iter().map(|key| shingles(key)).collect();
    let signatures: Vec<[u32; BANDS * ROWS]> = shingles.par_iter().map(|set| signature(set)).collect();
    for band in 0..BANDS {
        let rows = |key: usize| &signatures[key][band * ROWS..][..ROWS];
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.par_sort_by_key(|&key| (rows(key), key));
        for bucket in order.chunk_by(|&a, &b| rows(a) == rows(b)) {
            let mut representatives: Vec<usize> = Vec::new();
            for &key in bucket {
                let near = |&other: &usize| {
                    union.root(other) == union.root(key)
                        || jaccard(&shingles[other], &shingles[key]) >= similarity
                };
                if let Some(other) = representatives.iter().copied().find(|other| near(other)) {
                    union.join(other, key);
                } else if representatives.len() < REPRESENTATIVES {
                    representatives.push(key);
                }
            }
        }
    }
}

/// The set of a key's shingles, hashed and sorted.
fn shingles(key: &str) -> Vec<u32> {
    let chars: Vec<char> = key.chars().collect();
    let hash = |window: &[char]| {
        let [high, _] = halves(window.iter().fold(0, |h, &c| mix(h ^ u64::from(u32::from(c)))));
        high
    };
    let mut set: Vec<u32> =
        if chars.len() < SHINGLE { vec![hash(&chars)] } else { chars.windows(SHINGLE).map(hash).collect() };
    set.sort_unstable();
    set.dedup();
    set
}

fn signature(set: &[u32]) -> [u32; BANDS * ROWS] {
    let mut signature = [u32::MAX; BANDS * ROWS];
    let factors: Vec<[u32; 2]> = (1..=(BANDS * ROWS) as u64).map(|i| halves(mix(i))).collect();
    for &shingle in set {
        for (least, &[add, factor]) in signature.iter_mut().zip(&factors) {
            let hash = (shingle ^ add).wrapping_mul(factor | 1);
            *least = (*least).min(hash ^ (hash >> 15));
        }
    }
    signature
}

/// Both halves of a mixed hash are hashes.
fn halves(hash: u64) -> [u32; 2] {
    let bytes = hash.to_be_bytes();
    let half = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    [half(0), half(4)]
}

/// |a ∩ b| / |a ∪ b| of two sorted sets.
fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0_u32);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                both += 1;
                i += 1;
                j += 1;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "sets of some hundred shingles")]
    let either = (a.len() + b.len()) as f64 - f64::from(both);
    if either == 0.0 { 1.0 } else { f64::from(both) / either }
}

/// The finaliser of `SplitMix64` (Steele et al. 2014): every bit of the input moves every bit of the output.
#[must_use]
pub fn mix(mut h: u64) -> u64 {
    h = h.wrapping_add(0x9e37_79b9_7f4a_7c15);
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

/// A number in [0, 1) for a name under a seed, the same in every build.
#[must_use]
pub fn draw(seed: u64, name: &str) -> f64 {
    let hash = name.bytes().fold(mix(seed), |h, b| mix(h ^ u64::from(b)));
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let draw = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    draw
}

/// Disjoint sets; the root of a set is its least index.
struct Union {
    parents: Vec<std::cell::Cell<usize>>,
}

impl Union {
    fn new(size: usize) -> Self {
        Self { parents: (0..size).map(std::cell::Cell::new).collect() }
    }

    fn root(&self, mut at: usize) -> usize {
        while self.parents[at].get() != at {
            let up = self.parents[self.parents[at].get()].get();
            self.parents[at].set(up);
            at = up;
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)].set(a.min(b));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTE: &str =
        "La patiente a été admise aux urgences pour une douleur thoracique apparue dans la nuit.";

    fn of(texts: &[&str], similarity: f64) -> Vec<usize> {
        let groups: Vec<String> = (0..texts.len()).map(|i| i.to_string()).collect();
        let members: Vec<_> = texts.iter().zip(&groups).map(|(text, group)| Member { text, group }).collect();
        clusters(&members, similarity).of
    }

    #[test]
    fn texts_that_say_the_same_are_together() {
        let shouted = NOTE.to_uppercase();
        let changed = NOTE.replace("nuit", "matinée");
        let other = "Le dossier de demande d'allocation est complet et sera transmis demain.";
        let found = of(&[NOTE, &shouted, &changed, other], 0.8);
        assert_eq!(found[0], found[1]);
        assert_eq!(found[0], found[2]);
        assert_ne!(found[0], found[3]);
        let equal = of(&[NOTE, &shouted, &changed], 1.0);
        assert!(equal[0] == equal[1] && equal[0] != equal[2]);
    }

    #[test]
    fn documents_are_together() {
        let members = ["un texte", "un autre", "le reste"].map(|text| Member { text, group: "d" });
        assert_eq!(clusters(&members, 0.8).names, ["le reste"]);
    }

    #[test]
    fn an_empty_corpus_has_no_clusters() {
        assert_eq!(clusters(&[], 0.8), Clusters { of: vec![], names: vec![] });
    }

    #[test]
    fn draws_are_spread_evenly_and_follow_the_seed() {
        let names: Vec<String> = (0..2000).map(|i| format!("texte {i}")).collect();
        let below = names.iter().filter(|name| draw(7, name) < 0.1).count();
        assert!((150..250).contains(&below), "{below}");
        assert!(names.iter().any(|name| (draw(7, name) < 0.1) != (draw(8, name) < 0.1)));
        assert!(draw(7, "") < 1.0);
    }

    proptest! {
        #[test]
        fn clusters_do_not_depend_on_the_order_of_members(
            picks in prop::collection::vec((0_usize..12, 0_usize..8), 1..40), turn in 0_usize..40,
        ) {
            let texts: Vec<String> = (0..12).map(|i| NOTE.replace("nuit", &"abc ".repeat(i))).collect();
            let groups: Vec<String> = (0..8).map(|i| i.to_string()).collect();
            let mut members: Vec<Member<'_>> =
                picks.iter().enumerate().map(|(i, &(t, g))| Member { text: &texts[t], group: &groups[(g + i) % 8] }).collect();
            let before = clusters(&members, 0.8);
            let by = turn % members.len();
            members.rotate_left(by);
            let mut after = clusters(&members, 0.8);
            after.of.rotate_right(by);
            prop_assert_eq!(before, after);
        }
    }
}
