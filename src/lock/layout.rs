//! The layout of the lock file, made so that git merges branches which touch different stages: git merges
//! line by line, and two changes that touch each other are a conflict. So a stage's place depends on its
//! name alone, and between two stages there is (but for one pair in 256) a line that nobody ever changes.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use stage_contract::StageError;

use super::{Content, FORMAT, Locked, LockedSource};
use crate::fingerprint::Digest;

const HEAD: &str = "\
# Written by ner-pipe: the last good state. Commit it; do not edit it.
# A stage stands below the first two digits of its name's hash: two branches that add or change different
# stages then change different places, and git merges them. After a conflict: `ner-pipe lock resolve`.
";

#[derive(Default, Serialize)]
struct One<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stage: BTreeMap<&'a str, &'a Locked>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    source: BTreeMap<&'a str, &'a LockedSource>,
}

/// The whole file.
pub(super) fn render(content: &Content) -> Result<String, StageError> {
    let mut shelves: BTreeMap<u8, Vec<One<'_>>> = BTreeMap::new();
    for (id, locked) in &content.sources {
        let one = One { source: [(id.as_str(), locked)].into(), ..One::default() };
        shelves.entry(shelf_of(&format!("sources.{id}"))).or_default().push(one);
    }
    for (id, locked) in &content.stages {
        let one = One { stage: [(id.as_str(), locked)].into(), ..One::default() };
        shelves.entry(shelf_of(id)).or_default().push(one);
    }
    let mut text = format!("{HEAD}format = {FORMAT}\n");
    for shelf in 0..=u8::MAX {
        // A `String` takes everything that is written to it.
        let _ = writeln!(text, "# {shelf:02x}");
        for one in shelves.get(&shelf).into_iter().flatten() {
            let table =
                toml::to_string(one).map_err(|e| StageError::because("cannot write the lock as TOML", e))?;
            text.push_str(&table);
        }
    }
    Ok(text)
}

/// The first byte of the name's hash: names that people choose for new stages are alike, and hashes are not.
fn shelf_of(id: &str) -> u8 {
    Digest::of(id.as_bytes()).first()
}
