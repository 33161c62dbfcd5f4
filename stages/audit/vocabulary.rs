//! The tokenizer against the embedding that its ids are rows of.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use stage_contract::{
    StageError,
    report::{counted, grouped},
};

use super::finding::{Finding, percent};
use encoder::config::Config;
use text::{folder, tokenizer::Tokenizer};

/// A tokenizer in numbers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Vocabulary {
    /// The files that it is read from.
    pub files: Vec<String>,
    /// Ids that some piece or token has.
    pub ids: usize,
    /// The highest of them, and one more.
    pub reach: usize,
    /// Rows of the embedding; null where there is none.
    pub rows: Option<usize>,
    /// Rows that no id reaches.
    pub unused: usize,
    /// Special tokens by their part: token and id.
    pub special: Vec<(&'static str, String, u32)>,
    /// Whether a `prune` can cut it down.
    pub can_be_trimmed: bool,
}

/// Reads the tokenizer; `rows` are those of the embedding, true where one holds zeros alone.
pub(super) fn read(
    model: &Path,
    config: Option<&Config>,
    stock: Option<&Value>,
    rows: Option<&[bool]>,
    findings: &mut Vec<Finding>,
) -> Option<Vocabulary> {
    let files = match folder::tokenizer(model) {
        Ok(vocabulary) => vocabulary,
        Err(error) => {
            findings.push(Finding::of(&error));
            return None;
        }
    };
    let files: Vec<String> = files.files().iter().map(|path| name(path)).collect();
    let entries = config.map(|config| config.vocab).or(rows.map(<[bool]>::len));
    let file = files.join(", ");
    let tokenizer = match Tokenizer::load(model, entries.unwrap_or(usize::MAX)) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            findings.push(Finding::of(&error).file(file));
            // What it is can be told all the same where it merely does not fit.
            return Tokenizer::load(model, usize::MAX).ok().map(|it| facts(&it, files, rows));
        }
    };
    let special = tokenizer.special();
    if let Some(error) = config.and_then(|config| config.check_special(special).err()) {
        findings.push(Finding::of(&error).file(folder::CONFIG).key("pad_token_id"));
    }
    for (key, id) in [("bos_token_id", special.bos), ("eos_token_id", special.eos)] {
        let said = stock.and_then(|stock| stock[key].as_u64());
        if let Some(said) = said.filter(|said| *said != u64::from(id)) {
            findings.push(
                Finding::note(format!("it says {said}, and the tokenizer {id}; no encoder reads it"))
                    .file(folder::CONFIG)
                    .key(key),
            );
        }
    }
    let found = facts(&tokenizer, files, rows);
    if !found.can_be_trimmed {
        let reason = tokenizer.can_trim().err().as_ref().map(StageError::to_string).unwrap_or_default();
        findings.push(Finding::note(reason).file(file.clone()));
    }
    if found.reach > found.ids {
        let gaps = found.reach - found.ids;
        findings.push(
            Finding::note(format!("{} below {} without a piece", counted(gaps, "id"), found.reach))
                .file(file),
        );
    }
    if let (Some(rows), true) = (found.rows, found.unused > 0) {
        let share = percent(found.unused, rows);
        let what = format!(
            "{} of {} rows of the embedding ({share}) belong to no id",
            grouped(found.unused),
            grouped(rows)
        );
        // A vocabulary that is padded to a multiple of 8 or 64 has some.
        let finding = if found.unused * 100 > rows { Finding::warning(what) } else { Finding::note(what) };
        findings.push(finding.help("a `prune` stage with `vocabulary` takes rows out that no text needs"));
    }
    let blank = rows.unwrap_or_default().iter().enumerate();
    let blank = blank.filter(|(id, blank)| **blank && *id != special.pad as usize).count();
    if blank > 0 {
        let what = format!("{} rows of the embedding beside padding's hold zeros alone", grouped(blank));
        findings.push(Finding::warning(what).help("their pieces mean nothing to the model: a `prune` stage with `vocabulary` takes rows out that no text needs"));
    }
    Some(found)
}

fn facts(tokenizer: &Tokenizer, files: Vec<String>, rows: Option<&[bool]>) -> Vocabulary {
    let ids = tokenizer.ids();
    let reached = |rows: usize| ids.iter().filter(|id| (**id as usize) < rows).count();
    let rows = rows.map(<[bool]>::len);
    Vocabulary {
        files,
        ids: ids.len(),
        reach: tokenizer.vocab_size(),
        rows,
        unused: rows.map_or(0, |rows| rows - reached(rows)),
        special: tokenizer.parts(),
        can_be_trimmed: tokenizer.can_trim().is_ok(),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}
