//! A sentence a line, each word with its tags behind a stroke: `WikiNER`'s `word|pos|tag`.

use std::collections::BTreeMap;

use stage_contract::StageError;

use super::super::{
    cells::{Cells, Guess},
    format::{File, Format, Want},
    item::{Content, Found, Place},
    look::Look,
    options::Options,
};

/// `word|pos|tag word|pos|tag ..`, also with `/`.
pub struct Pipes;

const STROKES: [char; 2] = ['|', '/'];
/// Lines that are looked at: enough to know, few enough to be quick.
const LOOKED_AT: usize = 200;

impl Format for Pipes {
    fn name(&self) -> &'static str {
        "word|tag"
    }

    fn sniff(&self, file: &File, _want: Want, options: &Options) -> bool {
        layout(file, options).is_some()
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let mut found = Found::default();
        let Some(layout) = layout(file, options) else { return Ok(found) };
        let Layout { stroke, count, word, tag, why } = layout;
        found.form.push(format!("{count} parts between `{stroke}`"));
        found.form.extend([format!("word {}", word + 1), format!("tag {}", tag + 1)]);
        found.form.extend(why);
        for (number, line) in file.lines() {
            let place = Place::Line(number);
            let parts: Vec<Vec<&str>> =
                line.split_ascii_whitespace().map(|token| split(token, stroke, count)).collect();
            if let Some(bad) = parts.iter().position(|parts| parts.len() != count) {
                found.reject(
                    place,
                    format!("token {bad} has {} parts where others have {count}", parts[bad].len()),
                );
                continue;
            }
            let column =
                |column: usize| parts.iter().map(|parts| parts[column].to_owned()).collect::<Vec<_>>();
            let (words, tags) = (column(word), column(tag));
            let content = match want {
                Want::Text => Content::Text(words.join(" ")),
                Want::Gold | Want::Entries => Content::Tagged { words, tags, places: Vec::new() },
            };
            found.push(place, None, content);
        }
        Ok(found)
    }
}

struct Layout {
    stroke: char,
    count: usize,
    word: usize,
    tag: usize,
    why: Option<String>,
}

/// A token's parts; a word may hold a stroke itself, so they are counted from the end.
fn split(token: &str, stroke: char, count: usize) -> Vec<&str> {
    let mut parts: Vec<_> = token.rsplitn(count, stroke).collect();
    parts.reverse();
    parts
}

fn layout(file: &File, options: &Options) -> Option<Layout> {
    let lines: Vec<&str> =
        file.lines().map(|(_, line)| line).filter(|line| !line.contains('\t')).take(LOOKED_AT).collect();
    let tokens: Vec<&str> = lines.iter().flat_map(|line| line.split_ascii_whitespace()).collect();
    // A word a line is a file of columns.
    if tokens.len() <= lines.len() {
        return None;
    }
    STROKES.into_iter().find_map(|stroke| {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for token in &tokens {
            *counts.entry(token.split(stroke).count()).or_default() += 1;
        }
        let count = *counts.iter().max_by_key(|(_, tokens)| **tokens)?.0;
        let parts: Vec<_> = tokens
            .iter()
            .map(|token| split(token, stroke, count))
            .filter(|parts| parts.len() == count)
            .collect();
        if count < 2 || parts.len() * 20 < tokens.len() * 19 {
            return None;
        }
        if let Some(columns) = options.columns {
            let (word, tag) = columns.among(count).ok()?;
            return Some(Layout { stroke, count, word, tag, why: None });
        }
        let cells = Cells::of(parts.iter().map(Vec::as_slice), count);
        let Guess { word, tag, why } = cells.guess()?;
        let sure = [Look::Tags, Look::Plain, Look::Outside].contains(&cells.look(tag));
        sure.then_some(Layout { stroke, count, word, tag, why })
    })
}
