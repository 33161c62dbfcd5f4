//! The windows of a batch as a rectangle, for attention in Burn's own operations.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation::softmax};

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

    /// `[tokens, heads * width]` -> `[windows, heads, length, width]`
    #[must_use]
    pub fn cells(&self, rows: Tensor<2>, heads: usize) -> Tensor<4> {
        let [_, width] = rows.dims();
        let rows = match &self.ragged {
            Some(ragged) => rows.select(0, ragged.gather.clone()),
            None => rows,
        };
        rows.reshape([self.windows, self.length, heads, width / heads]).swap_dims(1, 2)
    }

    /// The way back of [`Self::cells`]; padding is left out.
    #[must_use]
    pub fn rows(&self, cells: Tensor<4>) -> Tensor<2> {
        let [windows, heads, length, width] = cells.dims();
        let rows = cells.swap_dims(1, 2).reshape([windows * length, heads * width]);
        match &self.ragged {
            Some(ragged) => rows.select(0, ragged.scatter.clone()),
            None => rows,
        }
    }

    /// `[windows, heads, length, length]` true where a token does not attend: at padding, and at what is out of `reach`.
    #[must_use]
    pub fn mask(&self, heads: usize, reach: Option<usize>, device: &Device) -> Option<Tensor<4, Bool>> {
        let shape = [self.windows, heads, self.length, self.length];
        let padding = self.ragged.as_ref().map(|ragged| ragged.mask.clone().expand(shape));
        let Some(reach) = reach else { return padding };
        let far = (0..self.length).flat_map(|at| (0..self.length).map(move |to| at.abs_diff(to) > reach));
        let data = TensorData::new(far.collect::<Vec<_>>(), [1, 1, self.length, self.length]);
        let far = Tensor::<4, Bool>::from_data(data, device).expand(shape);
        Some(match padding {
            // A token of padding looks at all that is no padding: were nothing left, its softmax would not be a number.
            Some(padding) => {
                let real = padding.clone().swap_dims(2, 3).bool_not();
                far.bool_and(real).bool_or(padding)
            }
            None => far,
        })
    }

    /// The values of all tokens by the softmax of their scores `[windows, heads, length, length]`, in f32.
    #[must_use]
    pub fn weigh(&self, scores: Tensor<4>, value: Tensor<4>, mask: Option<Tensor<4, Bool>>) -> Tensor<4> {
        let scores = match mask {
            Some(mask) => scores.mask_fill(mask, f32::NEG_INFINITY),
            None => scores,
        };
        self.precision.narrow(softmax(scores, 3)).matmul(value)
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
