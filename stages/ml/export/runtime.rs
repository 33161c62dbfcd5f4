//! Runs an ONNX file, to see whether it computes what the model does.

use std::path::Path;

use rten::{Model, NodeId, Value};
use stage_contract::StageError;
use text::tokenizer::Window;

use crate::onnx;

/// An ONNX model that was read.
pub struct Runtime {
    model: Model,
    inputs: Vec<NodeId>,
    logits: NodeId,
    pad: u32,
}

impl Runtime {
    /// Reads a file; `pad` is padding's id, `types` says whether it has an input for them.
    ///
    /// # Errors
    /// The file is no ONNX model that can be run here.
    pub fn load(path: &Path, pad: u32, types: bool) -> Result<Self, StageError> {
        let broken = |e: Box<dyn std::error::Error + Send + Sync>| {
            StageError::because(format!("cannot run {}", path.display()), e)
        };
        let model = Model::load_file(path).map_err(|e| broken(e.into()))?;
        let node = |name: &str| model.node_id(name).map_err(|e| broken(e.into()));
        let inputs = [onnx::IDS, onnx::MASK].into_iter().chain(types.then_some(onnx::TYPES));
        let inputs = inputs.map(node).collect::<Result<_, _>>()?;
        let logits = node(onnx::LOGITS)?;
        Ok(Self { model, inputs, logits, pad })
    }

    /// Logits `[rows, labels]` of windows, padded to the longest of them: of the anchors and then of the continuations of each.
    ///
    /// # Errors
    /// The model cannot be run.
    pub fn read(&self, windows: &[&Window]) -> Result<Vec<f32>, StageError> {
        let broken =
            |e: Box<dyn std::error::Error + Send + Sync>| StageError::because("cannot run the ONNX model", e);
        let length = windows.iter().map(|window| window.ids.len()).max().unwrap_or_default();
        let shape = [windows.len(), length];
        let padded = |of: &dyn Fn(u32) -> u32, padding: u32| -> Result<Value, StageError> {
            let rows = windows.iter().flat_map(|window| {
                let ids = window.ids.iter().map(|id| of(*id));
                ids.chain(std::iter::repeat_n(padding, length - window.ids.len()))
            });
            let rows: Vec<i32> = rows.map(u32::cast_signed).collect();
            Value::from_shape(shape, rows).map_err(|e| broken(e.into()))
        };
        let values = [padded(&|id| id, self.pad)?, padded(&|_| 1, 0)?, padded(&|_| 0, 0)?];
        let inputs =
            self.inputs.iter().copied().zip(values).map(|(node, value)| (node, value.into())).collect();
        let [logits] = self.model.run_n(inputs, [self.logits], None).map_err(|e| broken(e.into()))?;
        let ([_, _, labels], logits) = logits.into_shape_vec::<f32, 3>().map_err(|e| broken(e.into()))?;
        let rows = windows.iter().enumerate().flat_map(|(place, window)| {
            let rows = window.anchors.iter().map(|anchor| anchor.row);
            let rows = rows.chain(window.continuations.iter().map(|piece| piece.row));
            rows.map(move |row| (place * length + row) * labels)
        });
        Ok(rows.flat_map(|start| logits[start..start + labels].iter().copied()).collect())
    }
}
