//! What of a source counts: its tokens, without comments, without tests, and however they are laid out.

use std::{collections::BTreeSet, iter::once};

use proc_macro2::{Delimiter, Group, Ident, Literal, Spacing, TokenStream, TokenTree};

/// Words that begin no path. `crate`, `self` and `super` do.
pub const KEYWORDS: [&str; 34] = [
    "Self", "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "static", "struct", "trait", "true", "type", "unsafe", "where", "while",
];

/// Reads a source, leaving out comments, documentation and what only tests see.
pub fn lex(text: &str) -> Result<Vec<TokenTree>, String> {
    let tokens: TokenStream = text.parse().map_err(|e| format!("cannot read the tokens: {e}"))?;
    Ok(kept(&tokens.into_iter().collect::<Vec<_>>(), false))
}

/// Drops documentation, and items under `#[cfg(test)]` where their end is plain to see; what is not
/// sure to be an item stays. A macro may read a `cfg` as it likes, so there only documentation goes.
fn kept(trees: &[TokenTree], in_macro: bool) -> Vec<TokenTree> {
    let mut out: Vec<TokenTree> = Vec::new();
    let mut at = 0;
    while at < trees.len() {
        let attributes = attributes(trees, at);
        if let Some(last) = attributes.last() {
            let after = last.1;
            let tested = attributes.iter().any(|(_, end)| is_test(&trees[end - 1]));
            if let Some(end) = item_end(trees, after).filter(|_| tested && !in_macro) {
                at = end;
                continue;
            }
            for (start, end) in attributes {
                if !is_doc(&trees[end - 1]) {
                    out.extend(kept_groups(&trees[start..end], in_macro));
                }
            }
            at = after;
            continue;
        }
        let macros = in_macro || is_macro_input(trees, at);
        out.extend(kept_groups(&trees[at..=at], macros));
        at += 1;
    }
    out
}

fn kept_groups(trees: &[TokenTree], in_macro: bool) -> impl Iterator<Item = TokenTree> {
    trees.iter().map(move |tree| match tree {
        TokenTree::Group(group) => {
            let inner = kept(&group.stream().into_iter().collect::<Vec<_>>(), in_macro);
            TokenTree::Group(Group::new(group.delimiter(), inner.into_iter().collect()))
        }
        other => other.clone(),
    })
}

/// The attributes that begin at a place, each from its `#` to after its brackets.
fn attributes(trees: &[TokenTree], mut at: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    while is_punct(trees.get(at), '#') {
        let open = if is_punct(trees.get(at + 1), '!') { at + 2 } else { at + 1 };
        if group(trees.get(open), Delimiter::Bracket).is_none() {
            break;
        }
        found.push((at, open + 1));
        at = open + 1;
    }
    found
}

fn is_doc(attribute: &TokenTree) -> bool {
    let inner = group(Some(attribute), Delimiter::Bracket).unwrap_or_default();
    word(inner.first()).is_some_and(|name| name == "doc")
}

/// `#[cfg(test)]`, and what tests of other packages see: `#[cfg(any(test, feature = "testing"))]`.
fn is_test(attribute: &TokenTree) -> bool {
    let inner = group(Some(attribute), Delimiter::Bracket).unwrap_or_default();
    let condition = group(inner.get(1), Delimiter::Parenthesis).unwrap_or_default();
    let condition: String = condition.iter().map(ToString::to_string).collect();
    let condition: String = condition.split_whitespace().collect();
    word(inner.first()).is_some_and(|name| name == "cfg")
        && ["test", "any(test,feature=\"testing\")"].contains(&condition.as_str())
}

/// Where the item that begins at a place ends, if it is one for certain.
fn item_end(trees: &[TokenTree], mut at: usize) -> Option<usize> {
    if word(trees.get(at))? == "pub" {
        at += 1;
        at += usize::from(group(trees.get(at), Delimiter::Parenthesis).is_some());
    }
    let mut kind = word(trees.get(at))?;
    let function = || trees[at..].iter().map_while(|tree| word(Some(tree))).take(4).any(|word| word == "fn");
    if ["const", "unsafe", "async"].contains(&kind.as_str()) && function() {
        "fn".clone_into(&mut kind);
    }
    let ends = |braces: bool| {
        let mut rest = trees.iter().enumerate().skip(at);
        let end = rest.find(|(_, tree)| {
            is_punct(Some(tree), ';') || (braces && group(Some(tree), Delimiter::Brace).is_some())
        });
        end.map(|(at, _)| at + 1)
    };
    match kind.as_str() {
        "use" | "const" | "static" | "type" => ends(false),
        "mod" | "fn" | "struct" | "enum" | "impl" | "trait" => ends(true),
        _ => None,
    }
}

/// Whether the group at a place is what a macro is given: `name!(..)` or `macro_rules! name {..}`.
pub fn is_macro_input(trees: &[TokenTree], at: usize) -> bool {
    if !matches!(trees[at], TokenTree::Group(_)) || at < 2 {
        return false;
    }
    let name = |at: usize| word(trees.get(at)).filter(|name| !KEYWORDS.contains(&name.as_str()));
    let rules = at > 2 && name(at - 3).is_some_and(|name| name == "macro_rules");
    (is_punct(trees.get(at - 1), '!') && name(at - 2).is_some()) || rules
}

/// The hash of tokens. Spaces do not count, nor does a comma before a closing bracket where it means
/// nothing: what a formatter adds when it breaks a list over lines.
pub fn digest(trees: &[TokenTree]) -> String {
    let mut hasher = blake3::Hasher::new();
    feed(&mut hasher, trees, false);
    hasher.finalize().to_hex()[..16].to_owned()
}

fn feed(hasher: &mut blake3::Hasher, trees: &[TokenTree], in_macro: bool) {
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Ident(name) => mark(hasher, 'i', &name.to_string()),
            TokenTree::Literal(literal) => mark(hasher, 'l', &literal.to_string()),
            TokenTree::Punct(punct) => {
                let joint = if punct.spacing() == Spacing::Joint { 'j' } else { 'p' };
                hasher.update(format!("{joint}{}", punct.as_char()).as_bytes());
            }
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let macros = in_macro || is_macro_input(trees, at);
                let comma = is_punct(inner.last(), ',');
                let several = inner.iter().filter(|tree| is_punct(Some(tree), ',')).count() > 1;
                // `(a,)` is a tuple and `(a)` is not, but `f(a,)` is `f(a)`.
                let list = group.delimiter() != Delimiter::Parenthesis || several || is_called(trees, at);
                let end = inner.len() - usize::from(comma && list && !macros);
                hasher.update(match group.delimiter() {
                    Delimiter::Parenthesis => b"(",
                    Delimiter::Brace => b"{",
                    Delimiter::Bracket => b"[",
                    Delimiter::None => b"<",
                });
                feed(hasher, &inner[..end], macros);
                hasher.update(b")");
            }
        }
    }
}

fn mark(hasher: &mut blake3::Hasher, sort: char, text: &str) {
    hasher.update(format!("{sort}{} {text}", text.len()).as_bytes());
}

/// Whether what stands before parentheses is a name or an expression, so that they hold arguments.
fn is_called(trees: &[TokenTree], at: usize) -> bool {
    match at.checked_sub(1).map(|before| &trees[before]) {
        Some(TokenTree::Ident(name)) => !KEYWORDS.contains(&name.to_string().as_str()),
        Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Brace,
        _ => false,
    }
}

/// Literals given to `macro!("..")`, by the macro's name; none where it is given something else.
pub fn calls(trees: &[TokenTree], names: &[&str]) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for (at, tree) in trees.iter().enumerate() {
        let TokenTree::Group(group) = tree else { continue };
        let inner: Vec<_> = group.stream().into_iter().collect();
        let name = at.checked_sub(2).and_then(|name| word(trees.get(name)));
        if let Some(name) = name.filter(|name| names.contains(&name.as_str()) && is_macro_input(trees, at)) {
            let given = match inner.first() {
                Some(TokenTree::Literal(literal)) => text(literal),
                _ => None,
            };
            found.push((name, given));
        }
        found.extend(calls(&inner, names));
    }
    found
}

/// What a plain string literal says.
pub fn text(literal: &Literal) -> Option<String> {
    let text = literal.to_string();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then(|| inner.to_owned())
}

/// Whether `mod name;` stands somewhere.
pub fn declares(trees: &[TokenTree], name: &str) -> bool {
    let here = |at: usize| {
        word(trees.get(at)).is_some_and(|first| first == "mod")
            && word(trees.get(at + 1)).is_some_and(|second| second == name)
            && is_punct(trees.get(at + 2), ';')
    };
    (0..trees.len()).any(here) || groups(trees).any(|inner| declares(&inner, name))
}

/// Whether a trait of this name is implemented somewhere.
pub fn implements(trees: &[TokenTree], name: &str) -> bool {
    let here = |at: usize| {
        word(trees.get(at)).is_some_and(|first| first == name)
            && word(trees.get(at + 1)).is_some_and(|second| second == "for")
    };
    (0..trees.len()).any(here) || groups(trees).any(|inner| implements(&inner, name))
}

fn groups(trees: &[TokenTree]) -> impl Iterator<Item = Vec<TokenTree>> {
    trees.iter().filter_map(|tree| match tree {
        TokenTree::Group(group) => Some(group.stream().into_iter().collect()),
        _ => None,
    })
}

/// What stands at the head of paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// `name::` and `use name`: crates, and whatever else is named so.
    pub crates: BTreeSet<String>,
    /// `crate::name`
    pub siblings: BTreeSet<String>,
}

/// Heads of all paths in code, in what macros are given, and in quotes (`#[serde(with = "dates::iso")]`).
pub fn named(trees: &[TokenTree]) -> Named {
    let mut found = Named::default();
    gather(trees, &mut found);
    found
}

fn gather(trees: &[TokenTree], found: &mut Named) {
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => gather(&group.stream().into_iter().collect::<Vec<_>>(), found),
            TokenTree::Literal(literal) => {
                let path = text(literal).filter(|text| text.contains("::")).unwrap_or_default();
                // What is no path names nothing.
                let path: Vec<_> = path.parse::<TokenStream>().unwrap_or_default().into_iter().collect();
                gather(&path, found);
            }
            TokenTree::Ident(name) => {
                let name = plain(name);
                let begins =
                    at < 2 || !is_separator(trees, at - 2) || word(trees.get(at.wrapping_sub(3))).is_none();
                let goes_on = is_separator(trees, at + 1);
                let before = at.checked_sub(1).and_then(|before| word(trees.get(before)));
                let used = before.is_some_and(|before| before == "use" || before == "crate");
                if name == "crate" && goes_on {
                    found.siblings.extend(heads(trees, at + 3));
                } else if begins && (goes_on || used) && !KEYWORDS.contains(&name.as_str()) {
                    found.crates.insert(name);
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
}

/// `a::b` gives a; `{a::c, b}` gives a and b.
fn heads(trees: &[TokenTree], at: usize) -> Vec<String> {
    let Some(inner) = group(trees.get(at), Delimiter::Brace) else {
        return word(trees.get(at)).into_iter().collect();
    };
    inner.split(|tree| is_punct(Some(tree), ',')).filter_map(|branch| word(branch.first())).collect()
}

/// The word at a place, without the `r#` of a raw one.
pub fn word(tree: Option<&TokenTree>) -> Option<String> {
    match tree {
        Some(TokenTree::Ident(name)) => Some(plain(name)),
        _ => None,
    }
}

fn plain(name: &Ident) -> String {
    let text = name.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// Whether this sign stands at a place.
pub fn is_punct(tree: Option<&TokenTree>, sign: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

/// Whether `::` stands at a place.
pub fn is_separator(trees: &[TokenTree], at: usize) -> bool {
    once(at).chain(once(at + 1)).all(|at| is_punct(trees.get(at), ':'))
        && matches!(&trees[at], TokenTree::Punct(punct) if punct.spacing() == Spacing::Joint)
}

/// What a group of this sort holds.
pub fn group(tree: Option<&TokenTree>, delimiter: Delimiter) -> Option<Vec<TokenTree>> {
    match tree {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => {
            Some(group.stream().into_iter().collect())
        }
        _ => None,
    }
}
