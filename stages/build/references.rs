//! The names by which sources reach each other.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::tokens::{KEYWORDS, group, is_macro_input, is_punct, is_separator, text, word};

/// A name by which a source reaches another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `["crate", "ml", "losses", "bigram"]`; a leading `::` is an empty first segment.
    pub path: Vec<String>,
    /// What it is for.
    pub way: Way,
}

/// What a [`Reference`] is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// `use path as name`; no name for `as _`.
    Import(Option<String>),
    /// `use path::*`.
    Glob,
    /// In an expression, a type, a macro's input.
    Plain,
}

/// Every reference in these tokens, at any depth.
pub fn references(trees: &[TokenTree]) -> Vec<Reference> {
    let mut found = Vec::new();
    gather(trees, false, &mut found);
    found.sort();
    found.dedup();
    found
}

fn gather(trees: &[TokenTree], in_macro: bool, found: &mut Vec<Reference>) {
    let mut at = 0;
    while at < trees.len() {
        let name = word(trees.get(at));
        match name.as_deref() {
            Some("use") if !is_punct(trees.get(at + 1), '<') => at = tree(trees, at + 1, &[], true, found),
            // The path of `pub(in crate::ml)` reaches nothing.
            Some("pub") if is_scope(trees.get(at + 1)) => at += 2,
            Some("extern") if word(trees.get(at + 1)).is_some_and(|next| next == "crate") => {
                let path = vec![String::new(), word(trees.get(at + 2)).unwrap_or_default()];
                let name = if word(trees.get(at + 3)).is_some() { 4 } else { 2 };
                found.push(Reference { path, way: Way::Import(word(trees.get(at + name))) });
                at += 3;
            }
            Some(head) if !KEYWORDS.contains(&head) => {
                let is_path = is_separator(trees, at + 1);
                if is_path {
                    at = tree(trees, at, &[], false, found);
                    continue;
                }
                // A macro may make a path of it; `self` in there is a value.
                if in_macro && head != "self" {
                    found.push(Reference { path: vec![head.to_owned()], way: Way::Plain });
                }
                at += 1;
            }
            None if is_separator(trees, at) => {
                at = tree(trees, at, &[], false, found).max(at + 2);
            }
            _ => {
                if let Some(TokenTree::Group(group)) = trees.get(at) {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    if at > 0 && is_punct(trees.get(at - 1), '#') {
                        said(&inner, found);
                    }
                    gather(&inner, in_macro || is_macro_input(trees, at), found);
                }
                at += 1;
            }
        }
    }
}

/// Paths that an attribute has in quotes: `#[serde(with = "crate::ml::dates")]`.
fn said(attribute: &[TokenTree], found: &mut Vec<Reference>) {
    for tree in attribute {
        match tree {
            TokenTree::Group(group) => said(&group.stream().into_iter().collect::<Vec<_>>(), found),
            TokenTree::Literal(literal) => {
                let text = text(literal).filter(|text| text.contains("::")).unwrap_or_default();
                // What is no path leads nowhere.
                let path: Vec<_> = text.parse::<TokenStream>().unwrap_or_default().into_iter().collect();
                gather(&path, false, found);
            }
            _ => {}
        }
    }
}

/// Whether a group is that of `pub(crate)` or `pub(in path)`.
fn is_scope(tree: Option<&TokenTree>) -> bool {
    let inner = group(tree, Delimiter::Parenthesis).unwrap_or_default();
    let first = word(inner.first()).unwrap_or_default();
    first == "in" || (inner.len() == 1 && ["crate", "self", "super"].contains(&first.as_str()))
}

/// A path, or a tree of `use`; gives the place after it.
fn tree(
    trees: &[TokenTree],
    mut at: usize,
    before: &[String],
    import: bool,
    found: &mut Vec<Reference>,
) -> usize {
    let mut path = before.to_vec();
    if is_separator(trees, at) {
        if path.is_empty() {
            path.push(String::new());
        }
        at += 2;
    }
    loop {
        if let Some(inner) = group(trees.get(at), Delimiter::Brace).filter(|_| import || !path.is_empty()) {
            for branch in inner.split(|tree| is_punct(Some(tree), ',')).filter(|branch| !branch.is_empty()) {
                tree(branch, 0, &path, import, found);
            }
            return at + 1;
        }
        if is_punct(trees.get(at), '*') {
            found.push(Reference { path, way: Way::Glob });
            return at + 1;
        }
        let Some(segment) = word(trees.get(at)).filter(|word| !KEYWORDS.contains(&word.as_str())) else {
            // `Vec::<u8>`: what came before is the path.
            if path.len() > before.len() && path.iter().any(|segment| !segment.is_empty()) {
                found.push(Reference { path, way: Way::Plain });
            }
            return at;
        };
        // `use a::{self}` is a itself.
        let itself = segment == "self" && !path.is_empty();
        if !itself {
            path.push(segment);
        }
        at += 1;
        if is_separator(trees, at) && !itself {
            at += 2;
            continue;
        }
        let alias =
            word(trees.get(at)).filter(|word| import && word == "as").and_then(|_| word(trees.get(at + 1)));
        at += if alias.is_some() { 2 } else { 0 };
        let way = if import {
            Way::Import(alias.or_else(|| path.last().cloned()).filter(|name| name != "_"))
        } else {
            Way::Plain
        };
        found.push(Reference { path, way });
        return at;
    }
}
