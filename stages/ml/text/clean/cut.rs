//! Where a text is cut that is too long for one example.

use crate::words::words;

/// What a place to cut at is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A blank line.
    Paragraph,
    /// The end of a sentence.
    Sentence,
    /// The end of a line.
    Line,
    /// White space.
    Space,
}

/// A place to cut at. Lengths count characters, runs of white space as one.
#[derive(Clone, Copy, Debug)]
struct Place {
    kind: Kind,
    /// The byte that the next piece begins at.
    byte: usize,
    /// Length of the text up to here.
    length: usize,
    /// Length of the text up to the next piece: the space between counts in neither.
    next: usize,
}

/// Cuts a text into pieces of at most `longest` characters once white space is folded: each as long as that allows at the
/// best kind of place that leaves it `shortest`. What has no place to cut at stays too long. Together the pieces are the text.
pub(super) fn pieces(text: &str, shortest: usize, longest: usize) -> Vec<&str> {
    let (places, whole) = places(text);
    let mut pieces = Vec::new();
    // Where the piece begins: its byte, its length before it, the first place behind it.
    let (mut start, mut before, mut next) = (0, 0, 0);
    while whole - before > longest && next < places.len() {
        let reach = next + places[next..].partition_point(|place| place.length - before <= longest);
        let best = |kind: Kind| {
            let fits = |place: &Place| place.kind == kind && place.length - before >= shortest;
            places[next..reach].iter().rposition(fits).map(|at| next + at)
        };
        let best = [Kind::Paragraph, Kind::Sentence, Kind::Line, Kind::Space].into_iter().find_map(best);
        // A run of characters that is too long by itself is a piece of its own.
        let at = best.unwrap_or(if reach > next { reach - 1 } else { next });
        pieces.push(&text[start..places[at].byte]);
        (start, before, next) = (places[at].byte, places[at].next, at + 1);
    }
    pieces.push(&text[start..]);
    pieces
}

/// Every place to cut at, and the length of the whole text.
fn places(text: &str) -> (Vec<Place>, usize) {
    let chars: Vec<char> = text.chars().collect();
    let ends = sentence_ends(&chars, &words(text));
    let mut places = Vec::new();
    let (mut at, mut byte, mut length) = (0, 0, 0);
    while at < chars.len() {
        let space = chars[at..].iter().take_while(|c| c.is_whitespace()).count();
        let ended = at > 0 && ends[at - 1];
        let run = &chars[at..at + space];
        at += space;
        byte += run.iter().map(|c| c.len_utf8()).sum::<usize>();
        let kind = match run.iter().filter(|c| **c == '\n').count() {
            2.. => Some(Kind::Paragraph),
            _ if ended => Some(Kind::Sentence),
            1 => Some(Kind::Line),
            _ => (space > 0).then_some(Kind::Space),
        };
        if let (Some(kind), true, true) = (kind, length > 0, at < chars.len()) {
            let next = length + usize::from(space > 0);
            places.push(Place { kind, byte, length, next });
            length = next;
        }
        if let Some(c) = chars.get(at) {
            (at, byte, length) = (at + 1, byte + c.len_utf8(), length + 1);
        }
    }
    (places, length)
}

/// Whether a sentence ends behind each character: after its stop and what closes it. The dot of an abbreviation is part of
/// its word, and ends none; a script without spaces has stops of its own.
fn sentence_ends(chars: &[char], words: &[[usize; 2]]) -> Vec<bool> {
    let mut ends = vec![false; chars.len()];
    for &[start, end] in words {
        let word = &chars[start..end];
        let stop = matches!(word, ['!' | '?' | '…' | '.'] | ['.', '.', ..]);
        let spaced = chars.get(end).is_none_or(|c| c.is_whitespace() || is_closing(*c));
        let own = matches!(word, ['。' | '！' | '？' | '؟' | '।']);
        if !(own || stop && spaced) {
            continue;
        }
        // A French closing quote has a space before it.
        let mut last = end;
        loop {
            let space = chars[last..].iter().take_while(|c| c.is_whitespace() && **c != '\n').count();
            match chars.get(last + space) {
                Some(c) if is_closing(*c) && (space == 0 || *c == '»') => last += space + 1,
                _ => break,
            }
        }
        ends[last - 1] = true;
    }
    ends
}

fn is_closing(c: char) -> bool {
    matches!(c, '»' | '"' | '”' | '’' | '\'' | ')' | ']' | '』' | '」')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str, longest: usize) -> Vec<&str> {
        pieces(text, 3, longest).into_iter().map(str::trim).collect()
    }

    #[test]
    fn the_best_place_within_the_limit_is_taken() {
        assert_eq!(
            cut("Un mot. Un autre mot\n\nLa fin de tout", 25),
            ["Un mot. Un autre mot", "La fin de tout"]
        );
        assert_eq!(cut("Un mot. Un autre mot\net la fin", 22), ["Un mot.", "Un autre mot\net la fin"]);
        assert_eq!(cut("Un mot\nun autre mot et la fin", 22), ["Un mot", "un autre mot et la fin"]);
        assert_eq!(cut("un deux trois quatre cinq", 14), ["un deux trois", "quatre cinq"]);
    }

    #[test]
    fn abbreviations_end_no_sentence_and_quotes_belong_to_theirs() {
        assert_eq!(cut("Il a vu le Dr. Petit hier", 20), ["Il a vu le Dr. Petit", "hier"]);
        assert_eq!(cut("Il dit : « Oui ! » Puis il part", 22), ["Il dit : « Oui ! »", "Puis il part"]);
        assert_eq!(cut("(Il est là.) Puis il part", 20), ["(Il est là.)", "Puis il part"]);
        assert_eq!(cut("彼は来た。彼女も来た。", 8), ["彼は来た。", "彼女も来た。"]);
    }

    #[test]
    fn what_has_no_place_to_cut_at_stays_whole() {
        assert_eq!(cut("ab xxxxxxxxxxxxxxxx cd ef", 8), ["ab", "xxxxxxxxxxxxxxxx", "cd ef"]);
        assert_eq!(cut("xxxxxxxxxxxxxxxx", 8), ["xxxxxxxxxxxxxxxx"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_longer_than_it_must(text in "([a-zé.!?]{1,6}|[ \n]{1,3}|。){0,60}", longest in 1_usize..30) {
            let pieces = pieces(&text, 2, longest);
            prop_assert_eq!(pieces.concat(), text.clone());
            for piece in pieces {
                let folded = piece.split_whitespace().collect::<Vec<_>>();
                let length = folded.join(" ").chars().count();
                prop_assert!(length <= longest || folded.len() == 1, "{piece:?}");
            }
        }
    }
}
