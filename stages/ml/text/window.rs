//! Alignment of pieces with words, and windows over long texts.

use crate::pieces::{Anchor, Continuation, Piece, Window};

/// The pieces of one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    word: usize,
    /// The first piece after those of the word before.
    start: usize,
    /// The piece that it is read off.
    piece: usize,
    /// One past the last piece that overlaps it.
    end: usize,
    owned: bool,
}

/// Finds each word's first sub-word: the first piece that overlaps it and whose earlier overlap belongs to no other word
/// (docs/formats.md, "Words, labels and windows"). A word that owns none is placed at the first piece that covers it;
/// one that no piece covers is left out.
fn places(pieces: &[Piece], words: &[[usize; 2]]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(words.len());
    // First piece that may still overlap: both sequences ascend.
    let mut from = 0;
    for (word, &[start, end]) in words.iter().enumerate() {
        while from < pieces.len() && pieces[from].end <= start {
            from += 1;
        }
        let overlapping = pieces[from..]
            .iter()
            .enumerate()
            .take_while(|(_, piece)| piece.start < end)
            .filter(|(_, piece)| piece.end > start && piece.start < piece.end)
            .map(|(index, _)| from + index);
        let earlier = word.checked_sub(1).map_or(0, |before| words[before][1]);
        let mut first = None;
        let mut own = None;
        let mut last = from;
        for piece in overlapping {
            first.get_or_insert(piece);
            // Words ascend, so only the word before can reach into this piece.
            if own.is_none() && (word == 0 || pieces[piece].start >= earlier) {
                own = Some(piece);
            }
            last = piece + 1;
        }
        if let Some(first) = first {
            let start = places.last().map_or(0, |before| before.end);
            places.push(Place { word, start, piece: own.unwrap_or(first), end: last, owned: own.is_some() });
        }
    }
    places
}

/// Cuts pieces into windows of at most `room` pieces each. Where a text is longer, neighbours share about a quarter of
/// `room`, edges lie between words where there is such a place within half a window, and each word belongs to the window
/// in which the nearer edge is farthest; the ends of the text are no edges. `around` are the ids before and after each
/// window's pieces.
#[must_use]
pub fn cut(pieces: &[Piece], words: &[[usize; 2]], room: usize, around: Option<[u32; 2]>) -> Vec<Window> {
    let (before, after) = (around.map(|ids| ids[0]), around.map(|ids| ids[1]));
    let places = places(pieces, words);
    let ranges = ranges(pieces.len(), &places, room);
    let mut windows: Vec<Window> = ranges
        .iter()
        .map(|&(start, end)| {
            let ids = pieces[start..end].iter().map(|piece| piece.id);
            Window { ids: before.into_iter().chain(ids).chain(after).collect(), ..Window::default() }
        })
        .collect();
    for place in &places {
        let context = |&(start, end): &(usize, usize)| {
            let left = if start == 0 { usize::MAX } else { place.piece - start };
            let right = if end == pieces.len() { usize::MAX } else { end.saturating_sub(place.end) };
            left.min(right)
        };
        let mut best: Option<(usize, usize)> = None;
        // A handful of windows at most hold a piece; they are neighbours.
        let near = ranges.partition_point(|&(_, end)| end <= place.piece);
        for (index, range) in
            ranges.iter().enumerate().skip(near).take_while(|(_, range)| range.0 <= place.piece)
        {
            if best.is_none_or(|(_, most)| context(range) > most) {
                best = Some((index, context(range)));
            }
        }
        if let Some((index, _)) = best {
            let (start, end) = ranges[index];
            let row = |piece: usize| piece - start + usize::from(around.is_some());
            let window = &mut windows[index];
            window.anchors.push(Anchor { word: place.word, row: row(place.piece), owned: place.owned });
            if place.owned {
                let others =
                    (place.start.max(start)..place.end.min(end)).filter(|piece| *piece != place.piece);
                window.continuations.extend(others.map(|piece| Continuation {
                    word: place.word,
                    row: row(piece),
                    leads: piece < place.piece,
                }));
            }
        }
    }
    windows
}

/// `[start, end)` of each window in pieces; ascending in both, together all pieces.
fn ranges(pieces: usize, places: &[Place], room: usize) -> Vec<(usize, usize)> {
    if pieces <= room {
        return vec![(0, pieces)];
    }
    // A cut before piece i splits a word when the word has pieces on both sides.
    let mut splits = vec![false; pieces + 1];
    for place in places {
        for split in &mut splits[place.piece + 1..place.end.max(place.piece + 1)] {
            *split = true;
        }
    }
    let back = |from: usize, limit: usize| (limit..=from).rev().find(|&at| !splits[at]).unwrap_or(from);
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    loop {
        let limit = start + room;
        if limit >= pieces {
            ranges.push((start, pieces));
            return ranges;
        }
        let end = back(limit, start + room / 2 + 1);
        ranges.push((start, end));
        // The next window goes back by the overlap, and always on by at least one piece.
        let overlap = room / 4;
        start = back(end - overlap.min(end - start - 1), start + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AROUND: Option<[u32; 2]> = Some([0, 2]);

    fn pieces(offsets: &[[usize; 2]]) -> Vec<Piece> {
        (10..).zip(offsets).map(|(id, &[start, end])| Piece { id, start, end }).collect()
    }

    fn anchors(offsets: &[[usize; 2]], words: &[[usize; 2]]) -> Vec<(usize, usize, bool)> {
        let windows = cut(&pieces(offsets), words, 100, AROUND);
        assert_eq!(windows.len(), 1);
        windows[0].anchors.iter().map(|a| (a.word, a.row, a.owned)).collect()
    }

    #[test]
    fn the_first_piece_that_overlaps_a_word_is_its_own() {
        // `▁Jean` `▁vit`, the space inside the second piece
        assert_eq!(anchors(&[[0, 4], [4, 8]], &[[0, 4], [5, 8]]), [(0, 1, true), (1, 2, true)]);
        // a lone `▁` covers the space and no word
        assert_eq!(anchors(&[[0, 4], [4, 5], [5, 8]], &[[0, 4], [5, 8]]), [(0, 1, true), (1, 3, true)]);
        // a word of three pieces
        assert_eq!(
            anchors(&[[0, 1], [1, 2], [2, 4], [4, 5]], &[[0, 4], [4, 5]]),
            [(0, 1, true), (1, 4, true)]
        );
    }

    #[test]
    fn a_piece_that_begins_in_another_word_is_not_the_first() {
        // `l'éc` `ole`: the second word owns `ole`
        assert_eq!(anchors(&[[0, 4], [4, 7]], &[[0, 2], [2, 7]]), [(0, 1, true), (1, 2, true)]);
        // one piece over both words: the second owns none
        assert_eq!(anchors(&[[0, 7]], &[[0, 2], [2, 7]]), [(0, 1, true), (1, 1, false)]);
        // and over three
        assert_eq!(
            anchors(&[[0, 9]], &[[0, 2], [2, 7], [7, 9]]),
            [(0, 1, true), (1, 1, false), (2, 1, false)]
        );
    }

    #[test]
    fn pieces_that_no_word_is_read_off_go_with_a_word() {
        let others = |offsets: &[[usize; 2]], words: &[[usize; 2]]| -> Vec<(usize, usize, bool)> {
            let windows = cut(&pieces(offsets), words, 100, AROUND);
            windows[0].continuations.iter().map(|c| (c.word, c.row, c.leads)).collect()
        };
        // a word of three pieces, a lone `▁`, a word of two
        let offsets = [[0, 1], [1, 2], [2, 4], [4, 5], [5, 6], [6, 8]];
        assert_eq!(
            others(&offsets, &[[0, 4], [5, 8]]),
            [(0, 2, false), (0, 3, false), (1, 4, true), (1, 6, false)]
        );
        // `l'éc` `ol` `e`: what begins in the word before is neither's continuation
        assert_eq!(others(&[[0, 4], [4, 6], [6, 7]], &[[0, 2], [2, 7]]), [(1, 3, false)]);
        // one piece over both words, and one after the last word
        assert_eq!(others(&[[0, 7], [7, 8]], &[[0, 2], [2, 7]]), []);
    }

    #[test]
    fn a_word_without_pieces_has_no_anchor() {
        assert_eq!(anchors(&[[0, 2], [5, 7]], &[[0, 2], [3, 4], [5, 7]]), [(0, 1, true), (2, 2, true)]);
        assert_eq!(anchors(&[[0, 0], [0, 2]], &[[0, 2]]), [(0, 2, true)]);
        let empty = cut(&[], &[[0, 1]], 4, AROUND);
        assert_eq!(empty, [Window { ids: vec![0, 2], ..Window::default() }]);
    }

    #[test]
    fn where_nothing_stands_around_a_text_its_pieces_are_all_of_its_windows() {
        let offsets: Vec<[usize; 2]> = (0..6).map(|i| [i, i + 1]).collect();
        let windows = cut(&pieces(&offsets), &[[0, 2], [2, 4], [4, 6]], 4, None);
        assert_eq!(windows[0].ids, [10, 11, 12, 13]);
        let of = |window: &Window| -> Vec<(usize, u32)> {
            window.anchors.iter().map(|a| (a.word, window.ids[a.row])).collect()
        };
        assert_eq!(windows.iter().flat_map(of).collect::<Vec<_>>(), [(0, 10), (1, 12), (2, 14)]);
    }

    #[test]
    fn windows_are_cut_between_words_and_words_go_where_their_context_is() {
        // ten words of two pieces each, windows of eight pieces
        let offsets: Vec<[usize; 2]> = (0..20).map(|i| [i, i + 1]).collect();
        let words: Vec<[usize; 2]> = (0..10).map(|i| [2 * i, 2 * i + 2]).collect();
        let windows = cut(&pieces(&offsets), &words, 8, AROUND);
        let spans: Vec<_> = windows.iter().map(|w| (w.ids[1], w.ids[w.ids.len() - 2])).collect();
        assert_eq!(spans, [(10, 17), (16, 23), (22, 29)]);
        let owners: Vec<Vec<usize>> =
            windows.iter().map(|w| w.anchors.iter().map(|a| a.word).collect()).collect();
        assert_eq!(owners, [vec![0, 1, 2, 3], vec![4, 5, 6], vec![7, 8, 9]]);
    }

    #[test]
    fn a_word_longer_than_a_window_still_has_its_place() {
        let offsets: Vec<[usize; 2]> = (0..30).map(|i| [i, i + 1]).collect();
        let windows = cut(&pieces(&offsets), &[[0, 2], [2, 28], [28, 30]], 6, AROUND);
        assert!(windows.iter().all(|w| w.ids.len() <= 8));
        let found: Vec<_> =
            windows.iter().flat_map(|w| w.anchors.iter().map(|a| (a.word, w.ids[a.row]))).collect();
        assert_eq!(found, [(0, 10), (1, 12), (2, 38)]);
    }

    proptest! {
        #[test]
        fn every_covered_word_has_exactly_one_anchor_at_its_first_piece(
            steps in prop::collection::vec((0_usize..2, 1_usize..4), 0..80),
            cuts in prop::collection::vec((0_usize..3, 1_usize..9), 0..40),
            room in 1_usize..20,
        ) {
            let mut at = 0;
            let mut ascending = |list: Vec<(usize, usize)>| {
                at = 0;
                list.into_iter().map(|(gap, length)| { let start = at + gap; at = start + length; [start, at] })
                    .collect::<Vec<_>>()
            };
            let (offsets, words) = (ascending(steps), ascending(cuts));
            let pieces = pieces(&offsets);
            let windows = cut(&pieces, &words, room, AROUND);
            let mut found = vec![Vec::new(); words.len()];
            let mut seen = std::collections::BTreeSet::<u32>::new();
            for window in &windows {
                prop_assert!(window.ids.len() <= room + 2);
                prop_assert_eq!((window.ids[0], window.ids[window.ids.len() - 1]), (0, 2));
                seen.extend(&window.ids[1..window.ids.len() - 1]);
                prop_assert!(window.anchors.is_sorted_by_key(|a| a.word));
                let mut rows: Vec<usize> = window.anchors.iter().filter(|a| a.owned).map(|a| a.row).collect();
                rows.extend(window.continuations.iter().map(|c| c.row));
                rows.sort_unstable();
                // A piece is taught once.
                prop_assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
                for continuation in &window.continuations {
                    let anchor = window.anchors.iter().find(|a| a.word == continuation.word);
                    prop_assert!(anchor.is_some_and(|a| a.owned && (a.row > continuation.row) == continuation.leads));
                }
                for anchor in &window.anchors {
                    found[anchor.word].push((window.ids[anchor.row], anchor.owned));
                }
            }
            // Nothing is dropped.
            prop_assert_eq!(seen.len(), pieces.len());
            let meets = |p: &Piece, w: &[usize; 2]| p.start < w[1] && w[0] < p.end;
            for (index, word) in words.iter().enumerate() {
                let over: Vec<&Piece> = pieces.iter().filter(|p| meets(p, word)).collect();
                let own = over.iter().find(|p| !words[..index].iter().any(|w| meets(p, w)));
                let expected = own.map(|p| (p.id, true)).or(over.first().map(|p| (p.id, false)));
                prop_assert_eq!(&found[index], &expected.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
