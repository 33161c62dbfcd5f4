//! Sentences that teacher and student tag differently, from an output called `differences`: JSON lines of text, words
//! (first and one past the last character) and a BIO tag a word from each model. They are shown only to those who ask
//! for text; the files are not even read for others.

use std::{fs, path::Path};

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{heading, nothing, results::StageResult};

/// Sentences of one stage on the page: more nobody reads.
const MOST: usize = 100;

#[derive(Deserialize)]
struct Sentence {
    #[serde(default)]
    set: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    source: String,
    text: String,
    words: Vec<(usize, usize)>,
    /// By model, in the file's order.
    tags: Map<String, Value>,
}

/// Characters from one to another, exclusive, that are an entity of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entity {
    start: usize,
    end: usize,
    kind: String,
}

pub(super) fn section(results: &[StageResult<'_>], text: bool) -> Markup {
    let found: Vec<_> =
        results.iter().filter_map(|result| Some((result, result.differences.as_deref()?))).collect();
    if found.is_empty() {
        return nothing("no stage has an output `differences` yet");
    }
    if !text {
        return nothing(
            "not shown, because they are text of the corpus; type `ner-pipe report --show-text` for a page with them, and mind who reads it",
        );
    }
    html! {
        p.note { "Each sentence once for each model. Underlined twice and with a \u{2260}: what the teacher does not find so; in the teacher's own line, what the final model does not." }
        @for (result, path) in found { (heading(result)) (list(path)) }
    }
}

fn list(path: &Path) -> Markup {
    // A pipe would wait for a writer for ever.
    let file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let Some(content) = file.then(|| fs::read_to_string(path).ok()).flatten() else {
        return nothing("they cannot be read");
    };
    let lines: Vec<&str> = content.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return nothing("there is none");
    }
    let sentences: Vec<Markup> = lines.iter().take(MOST).filter_map(|line| sentence(line)).collect();
    let unread = lines.len().min(MOST) - sentences.len();
    html! {
        ol.sentences { @for sentence in &sentences { li { (sentence) } } }
        @if lines.len() > MOST { (nothing(&format!("{} of {} are shown", sentences.len(), lines.len()))) }
        @if unread > 0 { (nothing(&format!("{unread} of them are not of the known shape"))) }
    }
}

/// None when a line is not what it should be.
fn sentence(line: &str) -> Option<Markup> {
    let sentence: Sentence = serde_json::from_str(line).ok()?;
    let chars: Vec<char> = sentence.text.chars().collect();
    let models = sentence
        .tags
        .iter()
        .filter(|(_, tags)| !tags.is_null())
        .map(|(name, tags)| {
            let tags: Vec<String> = serde_json::from_value(tags.clone()).ok()?;
            Some((name, entities(&sentence.words, &tags, chars.len())?))
        })
        .collect::<Option<Vec<_>>>()?;
    let named =
        |wanted: &str| models.iter().find(|(name, _)| *name == wanted).map(|(_, found)| found.as_slice());
    // Each beside the teacher, and the teacher beside the final model.
    let other = |name: &str| named(if name == "teacher" { "final" } else { "teacher" });
    let place = [sentence.set, sentence.source, sentence.id].into_iter().filter(|part| !part.is_empty());
    Some(html! {
        p.note { (place.collect::<Vec<_>>().join(" \u{b7} ")) }
        dl {
            @for (name, found) in &models {
                dt { (name) }
                dd { (marked(&chars, found, other(name).unwrap_or(found))) }
            }
        }
    })
}

/// The text with its entities marked; those that `others` has not are marked once more.
fn marked(chars: &[char], found: &[Entity], others: &[Entity]) -> Markup {
    let part = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
    let mut at = 0;
    let mut parts = Vec::new();
    for entity in found {
        let other = if others.contains(entity) { "" } else { "other" };
        parts.push(html! {
            (part(at, entity.start))
            mark class=(other) { (part(entity.start, entity.end)) span.type { (entity.kind) @if !other.is_empty() { " \u{2260}" } } }
        });
        at = entity.end;
    }
    html! { @for part in parts { (part) } (part(at, chars.len())) }
}

/// Entities of BIO tags; none when words or tags do not fit the text.
fn entities(words: &[(usize, usize)], tags: &[String], length: usize) -> Option<Vec<Entity>> {
    let mut at = 0;
    let mut found: Vec<Entity> = Vec::new();
    let mut open = false;
    if words.len() != tags.len() {
        return None;
    }
    for ((start, end), tag) in words.iter().zip(tags) {
        if *start < at || end <= start || *end > length {
            return None;
        }
        at = *end;
        let (mark, kind) = tag.split_once('-').unwrap_or((tag, ""));
        match (mark, found.last_mut()) {
            ("I", Some(last)) if open && last.kind == kind => last.end = *end,
            ("B" | "I", _) => {
                found.push(Entity { start: *start, end: *end, kind: kind.to_owned() });
                open = true;
            }
            _ => open = false,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::entities;

    #[test]
    fn entities_follow_bio_and_words_that_do_not_fit_are_refused() {
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let words = [(0, 2), (3, 5), (6, 8), (9, 11)];
        let found = entities(&words, &tags(&["B-PER", "I-PER", "B-PER", "I-LOC"]), 11).expect("fits");
        let said: Vec<_> =
            found.iter().map(|entity| (entity.start, entity.end, entity.kind.as_str())).collect();
        assert_eq!(said, [(0, 5, "PER"), (6, 8, "PER"), (9, 11, "LOC")]);
        assert_eq!(entities(&words, &tags(&["O"; 4]), 10), None, "past the end");
        assert_eq!(entities(&words, &tags(&["O"; 3]), 11), None, "a tag is missing");
        assert_eq!(entities(&[(3, 5), (0, 2)], &tags(&["O"; 2]), 11), None, "backwards");
    }
}
