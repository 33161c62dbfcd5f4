//! What of a file counts.

use crate::tokens::{digest, lex};

fn same(one: &str, other: &str) -> bool {
    let of = |text: &str| digest(&lex(text).expect("is Rust"));
    of(one) == of(other)
}

#[test]
fn comments_documentation_and_layout_do_not_count() {
    let plain = "fn f(a: u8, b: u8) -> u8 { g(a, b) }";
    for other in [
        "// why\nfn f(a: u8, b: u8) -> u8 { /* how */ g(a, b) }",
        "//! what\n/// This.\nfn f(a: u8, b: u8) -> u8 { g(a, b) }",
        "#[doc = \"This.\"] fn f(a: u8, b: u8) -> u8 { g(a, b) }",
        "fn f(\n    a: u8,\n    b: u8,\n) -> u8 {\n    g(\n        a,\n        b,\n    )\n}\n",
    ] {
        assert!(same(plain, other), "{other}");
    }
    assert!(same("fn f() { g(long) }", "fn f() { g(\n    long,\n) }"));
    assert!(same("struct S { a: u8 }", "struct S {\n    /// What.\n    a: u8,\n}"));
    assert!(same("x! { /// What.\n a }", "x! { a }"), "also of what a macro is given");
}

#[test]
fn tests_do_not_count() {
    let plain = "fn f() {}";
    for other in [
        "fn f() {} #[cfg(test)] mod tests { fn g() {} }",
        "#[cfg(test)] mod tests; fn f() {}",
        "#[cfg(test)] #[path = \"x.rs\"] pub(crate) mod tests; fn f() {}",
        "#[cfg(test)] use a::{b, c}; fn f() {}",
        "#[cfg(test)] const A: B = B { c: 1 }; fn f() {}",
        "#[allow(x)] #[cfg(test)] pub const fn g() { } fn f() {}",
    ] {
        assert!(same(plain, other), "{other}");
    }
}

#[test]
fn every_token_counts() {
    for (one, other) in [
        ("fn f() { 1 }", "fn f() { 2 }"),
        ("fn f() { \"a b\" }", "fn f() { \"a  b\" }"),
        ("fn f() { a && b }", "fn f() { a & &b }"),
        ("fn f() { (a,) }", "fn f() { (a) }"),
        ("fn f() { return (a,) }", "fn f() { return (a) }"),
        ("fn f() { m!(a,) }", "fn f() { m!(a) }"),
        ("fn f() { [a, b] }", "fn f() { [b, a] }"),
        ("fn f() { ab }", "fn f() { a b }"),
        ("fn f() { { a } b }", "fn f() { { a b } }"),
        ("#[cfg(not(test))] fn f() {}", ""),
        ("#[cfg(all(test, x))] fn f() {}", ""),
        ("struct S { #[cfg(test)] a: u8, b: u8 }", "struct S { b: u8 }"),
        ("x! { #[cfg(test)] mod a {} }", "x! { }"),
        ("#[inline] fn f() {}", "fn f() {}"),
    ] {
        assert!(!same(one, other), "{one}\n{other}");
    }
}
