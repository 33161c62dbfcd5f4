//! A crate's modules, as its files declare them, and what each says about others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenTree};

use super::{
    references::{Reference, Way, references},
    tokens::{self, group, is_punct, word},
};

/// A file of source.
pub struct File {
    /// Where it lies.
    pub path: PathBuf,
    /// The hash of its tokens.
    pub digest: String,
    /// The modules in it: its own, and those written inside of it.
    pub modules: Vec<usize>,
    /// Files that `include_str!` and the like put into it; none where that cannot be told.
    pub data: Vec<Option<PathBuf>>,
    /// Variables that `env!` puts into it.
    pub variables: Vec<String>,
    /// What it asks for by bare names: see [`tokens::words`].
    pub words: BTreeSet<String>,
    /// Macros that it defines, each with a `!`.
    pub macros: BTreeSet<String>,
}

/// A module: what its names mean.
#[derive(Default)]
pub struct Module {
    /// Its file, by number.
    pub file: usize,
    /// The module it lies in; none for a crate's root.
    pub parent: Option<usize>,
    /// Modules in it, by name; several where `cfg` chooses one of them.
    pub children: BTreeMap<String, Vec<usize>>,
    /// Names that it defines itself.
    pub items: BTreeSet<String>,
    /// Names that it imports, and what each stands for.
    pub imports: BTreeMap<String, Vec<Vec<String>>>,
    /// Modules whose names it all imports.
    pub globs: Vec<Vec<String>>,
    /// All that it refers to.
    pub references: Vec<Reference>,
    /// For each `impl`: what it implements, and for what.
    pub impls: Vec<Impl>,
}

/// The head of an `impl`, or a macro that may make one.
#[derive(Default)]
pub struct Impl {
    /// The macro, with a `!`.
    pub maker: Option<String>,
    /// What an `impl` without a trait defines, each with a `.`: nothing comes of it but by these names.
    pub names: Option<BTreeSet<String>>,
    /// The trait, if there is one, and all that stands with it.
    pub of: Vec<Vec<String>>,
    /// The type.
    pub target: Vec<Vec<String>>,
}

/// All modules of some crates.
#[derive(Default)]
pub struct Modules {
    /// By number.
    pub files: Vec<File>,
    /// By number.
    pub modules: Vec<Module>,
}

/// Where a module's source lies, and where those of its children do.
struct Place {
    parent: Option<usize>,
    file: usize,
    /// The folder of its children.
    folder: PathBuf,
    /// The folder that `#[path]` starts from.
    beside: PathBuf,
}

impl Modules {
    /// Reads a crate from its root file, and gives the root module.
    pub fn read(&mut self, root: &Path) -> Result<usize, String> {
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        self.file(root, folder, None)
    }

    /// All modules in a module, and itself.
    pub fn within(&self, module: usize) -> Vec<usize> {
        let children = self.modules[module].children.values().flatten();
        let mut found = vec![module];
        found.extend(children.flat_map(|&child| self.within(child)));
        found
    }

    fn file(&mut self, path: &Path, folder: PathBuf, parent: Option<usize>) -> Result<usize, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let trees = tokens::lex(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let beside = path.parent().unwrap_or(Path::new("")).to_owned();
        let data = tokens::calls(&trees, &["include_str", "include_bytes", "include"]);
        let variables = tokens::calls(&trees, &["env", "option_env"]);
        self.files.push(File {
            path: path.to_owned(),
            digest: tokens::digest(&trees),
            modules: Vec::new(),
            data: data.into_iter().map(|(_, path)| path.map(|path| beside.join(path))).collect(),
            variables: variables.into_iter().filter_map(|(_, name)| name).collect(),
            words: tokens::words(&trees),
            macros: BTreeSet::new(),
        });
        let place = Place { parent, file: self.files.len() - 1, folder, beside };
        self.module(&trees, &place)
    }

    fn module(&mut self, trees: &[TokenTree], place: &Place) -> Result<usize, String> {
        let number = self.modules.len();
        self.modules.push(Module { file: place.file, parent: place.parent, ..Module::default() });
        self.files[place.file].modules.push(number);
        let mut own = Vec::new();
        let mut named = None;
        let mut at = 0;
        while at < trees.len() {
            let name = word(trees.get(at + 1));
            match (word(trees.get(at)).as_deref(), name) {
                (Some("mod"), Some(name)) => {
                    let folder = place.folder.join(&name);
                    let child = if let Some(body) = group(trees.get(at + 2), Delimiter::Brace) {
                        let beside = folder.clone();
                        self.module(&body, &Place { parent: Some(number), file: place.file, folder, beside })?
                    } else {
                        let (path, folder) = locate(place, &name, named.take())?;
                        self.file(&path, folder, Some(number))?
                    };
                    self.modules[number].children.entry(name).or_default().push(child);
                    named = None;
                    at += 3;
                    continue;
                }
                (
                    Some("fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static"),
                    Some(name),
                ) => {
                    self.modules[number].items.insert(name);
                }
                (Some("macro_rules"), _) => {
                    let name = word(trees.get(at + 2)).unwrap_or_default();
                    self.modules[number].items.insert(name.clone());
                    self.files[place.file].macros.insert(format!("{name}!"));
                }
                (Some("impl"), _) if begins_item(trees, at) => {
                    let end =
                        trees[at..].iter().position(|tree| group(Some(tree), Delimiter::Brace).is_some());
                    let head = &trees[at + 1..end.map_or(trees.len(), |end| at + end)];
                    let body =
                        end.and_then(|end| group(trees.get(at + end), Delimiter::Brace)).unwrap_or_default();
                    self.modules[number].impls.push(Impl::read(head, &body));
                }
                (Some(maker), _) if begins_item(trees, at) && is_punct(trees.get(at + 1), '!') => {
                    let given = trees.get(at + 2).cloned();
                    let (maker, target) = (Some(format!("{maker}!")), names(given.as_slice()));
                    self.modules[number].impls.push(Impl { maker, target, ..Impl::default() });
                }
                _ => {}
            }
            named = path_attribute(trees, at).or(named).filter(|_| !is_punct(trees.get(at), ';'));
            own.push(trees[at].clone());
            at += 1;
        }
        let found = references(&own);
        let module = &mut self.modules[number];
        for Reference { path, way } in &found {
            match way {
                Way::Import(Some(name)) => module.imports.entry(name.clone()).or_default().push(path.clone()),
                Way::Glob => module.globs.push(path.clone()),
                Way::Import(None) | Way::Plain => {}
            }
        }
        module.references = found;
        Ok(number)
    }
}

impl Impl {
    fn read(head: &[TokenTree], body: &[TokenTree]) -> Self {
        let is = |tree: &TokenTree, name: &str| word(Some(tree)).is_some_and(|word| word == name);
        let end = head.iter().position(|tree| is(tree, "where")).unwrap_or(head.len());
        let head = &head[..end];
        // `for<'a>` is another one.
        let split = (0..end).find(|&at| is(&head[at], "for") && !is_punct(head.get(at + 1), '<'));
        match split {
            Some(at) => {
                Self { of: names(bare(&head[..at])), target: names(&head[at + 1..]), ..Self::default() }
            }
            None => Self { target: names(bare(head)), names: defined(body), ..Self::default() },
        }
    }
}

/// A head without the generics that it begins with: their bounds, as those after `where`, are no part of a type.
fn bare(head: &[TokenTree]) -> &[TokenTree] {
    let mut depth = 0;
    for (at, tree) in head.iter().enumerate() {
        match tree {
            TokenTree::Punct(sign) if sign.as_char() == '<' => depth += 1,
            // The end of `->` ends nothing.
            TokenTree::Punct(sign) if sign.as_char() == '>' && !is_punct(head[..at].last(), '-') => {
                depth -= 1;
            }
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { head } else { &head[at + 1..] };
        }
    }
    head
}

/// The names that an `impl` defines; none where a macro may define more.
fn defined(body: &[TokenTree]) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (at, tree) in body.iter().enumerate() {
        match word(Some(tree)).as_deref() {
            Some("fn" | "const" | "type") => {
                found.extend(word(body.get(at + 1)).map(|name| format!(".{name}")));
            }
            Some(_) if begins_item(body, at) && is_punct(body.get(at + 1), '!') => return None,
            _ => {}
        }
    }
    Some(found)
}

/// Whether an item may begin here: `-> impl Iterator` is none.
fn begins_item(trees: &[TokenTree], at: usize) -> bool {
    match at.checked_sub(1).map(|before| &trees[before]) {
        None | Some(TokenTree::Group(_)) => true,
        Some(TokenTree::Ident(name)) => name == "unsafe" || name == "default",
        Some(sign) => is_punct(Some(sign), ';'),
    }
}

/// Every name in tokens, with its path.
fn names(trees: &[TokenTree]) -> Vec<Vec<String>> {
    let mut found: Vec<_> = references(trees).into_iter().map(|reference| reference.path).collect();
    for tree in trees {
        match tree {
            TokenTree::Ident(name) => found.push(vec![name.to_string()]),
            TokenTree::Group(group) => found.extend(names(&group.stream().into_iter().collect::<Vec<_>>())),
            _ => {}
        }
    }
    found
}

/// What `#[path = ".."]` says, at its bracket.
fn path_attribute(trees: &[TokenTree], at: usize) -> Option<String> {
    let inner =
        group(trees.get(at), Delimiter::Bracket).filter(|_| at > 0 && is_punct(trees.get(at - 1), '#'))?;
    match inner.as_slice() {
        [TokenTree::Ident(name), _, TokenTree::Literal(path)] if name == "path" => tokens::text(path),
        _ => None,
    }
}

/// The file of `mod name;`, and the folder of its children.
fn locate(place: &Place, name: &str, named: Option<String>) -> Result<(PathBuf, PathBuf), String> {
    if let Some(named) = named {
        let path = place.beside.join(named);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        return Ok((path, folder));
    }
    let (file, folder) = (place.folder.join(format!("{name}.rs")), place.folder.join(name));
    let inside = folder.join("mod.rs");
    match (file.is_file(), inside.is_file()) {
        (true, _) => Ok((file, folder)),
        (_, true) => Ok((inside, folder)),
        _ => Err(format!("no file for the module `{name}` in {}", place.folder.display())),
    }
}
