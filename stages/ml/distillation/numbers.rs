//! Numbers on their way to a device.

use burn::tensor::{Device, Tensor, TensorData};

/// Stands for an illegal move inside a softmax: its exp is 0 in f32, and unlike -inf it makes no NaN.
pub const NEVER: f64 = -1e9;

/// `[rows, columns]` on the device.
pub fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A number of words or moves as a divisor.
#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 words")]
pub fn count(number: usize) -> f64 {
    number as f64
}

/// Turns a mean over rows into one by word: a word counts as it does alone, and its further sub-words besides.
pub fn by_word(rows: usize, words: usize) -> f64 {
    count(rows) / count(words.max(1))
}

/// f64 of the host as f32 of a tensor.
#[expect(clippy::cast_possible_truncation, reason = "host arithmetic is f64, tensors are f32")]
pub fn narrow(value: f64) -> f32 {
    value as f32
}
