//! A batch on a device: everything that a forward pass needs and that is made once a batch.

use burn::tensor::{Device, Int, Tensor};

use crate::{
    backend::{
        fused::{self, Rows},
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
    /// How the network computes on the rows.
    pub layout: Rows,
}

impl Inputs {
    /// Uploads a batch.
    #[must_use]
    pub fn new(batch: &Batch, config: &Config, device: &Device) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "an ε of about 1e-5")]
        let fused = || Rows::Fused { starts: batch.starts.as_slice().into(), epsilon: config.eps as f32 };
        Self::upload(batch, config, device, fused::runs_on(device).then(fused))
    }

    /// Uploads a batch for Burn's own operations, wherever it is: the reference for tests and benchmarks.
    #[must_use]
    pub fn stock(batch: &Batch, config: &Config, device: &Device) -> Self {
        Self::upload(batch, config, device, None)
    }

    fn upload(batch: &Batch, config: &Config, device: &Device, fused: Option<Rows>) -> Self {
        let windows: Vec<_> = batch.starts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let first = config.architecture.first_position(config.pad);
        let positions: Vec<_> =
            windows.iter().flat_map(|rows| (0..rows.end - rows.start).map(|i| first + i)).collect();
        Self {
            ids: indices(&batch.ids, device),
            positions: indices(&positions, device),
            rows: indices(&batch.rows, device),
            layout: fused
                .unwrap_or_else(|| Rows::Stock(Box::new(Grid::new(&batch.starts, Precision::F32, device)))),
        }
    }
}
