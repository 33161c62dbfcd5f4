//! Positions that attention itself knows of, where they are no embedding.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{
    fused::Ops,
    grid::{Grid, indices},
};

/// What all layers of a pass know of positions: nothing where those are an embedding.
#[derive(Clone, Debug)]
pub enum Positions {
    /// They are in the embeddings.
    Embedded,
    /// Rotary: of layers in which every token attends to all, and of those with a reach.
    Rotary(Box<[Rotary; 2]>),
    /// Relative, and disentangled from what tokens say.
    Relative(Box<Relative>),
}

/// Angles by which queries and keys are turned (Su et al. 2021).
#[derive(Clone, Debug)]
pub struct Rotary {
    /// `[tokens, 1, head_dim]`
    cos: Tensor<3>,
    /// `[tokens, 1, head_dim]`
    sin: Tensor<3>,
}

impl Rotary {
    /// Of tokens at `positions [tokens]`.
    #[must_use]
    pub fn new(positions: &Tensor<1, Int>, base: f64, head_dim: usize) -> Self {
        let device = positions.device();
        let frequencies = frequencies(base, head_dim);
        let frequencies = Tensor::<1>::from_data(TensorData::from(frequencies.as_slice()), &device);
        let half = positions.clone().float().unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim(0);
        let angles = Tensor::cat(vec![half.clone(), half], 1).unsqueeze_dim::<3>(1);
        Self { cos: angles.clone().cos(), sin: angles.sin() }
    }

    /// Turns `[tokens, heads * head_dim]`, in f32.
    #[must_use]
    pub fn turn(&self, x: Tensor<2>, heads: usize) -> Tensor<2> {
        let [tokens, width] = x.dims();
        let head_dim = width / heads;
        let x = x.reshape([tokens, heads, head_dim]);
        let [first, second] =
            [0..head_dim / 2, head_dim / 2..head_dim].map(|half| x.clone().narrow(2, half.start, half.len()));
        let across = Tensor::cat(vec![second.neg(), first], 2);
        (x * self.cos.clone() + across * self.sin.clone()).reshape([tokens, width])
    }
}

/// `[head_dim / 2]` angles between two neighbours (Su et al. 2021, eq. 15).
#[must_use]
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a head is some tens wide")]
pub fn frequencies(base: f64, head_dim: usize) -> Vec<f32> {
    let frequency = |pair: usize| (1.0 / base.powf((2 * pair) as f64 / head_dim as f64)) as f32;
    (0..head_dim / 2).map(frequency).collect()
}

/// How distances share rows of an embedding: near ones have a row each, farther ones share by their logarithm (He et al.
/// 2021).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// To each side; `None`: every distance has a row.
    pub count: Option<usize>,
    /// The largest distance there is.
    pub farthest: usize,
}

impl Buckets {
    /// Rows to each side.
    #[must_use]
    pub fn span(&self) -> usize {
        self.count.unwrap_or(self.farthest)
    }

    /// The row of a key that stands so far before its query.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "distances are below 2^24, and f32 is what PyTorch takes the logarithm in"
    )]
    pub fn row(&self, distance: i64) -> u32 {
        let span = self.span() as i64;
        let bucket = match self.count {
            Some(count) if distance.unsigned_abs() > count as u64 / 2 => {
                let middle = (count / 2) as f32;
                let share = (distance.unsigned_abs() as f32 / middle).ln()
                    / ((self.farthest as f32 - 1.0) / middle).ln();
                ((share * (middle - 1.0)).ceil() + middle) as i64 * distance.signum()
            }
            _ => distance,
        };
        (bucket + span).clamp(0, 2 * span - 1) as u32
    }
}

/// Where tokens stand to each other (He et al. 2021).
#[derive(Clone, Debug)]
pub struct Relative {
    /// `[2 * length - 1, hidden]` of each distance that there is, from the farthest key after a query to the farthest before.
    pub embedding: Tensor<2>,
    /// `[1, 1, length, length]` row of each pair of query and key.
    row: Tensor<4, Int>,
    grid: Grid,
}

impl Relative {
    /// Of the windows of a batch; `embedding [2 * span, hidden]` has a row for each bucket.
    #[must_use]
    pub fn new(embedding: Tensor<2>, buckets: Buckets, ops: &Ops) -> Self {
        let device = embedding.device();
        let grid = ops.grid(&device).into_owned();
        let length = grid.length;
        let far = i64::try_from(length).unwrap_or(i64::MAX) - 1;
        let rows: Vec<u32> = (-far..=far).map(|distance| buckets.row(distance)).collect();
        Self { embedding: embedding.select(0, indices(&rows, &device)), row: pairs(length, &device), grid }
    }

    /// Attention whose scores are what query and key say to each other, what the query says to the key's place, and what the
    /// key says to the query's (He et al. 2021, eq. 4). Rows `[tokens, heads * head_dim]`, places
    /// `[2 * length - 1, heads * head_dim]`.
    #[must_use]
    pub fn attend(
        &self,
        rows: [Tensor<2>; 3],
        [place_key, place_query]: [Tensor<2>; 2],
        heads: usize,
    ) -> Tensor<2> {
        let grid = &self.grid;
        let [query, key, value] = rows.map(|rows| grid.cells(rows, heads));
        let [windows, _, length, width] = query.dims();
        let place = |rows: Tensor<2>| {
            let [count, _] = rows.dims();
            rows.reshape([1, count, heads, width]).swap_dims(1, 2).swap_dims(2, 3)
        };
        let row = self.row.clone().expand([windows, heads, length, length]);
        let content = grid.precision.wide(query.clone().matmul(key.clone().swap_dims(2, 3)));
        let to_key = grid.precision.wide(query.matmul(place(place_key))).gather(3, row.clone());
        let to_query = grid.precision.wide(key.matmul(place(place_query)));
        let to_query = to_query.gather(3, row.swap_dims(2, 3)).swap_dims(2, 3);
        #[expect(clippy::cast_precision_loss, reason = "a head is some tens wide")]
        let scale = 1.0 / (3.0 * width as f64).sqrt();
        let mask = grid.mask(heads, None, &value.device());
        grid.rows(grid.weigh((content + to_key + to_query) * scale, value, mask))
    }
}

/// `[1, 1, length, length]` for query `i` and key `j` the row `i - j + length - 1`.
fn pairs(length: usize, device: &Device) -> Tensor<4, Int> {
    let rows = (0..length).flat_map(|query| (0..length).map(move |key| query + length - 1 - key));
    let rows: Vec<i64> = rows.map(|row| i64::try_from(row).unwrap_or(i64::MAX)).collect();
    Tensor::from_data(TensorData::new(rows, [1, 1, length, length]), device)
}
