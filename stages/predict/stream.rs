//! Texts that come a line each, from a pipe, a person or a file of any length.

use std::{
    io::{BufRead, BufReader, Cursor, Read},
    path::Path,
    string::FromUtf8Error,
};

use stage_contract::StageError;

use super::lines::{Line, Lines, reason, shown};
use text::corpus::{Begin, Entries, Entry, Options, Stream, open};

/// What is read piece by piece: [`super::lines`].
type Pieces = BufReader<Box<dyn Read>>;

/// What comes from a pipe, by its first line.
pub(super) enum Piped<'o> {
    /// A text or a record a line.
    Texts(Box<Texts<'o>>),
    /// The bytes of a file.
    Whole(Vec<u8>),
}

impl<'o> Piped<'o> {
    /// Waits for the first line that is not blank, and for all only where that is of a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(
        file: Option<&Path>,
        reader: impl Read + 'static,
        options: &'o Options,
    ) -> Result<Self, StageError> {
        let mut reader = BufReader::new(reader);
        let mut head = Vec::new();
        let failed = |e| StageError::because(format!("cannot read {}", shown(file)), e);
        while head.trim_ascii().is_empty() {
            if reader.read_until(b'\n', &mut head).map_err(failed)? == 0 {
                break;
            }
        }
        let begin = Begin::of(&head);
        if begin == Begin::Whole {
            reader.read_to_end(&mut head).map_err(failed)?;
            return Ok(Self::Whole(head));
        }
        let rest: Box<dyn Read> = Box::new(Cursor::new(head).chain(reader));
        let lines = Lines::new(file, BufReader::new(rest));
        Ok(Self::Texts(Box::new(Texts::new(lines, 1, begin == Begin::Records, options))))
    }
}

/// Texts of lines, a chunk at a time.
pub(super) struct Texts<'o> {
    lines: Lines<Pieces>,
    stream: Stream<'o>,
    /// How many lines are looked at before the first is read; 0 when they were.
    looked_at: usize,
    /// What helps against a line that is not UTF-8, where there was one.
    advice: Option<String>,
    /// What stopped the last chunk, kept until the texts before it are answered.
    failed: Option<StageError>,
    ended: bool,
}

impl<'o> Texts<'o> {
    /// Of lines, of which so many are looked at before the first is read.
    pub fn new(lines: Lines<Pieces>, looked_at: usize, records: bool, options: &'o Options) -> Self {
        let stream = Stream::new(lines.name(), records, options);
        Self { lines, stream, looked_at, advice: None, failed: None, ended: false }
    }

    /// Of a file that has a text or a record a line; `None` of any other.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path, options: &'o Options) -> Result<Option<Self>, StageError> {
        /// Some thousand lines, so that batches are of like lengths.
        const BUFFER: usize = 1 << 18;
        let begin = Begin::of_file(path, options);
        if begin == Begin::Whole {
            return Ok(None);
        }
        let lines = Lines::new(Some(path), BufReader::with_capacity(BUFFER, open(path)?));
        Ok(Some(Self::new(lines, usize::MAX, begin == Begin::Records, options)))
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.lines.bytes
    }

    /// The next texts, at least one; none at the end. Texts before a bad line come before its error.
    ///
    /// # Errors
    /// A line is not UTF-8, or no record, and may not be left out; or the input cannot be read.
    pub fn next(&mut self, reader: &mut Entries<'_>) -> Result<Vec<Entry>, StageError> {
        let mut entries = Vec::new();
        while entries.is_empty() && !self.ended {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let lines = self.lines.next()?;
            if lines.is_empty() {
                self.ended = true;
                return self.stream.finish(reader);
            }
            let looked_at = std::mem::take(&mut self.looked_at);
            let whole = lines.iter().filter_map(|(_, line)| line.as_deref().ok());
            if looked_at > 0 {
                self.stream.look(whole.filter(|line| !line.trim().is_empty()).take(looked_at));
            }
            let mut lines = lines.into_iter();
            while let Some((number, line)) = lines.next() {
                if let Err(error) = self.take(reader, number, line, &mut entries) {
                    self.failed = Some(self.with_the_others(reader, error, lines.collect()));
                    break;
                }
            }
        }
        Ok(entries)
    }

    fn take(
        &mut self,
        reader: &mut Entries<'_>,
        number: usize,
        line: Result<String, FromUtf8Error>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), StageError> {
        match line {
            Ok(line) => self.stream.take(reader, number, &line, entries),
            Err(error) => {
                self.advice.get_or_insert_with(|| self.lines.advice(&error));
                self.stream.reject(reader, number, &reason(&error))
            }
        }
    }

    /// An error that lists all bad records of a file, so that what helps against one does against all.
    fn with_the_others(
        &mut self,
        reader: &mut Entries<'_>,
        error: StageError,
        mut lines: Vec<Line>,
    ) -> StageError {
        let mut sink = Vec::new();
        while self.lines.is_file() {
            for (number, line) in lines {
                // It is counted.
                drop(self.take(reader, number, line, &mut sink));
            }
            sink.clear();
            lines = self.lines.next().unwrap_or_default();
            if lines.is_empty() {
                break;
            }
        }
        let error = reader.check().err().unwrap_or(error);
        let bad = reader.number_of_bad();
        let them = if bad == 1 { "it" } else { "them" };
        match &self.advice {
            Some(advice) => error.help(format!("{advice}; or leave {them} out: `--errors {bad}`")),
            None => error,
        }
    }
}
