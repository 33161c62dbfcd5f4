//! A batch on a device: everything that a forward pass needs and that is made once a batch.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::ml::{
    batch::Batch,
    config::Config,
    fused::{self, Rows},
    precision::Precision,
};

/// A batch on a device.
#[derive(Clone, Debug)]
pub struct Packed {
    /// `[tokens]`
    pub ids: Tensor<1, Int>,
    /// `[tokens]` position = pad + 1 + place in its own window.
    pub positions: Tensor<1, Int>,
    /// `[words]` rows to read words off.
    pub rows: Tensor<1, Int>,
    /// How the network computes on the rows.
    pub(crate) layout: Rows,
}

/// The windows of a batch as a rectangle `[windows, length]`: Burn's attention pads, through indices made once a batch.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub windows: usize,
    /// Tokens of the longest window.
    pub length: usize,
    /// `None` when all windows are equally long: then the packed rows are the rectangle already.
    pub ragged: Option<Ragged>,
    /// Whether attention is computed in one piece, which gives no gradients.
    pub fused: bool,
    /// What is computed in.
    pub precision: Precision,
}

/// How rows travel to the rectangle and back when windows differ in length.
#[derive(Clone, Debug)]
pub(crate) struct Ragged {
    /// `[windows * length]` packed row of each cell; padding repeats the window's last row.
    pub gather: Tensor<1, Int>,
    /// `[tokens]` cell of each packed row.
    pub scatter: Tensor<1, Int>,
    /// `[windows, 1, 1, length]` true for padding, which nobody attends to.
    pub mask: Tensor<4, Bool>,
}

impl Packed {
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
        let first = config.pad + 1;
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

impl Grid {
    /// `starts [windows + 1]` are the first rows of the windows.
    pub fn new(starts: &[u32], precision: Precision, device: &Device) -> Self {
        let windows: Vec<_> = starts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let longest = windows.iter().map(|rows| rows.end - rows.start).max().unwrap_or(0);
        let uniform = windows.iter().all(|rows| rows.end - rows.start == longest);
        Self {
            windows: windows.len(),
            length: longest as usize,
            ragged: (!uniform).then(|| Ragged::new(&windows, longest, device)),
            fused: in_one_piece(precision, device),
            precision,
        }
    }

    /// The same rectangle for another precision.
    pub fn at(&self, precision: Precision, device: &Device) -> Self {
        Self { fused: in_one_piece(precision, device), precision, ..self.clone() }
    }
}

/// Whether attention is computed in one piece: with gradients Burn takes it apart again, and `CubeCL`'s piece multiplies in
/// 16 bits whatever it is given, which f32 must not become.
fn in_one_piece(precision: Precision, device: &Device) -> bool {
    !device.is_autodiff() && (precision == Precision::Bf16 || *device == Device::flex())
}

impl Ragged {
    fn new(windows: &[std::ops::Range<u32>], length: u32, device: &Device) -> Self {
        let cells = windows.len() * length as usize;
        let (mut gather, mut mask) = (Vec::with_capacity(cells), Vec::with_capacity(cells));
        let mut scatter = Vec::new();
        for (rows, top) in windows.iter().zip((0..).step_by(length as usize)) {
            let tokens = rows.end - rows.start;
            gather.extend(rows.clone());
            gather.extend((tokens..length).map(|_| rows.end.saturating_sub(1)));
            mask.extend((0..length).map(|i| i >= tokens));
            scatter.extend(top..top + tokens);
        }
        let shape = [windows.len(), 1, 1, length as usize];
        Self {
            gather: indices(&gather, device),
            scatter: indices(&scatter, device),
            mask: Tensor::from_data(TensorData::new(mask, shape), device),
        }
    }
}

/// `[values]` on the device.
pub(crate) fn indices(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<_> = values.iter().map(|value| i64::from(*value)).collect();
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
