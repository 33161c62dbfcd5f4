//! Lines of a file or a pipe, a chunk at a time.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use stage_contract::StageError;

use text::encoding;

/// Most lines in a chunk: enough to fill batches, few enough to hold.
pub(super) const MOST: usize = 512;

/// Reads lines from something, in chunks.
pub(super) struct Lines<R> {
    name: String,
    /// What is read, where it is a file.
    file: Option<PathBuf>,
    reader: R,
    /// Lines read so far.
    number: usize,
    /// What stopped the last chunk, kept until the lines before it are answered.
    failed: Option<StageError>,
}

impl<R: Read> Lines<BufReader<R>> {
    /// Of a file, else of standard input.
    pub fn new(file: Option<&Path>, reader: BufReader<R>) -> Self {
        let name = file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
        Self { name, file: file.map(Path::to_owned), reader, number: 0, failed: None }
    }

    /// The next lines, without their ends: one that is waited for, and all that are there already. So a person or
    /// program that writes a line gets its answer, and a file is read in large chunks. Empty at the end.
    pub fn next(&mut self) -> Result<Vec<String>, StageError> {
        let mut lines = Vec::new();
        loop {
            if let Some(error) = self.failed.take() {
                if lines.is_empty() {
                    return Err(error);
                }
                self.failed = Some(error);
                return Ok(lines);
            }
            match self.line() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => return Ok(lines),
                Err(error) => self.failed = Some(error),
            }
            let waiting = self.failed.is_some() || self.reader.buffer().contains(&b'\n');
            if lines.len() == MOST || !waiting {
                return Ok(lines);
            }
        }
    }

    fn line(&mut self) -> Result<Option<String>, StageError> {
        let mut bytes = Vec::new();
        let read = self
            .reader
            .read_until(b'\n', &mut bytes)
            .map_err(|e| StageError::because(format!("cannot read {}", self.name), e))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        let line = String::from_utf8(bytes).map_err(|e| {
            let help = match &self.file {
                // What one line is says little of the others.
                Some(file) => {
                    encoding::advice(&fs::read(file).unwrap_or_else(|_| e.as_bytes().to_vec()), file)
                }
                None => encoding::of_a_pipe(e.as_bytes()),
            };
            StageError::new(format!(
                "{}:{}: not UTF-8 from byte {} of the line on",
                self.name,
                self.number,
                e.utf8_error().valid_up_to() + 1
            ))
            .help(help)
        })?;
        // A byte-order mark is of the file and not of its first line.
        let line = if self.number == 1 {
            line.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(line)
        } else {
            line
        };
        Ok(Some(line))
    }
}
