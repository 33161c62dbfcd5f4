//! Frames, and the sentences made of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use rand::{
    Rng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;

use super::{
    draft::{Draft, Marked},
    lexicon::Lexicon,
    shares::Part,
    template::{self, Piece},
};
use text::words::words;

/// What a sentence pretends to be taken from; the file stem of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Letters, notices, minutes.
    Administrative,
    /// Medical notes and letters.
    Clinical,
    /// Social reports.
    Social,
}

impl Source {
    /// In the order of their file names, with the percentage of the sentences.
    pub(super) const ALL: [(Self, usize); 3] =
        [(Self::Administrative, 25), (Self::Clinical, 40), (Self::Social, 35)];
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Administrative => "administrative",
            Self::Clinical => "clinical",
            Self::Social => "social",
        })
    }
}

/// How a sentence may be said.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Which parts may use it.
    pub(super) part: Part,
    /// As the file has it: what tells frames apart.
    pub(super) text: &'static str,
    pieces: Vec<Piece>,
    /// Whether person 1 is a woman, where the frame says so.
    woman: Option<bool>,
}

/// Per cent of the sentences that come from frames without an entity.
const WITHOUT: usize = 38;

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// What it pretends to be taken from.
    pub(super) source: Source,
    /// The texts of its frames: one, or two where a line says two things.
    pub(super) frames: Vec<&'static str>,
    /// Natural raw French.
    pub(super) text: String,
    /// `[start, end)` of each word, in characters, as [`words`] finds them.
    pub(super) words: Vec<[usize; 2]>,
    /// One BIO tag per word.
    pub(super) tags: Vec<String>,
}

/// All frames and words.
pub(super) struct Grammar {
    lexicon: Lexicon,
    /// By source, and whether they hold an entity.
    frames: BTreeMap<(Source, bool), Vec<Frame>>,
}

impl Grammar {
    /// Reads the frames and tables of this crate.
    ///
    /// # Errors
    /// The line that makes no sense.
    pub(super) fn read() -> Result<Self, String> {
        let lexicon = Lexicon::read()?;
        let mut frames: BTreeMap<_, Vec<Frame>> = BTreeMap::new();
        for (source, text) in [
            (Source::Administrative, include_str!("frames/administrative.txt")),
            (Source::Clinical, include_str!("frames/clinical.txt")),
            (Source::Social, include_str!("frames/social.txt")),
        ] {
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let frame = frame(line).map_err(|problem| format!("{source}: `{line}`: {problem}"))?;
                let names = lexicon.names_something(&frame.pieces);
                frames.entry((source, names)).or_default().push(frame);
            }
        }
        Ok(Self { lexicon, frames })
    }

    /// Every frame with its source, and whether it names an entity.
    #[cfg(test)]
    pub(super) fn frames(&self) -> impl Iterator<Item = (Source, bool, &Frame)> {
        self.frames
            .iter()
            .flat_map(|(&(source, names), frames)| frames.iter().map(move |frame| (source, names, frame)))
    }

    /// Plans `count` sentences: sources in their proportions, `WITHOUT` per cent without an entity, in random order.
    pub(super) fn plan(count: usize, rng: &mut ChaCha8Rng) -> Vec<(Source, bool)> {
        let without = (count * WITHOUT).div_ceil(100);
        let mut plan = Vec::with_capacity(count);
        for (size, names) in [(without, false), (count - without, true)] {
            let [(a, share_a), (b, share_b), (c, _)] = Source::ALL;
            let (to_a, to_b) = (size * share_a / 100, size * (share_a + share_b) / 100);
            plan.extend((0..size).map(|i| {
                (
                    if i < to_a {
                        a
                    } else if i < to_b {
                        b
                    } else {
                        c
                    },
                    names,
                )
            }));
        }
        plan.shuffle(rng);
        plan
    }

    /// Makes a sentence that `said` does not hold yet, and adds it there.
    ///
    /// # Errors
    /// When the frames have nothing new to say, or one of them makes no sense.
    pub(super) fn sentence(
        &self,
        (source, names): (Source, bool),
        part: Part,
        said: &mut BTreeSet<String>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Sentence, String> {
        // Enough for the last of the short frames; then the part is used up.
        const ATTEMPTS: usize = 2_000;
        for _ in 0..ATTEMPTS {
            let first = self.choose((source, names), part, rng)?;
            let mut frames = vec![first];
            if rng.random_bool(if names { 0.15 } else { 0.4 }) {
                let second = self.choose((source, false), part, rng)?;
                // Headings stand alone.
                if first.is_sentence() && second.is_sentence() && first.text != second.text {
                    frames.push(second);
                }
            }
            let sentence = self.say(source, &frames, part, rng)?;
            if said.insert(key(&sentence.text)) {
                return Ok(sentence);
            }
        }
        Err(format!("the {source} frames have no other sentence to make"))
    }

    fn choose(&self, kind: (Source, bool), part: Part, rng: &mut ChaCha8Rng) -> Result<&Frame, String> {
        // Unlabelled text borrows four of ten frames from train, and three of ten names.
        let owner = if part == Part::Unlabelled && rng.random_bool(0.4) { Part::Train } else { part };
        let frames = self.frames.get(&kind).map_or(&[][..], Vec::as_slice);
        let own: Vec<&Frame> = frames.iter().filter(|frame| frame.part == owner).collect();
        own.choose(rng).copied().ok_or_else(|| format!("{} has no frame for {owner:?}", kind.0))
    }

    /// Says one frame after the other about the same people.
    pub(super) fn say(
        &self,
        source: Source,
        frames: &[&Frame],
        part: Part,
        rng: &mut ChaCha8Rng,
    ) -> Result<Sentence, String> {
        let mut draft = Draft::new(&self.lexicon, part, rng, frames.iter().find_map(|frame| frame.woman))?;
        let mut marked = Marked::default();
        for (index, frame) in frames.iter().enumerate() {
            let mut filled = draft.fill(&frame.pieces)?;
            // What a frame writes small, it means so: `pt vu ce jour`.
            if !matches!(frame.pieces.first(), Some(Piece::Text(_))) {
                filled = filled.capitalised();
            }
            if index > 0 {
                marked.text.push(' ');
            }
            marked.push(&filled);
        }
        let marked = vary(marked, rng);
        let frames: Vec<&str> = frames.iter().map(|frame| frame.text).collect();
        let (words, tags) =
            tagged(&marked).ok_or_else(|| format!("an entity of `{}` cuts a word", frames.join(" ")))?;
        Ok(Sentence { source, frames, text: marked.text, words, tags })
    }
}

impl Frame {
    /// Whether another sentence may follow: it ends with a point.
    fn is_sentence(&self) -> bool {
        self.text.ends_with('.')
    }
}

/// What is left of a text for telling sentences apart: its letters. Numbers and signs alone make no other sentence.
fn key(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

/// Notes are typed carelessly: a few in small letters, a few in capitals, one of five with printers' apostrophes.
/// No mark moves by a character.
fn vary(marked: Marked, rng: &mut ChaCha8Rng) -> Marked {
    let case = rng.random_range(0..200);
    let printed = rng.random_bool(0.2);
    let letter = |c: char| match (case, c) {
        (_, '\'') if printed => '\u{2019}',
        (0..=3, _) => one(c.to_lowercase()).unwrap_or(c),
        (4..=6, _) => one(c.to_uppercase()).unwrap_or(c),
        _ => c,
    };
    let mut text = String::with_capacity(marked.text.len());
    let mut moved = BTreeMap::new();
    for (byte, c) in marked.text.char_indices() {
        moved.insert(byte, text.len());
        text.push(letter(c));
    }
    moved.insert(marked.text.len(), text.len());
    let mut marks = marked.marks;
    for mark in &mut marks {
        (mark.start, mark.end) = (moved[&mark.start], moved[&mark.end]);
    }
    Marked { text, marks }
}

/// The only character of a case mapping; `None` where there are several (`ß` to `SS`).
fn one(mut mapping: impl Iterator<Item = char>) -> Option<char> {
    let first = mapping.next()?;
    mapping.next().is_none().then_some(first)
}

/// The words of a text and their tags; `None` where an entity begins or ends inside a word.
fn tagged(marked: &Marked) -> Option<(Vec<[usize; 2]>, Vec<String>)> {
    let words = words(&marked.text);
    let mut tags = vec!["O".to_owned(); words.len()];
    let characters = |byte: usize| marked.text[..byte].chars().count();
    for mark in &marked.marks {
        let (start, end) = (characters(mark.start), characters(mark.end));
        let first = words.iter().position(|word| word[0] == start)?;
        let last = words.iter().position(|word| word[1] == end)?;
        for (index, tag) in tags.iter_mut().enumerate().take(last + 1).skip(first) {
            *tag = format!("{}-{}", if index == first { "B" } else { "I" }, mark.kind);
        }
    }
    Some((words, tags))
}

fn frame(line: &'static str) -> Result<Frame, String> {
    let (part, text) = line.split_once(' ').ok_or("no part")?;
    let part = match part {
        "t" => Part::Train,
        "e" => Part::Evaluation,
        "u" => Part::Unlabelled,
        _ => return Err(format!("`{part}` is no part")),
    };
    let (woman, text) = match (text.strip_prefix("@f "), text.strip_prefix("@m ")) {
        (Some(text), _) => (Some(true), text),
        (_, Some(text)) => (Some(false), text),
        _ => (None, text),
    };
    Ok(Frame { part, text, pieces: template::parse(text)?, woman })
}

impl Lexicon {
    /// Whether every sentence of these pieces names an entity.
    fn names_something(&self, pieces: &[Piece]) -> bool {
        pieces.iter().any(|piece| match piece {
            Piece::Person(..) => true,
            Piece::Table(_, name) if name == "rose" => true,
            Piece::Table(_, name) => self
                .tables
                .get(name.as_str())
                .is_some_and(|table| matches!(table.kind, super::lexicon::Kind::Entity(_))),
            Piece::Choice(branches) => branches.iter().all(|branch| self.names_something(branch)),
            Piece::Text(_) | Piece::Optional(_) | Piece::Agreement(..) | Piece::Number(..) => false,
        })
    }
}
