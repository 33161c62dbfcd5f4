//! Reading and writing of the files that hold text.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use stage_contract::StageError;

use super::unpack::unpack;
use crate::{encoding, folder};

/// A file's text: UTF-8, or what a byte order mark says; ends of lines as `\n`.
///
/// # Errors
/// Unreadable, or of another encoding: with the place and what the file seems to be.
pub fn read(path: &Path) -> Result<String, StageError> {
    decoded(bytes(path)?, path, None).map(|(text, _)| text)
}

/// As [`read`], where no byte order mark is in the encoding `named`, and with the ends of lines as they stand, which offsets
/// may count.
pub(super) fn as_it_stands(path: &Path, named: Option<&str>) -> Result<String, StageError> {
    encoding::decode(bytes(path)?, path, named).map(|(text, _)| text)
}

/// A file's bytes, decompressed.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, StageError> {
    unpack(folder::read(path)?, path)
}

/// Where a file with a byte order mark was put behind another.
const JOINED: &str = "\n\u{feff}";

/// The text that bytes are, and the name of its encoding; ends of lines as `\n`, no byte order marks.
pub(super) fn decoded(
    bytes: Vec<u8>,
    path: &Path,
    named: Option<&str>,
) -> Result<(String, &'static str), StageError> {
    let (text, encoding) = encoding::decode(bytes, path, named)?;
    let text = with_line_feeds(text);
    // Files that were joined have the byte order mark of each.
    let text = if text.contains(JOINED) { text.replace(JOINED, "\n") } else { text };
    Ok((text, encoding))
}

/// A text whose lines end with `\n`: `\r` alone ends one too, as on old Macs, but not before another end.
pub(super) fn with_line_feeds(text: String) -> String {
    if !text.contains('\r') {
        return text;
    }
    let mut changed = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => changed.extend([line.trim_end_matches('\r'), "\n"]),
            None => changed.push_str(line),
        }
    }
    changed.replace('\r', "\n")
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
