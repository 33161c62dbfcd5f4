//! From texts to what is written of their entities.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use stage_contract::StageError;

use super::{lines::MOST, progress::Progress, stream::Texts};
use encoder::{finite::naming, predictor::Predictor};
use text::{
    corpus::{Document, Entries, Entry, Notes, Options},
    entities::{Dropped, Keep, Placed, Writer},
};

/// Why copying ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Write(io::Error),
    Stage(StageError),
}

impl Stop {
    /// # Errors
    /// It ended for another reason than that nobody reads on.
    pub fn outcome(self) -> Result<(), StageError> {
        match self {
            // Whoever read us has enough, as `head` has.
            Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            stop => Err(stop.into()),
        }
    }
}

impl From<StageError> for Stop {
    fn from(error: StageError) -> Self {
        Self::Stage(error)
    }
}

impl From<Stop> for StageError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Write(error) => Self::because("cannot write the entities", error),
            Stop::Stage(error) => error,
        }
    }
}

/// Reads texts by a model, keeps what is asked for, and writes it.
pub(super) struct Copy<'p, 'o> {
    predictor: &'p Predictor,
    keep: Keep,
    /// Reads files, and notes what is left out of them.
    pub reader: Entries<'o>,
    options: &'o Options,
    /// Texts read so far.
    read: usize,
    /// Texts without a word that what is written has no place for.
    wordless: usize,
    /// What was not kept.
    dropped: Dropped,
    /// Told of each text.
    pub progress: Progress,
    said: Vec<String>,
}

impl<'p, 'o> Copy<'p, 'o> {
    pub fn new(predictor: &'p Predictor, keep: Keep, options: &'o Options, progress: Progress) -> Self {
        let (reader, dropped) = (Entries::new(options), Dropped::default());
        Self { predictor, keep, reader, options, read: 0, wordless: 0, dropped, progress, said: Vec::new() }
    }

    /// Writes texts, and hands them over as soon as they are written.
    fn entries(
        &mut self,
        entries: &[Entry],
        writer: &mut dyn Writer,
        outs: &mut [&mut dyn Write],
    ) -> Result<(), Stop> {
        for chunk in entries.chunks(MOST) {
            let words: Vec<_> = chunk.iter().map(Entry::words).collect();
            let texts: Vec<_> =
                chunk.iter().zip(&words).map(|(entry, words)| (entry.text.as_str(), &**words)).collect();
            let found = naming(self.predictor.entities_on(&texts), |at| self.read + at + 1)?;
            self.read += chunk.len();
            if !writer.holds_wordless() {
                self.wordless += words.iter().filter(|words| words.is_empty()).count();
            }
            for (entry, entities) in chunk.iter().zip(found) {
                let kept = self.keep.kept(entities, &mut self.dropped);
                let placed = Placed::all(&entry.text, &kept)
                    .ok_or_else(|| StageError::new("the model gave entities that the text cannot have"))?;
                writer.text(entry, &placed, outs).map_err(Stop::Write)?;
            }
            flush(outs)?;
            self.progress.texts(chunk.len());
        }
        Ok(())
    }

    /// Writes a document.
    ///
    /// # Errors
    /// The model refuses a text, or what is written to refuses.
    pub fn document(
        &mut self,
        document: &Document,
        writer: &mut dyn Writer,
        outs: &mut [&mut dyn Write],
    ) -> Result<(), Stop> {
        writer.begin(document, outs).map_err(Stop::Write)?;
        self.entries(&document.entries, writer, outs)?;
        Self::end(document, writer, outs)
    }

    /// Reads and writes piece by piece: what was read is answered before more is awaited. The document is called `name`.
    ///
    /// # Errors
    /// As [`Self::document`], or [`Texts::next`].
    pub fn texts(
        &mut self,
        name: &str,
        mut texts: Texts<'_>,
        writer: &mut dyn Writer,
        outs: &mut [&mut dyn Write],
    ) -> Result<(), Stop> {
        let document = Document::new(name, Vec::new());
        writer.begin(&document, outs).map_err(Stop::Write)?;
        let before = self.progress.place();
        loop {
            let entries = texts.next(&mut self.reader)?;
            if entries.is_empty() {
                return Self::end(&document, writer, outs);
            }
            self.entries(&entries, writer, outs)?;
            self.progress.at(before + texts.bytes());
        }
    }

    /// Writes a file, called `shown`, where `name` is what its reader calls it; false if it is left out.
    ///
    /// # Errors
    /// As [`Self::texts`], or it cannot be read.
    pub fn file(
        &mut self,
        (name, path): (String, PathBuf),
        shown: &str,
        writer: &mut dyn Writer,
        outs: &mut [&mut dyn Write],
    ) -> Result<bool, Stop> {
        if let Some(texts) = Texts::open(&path, self.options)? {
            self.texts(shown, texts, writer, outs)?;
            return Ok(true);
        }
        let Some(mut document) = self.reader.read(name, path)? else { return Ok(false) };
        shown.clone_into(&mut document.name);
        self.document(&document, writer, outs)?;
        Ok(true)
    }

    fn end(document: &Document, writer: &mut dyn Writer, outs: &mut [&mut dyn Write]) -> Result<(), Stop> {
        writer.end(document, outs).map_err(Stop::Write)?;
        flush(outs)
    }

    /// Something is to be said at the end.
    pub fn say(&mut self, note: String) {
        self.said.push(note);
    }

    /// What is to be said at the end: what is in the input, and not in what was written.
    pub fn lost(self) -> Vec<String> {
        let Notes { read, lost } = self.reader.notes();
        for note in read {
            tracing::info!("{note}");
        }
        let wordless = match self.wordless {
            0 => Vec::new(),
            1 => vec!["1 text without a word is left out: this form has no place for it".to_owned()],
            many => {
                vec![format!("{many} texts without a word are left out: this form has no place for them")]
            }
        };
        [lost, self.dropped.said(), wordless, self.said].concat()
    }
}

fn flush(outs: &mut [&mut dyn Write]) -> Result<(), Stop> {
    outs.iter_mut().try_for_each(Write::flush).map_err(Stop::Write)
}
