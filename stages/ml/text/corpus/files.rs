//! Reading and writing of the files that hold text.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use stage_contract::StageError;

use crate::{encoding, folder};

/// A file's text: UTF-8, a byte order mark left out, ends of lines as `\n`.
///
/// # Errors
/// Unreadable, or no UTF-8: with the place and what the file seems to be.
pub fn read(path: &Path) -> Result<String, StageError> {
    let bytes = folder::read(path)?;
    // ASCII in UTF-16 is UTF-8 too.
    if encoding::is_wide(&bytes) {
        return Err(
            StageError::new(format!("{}: not UTF-8", path.display())).help(encoding::advice(&bytes, path))
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].split(|&b| b == b'\n').count();
        StageError::new(format!("{}:{line}: not UTF-8", path.display()))
            .help(encoding::advice(error.as_bytes(), path))
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text })
}

/// What serde says of a line, without the values it quotes: they may be text of the corpus.
#[must_use]
pub fn json_problem(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let column = error.column();
    match error.classify() {
        Category::Eof => "the JSON ends too early".to_owned(),
        Category::Syntax => format!("no JSON at column {column}"),
        Category::Io => "unreadable".to_owned(),
        Category::Data => {
            let message = error.to_string();
            // The names of fields are ours; `invalid type: string ".."` quotes the file.
            if message.starts_with("missing field") || message.starts_with("duplicate field") {
                message.split(" at line").next().unwrap_or_default().to_owned()
            } else {
                format!("a field that is unknown or of another type at column {column}")
            }
        }
    }
}

/// Writes a file through a buffer.
///
/// # Errors
/// When the disk refuses.
pub fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<fs::File>) -> Result<(), std::io::Error>,
) -> Result<(), StageError> {
    let file = fs::File::create(path).map_err(|e| StageError::io("create", path, e))?;
    let mut out = BufWriter::new(file);
    content(&mut out).and_then(|()| out.flush()).map_err(|e| StageError::io("write", path, e))
}
