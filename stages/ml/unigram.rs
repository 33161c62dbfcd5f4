//! A unigram language model of word pieces (Kudo 2018, *Subword Regularization*, §3.2), trained as SentencePiece trains it:
//! many seeds, expectation maximisation, and rounds that drop the pieces that the likelihood misses least.
//!
//! The tokenizers crate has such a trainer. It is not used because its result depends on hash order, because it takes only
//! substrings of *different* words as seeds, so that a frequent word without derived forms stays in pieces, and because
//! it never ends when too many pieces have no other segmentation. Here every sum has one order, seeds are weighed by how
//! often words occur, and single characters, which are always kept, make every piece replaceable.

use std::collections::BTreeMap;

/// Longest piece in characters, as in SentencePiece.
const LONGEST: usize = 16;
/// Seeds per piece wanted: more only take time.
const SEEDS: usize = 12;
/// Share of the pieces that survives a round, as in SentencePiece.
const SURVIVORS: f64 = 0.75;
/// Expected count below which a piece is dropped at once, as in SentencePiece.
const LEAST_COUNT: f64 = 0.5;
/// Expected count that a character has at least: it is kept, and has to stay findable.
const LEAST_CHARACTER: f64 = 0.1;

/// A piece that may stand at a place of a string.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    piece: usize,
}

struct Piece<'a> {
    text: &'a str,
    character: bool,
    alive: bool,
    /// Log probability.
    score: f64,
    /// Places of pieces inside, itself left out.
    inside: Vec<Place>,
    length: usize,
}

struct Word {
    count: f64,
    places: Vec<Place>,
    length: usize,
}

/// At most `size` pieces of `words` (counted, none empty) with their log probabilities, best first; equal ones by text.
/// Every character is a piece, so `size` is at least their number.
#[must_use]
pub(crate) fn train(words: &BTreeMap<String, u32>, size: usize) -> Vec<(String, f64)> {
    let mut pieces = seeds(words, size);
    let index: BTreeMap<&str, usize> = pieces.iter().enumerate().map(|(i, piece)| (piece.text, i)).collect();
    for (i, piece) in pieces.iter_mut().enumerate() {
        (piece.inside, piece.length) = places(piece.text, &index);
        piece.inside.retain(|place| place.piece != i);
    }
    let mut words: Vec<Word> = words
        .iter()
        .map(|(word, &count)| {
            let (places, length) = places(word, &index);
            Word { count: f64::from(count), places, length }
        })
        .collect();
    // SentencePiece trains on a tenth more and takes the best at the end.
    let target = size + size / 10;
    loop {
        for _ in 0..2 {
            step(&words, &mut pieces);
        }
        let alive = pieces.iter().filter(|piece| piece.alive).count();
        if alive <= target {
            break;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count"
        )]
        let survivors = (alive as f64 * SURVIVORS) as usize;
        prune(&words, &mut pieces, survivors.max(target));
        for places in words.iter_mut().map(|word| &mut word.places) {
            places.retain(|place| pieces[place.piece].alive);
        }
    }
    let mut best: Vec<&Piece<'_>> = pieces.iter().filter(|piece| piece.alive).collect();
    best.sort_by(|a, b| {
        b.character.cmp(&a.character).then(b.score.total_cmp(&a.score)).then_with(|| a.text.cmp(b.text))
    });
    best.truncate(size);
    best.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.text.cmp(b.text)));
    best.into_iter().map(|piece| (piece.text.to_owned(), piece.score)).collect()
}

/// All characters, and the substrings that cover most text: occurrences x length. Sorted by text.
fn seeds(words: &BTreeMap<String, u32>, size: usize) -> Vec<Piece<'_>> {
    let mut counts: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for (word, &count) in words {
        let ends: Vec<usize> = word.char_indices().map(|(byte, _)| byte).chain([word.len()]).collect();
        for start in 0..ends.len() - 1 {
            for end in start + 1..ends.len().min(start + LONGEST + 1) {
                let entry = counts.entry(&word[ends[start]..ends[end]]).or_insert((0, end - start));
                entry.0 += u64::from(count);
            }
        }
    }
    let (characters, mut longer): (Vec<_>, Vec<_>) = counts
        .into_iter()
        .filter(|(_, (count, length))| *length == 1 || *count > 1)
        .partition(|(_, (_, n))| *n == 1);
    longer.sort_by_key(|&(text, (count, length))| (std::cmp::Reverse(count * length as u64), text));
    longer.truncate(SEEDS * size);
    let mut chosen = characters;
    chosen.append(&mut longer);
    chosen.sort_unstable();
    let total: f64 = chosen.iter().map(|&(_, (count, length))| weight(count, length)).sum();
    chosen
        .into_iter()
        .map(|(text, (count, length))| Piece {
            text,
            character: length == 1,
            alive: true,
            score: (weight(count, length) / total).ln(),
            inside: Vec::new(),
            length,
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a corpus stay far below 2^52")]
fn weight(count: u64, length: usize) -> f64 {
    count as f64 * length as f64
}

/// Places of pieces in a string, by end then start, and its length in characters.
fn places(text: &str, index: &BTreeMap<&str, usize>) -> (Vec<Place>, usize) {
    let ends: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    let mut places = Vec::new();
    for end in 1..ends.len() {
        for start in end.saturating_sub(LONGEST)..end {
            if let Some(&piece) = index.get(&text[ends[start]..ends[end]]) {
                places.push(Place { start, end, piece });
            }
        }
    }
    (places, ends.len() - 1)
}

/// One step of expectation maximisation. Pieces that are hardly expected die.
fn step(words: &[Word], pieces: &mut [Piece<'_>]) {
    let mut expected = vec![0.0; pieces.len()];
    for word in words {
        let mut forward = vec![f64::NEG_INFINITY; word.length + 1];
        forward[0] = 0.0;
        let alive = || word.places.iter().filter(|place| pieces[place.piece].alive);
        for place in alive() {
            forward[place.end] =
                log_add(forward[place.end], forward[place.start] + pieces[place.piece].score);
        }
        let mut backward = vec![f64::NEG_INFINITY; word.length + 1];
        backward[word.length] = 0.0;
        for place in alive().rev() {
            backward[place.start] =
                log_add(backward[place.start], backward[place.end] + pieces[place.piece].score);
        }
        let total = forward[word.length];
        for place in alive() {
            let log = forward[place.start] + pieces[place.piece].score + backward[place.end] - total;
            expected[place.piece] += word.count * log.exp();
        }
    }
    let mut sum = 0.0;
    for (piece, expected) in pieces.iter_mut().zip(&mut expected) {
        if piece.character {
            *expected = expected.max(LEAST_CHARACTER);
        } else if *expected < LEAST_COUNT {
            piece.alive = false;
        }
        if piece.alive {
            sum += *expected;
        }
    }
    // Digamma instead of the logarithm: a sparse prior, as in SentencePiece (Liang and Klein 2007).
    let log_sum = digamma(sum);
    for (piece, expected) in pieces.iter_mut().zip(expected).filter(|(piece, _)| piece.alive) {
        piece.score = digamma(expected) - log_sum;
    }
}

/// Keeps `survivors` pieces: all characters, and those that the likelihood would miss most, were they replaced by their
/// best segmentation into other pieces.
fn prune(words: &[Word], pieces: &mut [Piece<'_>], survivors: usize) {
    let mut used = vec![0.0; pieces.len()];
    for word in words {
        for piece in best(&word.places, word.length, pieces) {
            used[piece] += word.count;
        }
    }
    let sum: f64 = used.iter().sum();
    let mut losses: Vec<(f64, usize)> = Vec::new();
    for (i, piece) in pieces.iter().enumerate().filter(|(_, piece)| piece.alive && !piece.character) {
        let others = best(&piece.inside, piece.length, pieces);
        let loss = if used[i] > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "at most sixteen pieces")]
            let log_others = (sum + used[i] * (others.len() as f64 - 1.0)).ln();
            let replaced: f64 = others.iter().map(|&other| (used[other] + used[i]).ln() - log_others).sum();
            used[i] / sum * (used[i].ln() - sum.ln() - replaced)
        } else {
            f64::NEG_INFINITY
        };
        losses.push((loss, i));
    }
    let characters = pieces.iter().filter(|piece| piece.character).count();
    losses.sort_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
    for &(_, i) in losses.iter().skip(survivors.saturating_sub(characters)) {
        pieces[i].alive = false;
    }
}

/// The best segmentation of a string (Viterbi), as piece indices; the earliest place wins a tie.
fn best(places: &[Place], length: usize, pieces: &[Piece<'_>]) -> Vec<usize> {
    let mut score = vec![f64::NEG_INFINITY; length + 1];
    let mut via: Vec<Option<Place>> = vec![None; length + 1];
    score[0] = 0.0;
    for &place in places.iter().filter(|place| pieces[place.piece].alive) {
        let reached = score[place.start] + pieces[place.piece].score;
        if reached > score[place.end] {
            score[place.end] = reached;
            via[place.end] = Some(place);
        }
    }
    let mut path = Vec::new();
    let mut at = length;
    while let Some(place) = via[at] {
        path.push(place.piece);
        at = place.start;
    }
    path
}

/// log(exp(a) + exp(b)).
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Derivative of log Γ for x > 0: the recurrence up to 7, then the asymptotic series around x - 1/2 (Abramowitz and
/// Stegun 1964, 6.3.5 and 6.3.18).
fn digamma(mut x: f64) -> f64 {
    let mut result = 0.0;
    while x < 7.0 {
        result -= 1.0 / x;
        x += 1.0;
    }
    x -= 0.5;
    let x2 = 1.0 / (x * x);
    let x4 = x2 * x2;
    result + x.ln() + x2 / 24.0 - 7.0 / 960.0 * x4 + 31.0 / 8064.0 * x4 * x2 - 127.0 / 30720.0 * x4 * x4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str) -> BTreeMap<String, u32> {
        let mut words = BTreeMap::new();
        for word in text.split(' ') {
            *words.entry(format!("▁{word}")).or_insert(0) += 1;
        }
        words
    }

    #[test]
    fn a_frequent_word_becomes_a_piece_and_every_character_is_one() {
        let words = counted(&format!("{}bcé xyz zyx yxz", "patient ".repeat(50)));
        let pieces = train(&words, 30);
        assert!(pieces.len() <= 30);
        assert_eq!(pieces[0].0, "▁patient");
        for c in "▁patienbcéxyz".chars() {
            assert!(pieces.iter().any(|(piece, _)| *piece == c.to_string()), "{c}");
        }
        let total: f64 = pieces.iter().map(|(_, score)| score.exp()).sum();
        assert!((0.5..1.01).contains(&total), "{total}");
    }

    #[test]
    fn a_size_of_the_characters_alone_gives_the_characters() {
        let pieces = train(&counted("abc abc cba"), 4);
        let mut texts: Vec<&str> = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["a", "b", "c", "▁"]);
    }

    #[test]
    fn digamma_is_right_at_known_points() {
        let euler = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + euler).abs() < 1e-9);
        assert!((digamma(0.5) + euler + 2.0 * 2.0_f64.ln()).abs() < 1e-9);
        assert!((digamma(10.0) - 2.251_752_589_066_721).abs() < 1e-9);
    }
}
