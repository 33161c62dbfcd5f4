//! What tests of this package and of those above share.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
};

/// A part of the real case, when `NER_PIPE_REAL` says where that lies; else a line says that the test is skipped,
/// past the test harness, which shows nothing of a test that passes.
#[expect(clippy::disallowed_methods, reason = "tests alone may be told where the real case lies")]
#[must_use]
pub fn real(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NER_PIPE_REAL");
    if root.is_none() {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let _ = writeln!(io::stderr(), "SKIPPED {test}: set NER_PIPE_REAL to the folder of the real case");
    }
    root.map(|root| Path::new(&root).join(part))
}
