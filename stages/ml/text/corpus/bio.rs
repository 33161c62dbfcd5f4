//! Sentences as columns: a word and its BIO tag a line, with tabs, as `.bio` files have them.

use std::io::{self, Write};

/// Writes sentences one after another.
#[derive(Clone, Debug, Default)]
pub struct Bio {
    sentences: usize,
    documents: usize,
    document: Option<String>,
}

impl Bio {
    /// Writes a sentence of a document: its words, each with its tag.
    ///
    /// # Errors
    /// What is written to refuses.
    pub fn sentence<'t, W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        document: Option<&str>,
        words: impl IntoIterator<Item = (String, &'t str)>,
    ) -> io::Result<()> {
        if self.sentences > 0 {
            out.write_all(b"\n")?;
        }
        self.sentences += 1;
        if let Some(name) = document.filter(|name| self.document.as_deref() != Some(*name)) {
            self.documents += 1;
            // Documents without a name come back by their number.
            if name == self.documents.to_string() {
                out.write_all(b"-DOCSTART-\tO\n\n")?;
            } else {
                writeln!(out, "# newdoc id = {name}")?;
            }
            self.document = Some(name.to_owned());
        }
        for (word, tag) in words {
            writeln!(out, "{word}\t{tag}")?;
        }
        Ok(())
    }
}
