//! Lines of a file or a pipe, a chunk at a time.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    string::FromUtf8Error,
};

use stage_contract::StageError;

use text::{corpus::open, encoding};

/// Most lines in a chunk: enough to fill batches, few enough to hold.
pub(super) const MOST: usize = 512;

/// A line with its number, from 1, without its end; or why it is none.
pub(super) type Line = (usize, Result<String, FromUtf8Error>);

/// Reads lines from something, in chunks.
pub(super) struct Lines<R> {
    name: String,
    /// What is read, where it is a file.
    file: Option<PathBuf>,
    reader: R,
    /// Lines read so far.
    number: usize,
    /// Lines of old Macs, which the last line that was read holds.
    more: VecDeque<String>,
    /// What stopped the last chunk, kept until the lines before it are answered.
    failed: Option<StageError>,
    /// Bytes read so far.
    pub bytes: u64,
}

impl<R: Read> Lines<BufReader<R>> {
    /// Of a file, else of standard input.
    pub fn new(file: Option<&Path>, reader: BufReader<R>) -> Self {
        let (name, file) = (shown(file), file.map(Path::to_owned));
        Self { name, file, reader, number: 0, more: VecDeque::new(), failed: None, bytes: 0 }
    }

    /// What is read, as messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next lines: one that is waited for, and all that are there already. So a person or program that writes a line gets
    /// its answer, and a file is read in large chunks. Empty at the end.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn next(&mut self) -> Result<Vec<Line>, StageError> {
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
                Ok(Some(line)) => lines.push((self.number, line)),
                Ok(None) => return Ok(lines),
                Err(error) => self.failed = Some(error),
            }
            let there = !self.more.is_empty() || self.reader.buffer().contains(&b'\n');
            if lines.len() == MOST || !(self.failed.is_some() || there) {
                return Ok(lines);
            }
        }
    }

    /// Ends of lines and byte order marks are what they are where a file is read as a whole.
    fn line(&mut self) -> Result<Option<Result<String, FromUtf8Error>>, StageError> {
        if let Some(line) = self.more.pop_front() {
            self.number += 1;
            return Ok(Some(Ok(line)));
        }
        let mut bytes = Vec::new();
        let read = self.reader.read_until(b'\n', &mut bytes).map_err(|e| {
            let error = StageError::because(format!("cannot read {}", self.name), e);
            match self.file {
                Some(_) => error.help("copy or download it again: it is damaged, or ends too early"),
                None => error,
            }
        })?;
        if read == 0 {
            return Ok(None);
        }
        self.bytes += read as u64;
        self.number += 1;
        bytes.truncate(bytes.strip_suffix(b"\n").unwrap_or(&bytes).len());
        while bytes.ends_with(b"\r") {
            bytes.pop();
        }
        Ok(Some(String::from_utf8(bytes).map(|line| {
            let line = line.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(line);
            let Some((first, rest)) = line.split_once('\r') else { return line };
            self.more.extend(rest.split('\r').map(str::to_owned));
            first.to_owned()
        })))
    }

    /// Whether there is an end, which nobody has to be waited for.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// What helps against a line that is not UTF-8.
    pub fn advice(&self, error: &FromUtf8Error) -> String {
        /// Enough to tell encodings apart.
        const HEAD: u64 = 1 << 24;
        let Some(file) = &self.file else { return encoding::of_a_pipe(error.as_bytes()) };
        let mut bytes = error.as_bytes().to_vec();
        bytes.push(b'\n');
        // What one line is says little of the others.
        match open(file).map(|reader| reader.take(HEAD).read_to_end(&mut bytes)) {
            Ok(Ok(_)) => encoding::advice(&bytes, file),
            _ => encoding::advice(error.as_bytes(), file),
        }
    }
}

/// What is wrong with a line.
pub(super) fn reason(error: &FromUtf8Error) -> String {
    format!("not UTF-8 from byte {} of the line on", error.utf8_error().valid_up_to() + 1)
}

/// What is read, as messages call it.
pub(super) fn shown(file: Option<&Path>) -> String {
    file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string())
}
