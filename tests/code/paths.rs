//! What a stage's code is made of.

use crate::tree::{LOCK, MANIFEST, Tree, set};

/// A package of ours, `name`, that depends on `needs` and is called `name` in the stages.
fn with_package(name: &str, needs: &str, files: &[(&str, &str)]) -> Tree {
    let manifest =
        format!("[package]\nname = \"{name}\"\n[lib]\npath = \"lib.rs\"\n[dependencies]\n{needs}\n");
    let dependency = format!("[dependencies]\nours = {{ path = \"ours\", package = \"{name}\" }}");
    let mut all =
        vec![("Cargo.toml", MANIFEST.replace("[dependencies]", &dependency)), ("ours/Cargo.toml", manifest)];
    all.push((
        "../Cargo.lock",
        format!("{LOCK}[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\ndependencies = [\"burn\"]\n"),
    ));
    all.extend(files.iter().map(|(path, text)| (*path, (*text).to_owned())));
    Tree::new(&all.iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>())
}

#[test]
fn a_stages_own_files_count_and_nobody_elses() {
    let tree = Tree::new(&[
        ("one/inner.rs", "fn f() {}"),
        ("one/tables/names.txt", "a"),
        ("two/inner.rs", "fn f() {}"),
        ("one/tests.rs", "fn f() {}"),
        ("one/tests/more.rs", "fn f() {}"),
        ("build/main.rs", "fn main() {}"),
        ("testdata/golden.json", "{}"),
    ]);
    assert_eq!(tree.of(""), set(&["one/inner.rs", "one/tables/names.txt"]));
    let before = tree.parts("one");
    tree.write("one/tables/names.txt", "other");
    assert_ne!(before["one/tables/names.txt"], tree.parts("one")["one/tables/names.txt"]);
}

#[test]
fn a_package_counts_where_a_path_begins_with_its_name() {
    let tree =
        with_package("shared", "burn = \"1\"", &[("ours/lib.rs", "mod a;"), ("ours/a.rs", "fn a() {}")]);
    let all = set(&["ours/lib.rs", "ours/a.rs", "crate burn"]);
    for source in [
        "use ours::a;",
        "use ours;",
        "use ours as other;",
        "use {std::fs, ours::a};",
        "extern crate ours;",
        "fn f() { ours::a() }",
        "fn f() { ::ours::a() }",
        "fn f(x: Vec<ours::A>) {}",
        "fn f() { <u8 as ours::A>::f() }",
        "fn f() { vec![ours::a()]; }",
        "macro_rules! m { () => { ours::a() } }",
        "#[derive(X)] struct S { #[serde(with = \"ours::a\")] x: u8 }",
        "fn f() { r#ours::a() }",
    ] {
        assert_eq!(tree.of(source), all, "{source}");
    }
    for source in [
        "fn f(ours: u8) { ours + 1 }",
        "fn f(x: X) { x.ours() }",
        "fn f() { other::ours::a() }",
        "struct S { ours: u8 }",
        "#[cfg(test)] mod tests { use ours::a; }",
        "#[cfg(any(test, feature = \"testing\"))] use ours::a;",
        "// ours::a\nfn f() { \"ours\" }",
    ] {
        assert_eq!(tree.of(source), set(&[]), "{source}");
    }
}

#[test]
fn a_package_brings_what_cargo_says_that_it_depends_on() {
    let tree = with_package(
        "shared",
        "deeper = { path = \"../deeper\" }\n[dev-dependencies]\nburn = \"1\"",
        &[
            ("ours/lib.rs", "fn a() {}"),
            ("deeper/Cargo.toml", "[package]\nname = \"deeper\"\n[lib]\npath = \"lib.rs\""),
            ("deeper/lib.rs", "fn b() {}"),
            ("deeper/testing.rs", "fn of_tests() {}"),
        ],
    );
    assert_eq!(tree.of("use ours::a;"), set(&["ours/lib.rs", "deeper/lib.rs"]));
}

#[test]
fn modules_that_a_package_sets_aside_decide_no_result_and_must_be_there() {
    let aside = "burn = \"1\"\n[package.metadata.results]\naside = [\"report\"]";
    let tree = with_package(
        "shared",
        aside,
        &[("ours/lib.rs", "mod report;"), ("ours/report.rs", "fn r() {}"), ("ours/report/table.rs", "")],
    );
    assert_eq!(tree.of("use ours::a;"), set(&["ours/lib.rs", "crate burn"]));
    let gone = with_package("shared", aside, &[("ours/lib.rs", "")]);
    assert_eq!(gone.refusal(), "shared sets report aside, which is not there");
}

#[test]
fn what_would_escape_is_refused() {
    for (source, refusal) in [
        ("use crate::two::Two;", "stage one names crate::two: what stages share is a package"),
        ("use crate::{one::a, shared};", "stage one names crate::shared: what stages share is a package"),
        ("mod tests;", "one.rs: `mod tests` must be for tests alone: that name is left out of results"),
        (
            "const A: &str = include_str!(\"../../a.txt\");",
            "one.rs: ../../a.txt lies outside of the folder, and so in no result",
        ),
    ] {
        let tree = Tree::new(&[("one.rs", &format!("{source} struct One; impl Stage for One {{}}"))]);
        let found = tree.refusal();
        assert!(found.ends_with(refusal), "{source}: {found}");
    }
}

#[test]
fn variables_that_are_compiled_in_count() {
    let tree = Tree::new(&[]);
    let found =
        tree.of("const V: &str = env!(\"CARGO_PKG_VERSION\"); const P: &str = env!(\"CARGO_MANIFEST_DIR\");");
    assert_eq!(found, set(&["variable CARGO_PKG_VERSION"]));
}

#[test]
fn a_dependency_counts_with_all_that_it_needs_where_it_is_named() {
    let tree = Tree::new(&[]);
    assert_eq!(tree.of("use small_crate::X;"), set(&["crate small_crate"]));
    assert_eq!(tree.of("use renamed::y;"), set(&["crate renamed"]));
    assert_eq!(tree.of("extern crate burn as b;"), set(&["crate burn"]));
    tree.of("use burn::x;");
    let of = |tree: &Tree| tree.parts("one")["crate burn"].clone();
    let before = of(&tree);
    assert!(before.starts_with("1.0.0 "), "{before}");
    let lock = |from: &str, to: &str| tree.write("../Cargo.lock", &LOCK.replace(from, to));
    lock("checksum = \"d1\"", "checksum = \"x\"");
    assert_eq!(of(&tree), before, "another version of what it needs");
    lock("checksum = \"d2\"", "checksum = \"x\"");
    assert_ne!(of(&tree), before);
    lock("", "");
    assert_eq!(of(&tree), before);
    tree.write("Cargo.toml", &MANIFEST.replace("[\"flex\"]", "[\"flex\", \"simd\"]"));
    assert_ne!(of(&tree), before, "its features are asked for");
}

#[test]
fn the_contract_counts_for_every_stage_and_another_package_of_ours_for_its_users() {
    let files = [("ours/lib.rs", "mod a; pub use a::A;"), ("ours/a.rs", "use burn::x;")];
    let with = |name: &str| with_package(name, "burn = \"1\"", &files);
    let wanted = set(&["ours/lib.rs", "ours/a.rs", "crate burn"]);
    assert_eq!(with("stage-contract").of("use ours::A;"), wanted);
    assert_eq!(with("stage-contract").of(""), wanted);
    assert_eq!(with("kernels").of("use ours::A;"), wanted);
    assert_eq!(with("kernels").of(""), set(&[]));
}
