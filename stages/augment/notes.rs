//! Lines of notes: frames of our own (`augment/notes.txt`) around names and sentences of the records.
//!
//! `[..]` in a frame is there or not; `{PER}`, `{LOC}`, `{ORG}` are mentions (`{PER^}` in capitals, `{PER<}` as registers have
//! them, *DURAND Anne*, `{PER.}` with initials, *A. DURAND*), `{text}` is the record's own sentence, `{short}` the same with
//! abbreviations, `{date}`, `{time}`, `{2-90}` are what they say.

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{mentions::Mentions, shorthand::abbreviated};
use text::corpus::Record;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(&'static str),
    Optional(Vec<Piece>),
    Mention { kind: &'static str, written: Written },
    Sentence { short: bool },
    Date,
    Time,
    Number(u32, u32),
}

/// How a mention is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    AsItIs,
    Capitals,
    SurnameFirst,
    Initials,
}

/// All frames.
pub(super) struct Notes(Vec<Vec<Piece>>);

/// Characters that `annotate` keeps in a line by default.
const LONGEST: usize = 340;

/// Characters of a note of many lines.
const LONGEST_DOCUMENT: usize = 1200;

impl Notes {
    pub fn read() -> Result<Self, String> {
        let lines =
            include_str!("notes.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let frames = lines.map(|line| {
            let mut rest = line;
            let pieces = parse(&mut rest, false).map_err(|problem| format!("`{line}`: {problem}"))?;
            if rest.is_empty() { Ok(pieces) } else { Err(format!("`{line}`: `{rest}` closes nothing")) }
        });
        Ok(Self(frames.collect::<Result<_, _>>()?))
    }

    /// One line, or two fields of a note one after the other; none when the records have no mention of a type.
    pub fn say(&self, record: &Record, mentions: &Mentions, rng: &mut ChaCha8Rng) -> Option<String> {
        let mut text = String::new();
        fill(self.0.choose(rng)?, record, mentions, rng, &mut text)?;
        if text.chars().count() < LONGEST / 3 && rng.random_bool(0.4) {
            text.push_str(["  ", " - ", " ; ", " | "].choose(rng).copied().unwrap_or(" "));
            fill(self.0.choose(rng)?, record, mentions, rng, &mut text)?;
        }
        (text.chars().count() <= LONGEST).then_some(text)
    }

    /// A note of many lines in one; none when the records have no mention of a type.
    pub fn document(&self, record: &Record, mentions: &Mentions, rng: &mut ChaCha8Rng) -> Option<String> {
        let wanted = rng.random_range(LONGEST..LONGEST_DOCUMENT - LONGEST);
        let between = ["  ", "   ", " - ", " | ", " "].choose(rng).copied().unwrap_or(" ");
        let mut text = self.say(record, mentions, rng)?;
        while text.chars().count() < wanted {
            text.push_str(between);
            fill(self.0.choose(rng)?, record, mentions, rng, &mut text)?;
        }
        (text.chars().count() <= LONGEST_DOCUMENT).then_some(text)
    }
}

impl Written {
    /// A name of one word has no forename to move or to shorten.
    fn write(self, mention: &str) -> String {
        match (self, mention.split_once(' ')) {
            (Self::AsItIs, _) => mention.to_owned(),
            (Self::SurnameFirst, Some((first, rest))) => format!("{} {first}", rest.to_uppercase()),
            (Self::Initials, Some((first, rest))) => format!("{} {}", initials(first), rest.to_uppercase()),
            _ => mention.to_uppercase(),
        }
    }
}

/// *J.-P.* of *Jean-Pierre*.
fn initials(forename: &str) -> String {
    let letters = forename.split('-').filter_map(|part| part.chars().next());
    letters.map(|letter| format!("{letter}.")).collect::<Vec<_>>().join("-")
}

fn fill(
    pieces: &[Piece],
    record: &Record,
    mentions: &Mentions,
    rng: &mut ChaCha8Rng,
    text: &mut String,
) -> Option<()> {
    for piece in pieces {
        match piece {
            Piece::Text(own) => text.push_str(own),
            Piece::Optional(inner) => {
                if rng.random_bool(0.5) {
                    fill(inner, record, mentions, rng, text)?;
                }
            }
            Piece::Mention { kind, written } => {
                text.push_str(&written.write(mentions.any(kind, rng)?));
            }
            Piece::Sentence { short } => {
                let short = short.then(|| abbreviated(&record.text, rng)).flatten();
                text.push_str(short.as_deref().unwrap_or(&record.text));
            }
            Piece::Date => text.push_str(&date(rng)),
            Piece::Time => text.push_str(&time(rng)),
            Piece::Number(low, high) => text.push_str(&rng.random_range(*low..=*high).to_string()),
        }
    }
    Some(())
}

fn date(rng: &mut ChaCha8Rng) -> String {
    let (day, month, year) =
        (rng.random_range(1..=28), rng.random_range(1..=12), rng.random_range(1930..=2025));
    match rng.random_range(0..3) {
        0 => format!("{day:02}/{month:02}/{year}"),
        1 => format!("{day}/{month}/{:02}", year % 100),
        _ => format!("{day:02}.{month:02}.{year}"),
    }
}

fn time(rng: &mut ChaCha8Rng) -> String {
    let (hour, minute) = (rng.random_range(0..24), rng.random_range(0..60));
    if rng.random_bool(0.5) { format!("{hour}h{minute:02}") } else { format!("{hour:02}:{minute:02}") }
}

/// Reads up to the end, or to the `]` that ends what may be left out.
fn parse(rest: &mut &'static str, inside: bool) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            *rest = after;
            pieces.push(Piece::Optional(parse(rest, true)?));
            *rest = rest.strip_prefix(']').ok_or("`[` is not closed")?;
        } else if rest.starts_with(']') && inside {
            break;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (slot, after) = after.split_once('}').ok_or("`{` is not closed")?;
            *rest = after;
            pieces.push(slot_of(slot)?);
        } else {
            let end = rest.find(['[', ']', '{']).unwrap_or(rest.len());
            if end == 0 {
                return Err("`]` closes nothing".to_owned());
            }
            pieces.push(Piece::Text(&rest[..end]));
            *rest = &rest[end..];
        }
    }
    Ok(pieces)
}

fn slot_of(slot: &'static str) -> Result<Piece, String> {
    let ways = [('^', Written::Capitals), ('<', Written::SurnameFirst), ('.', Written::Initials)];
    let marked = ways.iter().find_map(|(mark, written)| Some((slot.strip_suffix(*mark)?, *written)));
    let (kind, written) = marked.unwrap_or((slot, Written::AsItIs));
    Ok(match kind {
        "text" => Piece::Sentence { short: false },
        "short" => Piece::Sentence { short: true },
        "date" => Piece::Date,
        "time" => Piece::Time,
        kind if kind.bytes().all(|b| b.is_ascii_uppercase()) => Piece::Mention { kind, written },
        range => {
            let number = |text: &str| text.parse().map_err(|_| format!("`{{{slot}}}` is no slot"));
            let (low, high) = range.split_once('-').ok_or_else(|| format!("`{{{slot}}}` is no slot"))?;
            Piece::Number(number(low)?, number(high)?)
        }
    })
}
