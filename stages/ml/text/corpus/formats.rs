//! The formats of text and gold. A new one is a file beside these and a line in [`FORMATS`].

pub(super) mod brat;
pub(super) mod columns;
pub(super) mod json;
pub(super) mod parquet;
pub(super) mod pipes;
pub(super) mod plain;
pub(super) mod table;
pub(super) mod webanno;

use super::{
    format::{File, Format, Want},
    options::Options,
};

/// Every format, in the order in which they look at a file: those with a mark of their own first.
const FORMATS: [&dyn Format; 8] = [
    &parquet::Parquet,
    &brat::Brat,
    &json::Json,
    &webanno::Webanno,
    &table::Table,
    &pipes::Pipes,
    &columns::Columns,
    &plain::Plain,
];

/// The format of a file; `None` where it has no annotations, and they are wanted.
pub(super) fn of(file: &File, want: Want, options: &Options) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.sniff(file, want, options))
}
