use std::{collections::BTreeMap, fs, path::PathBuf};

use stage_contract::Artifact;

use stage_contract::testing::context;

use super::{sentences::Frame, *};
use text::{labels::Labels, words::words};

fn with_context<T>(
    seed: u64,
    outputs: &BTreeMap<String, PathBuf>,
    work: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    work(&Context { outputs, checkpoint: folder.path(), seed, ..context() })
}

/// Train, dev, test and unlabelled sentences, as the stage draws them.
fn sentences(stage: &Generate, seed: u64) -> [Vec<Sentence>; 4] {
    let grammar = Grammar::read().expect("the grammar");
    let mut said = BTreeSet::new();
    with_context(seed, &BTreeMap::new(), |cx| {
        [
            ("train", Part::Train, stage.train),
            ("dev", Part::Evaluation, stage.dev),
            ("test", Part::Evaluation, stage.test),
            ("text", Part::Unlabelled, stage.sentences),
        ]
        .map(|(name, part, count)| draw(cx, &grammar, name, part, count, &mut said).expect("drawn"))
    })
}

fn files(stage: &Generate, seed: u64) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let outputs: BTreeMap<String, PathBuf> =
        ["text", "train", "dev", "test"].map(|name| (name.to_owned(), folder.path().join(name))).into();
    with_context(seed, &outputs, |cx| stage.run(cx)).expect("run");
    let mut files = BTreeMap::new();
    for path in outputs.values() {
        for entry in fs::read_dir(path).expect("a folder") {
            let file = entry.expect("an entry").path();
            let name = file.strip_prefix(folder.path()).expect("inside").to_owned();
            files.insert(name, fs::read(&file).expect("read"));
        }
    }
    files
}

fn word(sentence: &Sentence, index: usize) -> String {
    let [start, end] = sentence.words[index];
    sentence.text.chars().skip(start).take(end - start).collect()
}

/// Mentions by type, each as its words: small letters and plain apostrophes.
fn mentions(sentences: &[Sentence]) -> BTreeMap<String, BTreeSet<Vec<String>>> {
    let mut mentions: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
    for sentence in sentences {
        for span in spans(&sentence.tags, Scheme::Bio) {
            let words = (span.start..span.end)
                .map(|index| word(sentence, index).to_lowercase().replace('\u{2019}', "'"))
                .collect();
            mentions.entry(span.kind).or_default().insert(words);
        }
    }
    mentions
}

/// What names of different parts may share: initials, and the small words of family names.
fn is_particle(word: &str) -> bool {
    let small =
        ["ben", "aït", "el", "da", "de", "dos", "du", "la", "le", "d'", "n'", "m'", "l'", "hadj", "."];
    small.contains(&word) || word.trim_end_matches('.').split(".-").all(|part| part.chars().count() == 1)
}

#[test]
fn test_meets_no_frame_and_no_name_of_train_or_of_the_unlabelled_text() {
    for seed in [1, 42] {
        let [train, mut held_out, test, unlabelled] = sentences(&Generate::default(), seed);
        held_out.extend(test);
        let frames = |s: &[Sentence]| s.iter().flat_map(|s| s.frames.clone()).collect::<BTreeSet<_>>();
        let named = mentions(&held_out);
        for other in [&train, &unlabelled] {
            assert!(frames(&held_out).is_disjoint(&frames(other)));
            let others = mentions(other);
            for (kind, mentioned) in &named {
                let shared: Vec<_> = mentioned.intersection(&others[kind]).collect();
                assert!(shared.is_empty(), "{kind}: {shared:?}");
            }
            // No first name and no family name either.
            let parts = |set: &BTreeSet<Vec<String>>| -> BTreeSet<String> {
                set.iter().flatten().filter(|word| !is_particle(word)).cloned().collect()
            };
            let shared: Vec<String> =
                parts(&named["PER"]).intersection(&parts(&others["PER"])).cloned().collect();
            assert!(shared.is_empty(), "{shared:?}");
        }
        let known = mentions(&train);
        for (kind, mentioned) in mentions(&unlabelled) {
            let new = mentioned.difference(&known[&kind]).count();
            // Of MISC there are few, and all of train's come up.
            let least = if kind == "MISC" { 3 } else { 5 };
            assert!(new * 10 >= mentioned.len() * least, "{kind}: {new} of {}", mentioned.len());
        }
    }
}

#[test]
fn sizes_are_as_asked_no_sentence_comes_twice_and_enough_name_nothing() {
    let stage = Generate { sentences: 1500, train: 900, dev: 120, test: 300 };
    let parts = sentences(&stage, 7);
    assert_eq!(parts.each_ref().map(Vec::len), [900, 120, 300, 1500]);
    let all: BTreeSet<&str> = parts.iter().flatten().map(|sentence| sentence.text.as_str()).collect();
    assert_eq!(all.len(), 900 + 120 + 300 + 1500);
    for part in &parts {
        let free = part.iter().filter(|sentence| sentence.tags.iter().all(|tag| tag == "O")).count();
        assert!(free * 100 >= part.len() * 35, "{free} of {}", part.len());
        assert_eq!(mentions(part).into_keys().collect::<Vec<_>>(), ["LOC", "MISC", "ORG", "PER"]);
        for (source, _) in Source::ALL {
            assert!(part.iter().filter(|sentence| sentence.source == source).count() * 5 >= part.len());
        }
    }
}

#[test]
fn entities_are_whole_words_with_legal_tags() {
    let labels = Labels::bio(["PER", "LOC", "ORG", "MISC"]);
    for sentence in sentences(&Generate::default(), 3).iter().flatten() {
        assert_eq!(sentence.words, words(&sentence.text), "{}", sentence.text);
        let mut before = None;
        for tag in &sentence.tags {
            let column = labels.column(tag).expect("a tag");
            assert!(labels.legal(before, column), "{}", sentence.text);
            before = Some(column);
        }
        for span in spans(&sentence.tags, Scheme::Bio) {
            let first = word(sentence, span.start).to_lowercase();
            assert!(
                !["mme", "m.", "dr", "pr", "monsieur", "madame"].contains(&first.as_str()),
                "{}",
                sentence.text
            );
            let article = ["le", "l'", "l\u{2019}", "les"].contains(&first.as_str());
            // Le Havre, L'Hostis and La Poste own theirs.
            assert!(!article || !["ORG", "MISC"].contains(&span.kind.as_str()), "{}", sentence.text);
        }
    }
}

#[test]
fn french_elides_and_contracts() {
    for sentence in sentences(&Generate::default(), 5).iter().flatten() {
        for index in 1..sentence.words.len() {
            let (before, after) = (word(sentence, index - 1), word(sentence, index).to_lowercase());
            let vowel = after.starts_with(|c: char| "aàâeéèêiîoôœuù".contains(c));
            let full = ["de", "le", "la", "que", "se", "ne", "je"].contains(&before.as_str());
            // De Oliveira in small letters is a name still.
            let full = full && !sentence.tags[index].starts_with("I-");
            assert!(!(full && vowel), "{before} {after}: {}", sentence.text);
            let bare = ["de", "à"].contains(&before.as_str()) && ["le", "les"].contains(&after.as_str());
            // Family names keep their article.
            assert!(!bare || sentence.tags[index] == "B-PER", "{before} {after}: {}", sentence.text);
        }
        assert!(
            !sentence.text.contains("  ") && !sentence.text.contains(['{', '}', '[', ']', '<', '>', '|'])
        );
    }
}

#[test]
fn gold_is_words_joined_by_spaces_and_the_text_is_raw_french() {
    let stage = Generate { sentences: 400, train: 200, dev: 30, test: 60 };
    let folder = tempfile::tempdir().expect("a folder");
    let outputs: BTreeMap<String, PathBuf> =
        ["text", "train", "dev", "test"].map(|name| (name.to_owned(), folder.path().join(name))).into();
    with_context(42, &outputs, |cx| stage.run(cx)).expect("run");
    for (name, count) in [("train", 200), ("dev", 30), ("test", 60)] {
        let gold = Gold::load(&outputs[name]).expect("gold");
        assert_eq!(
            gold.sets.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            ["administrative", "clinical", "social"]
        );
        let records: Vec<_> = gold.sets.iter().flat_map(|set| &set.records).collect();
        assert_eq!(records.len(), count);
        for record in records {
            let words: Vec<&str> = (0..record.words.len()).map(|index| record.word(index)).collect();
            assert_eq!(words.join(" "), record.text);
            assert_eq!(record.group, record.id);
        }
    }
    let text = Text::load(&outputs["text"]).expect("text");
    assert_eq!(text.lines.len(), 400);
    let elided = text.lines.iter().filter(|line| line.text.contains(" l'") || line.text.contains(" d'"));
    assert!(elided.clone().count() > 20);
    assert!(elided.into_iter().all(|line| !line.text.contains("l' ") && !line.text.contains("d' ")));
}

#[test]
fn a_seed_makes_the_same_bytes_and_another_seed_makes_others() {
    let stage = Generate { sentences: 150, train: 100, dev: 30, test: 40 };
    let first = files(&stage, 42);
    assert_eq!(first.len(), 12);
    assert_eq!(first, files(&stage, 42));
    let other = files(&stage, 43);
    assert!(first.iter().all(|(name, bytes)| other[name] != *bytes));
}

#[test]
fn every_part_and_source_has_frames_of_both_sorts_and_all_can_be_said() {
    let grammar = Grammar::read().expect("the grammar");
    let frames: Vec<(Source, bool, &Frame)> = grammar.frames().collect();
    assert!(frames.len() >= 150);
    let texts: BTreeSet<&str> = frames.iter().map(|(_, _, frame)| frame.text).collect();
    assert_eq!(texts.len(), frames.len(), "a frame stands twice");
    for (source, _) in Source::ALL {
        for part in Part::ALL {
            for names in [true, false] {
                let own = frames.iter().filter(|(s, n, f)| *s == source && *n == names && f.part == part);
                assert!(own.count() >= 10, "{source} {part:?} {names}");
            }
        }
    }
    let mut rng = rng(1, "frames");
    for (source, names, frame) in frames {
        for _ in 0..10 {
            let sentence = grammar.say(source, &[frame], frame.part, &mut rng).expect(frame.text);
            assert_eq!(sentence.tags.iter().any(|tag| tag != "O"), names, "{}", frame.text);
        }
    }
}
