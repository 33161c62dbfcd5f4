use std::path::Path;

use serde_json::Value;

use crate::StageError;

/// What an artifact is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One regular file.
    File,
    /// A folder of files.
    Folder,
    /// Either; a stage that reads it handles both.
    FileOrFolder,
}

/// The type of what flows along an edge of the graph: the runner compares kinds by name and checks
/// the shape on disk; only stages look inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name as `pipeline.toml` writes it: `kind = "gold"`.
    pub name: &'static str,
    /// What lies on disk.
    pub shape: Shape,
    /// The file name extension of a published output, without the dot; empty for folders.
    pub extension: &'static str,
    /// One line for `ner-pipe stages`.
    pub doc: &'static str,
}

impl Kind {
    /// Any single file. Needs no ML.
    pub const FILE: Self = Self { name: "file", shape: Shape::File, extension: "", doc: "any file" };
    /// Any folder. Needs no ML.
    pub const FOLDER: Self = Self { name: "folder", shape: Shape::Folder, extension: "", doc: "any folder" };
    /// Raw text, one sentence a line; a folder's file stems are the sources' names.
    pub const TEXT: Self = Self {
        name: "text",
        shape: Shape::FileOrFolder,
        extension: "",
        doc: "raw UTF-8 text, one sentence a line: a file, or a folder whose file stems name the sources",
    };
    /// Sentences with gold entity tags.
    pub const GOLD: Self = Self {
        name: "gold",
        shape: Shape::FileOrFolder,
        extension: "",
        doc: "gold tags: CoNLL/BIO columns or {\"tokens\",\"ner_tags\"} JSONL: a file, or a folder whose file stems name the sets",
    };
    /// A model in Hugging Face layout.
    pub const MODEL: Self = Self {
        name: "model",
        shape: Shape::Folder,
        extension: "",
        doc: "a token classifier in Hugging Face layout: config.json, safetensors, and tokenizer.json or \
              sentencepiece.bpe.model",
    };
    /// Annotated sentences.
    pub const RECORDS: Self = Self {
        name: "records",
        shape: Shape::File,
        extension: "jsonl",
        doc: "annotated sentences, one JSON object a line",
    };
    /// Numbers for people and scripts.
    pub const REPORT: Self =
        Self { name: "report", shape: Shape::File, extension: "json", doc: "a JSON report" };
    /// What a model says of each word of records, before it decides.
    pub const LOGITS: Self = Self {
        name: "logits",
        shape: Shape::File,
        extension: "safetensors",
        doc: "a model's word logits, one tensor for each record",
    };
    /// Training curves.
    pub const HISTORY: Self = Self {
        name: "history",
        shape: Shape::Folder,
        extension: "",
        doc: "training curves: steps.jsonl and epochs.csv",
    };
    /// Sentences that models tag differently.
    pub const DIFFERENCES: Self = Self {
        name: "differences",
        shape: Shape::File,
        extension: "jsonl",
        doc: "sentences that models tag differently, with the tags of each, one JSON object a line",
    };
}

/// A value that a stage reads from an input or writes to an output.
pub trait Artifact: Sized {
    /// What it is on the edge and on disk.
    const KIND: Kind;

    /// Reads it whole.
    ///
    /// # Errors
    /// When the file or folder is unreadable or malformed; the message names file and line.
    fn load(path: &Path) -> Result<Self, StageError>;

    /// Writes it whole to `path`, which does not exist yet (its parent does). Equal values give equal bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    fn save(&self, path: &Path) -> Result<(), StageError>;

    /// JSON schema of its content, where that is JSON and described: what `ner-pipe schema <stage>.<output>` prints.
    #[must_use]
    fn schema() -> Option<Value> {
        None
    }
}
