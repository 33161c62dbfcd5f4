//! The windows of a batch as a rectangle, for attention in Burn's own operations.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::precision::Precision;

/// The windows of a batch as a rectangle `[windows, length]`: Burn's attention pads, through indices made once a batch.
#[derive(Clone, Debug)]
pub struct Grid {
    /// How many.
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
pub struct Ragged {
    /// `[windows * length]` packed row of each cell; padding repeats the window's last row.
    pub gather: Tensor<1, Int>,
    /// `[tokens]` cell of each packed row.
    pub scatter: Tensor<1, Int>,
    /// `[windows, 1, 1, length]` true for padding, which nobody attends to.
    pub mask: Tensor<4, Bool>,
}

impl Grid {
    /// `starts [windows + 1]` are the first rows of the windows.
    #[must_use]
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
    #[must_use]
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
#[must_use]
pub fn indices(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<_> = values.iter().map(|value| i64::from(*value)).collect();
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
