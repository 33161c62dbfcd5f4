//! From spans of a text to its words and their tags: the project's words, widened to whole words, the longest of those that
//! overlap.

use super::item::Mark;
use crate::{labels::as_tag, words::words};

/// What offsets count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Characters,
    /// As JavaScript and Java count.
    Utf16,
    Bytes,
}

/// Words of a text and the entities on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// `[start, end)` in Unicode scalar values.
    pub places: Vec<[usize; 2]>,
    /// BIO.
    pub tags: Vec<String>,
}

/// What was done to spans, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Cut a word, and were widened to it.
    pub widened: usize,
    /// Overlapped a longer one, and were left out.
    pub overlapping: usize,
    /// Texts whose offsets count UTF-16 units or bytes.
    pub converted: usize,
}

/// Tags the words of a text by its spans.
///
/// # Errors
/// A span is empty, outside of the text, without a word, or does not say what the file says that it does.
pub(super) fn tagged(text: &str, marks: &[Mark], changes: &mut Changes) -> Result<Words, String> {
    let (marks, count) = in_characters(text, marks)?;
    changes.converted += usize::from(count != Count::Characters);
    let places = words(text);
    let mut spans = Vec::new();
    for (number, (start, end, kind)) in marks.iter().enumerate() {
        let first = places.partition_point(|&[_, to]| to <= *start);
        let last = places.partition_point(|&[from, _]| from < *end);
        if first >= last {
            return Err(format!("span {number} holds nothing but white space"));
        }
        let cut = places[first][0] < *start || places[last - 1][1] > *end;
        spans.push((first, last, *kind, cut));
    }
    let tags = laid(spans, places.len(), changes);
    Ok(Words { places, tags })
}

/// BIO tags of words by entities `(first, end, label, whether it was widened)`: the longest wins where they overlap.
fn laid(mut spans: Vec<(usize, usize, &str, bool)>, words: usize, changes: &mut Changes) -> Vec<String> {
    // Of equals the first in the text; one that stands there twice is one.
    spans.sort_by_key(|&(first, last, kind, _)| (std::cmp::Reverse(last - first), first, kind));
    spans.dedup_by_key(|&mut (first, last, kind, _)| (first, last, kind));
    let mut tags = vec!["O".to_owned(); words];
    for (first, last, kind, cut) in spans {
        if tags[first..last].iter().any(|tag| tag != "O") {
            changes.overlapping += 1;
            continue;
        }
        changes.widened += usize::from(cut);
        let kind = as_tag(kind);
        for (word, tag) in tags[first..last].iter_mut().enumerate() {
            *tag = format!("{}-{kind}", if word == 0 { "B" } else { "I" });
        }
    }
    tags
}

/// BIO tags of words by spans that count words.
///
/// # Errors
/// A span is empty, or leaves the sentence.
pub(super) fn on_words(words: usize, marks: &[Mark], changes: &mut Changes) -> Result<Vec<String>, String> {
    let bad = marks.iter().position(|mark| mark.start >= mark.end || mark.end > words);
    if let Some(number) = bad {
        let Mark { start, end, .. } = marks[number];
        return Err(format!(
            "span {number} [{start}, {end}] is empty or leaves the sentence of {words} words"
        ));
    }
    Ok(laid(
        marks.iter().map(|mark| (mark.start, mark.end, mark.kind.as_str(), false)).collect(),
        words,
        changes,
    ))
}

/// Whether spans may count words, of which the end is `last` before one past the last: they are in the sentence, and say what
/// its words say.
pub(super) fn fit_words(words: &[String], marks: &[Mark], last: usize) -> bool {
    !marks.is_empty()
        && marks.iter().all(|Mark { start, end, surface, .. }| {
            let joined = words.get(*start..end + last).filter(|words| !words.is_empty()).map(<[_]>::concat);
            let dense = |text: &str| text.split_whitespace().collect::<String>();
            joined.is_some_and(|joined| surface.as_ref().is_none_or(|text| dense(text) == dense(&joined)))
        })
}

/// Whether spans may count characters, bytes or UTF-16 units: they are in the text, say what it says, and cut no word.
pub(super) fn fit_characters(text: &str, marks: &[Mark]) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let inside = |at: usize| {
        let letter = |at: usize| chars.get(at).is_some_and(|c| c.is_alphanumeric());
        at > 0 && letter(at - 1) && letter(at)
    };
    in_characters(text, marks)
        .is_ok_and(|(ranges, _)| ranges.iter().all(|&(start, end, _)| !inside(start) && !inside(end)))
}

type Ranges<'m> = Vec<(usize, usize, &'m str)>;

/// The spans in characters: as they count, or as bytes or UTF-16 units where the surfaces that the file repeats say so.
fn in_characters<'m>(text: &str, marks: &'m [Mark]) -> Result<(Ranges<'m>, Count), String> {
    let mut first = None;
    for count in [Count::Characters, Count::Utf16, Count::Bytes] {
        match converted(text, marks, count) {
            Ok(ranges) => return Ok((ranges, count)),
            // Without surfaces nothing says that other units are meant; in ASCII all are the same.
            Err(reason) => _ = first.get_or_insert(reason),
        }
        if text.is_ascii() || marks.iter().all(|mark| mark.surface.is_none()) {
            break;
        }
    }
    Err(first.unwrap_or_default())
}

fn converted<'m>(text: &str, marks: &'m [Mark], count: Count) -> Result<Ranges<'m>, String> {
    // What each character begins at, and the end.
    let starts: Vec<usize> = match count {
        Count::Characters => Vec::new(),
        Count::Utf16 => sums(text.chars().map(char::len_utf16)),
        Count::Bytes => sums(text.chars().map(char::len_utf8)),
    };
    let length = text.chars().count();
    let place = |offset: usize| match count {
        Count::Characters => (offset <= length).then_some(offset),
        _ => starts.binary_search(&offset).ok(),
    };
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let range = |(number, mark): (usize, &'m Mark)| {
        if mark.start >= mark.end {
            return Err(format!("span {number} begins at {} and ends at {}", mark.start, mark.end));
        }
        let (Some(start), Some(end)) = (place(mark.start), place(mark.end)) else {
            let Mark { start, end, .. } = mark;
            return Err(format!("span {number} [{start}, {end}] leaves the text of {length} characters"));
        };
        let found = &text[bytes[start]..bytes[end]];
        match &mark.surface {
            Some(surface) if !same(surface, found) => {
                Err(format!("the text of span {number} is not what stands at [{start}, {end}]"))
            }
            _ => Ok((start, end, mark.kind.as_str())),
        }
    };
    marks.iter().enumerate().map(range).collect()
}

fn sums(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut sum = 0;
    let mut sums: Vec<usize> = lengths
        .map(|length| {
            sum += length;
            sum - length
        })
        .collect();
    sums.push(sum);
    sums
}

/// Equal but for white space, which tools fold.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(start: usize, end: usize, kind: &str, surface: Option<&str>) -> Mark {
        Mark { start, end, kind: kind.into(), surface: surface.map(str::to_owned) }
    }

    fn tags(text: &str, marks: &[Mark]) -> (String, Changes) {
        let mut changes = Changes::default();
        (tagged(text, marks, &mut changes).expect("fits").tags.join(" "), changes)
    }

    #[test]
    fn spans_become_tags_of_whole_words() {
        let text = "Mme Roy-Duval vit à Aix.";
        let (found, changes) = tags(text, &[mark(20, 23, "LOC", Some("Aix")), mark(4, 7, "PER", None)]);
        assert_eq!(found, "O B-PER O O B-LOC O");
        assert_eq!(changes, Changes { widened: 1, ..Changes::default() });
        let (found, _) =
            tags("Centre  hospitalier", &[mark(0, 19, "Nom propre", Some("Centre hospitalier"))]);
        assert_eq!(found, "B-Nom_propre I-Nom_propre");
    }

    #[test]
    fn the_longest_of_those_that_overlap_wins() {
        let text = "CHU de Nantes";
        let marks = [mark(7, 13, "LOC", None), mark(0, 13, "ORG", None), mark(0, 13, "ORG", None)];
        let (found, changes) = tags(text, &marks);
        assert_eq!(found, "B-ORG I-ORG I-ORG");
        assert_eq!(changes, Changes { overlapping: 1, ..Changes::default() });
    }

    #[test]
    fn spans_may_count_words() {
        let mut changes = Changes::default();
        let marks = [mark(0, 2, "A", None), mark(1, 2, "B", None), mark(3, 4, "B", None)];
        assert_eq!(on_words(4, &marks, &mut changes).expect("fits").join(" "), "B-A I-A O B-B");
        assert_eq!(changes.overlapping, 1);
        assert!(on_words(4, &[mark(3, 5, "A", None)], &mut changes).is_err());
    }

    #[test]
    fn spans_beside_words_count_what_they_fit() {
        let text = "Zoé Roux rit à Aix";
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        for (marks, last, fits) in [
            (vec![mark(0, 2, "PER", None), mark(4, 5, "LOC", None)], 0, (true, false)),
            (vec![mark(0, 1, "PER", None)], 1, (true, false)),
            (vec![mark(0, 0, "PER", None)], 1, (true, false)),
            (vec![mark(0, 3, "PER", None)], 0, (true, true)),
            (vec![mark(0, 3, "PER", Some("Zoé"))], 0, (false, true)),
            (vec![mark(0, 3, "PER", Some("Zoé Roux rit"))], 0, (true, false)),
            (vec![mark(4, 8, "PER", None)], 0, (false, true)),
            (vec![], 0, (false, true)),
        ] {
            assert_eq!((fit_words(&words, &marks, last), fit_characters(text, &marks)), fits, "{marks:?}");
        }
    }

    #[test]
    fn surfaces_say_whether_offsets_are_bytes_or_utf16() {
        let text = "😀 Élodie vit à Aix";
        for (start, end, converted) in [(2, 8, 0), (3, 9, 1), (5, 12, 1)] {
            let (found, changes) = tags(text, &[mark(start, end, "PER", Some("Élodie"))]);
            assert_eq!((found.as_str(), changes.converted), ("O B-PER O O O", converted));
        }
    }

    #[test]
    fn spans_that_fit_nothing_are_bad() {
        let text = "Élodie vit à Aix";
        for (bad, reason) in [
            (mark(3, 3, "PER", None), "begins at 3 and ends at 3"),
            (mark(9, 3, "PER", None), "begins at 9 and ends at 3"),
            (mark(9, 99, "PER", None), "leaves the text of 16 characters"),
            (mark(6, 7, "PER", None), "nothing but white space"),
            (mark(0, 6, "PER", Some("Durand")), "is not what stands at [0, 6]"),
        ] {
            let error = tagged(text, &[bad], &mut Changes::default()).expect_err(reason);
            assert!(error.contains(reason) && !error.contains("Durand"), "{error}");
        }
    }
}
