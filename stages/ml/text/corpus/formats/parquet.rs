//! Parquet, as `datasets` and pandas write it.

use std::error::Error;

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use serde_json::Value;
use stage_contract::StageError;

use super::super::{
    format::{File, Format, Want},
    item::{Found, Place},
    names::Names,
    options::Options,
    shape::{LABELS, Shapes},
};
use crate::{folder::quoted, foreign::caught};

/// What a Parquet file begins and ends with.
pub const MAGIC: &[u8] = b"PAR1";

/// A table in columns, compressed by snappy, gzip or zstd.
pub struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "Parquet"
    }

    fn sniff(&self, file: &File, _want: Want, _options: &Options) -> bool {
        file.bytes.as_ref().is_some_and(|bytes| bytes.starts_with(MAGIC))
    }

    fn read(&self, file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        caught(|| Self::rows(file, want, options))
            .unwrap_or_else(|| Err(broken(file, "the library that reads it gives up")))
    }
}

impl Parquet {
    fn rows(file: &File, want: Want, options: &Options) -> Result<Found, StageError> {
        let broken = |e: parquet::errors::ParquetError| broken(file, e);
        let reader = SerializedFileReader::new(file.bytes.clone().unwrap_or_default()).map_err(broken)?;
        let metadata = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let features =
            metadata.iter().find(|entry| entry.key == "huggingface").and_then(|entry| entry.value.as_deref());
        let features = features.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let named = features.and_then(|value| Names::of(&value, "the file itself").ok().flatten());
        let mut shapes = Shapes::new(want, options, named.or_else(|| Names::beside(file.folders())));
        let mut found = Found::default();
        let rows = reader.get_row_iter(None).map_err(broken)?.take(Shapes::LOOKED_AT);
        shapes.look(rows.filter_map(|row| Some(value(&row.ok()?))));
        for (row, number) in reader.get_row_iter(None).map_err(broken)?.zip(1..) {
            shapes.take(&mut found, Place::Record(number), &value(&row.map_err(broken)?));
        }
        shapes.finish(&mut found, &file.path, LABELS)?;
        Ok(found)
    }
}

fn broken(file: &File, source: impl Into<Box<dyn Error + Send + Sync>>) -> StageError {
    StageError::because(format!("{}: no Parquet that can be read", file.path.display()), source).help(
        format!(
            "copy or download it again; or write it as JSONL: `python3 -c 'import pandas, sys; \
         pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2], orient=\"records\", lines=True)' {} {}`",
            quoted(&file.path),
            quoted(&file.path.with_extension("jsonl"))
        ),
    )
}

/// A row as JSON. Strings may be bytes that the schema does not call text.
fn value(row: &Row) -> Value {
    let fields = row.get_column_iter().map(|(name, field)| (name.clone(), of_field(field)));
    Value::Object(fields.collect())
}

fn of_field(field: &Field) -> Value {
    match field {
        Field::Bytes(bytes) => str::from_utf8(bytes.data())
            .map_or_else(|_| field.to_json_value(), |text| Value::String(text.to_owned())),
        Field::Group(row) => value(row),
        Field::ListInternal(list) => list.elements().iter().map(of_field).collect(),
        _ => field.to_json_value(),
    }
}

#[cfg(test)]
mod tests;
