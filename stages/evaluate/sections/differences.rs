//! Sentences that teacher and final model tag differently, with every model's entities marked in them.

use stage_contract::report::{Block, Passage, Reading, Section, Span, Topic};

use super::super::differences::{Difference, Differences};
use text::labels::{self, Scheme, spans};

const TOPIC: Topic = Topic::new(500, "Where teacher and student differ");

/// Sentences are text of the corpus.
pub(crate) fn differences(Differences(sentences): &Differences) -> Vec<Section> {
    let blocks = if sentences.is_empty() {
        vec![Block::note("there is none")]
    } else {
        vec![
            Block::note(
                "Each sentence once for each model. Underlined twice and with a \u{2260}: what the teacher does not find so; in the teacher's own line, what the final model does not.",
            ),
            Block::Passages(sentences.iter().map(passage).collect()),
        ]
    };
    vec![Section::sensitive(TOPIC, blocks)]
}

fn passage(sentence: &Difference) -> Passage {
    let place = [&sentence.set, &sentence.source, &sentence.id];
    let place: Vec<&str> = place.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let found = |name: &str| sentence.tags.get(name).map(|tags| spans(tags, Scheme::Bio));
    // Each beside the teacher, and the teacher beside the final model.
    let (teacher, last) = (found("teacher"), found("final"));
    let reading = |name: &String| {
        let own = found(name).unwrap_or_default();
        let other = if name == "teacher" { &last } else { &teacher };
        let others = other.as_ref().unwrap_or(&own);
        Reading { name: name.clone(), spans: marked(sentence, &own, others) }
    };
    Passage { caption: place.join(" \u{b7} "), readings: sentence.tags.keys().map(reading).collect() }
}

/// The text with its entities marked; those that `others` has not stand out. Words that do not fit the text are left
/// out: a file may have been edited.
fn marked(sentence: &Difference, own: &[labels::Span], others: &[labels::Span]) -> Vec<Span> {
    let chars: Vec<char> = sentence.text.chars().collect();
    let part = |from: usize, to: usize| chars.get(from..to).map(|part| part.iter().collect::<String>());
    let plain = |text: String| Span { text, label: None, differs: false };
    let mut at = 0;
    let mut found = Vec::new();
    for entity in own {
        let words = sentence.words.get(entity.start).zip(sentence.words.get(entity.end - 1));
        let Some((&[start, _], &[_, end])) = words else { continue };
        let (Some(before), Some(text)) = (part(at, start), part(start, end)) else { continue };
        found.extend(Some(before).filter(|before| !before.is_empty()).map(plain));
        let differs = !others.contains(entity);
        found.push(Span { text, label: Some(entity.kind.clone()), differs });
        at = end;
    }
    found.extend(part(at, chars.len()).filter(|rest| !rest.is_empty()).map(plain));
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_one_model_alone_finds_stands_out() {
        let tags = |tags: [&str; 3]| tags.map(str::to_owned).to_vec();
        let sentence = Difference {
            set: "test".to_owned(),
            id: "press:7".to_owned(),
            source: String::new(),
            text: "Zoé à Angers.".to_owned(),
            words: vec![[0, 3], [4, 5], [6, 12]],
            tags: BTreeMap::from([
                ("final".to_owned(), tags(["B-PER", "O", "O"])),
                ("teacher".to_owned(), tags(["B-PER", "O", "B-LOC"])),
            ]),
        };
        let sections = differences(&Differences(vec![sentence]));
        assert!(sections[0].sensitive, "it is text");
        let Block::Passages(passages) = &sections[0].blocks[1] else { panic!("sentences") };
        assert_eq!(passages[0].caption, "test \u{b7} press:7");
        let said = |reading: usize| -> Vec<(&str, Option<&str>, bool)> {
            let spans = passages[0].readings[reading].spans.iter();
            spans.map(|span| (span.text.as_str(), span.label.as_deref(), span.differs)).collect()
        };
        assert_eq!(said(0), [("Zoé", Some("PER"), false), (" à Angers.", None, false)]);
        assert_eq!(
            said(1),
            [
                ("Zoé", Some("PER"), false),
                (" à ", None, false),
                ("Angers", Some("LOC"), true),
                (".", None, false)
            ]
        );
    }
}
