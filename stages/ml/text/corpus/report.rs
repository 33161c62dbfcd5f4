//! JSON for people and scripts.

use std::{io::Write, path::Path};

use stage_contract::{Artifact, Kind, Shape, StageError};

use super::files::{json_problem, read, write};

/// A JSON report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report(pub serde_json::Value);

impl Artifact for Report {
    const KIND: Kind = Kind { name: "report", shape: Shape::File, extension: "json", doc: "a JSON report" };

    fn load(path: &Path) -> Result<Self, StageError> {
        let text = read(path)?;
        serde_json::from_str(&text)
            .map(Self)
            .map_err(|e| StageError::new(format!("{}:{}: {}", path.display(), e.line(), json_problem(&e))))
    }

    fn save(&self, path: &Path) -> Result<(), StageError> {
        write(path, |out| {
            serde_json::to_writer_pretty(&mut *out, &self.0)?;
            out.write_all(b"\n")
        })
    }
}
