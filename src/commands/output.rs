//! Writing what a command has to say: a reader that has seen enough (`| head`) is no error.

use std::io::{self, ErrorKind, Write};

use console::Term;
use stage_contract::{
    StageError,
    terminal::{self, stdout},
};

use crate::watch::{columns, wrap};

/// Writes lines.
pub(super) fn emit(out: &mut impl Write, lines: impl IntoIterator<Item = String>) -> Result<(), StageError> {
    let written = lines.into_iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    forgive(written).map_err(|e| StageError::because("cannot write the output", e))
}

/// Lines for people: broken between words on a terminal.
pub(super) fn wrapped(lines: Vec<String>) -> Vec<String> {
    let columns = columns(&Term::stdout());
    lines.into_iter().map(|line| wrap(&line, columns)).collect()
}

/// Writes a whole text.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &[u8]) -> Result<(), StageError> {
    write(stdout(), text)
}

/// Writes what would else be a file.
pub(super) fn document(text: &[u8]) -> Result<(), StageError> {
    write(terminal::document(), text)
}

fn write(mut out: impl Write, text: &[u8]) -> Result<(), StageError> {
    let written = out.write_all(text).and_then(|()| out.flush());
    forgive(written).map_err(|e| StageError::because("cannot write the output", e))
}

pub(super) fn forgive(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
