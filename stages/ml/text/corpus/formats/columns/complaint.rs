//! What is wrong with lines that are words with something behind each, of which no column is one of tags.

use std::collections::BTreeMap;

use super::{
    layout::{Layout, is_treebank},
    lines::Lines,
};
use crate::corpus::{
    cells::Cells,
    format::{File, Want},
    options::Options,
};
use crate::{
    folder::quoted,
    labels::{Notation, split_tag},
};

const TAGS: &str = "tags are `O`, and `B-TYPE` and `I-TYPE`, or `TYPE` alone";

/// What follows the file's name, and the way out; `None` where lines are no words with tags at all.
pub fn complaint(file: &File) -> Option<(String, String)> {
    let lines = Lines::of(&file.text);
    if let Some(complaint) = between(file) {
        return Some(complaint);
    }
    let count = lines.count()?;
    if is_treebank(&Cells::of(lines.cells().map(|(_, cells)| cells.as_slice()), count)) {
        let help = "write the entities as `NER=B-TYPE` and `NER=I-TYPE` into the last column";
        return Some((": no column has tags, and the last no `NER=`".to_owned(), help.to_owned()));
    }
    let rows: Vec<(usize, &str)> = lines
        .cells()
        .filter(|(_, cells)| cells.len() == count)
        .map(|(line, cells)| (line, cells[count - 1]))
        .collect();
    let all = lines.cells().count();
    if all < 2 || rows.len() * 10 < all * 9 {
        return None;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, tag) in &rows {
        *counts.entry(tag).or_default() += 1;
    }
    let first = |fits: &dyn Fn(&str) -> bool| rows.iter().find(|(_, tag)| fits(tag));
    let generic = |tag: &str| tag.starts_with("LABEL_");
    let tagged = rows.iter().any(|(_, tag)| split_tag(tag).is_some() || generic(tag));
    if !tagged && counts.len() * 4 > rows.len() * 3 {
        return None;
    }
    let said = match count {
        2 => String::new(),
        _ => "; or say which columns they are, such as `columns = { word = 1, tag = 2 }`".to_owned(),
    };
    let help = format!("{TAGS}: write `O` for words in no entity{said}");
    // What comes again and again beside tags is no word of the text.
    let shows = |tag: &str| {
        tag.is_ascii() && (counts.get(tag).is_some_and(|count| *count > 1) || tag.len() == 1 || generic(tag))
    };
    let bare = |tag: &str| ["B", "I", "E", "S"].contains(&tag);
    let notation = Notation::of(counts.keys().copied());
    let read = |tag: &str| {
        if tagged && !notation.is_plain() { split_tag(tag).is_some() } else { notation.read(tag).is_some() }
    };
    match first(&|tag| bare(tag) || !read(tag)) {
        Some((line, tag)) if shows(tag) => Some((format!(":{line}: `{tag}` is no tag"), help)),
        Some((line, _)) => Some((format!(":{line}: its tag is none"), help)),
        None if !counts.contains_key("O") => Some((": no tag is `O`".to_owned(), help)),
        None => None,
    }
}

/// A no-break space between word and tag.
fn between(file: &File) -> Option<(String, String)> {
    const SPACE: char = '\u{a0}';
    let line = file.text.lines().position(|line| line.contains(SPACE))?;
    let text = file.text.replace(SPACE, "\t");
    Layout::of(&Lines::of(&text), Want::Gold, &Options::default())?;
    let name = quoted(&file.path);
    Some((
        format!(":{}: a no-break space stands before its tag", line + 1),
        format!("put a tab there: `LC_ALL=C sed -i 's/\\xc2\\xa0\\([!-~]*\\)$/\\t\\1/' {name}`"),
    ))
}
