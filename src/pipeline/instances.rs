//! `foreach` and `matrix`: one table, expanded into several stages.
//!
//! The instances of `[stage.prune]` are called `prune@<key>`. With `foreach` the key is the item, or its name
//! where items have names (`foreach = { t2 = 2.0 }`); with `matrix` it is `temperature=2.5,heads=0.25`, in
//! the order of the file. A key is made of letters, digits, `.`, `_`, `-` (and `=`, `,`), so that an id needs
//! no quotes in any shell and is a file name on every file system. It does not depend on the other values:
//! adding one keeps all other ids, and with them their results.

use std::{borrow::Cow, collections::BTreeMap};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    fill::{Binding, fill},
    keys::{Table, Value, expect_name, is_name, scalar_text, type_name, wrong_type},
};
use crate::problem::{Code, Location, Problem, Problems};

/// A table with more instances is assumed to be a mistake.
const MAX_INSTANCES: usize = 256;

/// In bytes. A file name has at most 255, and some are longer than the id that they are made from.
const MAX_ID_BYTES: usize = 200;

const FOREACH: &str = "foreach = [\"a\", \"b\"]";
const MATRIX: &str = "matrix = { temperature = [2.0, 3.0] }";

/// A stage's table with its placeholders substituted.
pub(super) struct Instance<'a> {
    pub id: String,
    pub table: Cow<'a, DeTable<'a>>,
    /// The names of the placeholders that the table may contain.
    pub names: Vec<String>,
    /// A placeholder could not be substituted; since that was reported, errors that follow from it are not.
    pub broken: bool,
}

/// A value of an axis, and its name in ids.
struct Item<'a> {
    name: String,
    value: Value<'a>,
}

/// Whether this is a valid stage id in a reference: a name, or an instance's id.
pub(super) fn is_id(text: &str) -> bool {
    match text.split_once('@') {
        None => is_name(text),
        Some((family, key)) => {
            let allowed = |c: char| is_key_char(c) || matches!(c, '=' | ',');
            is_name(family) && !key.is_empty() && key.chars().all(allowed)
        }
    }
}

/// The stages that a table expands to: one without `foreach` and `matrix`; `None` when these are invalid,
/// which was reported.
pub(super) fn expand<'a>(
    id: &str,
    header: &Location,
    table: &Table<'a>,
    problems: &mut Problems,
) -> Option<Vec<Instance<'a>>> {
    let rows = match (table.get("foreach"), table.get("matrix")) {
        (None, None) => {
            let entries = Cow::Borrowed(table.entries);
            return Some(vec![Instance {
                id: id.to_owned(),
                table: entries,
                names: Vec::new(),
                broken: false,
            }]);
        }
        (Some((foreach, _)), Some((matrix, _))) => {
            problems.push(
                Problem::new(Code::ForeachAndMatrix, format!("stage `{id}` is expanded in two ways"))
                    .at(&table.location(foreach.span()), "here")
                    .at(&table.location(matrix.span()), "and here")
                    .help("keep `matrix`, and make the values of `foreach` one of its keys"),
            );
            None
        }
        (Some((_, value)), None) => foreach(table, value, problems),
        (None, Some(_)) => matrix(table, problems),
    };
    let mut instances = Vec::new();
    for bindings in rows? {
        let key = bindings.get("key").map(Binding::text).unwrap_or_default();
        let id = format!("{id}@{key}");
        if id.len() > MAX_ID_BYTES {
            problems.push(
                Problem::new(Code::BadInstance, format!("`{id}` is too long to be the name of a folder"))
                    .at(header, "expanded from here")
                    .help(format!("give the values shorter names, as in `{NAMED}`")),
            );
            return None;
        }
        expect_free(table, &bindings, problems);
        let before = problems.len();
        let filled = Cow::Owned(fill(table, &bindings, problems));
        let broken = problems.len() > before;
        instances.push(Instance { id, table: filled, names: bindings.into_keys().collect(), broken });
    }
    Some(instances)
}

/// An example that names values that cannot be part of an id.
const NAMED: &str = "{ short = \"a longer value\" }";

fn foreach<'a>(
    table: &Table<'a>,
    value: &Value<'a>,
    problems: &mut Problems,
) -> Option<Vec<BTreeMap<String, Binding<'a>>>> {
    let items = axis(table, "foreach", FOREACH, value, problems)?;
    expect_few(items.len(), &table.location(value.span()), problems)?;
    let row = |item: Item<'a>| {
        let key = Binding::new(Spanned::new(item.value.span(), DeValue::String(item.name.into())));
        BTreeMap::from([("key".to_owned(), key), ("item".to_owned(), Binding::new(item.value))])
    };
    Some(items.into_iter().map(row).collect())
}

/// The Cartesian product of all axes, the last one varying fastest.
fn matrix<'a>(table: &Table<'a>, problems: &mut Problems) -> Option<Vec<BTreeMap<String, Binding<'a>>>> {
    let before = problems.len();
    let (key, value) = table.get("matrix")?;
    let axes = table.table("matrix", MATRIX, problems)?;
    let whole = table.location(value.span());
    let mut read = Vec::new();
    for (name, value) in axes.entries {
        expect_name("matrix's key", name.get_ref(), &axes.location(name.span()), problems);
        read.push((name.get_ref().to_string(), axis(&axes, name.get_ref(), MATRIX, value, problems)));
    }
    if axes.entries.is_empty() {
        problems.push(empty("matrix", MATRIX, &whole));
    }
    let count = read.iter().map(|(_, items)| items.as_ref().map_or(1, Vec::len));
    expect_few(count.fold(1, usize::saturating_mul), &whole, problems)?;
    if problems.len() > before {
        return None;
    }
    let mut rows = vec![(String::new(), BTreeMap::new())];
    for (axis, items) in read {
        let mut longer = Vec::new();
        for (id, row) in &rows {
            for item in items.iter().flatten() {
                let mut row: BTreeMap<_, _> = row.clone();
                row.insert(format!("matrix.{axis}"), Binding::new(item.value.clone()));
                let comma = if id.is_empty() { "" } else { "," };
                longer.push((format!("{id}{comma}{axis}={}", item.name), row));
            }
        }
        rows = longer;
    }
    let keyed = |(id, mut row): (String, BTreeMap<_, _>)| {
        row.insert("key".to_owned(), Binding::new(Spanned::new(key.span(), DeValue::String(id.into()))));
        row
    };
    Some(rows.into_iter().map(keyed).collect())
}

/// The values of one axis: a list of scalars, or a table that names each value.
fn axis<'a>(
    table: &Table<'a>,
    key: &str,
    example: &str,
    value: &Value<'a>,
    problems: &mut Problems,
) -> Option<Vec<Item<'a>>> {
    let before = problems.len();
    let whole = table.location(value.span());
    let mut items = Vec::new();
    match value.get_ref() {
        DeValue::Array(values) => {
            for value in values {
                match scalar_text(value.get_ref()) {
                    Some(name) => {
                        items.push((table.location(value.span()), Item { name, value: value.clone() }));
                    }
                    None => problems.push(
                        Problem::new(
                            Code::BadInstance,
                            format!("{} has no name to make an id of", type_name(value.get_ref())),
                        )
                        .at(&table.location(value.span()), "this value")
                        .help(format!(
                            "give each value a name, as in `{key} = {{ first = [1, 2], second = [3] }}`"
                        )),
                    ),
                }
            }
        }
        DeValue::Table(values) => {
            for (name, value) in values {
                let item = Item { name: name.get_ref().to_string(), value: value.clone() };
                items.push((table.location(name.span()), item));
            }
        }
        other => {
            problems
                .push(wrong_type(key, "a list or a table", other, &whole).help(format!("write `{example}`")));
        }
    }
    if items.is_empty() && problems.len() == before {
        problems.push(empty(key, example, &whole));
    }
    let mut seen: BTreeMap<&str, &Location> = BTreeMap::new();
    for (place, Item { name, .. }) in &items {
        if name.is_empty() || !name.chars().all(is_key_char) {
            problems.push(
                Problem::new(Code::BadInstance, format!("no id can be made of `{name}`"))
                    .at(place, "letters, digits, `.`, `_` and `-` only")
                    .help(format!("give the values plain names, as in `{key} = {NAMED}`")),
            );
        }
        if let Some(first) = seen.insert(name, place) {
            problems.push(
                Problem::new(Code::DuplicateInstance, format!("`{name}` is there twice"))
                    .at(first, "this")
                    .at(place, "and this")
                    .help("remove one of them"),
            );
        }
    }
    (problems.len() == before).then(|| items.into_iter().map(|(_, item)| item).collect())
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn empty(key: &str, example: &str, place: &Location) -> Problem {
    Problem::new(Code::NoInstance, format!("`{key}` has no values, so that there is nothing to expand"))
        .at(place, "empty")
        .help(format!("write values, as in `{example}`, or remove it"))
}

fn expect_few(count: usize, place: &Location, problems: &mut Problems) -> Option<()> {
    if count <= MAX_INSTANCES {
        return Some(());
    }
    problems.push(
        Problem::new(
            Code::TooManyInstances,
            format!("these are {count} stages; at most {MAX_INSTANCES} are expanded"),
        )
        .at(place, "too many")
        .help("take fewer values"),
    );
    None
}

/// No port may have the name of a placeholder: `{item}` would be ambiguous.
fn expect_free(table: &Table<'_>, bindings: &BTreeMap<String, Binding<'_>>, problems: &mut Problems) {
    for port in ["inputs", "outputs"] {
        let Some((_, value)) = table.get(port) else { continue };
        for name in value.get_ref().as_table().into_iter().flat_map(DeTable::keys) {
            if bindings.contains_key(name.get_ref().as_ref()) {
                problems.push(
                    Problem::new(
                        Code::DuplicateName,
                        format!("`{{{}}}` could be two things", name.get_ref()),
                    )
                    .at(&table.location(name.span()), "this, or what is expanded")
                    .help("give it another name"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::Manifest, problem::Text};

    /// The ids of what a table is expanded to, and the `x` of each.
    fn expanded(table: &str) -> Vec<(String, String)> {
        let text = Text::new("p", table);
        let manifest = Manifest::parse(&text).expect("is TOML");
        let mut problems = Problems::new();
        let table = Table { text: &text, entries: &manifest.table };
        let instances = expand("s", &text.location(0..0), &table, &mut problems).unwrap_or_default();
        assert!(problems.is_empty(), "{problems}");
        let x = |instance: &Instance<'_>| match instance.table.get("x").map(Spanned::get_ref) {
            Some(DeValue::String(text)) => format!("'{text}'"),
            Some(other) => scalar_text(other).unwrap_or_else(|| type_name(other).to_owned()),
            None => String::new(),
        };
        instances.iter().map(|instance| (instance.id.clone(), x(instance))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(id, x)| ((*id).to_owned(), (*x).to_owned())).collect()
    }

    #[test]
    fn a_table_without_axes_is_one_stage_and_its_braces_are_its_own() {
        assert_eq!(expanded("x = \"{item}\""), pairs(&[("s", "'{item}'")]));
    }

    #[test]
    fn a_value_keeps_its_type_where_it_is_the_whole_and_is_text_within_text() {
        assert_eq!(expanded("foreach = [2.0, 3]\nx = \"{item}\""), pairs(&[("s@2.0", "2.0"), ("s@3", "3")]));
        assert_eq!(expanded("foreach = [2.50]\nx = \"a-{item}\""), pairs(&[("s@2.5", "'a-2.5'")]));
        assert_eq!(
            expanded("foreach = { t2 = [1], t3 = true }\nx = \"{item}\""),
            pairs(&[("s@t2", "a list"), ("s@t3", "true")])
        );
        assert_eq!(
            expanded("foreach = { t2 = 2.0 }\nx = \"{key} {{item}}\""),
            pairs(&[("s@t2", "'t2 {item}'")])
        );
    }

    #[test]
    fn a_matrix_is_every_combination_in_the_order_of_the_file() {
        let table = "matrix = { temperature = [2.0, 3.0], heads = { few = 0.5 } }\nx = \"{matrix.heads}\"";
        let expected = [("s@temperature=2.0,heads=few", "0.5"), ("s@temperature=3.0,heads=few", "0.5")];
        assert_eq!(expanded(table), pairs(&expected));
    }

    #[test]
    fn ids_are_told_from_other_text() {
        for id in ["a", "prune@2.5", "prune@temperature=2.5,heads=-0.25"] {
            assert!(is_id(id), "{id}");
        }
        for text in ["", "a@", "@a", "a/b", "a@b/c", "a@b c", "A@b"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
