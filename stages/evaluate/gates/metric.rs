//! The language of gates: which number of a model.

use measure::bootstrap::Part;

/// All that can be said, for messages.
pub(crate) const METRICS: &str = "`parameters`, `bytes`, `bytes_on_disk`, `flops`, `memory` (also `.ratio`), \
    `latency.ratio`, `latency.p50_ms`, `latency.p90_ms`, `latency.p99_ms` (of any cell: `latency.512x8.ratio`), \
    `throughput.ratio`, `throughput.sentences_per_s`, `throughput.tokens_per_s`, `fidelity.f1`, `quality.f1` (also \
    `precision`, `recall`; of means `quality.macro.f1`, of a type `quality.per_type.PER.f1`; all also `.drop`)";

/// A number of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Exact.
    Size(Size, Relation),
    /// Of one cell, tokens and batch; `None`: 32 tokens, batch 1. The per cent of rounds that took no longer.
    Latency(Option<(usize, usize)>, u8, Relation),
    /// Of whole texts.
    Throughput(Rate, Relation),
    /// How right a model is.
    Score(Table, Types, Part, Relation),
}

/// How large a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Parameters,
    Bytes,
    BytesOnDisk,
    Flops,
    Memory,
}

/// What is counted a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    Sentences,
    Tokens,
}

/// What is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// What the teacher says.
    Fidelity,
    /// What gold says.
    Quality,
}

/// Which types, and how they come together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Types {
    /// All entities pooled.
    Micro,
    /// The mean over types.
    Macro,
    /// One alone.
    Only(String),
}

/// Whether a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Alone,
    /// Over another model's.
    Ratio,
    /// Another model's less this one's.
    Drop,
}

impl Metric {
    /// Reads what follows the model's name; none when there is no such metric.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split('.').collect();
        let (first, rest) = words.split_first()?;
        match *first {
            "latency" => latency(rest),
            "throughput" => match rest {
                ["ratio"] => Some(Self::Throughput(Rate::Sentences, Relation::Ratio)),
                ["sentences_per_s"] => Some(Self::Throughput(Rate::Sentences, Relation::Alone)),
                ["tokens_per_s"] => Some(Self::Throughput(Rate::Tokens, Relation::Alone)),
                _ => None,
            },
            "fidelity" => score(Table::Fidelity, rest),
            "quality" => score(Table::Quality, rest),
            size => {
                let size = match size {
                    "parameters" => Size::Parameters,
                    "bytes" => Size::Bytes,
                    "bytes_on_disk" => Size::BytesOnDisk,
                    "flops" => Size::Flops,
                    "memory" => Size::Memory,
                    _ => return None,
                };
                match rest {
                    [] => Some(Self::Size(size, Relation::Alone)),
                    ["ratio"] => Some(Self::Size(size, Relation::Ratio)),
                    _ => None,
                }
            }
        }
    }

    /// Whether, and how, it is compared.
    pub fn relation(&self) -> Relation {
        match self {
            Self::Size(_, relation)
            | Self::Latency(_, _, relation)
            | Self::Throughput(_, relation)
            | Self::Score(_, _, _, relation) => *relation,
        }
    }

    /// What is right, of a score.
    pub fn table(&self) -> Option<Table> {
        if let Self::Score(table, ..) = self { Some(*table) } else { None }
    }
}

fn latency(words: &[&str]) -> Option<Metric> {
    let (cell, word) = match words {
        [word] => (None, word),
        [cell, word] => {
            let (tokens, batch) = cell.split_once('x')?;
            (Some((tokens.parse().ok()?, batch.parse().ok()?)), word)
        }
        _ => return None,
    };
    let (share, relation) = match *word {
        "ratio" => (50, Relation::Ratio),
        "p50_ms" => (50, Relation::Alone),
        "p90_ms" => (90, Relation::Alone),
        "p99_ms" => (99, Relation::Alone),
        _ => return None,
    };
    Some(Metric::Latency(cell, share, relation))
}

fn score(table: Table, words: &[&str]) -> Option<Metric> {
    let (words, relation) = match words {
        [words @ .., "drop"] => (words, Relation::Drop),
        words => (words, Relation::Alone),
    };
    let (types, word) = match words {
        [word] => (Types::Micro, word),
        ["macro", word] => (Types::Macro, word),
        ["per_type", kind, word] if !kind.is_empty() => (Types::Only((*kind).to_owned()), word),
        _ => return None,
    };
    let part = match *word {
        "precision" => Part::Precision,
        "recall" => Part::Recall,
        "f1" => Part::F1,
        _ => return None,
    };
    Some(Metric::Score(table, types, part, relation))
}
