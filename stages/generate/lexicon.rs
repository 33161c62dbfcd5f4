//! Names and common words, dealt among the parts.

use std::collections::BTreeMap;

use super::{
    names::Names,
    shares::{Part, Shares},
    template::{self, Piece},
};
use text::random::stream;

/// What the entries of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Common words: every part uses them, and none is an entity.
    Words,
    /// Parts of names: dealt, no entity by themselves.
    Names,
    /// Entities of this type.
    Entity(&'static str),
}

/// An entry of a table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What it says.
    pub(super) pieces: Vec<Piece>,
    /// Of a commune: what its postal codes begin with.
    pub(super) code: Option<&'static str>,
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// What it holds.
    pub(super) kind: Kind,
    /// Entries with slots, and all entries of a table of words: every part uses them.
    pub(super) common: Vec<Entry>,
    /// Entries without a slot: names, dealt in the order of their hashes.
    pub(super) dealt: Shares<Entry>,
}

/// All tables by name, and people's names.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// By name.
    pub(super) tables: BTreeMap<&'static str, Table>,
    /// Of people.
    pub(super) names: Names,
}

impl Lexicon {
    /// Reads the tables of this crate.
    ///
    /// # Errors
    /// The line that makes no sense.
    pub(super) fn read() -> Result<Self, String> {
        let mut tables = BTreeMap::new();
        for (file, text) in [
            ("communes", include_str!("tables/communes.txt")),
            ("institutions", include_str!("tables/institutions.txt")),
            ("places", include_str!("tables/places.txt")),
            ("words", include_str!("tables/words.txt")),
        ] {
            for Section { name, kind, lines } in sections(file, text)? {
                tables.insert(
                    name,
                    table(kind, &lines).map_err(|problem| format!("{file} [{name}]: {problem}"))?,
                );
            }
        }
        Ok(Self { tables, names: Names::read()? })
    }
}

/// A table as its file has it.
struct Section {
    name: &'static str,
    kind: Kind,
    lines: Vec<&'static str>,
}

/// The sections of a file: a heading `[name]`, `[name name]` or `[name TYPE]`, and its lines.
fn sections(file: &str, text: &'static str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(heading) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (name, kind) = match heading.split_once(' ') {
                None => (heading, Kind::Words),
                Some((name, "name")) => (name, Kind::Names),
                Some((name, kind)) => (name, Kind::Entity(kind)),
            };
            sections.push(Section { name, kind, lines: Vec::new() });
        } else {
            let section = sections
                .last_mut()
                .ok_or_else(|| format!("{file}: `{line}` stands before the first table"))?;
            // Communes stand several in a line.
            section.lines.extend(if file == "communes" { line.split(", ").collect() } else { vec![line] });
        }
    }
    Ok(sections)
}

fn table(kind: Kind, lines: &[&'static str]) -> Result<Table, String> {
    let mut common = Vec::new();
    let mut names = Vec::new();
    for line in lines {
        let (text, code) = match line.rsplit_once(' ') {
            Some((name, code)) if kind == Kind::Entity("LOC") && code.bytes().all(|b| b.is_ascii_digit()) => {
                (name, Some(code))
            }
            _ => (*line, None),
        };
        let entry = Entry { pieces: template::parse(text)?, code };
        match entry.pieces.as_slice() {
            [Piece::Text(_)] if kind != Kind::Words => names.push((stream(text), text, entry)),
            _ => common.push(entry),
        }
    }
    names.sort_by_key(|&(hash, text, _)| (hash, text));
    let mut dealt = Shares::default();
    for ((_, _, entry), part) in names.into_iter().zip(Part::HANDS.into_iter().cycle()) {
        dealt.give(part, entry);
    }
    Ok(Table { kind, common, dealt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_names_of_every_kind() {
        let lexicon = Lexicon::read().expect("the tables");
        for (name, table) in &lexicon.tables {
            if table.kind == Kind::Words {
                assert!(table.common.len() >= 2, "{name}");
                continue;
            }
            for part in Part::ALL {
                let own = table.dealt.of(part).len() + table.common.len();
                assert!(
                    own >= 2 && (!table.dealt.of(part).is_empty() || !table.common.is_empty()),
                    "{name} {part:?}"
                );
            }
        }
        let communes = &lexicon.tables["commune"];
        let count = |part| communes.dealt.of(part).len();
        assert!(Part::ALL.into_iter().map(count).sum::<usize>() >= 250);
        assert!(communes.dealt.of(Part::Train).iter().all(|entry| entry.code.is_some()));
        assert!(Part::ALL.into_iter().all(|part| count(part) >= 60));
    }
}
