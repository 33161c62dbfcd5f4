//! What a stage reaches.

use crate::tree::{Tree, set};

#[test]
fn a_path_in_any_place_reaches_the_file_that_it_names() {
    let tree = Tree::new(&[]);
    for source in [
        "use crate::ml::a::a;",
        "use crate::{ml::{a::{a as other}}};",
        "use crate::ml::a; fn f() { a::a() }",
        "use crate::ml::{self}; fn f() { ml::a::a() }",
        "use crate::ml as shared; fn f() { shared::a::a() }",
        "use super::ml::a::a;",
        "use crate::ml::a::*;",
        "fn f() { crate::ml::a::a() }",
        "fn f() { use crate::ml::a; a::a() }",
        "fn f(x: Vec<crate::ml::a::A>) {}",
        "fn f() { <u8 as crate::ml::a::A>::f() }",
        "fn f() { vec![crate::ml::a::a()]; }",
        "macro_rules! m { () => { $crate::ml::a::a() } }",
        "mod inner { fn f() { super::super::ml::a::a() } }",
        "#[derive(X)] struct S { #[serde(with = \"crate::ml::a\")] x: u8 }",
        "fn f() { crate::r#ml::r#a::a() }",
    ] {
        assert_eq!(tree.of(source), set(&["ml/a.rs"]), "{source}");
    }
}

#[test]
fn what_is_not_reached_does_not_count() {
    let tree = Tree::new(&[("ml/a.rs", "use crate::ml::b::b;"), ("ml/b.rs", "pub(in crate::ml) fn b() {}")]);
    assert_eq!(tree.of(""), set(&[]));
    assert_eq!(tree.of("pub(crate) struct A;"), set(&[]));
    assert_eq!(tree.of("use crate::ml::b;"), set(&[]), "a module that is imported and not used");
    assert_eq!(tree.of("use crate::ml::a::A;"), set(&["ml/a.rs", "ml/b.rs"]), "what it uses itself does");
    let tested = "#[cfg(test)] mod tests { use crate::ml::b::b; }
        #[cfg(test)] use crate::ml::c::c;
        #[cfg(test)] const fn f() { crate::ml::a::a() }
        #[path = \"gone.rs\"] #[cfg(test)] mod gone;";
    assert_eq!(tree.of(tested), set(&[]));
}

#[test]
fn a_macro_may_make_a_path_of_a_bare_name() {
    let tree = Tree::new(&[]);
    assert_eq!(tree.of("use crate::ml::a; fn f() { call!(a) }"), set(&["ml/a.rs"]));
    let all = ["ml/a.rs", "ml/b.rs", "ml/c.rs", "ml/mod.rs"];
    assert_eq!(tree.of("fn f() { call!(crate::ml) }"), set(&all), "nobody knows what it takes of it");
}

#[test]
fn a_reexport_reaches_what_it_stands_for_and_not_its_neighbours() {
    let tree = Tree::new(&[
        ("ml/mod.rs", "pub mod a; pub mod b; pub mod c; pub use a::a; pub use self::b::b as renamed;"),
        ("ml/c.rs", "pub use super::renamed as again; mod deep; pub use deep::*;"),
        ("ml/c/deep.rs", "pub struct Deep; pub mod deeper;"),
        ("ml/c/deep/deeper.rs", "pub struct Deeper;"),
    ]);
    let of = |source: &str| tree.of(source);
    assert_eq!(
        of("use crate::ml::a;"),
        set(&["ml/a.rs", "ml/mod.rs (re-exports)"]),
        "a function and a module"
    );
    assert_eq!(of("use crate::ml::renamed;"), set(&["ml/b.rs", "ml/mod.rs (re-exports)"]));
    let twice = ["ml/b.rs", "ml/c.rs (re-exports)", "ml/mod.rs (re-exports)"];
    assert_eq!(of("use crate::ml::c::again;"), set(&twice));
    assert_eq!(of("use crate::ml::c::Deep;"), set(&["ml/c.rs (re-exports)", "ml/c/deep.rs"]));
    let deeper = ["ml/c.rs (re-exports)", "ml/c/deep/deeper.rs"];
    assert_eq!(of("use crate::ml::c::deeper::Deeper;"), set(&deeper));
    let before = tree.parts("one");
    tree.write("ml/c.rs", "pub use super::a::a as again; mod deep; pub use deep::{self, *};");
    assert_eq!(tree.parts("one").keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}

#[test]
fn a_reexport_that_changes_its_target_changes_the_code() {
    let tree = Tree::new(&[("ml/mod.rs", "pub mod a; pub mod b; pub mod c; pub use a::f;")]);
    let source = "use crate::ml::{f, a::a, b::b};";
    tree.of(source);
    let before = tree.parts("one");
    tree.write("ml/mod.rs", "pub mod a; pub mod b; pub mod c; pub use b::f;");
    let after = tree.parts("one");
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert_ne!(before, after);
}

#[test]
fn an_unclear_name_counts_for_all_that_it_may_be() {
    let tree =
        Tree::new(&[("ml/mod.rs", "pub mod a; pub mod b; pub mod c; make!(); pub use a::*; pub use b::*;")]);
    let found = tree.of("use crate::ml::made;");
    assert!(found.is_superset(&set(&["ml/mod.rs"])), "{found:?}");
    let tree = Tree::new(&[("ml/c.rs", "use super::*; fn f() { a::a() }")]);
    assert_eq!(tree.of("use crate::ml::c::f;"), set(&["ml/a.rs", "ml/c.rs", "ml/mod.rs"]), "through a glob");
    let circle =
        Tree::new(&[("ml/a.rs", "pub use super::b::*;"), ("ml/b.rs", "pub use super::a::*; pub use x::*;")]);
    assert_eq!(circle.of("use crate::ml::a::nothing;"), set(&["ml/a.rs", "ml/b.rs"]));
}

#[test]
fn an_implementation_counts_though_nobody_names_its_file() {
    let model = ("ml/a.rs", "pub struct Model; pub trait Act {}");
    let of = |b: &str, one: &str| Tree::new(&[model, ("ml/b.rs", b)]).of(one);
    let with = set(&["ml/a.rs", "ml/b.rs"]);
    let without = set(&["ml/a.rs"]);
    let uses = "use crate::ml::a::Model; fn f(m: Model) { m.go() }";
    assert_eq!(of("use super::a::Model; impl Model { fn go(&self) {} }", uses), with);
    assert_eq!(
        of("use super::a::Model; impl Model { fn stay(&self) {} }", uses),
        without,
        "no method of it is called"
    );
    let bound = |head: &str| format!("struct Own<P>(P); {head} {{ fn go(&self) {{}} }}");
    assert_eq!(of(&bound("impl<P: super::a::Act> Own<P>"), uses), without, "a bound is not the type");
    assert_eq!(of(&bound("impl<P: Fn(u8) -> super::a::Model> Own<P>"), uses), without);
    assert_eq!(of(&bound("impl<P> Own<P> where P: super::a::Act"), uses), without);
    assert_eq!(of(&bound("impl<P> super::a::Model"), uses), with);
    assert_eq!(of("impl Drop for super::a::Model {}", uses), with);
    assert_eq!(of("impl super::a::Act for Vec<u8> {}", uses), with);
    assert_eq!(of("struct Own; impl super::a::Act for Own {}", uses), without, "who has none cannot use it");
    let bound = of("impl<T: super::c::C> super::a::Act for T {}", uses);
    assert_eq!(bound, set(&["ml/a.rs", "ml/b.rs", "ml/c.rs"]), "a bound is not the trait");
    assert_eq!(of("impl super::c::C for super::a::Model {}", uses), without);
    assert_eq!(of("fn f() -> impl Iterator<Item = super::a::Model> { x }", uses), without);
    assert_eq!(of("derive_all!(super::a::Model);", uses), with, "it may implement anything");
}

#[test]
fn a_macro_is_found_by_its_name() {
    let tree = Tree::new(&[
        ("ml/mod.rs", "#[macro_use] pub mod a; pub mod b; pub mod c;"),
        ("ml/a.rs", "macro_rules! add { () => {} }"),
    ]);
    assert_eq!(tree.of("fn f() { add!() }"), set(&["ml/a.rs"]));
    assert_eq!(tree.of("fn f() { other!() }"), set(&[]));
}

#[test]
fn modules_lie_where_rust_looks_for_them() {
    let tree = Tree::new(&[
        ("one/inner.rs", "fn f() {}"),
        ("one/folder/mod.rs", "mod leaf;"),
        ("one/folder/leaf.rs", "fn f() {}"),
        ("elsewhere.rs", "fn f() {}"),
        ("one/inline/below.rs", "fn f() {}"),
    ]);
    let source = "mod inner; mod folder; #[path = \"elsewhere.rs\"] mod named; mod inline { pub mod below; }
        fn f() { inner::f(); folder::leaf::f(); named::f(); inline::below::f() }";
    assert_eq!(
        tree.of(source),
        set(&["one/inner.rs", "one/folder/leaf.rs", "elsewhere.rs", "one/inline/below.rs"])
    );
}

#[test]
fn included_files_and_variables_count() {
    let tree = Tree::new(&[("tables/names.txt", "a"), ("tables/more.txt", "b")]);
    let found = tree.of(
        "const A: &str = include_str!(\"tables/names.txt\"); const V: &str = env!(\"CARGO_PKG_VERSION\");",
    );
    assert_eq!(found, set(&["tables/names.txt", "variable CARGO_PKG_VERSION"]));
    let before = tree.parts("one");
    tree.write("tables/names.txt", "other");
    let after = tree.parts("one");
    assert_ne!(before["tables/names.txt"], after["tables/names.txt"]);
}

#[test]
fn a_dependency_counts_with_all_that_it_needs_where_it_is_named() {
    let tree = Tree::new(&[("ml/a.rs", "use small_crate::X;"), ("ml/b.rs", "fn f() { ::burn::x() }")]);
    assert_eq!(tree.of("use crate::ml::a::a;"), set(&["ml/a.rs", "crate small_crate"]));
    assert_eq!(tree.of("use crate::ml::b::b;"), set(&["ml/b.rs", "crate burn"]));
    assert_eq!(tree.of("use renamed::y;"), set(&["crate renamed"]));
    assert_eq!(tree.of("extern crate burn as b;"), set(&["crate burn"]));
    tree.of("use burn::x;");
    let of = |tree: &Tree| tree.parts("one")["crate burn"].clone();
    let before = of(&tree);
    assert!(before.starts_with("1.0.0 "), "{before}");
    let lock = |from: &str, to: &str| tree.write("../Cargo.lock", &super::tree::LOCK.replace(from, to));
    lock("checksum = \"d1\"", "checksum = \"x\"");
    assert_eq!(of(&tree), before, "another version of what it needs");
    lock("checksum = \"d2\"", "checksum = \"x\"");
    assert_ne!(of(&tree), before);
    lock("", "");
    assert_eq!(of(&tree), before);
    tree.write("Cargo.toml", &super::tree::MANIFEST.replace("[\"flex\"]", "[\"flex\", \"simd\"]"));
    assert_ne!(of(&tree), before, "its features are asked for");
}

#[test]
fn the_contract_counts_for_every_stage_and_another_package_of_ours_for_its_users() {
    let with = |name: &str| {
        let dependency = format!("[dependencies]\nours = {{ path = \"ours\", package = \"{name}\" }}");
        Tree::new(&[
            ("Cargo.toml", &super::tree::MANIFEST.replace("[dependencies]", &dependency)),
            (
                "ours/Cargo.toml",
                &format!(
                    "[package]\nname = \"{name}\"\n[lib]\npath = \"lib.rs\"\n[dependencies]\nburn = \"1\"\n"
                ),
            ),
            ("ours/lib.rs", "mod a; mod report; pub use a::A; pub use report::B;"),
            ("ours/report.rs", "pub struct B;"),
            ("ours/a.rs", "use burn::x;"),
            (
                "../Cargo.lock",
                &format!(
                    "{}[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\ndependencies = [\"burn\"]\n",
                    super::tree::LOCK
                ),
            ),
        ])
    };
    let used = set(&["ours/lib.rs (re-exports)", "ours/a.rs", "crate burn"]);
    assert_eq!(with("stage-contract").of("use ours::A;"), used);
    // What a page shows is aside.
    assert_eq!(with("stage-contract").of(""), set(&["ours/a.rs", "crate burn"]));
    assert_eq!(with("kernels").of("use ours::A;"), used);
    assert_eq!(with("kernels").of(""), set(&[]));
}
