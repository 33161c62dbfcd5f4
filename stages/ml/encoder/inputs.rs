//! A batch on a device: everything that a forward pass needs and that is made once a batch.

use burn::tensor::{Device, Int, Tensor};

use crate::{
    backend::{
        fused::{self, Ops},
        grid::{Grid, indices},
        precision::Precision,
    },
    batch::Batch,
    config::Config,
};

/// A batch on a device.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `[tokens]`
    pub ids: Tensor<1, Int>,
    /// `[tokens]` row of the position embedding: the encoder's first and on, from each window's first token.
    pub positions: Tensor<1, Int>,
    /// `[words]` rows to read words off.
    pub rows: Tensor<1, Int>,
    /// How the operations run.
    pub ops: Ops,
}

impl Inputs {
    /// Uploads a batch.
    #[must_use]
    pub fn new(batch: &Batch, config: &Config, device: &Device) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "an ε of about 1e-5")]
        let kernels = || Ops::Kernels { starts: batch.starts.as_slice().into(), epsilon: config.eps as f32 };
        Self::upload(batch, config, device, fused::runs_on(device).then(kernels))
    }

    /// Uploads a batch for Burn's own operations, wherever it is: the reference for tests and benchmarks.
    #[must_use]
    pub fn reference(batch: &Batch, config: &Config, device: &Device) -> Self {
        Self::upload(batch, config, device, None)
    }

    fn upload(batch: &Batch, config: &Config, device: &Device, kernels: Option<Ops>) -> Self {
        let windows: Vec<_> = batch.starts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let first = config.architecture.first_position(config.pad);
        let positions: Vec<_> =
            windows.iter().flat_map(|rows| (0..rows.end - rows.start).map(|i| first + i)).collect();
        Self {
            ids: indices(&batch.ids, device),
            positions: indices(&positions, device),
            rows: indices(&batch.rows, device),
            ops: kernels
                .unwrap_or_else(|| Ops::Burn(Box::new(Grid::new(&batch.starts, Precision::F32, device)))),
        }
    }
}
