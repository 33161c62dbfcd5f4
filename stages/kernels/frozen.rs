//! An encoder's layer for inference alone: weights packed once, in 8 bits, and everything but attention computed row by
//! row in one go, while it is in the cache.

use rayon::prelude::*;

use crate::{
    attention::Attention,
    int8::{Int8, ROWS, Room},
    linear::Linear,
    norm::Norm,
};

/// What a layer is packed from (post-`LayerNorm`; Vaswani et al. 2017).
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Query, key and value.
    pub attention: [Linear<'a>; 3],
    /// After the heads.
    pub output: Linear<'a>,
    /// After the attention's residual.
    pub attention_norm: Norm<'a>,
    /// Before GELU.
    pub up: Linear<'a>,
    /// After GELU.
    pub down: Linear<'a>,
    /// After the FFN's residual.
    pub ffn_norm: Norm<'a>,
    /// Heads; 0 is a layer without attention.
    pub heads: usize,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    attention: Int8,
    output: Int8,
    attention_norm: OwnNorm,
    up: Int8,
    down: Int8,
    ffn_norm: OwnNorm,
    heads: usize,
}

#[derive(Clone, Debug)]
struct OwnNorm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f32,
}

impl OwnNorm {
    fn new(norm: Norm<'_>) -> Self {
        Self { gamma: norm.gamma.to_vec(), beta: norm.beta.to_vec(), epsilon: norm.epsilon }
    }

    fn norm(&self) -> Norm<'_> {
        Norm { gamma: &self.gamma, beta: &self.beta, epsilon: self.epsilon }
    }
}

/// Memory of one thread, used again for its next task.
#[derive(Default)]
struct Rows {
    room: Room,
    x: Vec<f32>,
    neurons: Vec<f32>,
}

impl Layer {
    /// Packs it.
    ///
    /// # Panics
    /// When shapes do not fit.
    #[must_use]
    pub fn new(parts: &Parts<'_>) -> Self {
        let layer = Self {
            attention: Int8::pack(&parts.attention),
            output: Int8::pack(&[parts.output]),
            attention_norm: OwnNorm::new(parts.attention_norm),
            up: Int8::pack(&[parts.up]),
            down: Int8::pack(&[parts.down]),
            ffn_norm: OwnNorm::new(parts.ffn_norm),
            heads: parts.heads,
        };
        let (hidden, columns) = layer.attention.shape();
        let ffn = layer.up.shape().1;
        assert_eq!(layer.output.shape(), (columns / 3, hidden), "attention's output");
        assert_eq!((layer.up.shape(), layer.down.shape()), ((hidden, ffn), (ffn, hidden)), "the FFN");
        assert_eq!((layer.attention_norm.gamma.len(), layer.ffn_norm.gamma.len()), (hidden, hidden), "norms");
        layer
    }

    /// `x` becomes the layer's output, `[rows, hidden]`; `starts` as in [`Attention`].
    ///
    /// # Panics
    /// When lengths do not fit.
    pub fn forward(&self, x: &mut [f32], starts: &[u32]) {
        let (hidden, columns) = self.attention.shape();
        let width = columns / 3;
        let rows = x.len() / hidden.max(1);
        let heads = Attention { starts, heads: self.heads, width: width / self.heads.max(1) };
        let context = heads.forward(&self.attention.forward(x, rows));
        x.par_chunks_mut((ROWS * hidden).max(1)).enumerate().for_each_init(
            Rows::default,
            |own, (number, x)| {
                let (first, rows) = (number * ROWS, x.len() / hidden);
                let context = &context[first * width..(first + rows) * width];
                own.x.resize(rows * hidden, 0.0);
                self.output.rows(context, rows, &mut own.x, &mut own.room, false);
                self.attention_norm.norm().forward_here(&mut own.x, x);
                own.neurons.resize(rows * self.up.shape().1, 0.0);
                self.up.rows(&own.x, rows, &mut own.neurons, &mut own.room, true);
                self.down.rows(&own.neurons, rows, x, &mut own.room, false);
                self.ffn_norm.norm().forward_here(x, &own.x);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        gelu::gelu,
        linear,
        matrix::Matrix,
        reference::{Draw, on_threads},
    };

    struct Made {
        weights: Vec<Vec<f32>>,
        biases: Vec<Vec<f32>>,
        gamma: Vec<f32>,
        beta: Vec<f32>,
        heads: usize,
    }

    impl Made {
        fn new(hidden: usize, heads: usize, width: usize, ffn: usize, seed: u64) -> Self {
            let mut draw = Draw::new(seed);
            let a = heads * width;
            let shapes = [(hidden, a), (hidden, a), (hidden, a), (a, hidden), (hidden, ffn), (ffn, hidden)];
            Self {
                weights: shapes.iter().map(|(i, o)| draw.values(i * o)).collect(),
                biases: shapes.iter().map(|(_, o)| draw.values(*o)).collect(),
                gamma: draw.values(hidden).iter().map(|x| 1.0 + 0.1 * x).collect(),
                beta: draw.values(hidden),
                heads,
            }
        }

        fn parts(&self) -> Parts<'_> {
            let linear = |i: usize| Linear {
                weight: Matrix::new(&self.weights[i], self.biases[i].len()),
                bias: &self.biases[i],
            };
            let norm = Norm { gamma: &self.gamma, beta: &self.beta, epsilon: 1e-5 };
            Parts {
                attention: [linear(0), linear(1), linear(2)],
                output: linear(3),
                attention_norm: norm,
                up: linear(4),
                down: linear(5),
                ffn_norm: norm,
                heads: self.heads,
            }
        }
    }

    /// In f32, kernel by kernel.
    fn exact(parts: &Parts<'_>, x: &[f32], starts: &[u32]) -> Vec<f32> {
        let hidden = parts.output.bias.len();
        let width = parts.attention[0].bias.len();
        let rows = linear::forward(Matrix::new(x, hidden), &parts.attention);
        let context = Attention { starts, heads: parts.heads, width: width / parts.heads }.forward(&rows);
        let mut y = linear::forward(Matrix::new(&context, width), &[parts.output]);
        parts.attention_norm.forward(&mut y, Some(x));
        let mut neurons = linear::forward(Matrix::new(&y, hidden), &[parts.up]);
        gelu(&mut neurons);
        let mut z = linear::forward(Matrix::new(&neurons, parts.down.weight.shape().0), &[parts.down]);
        parts.ffn_norm.forward(&mut z, Some(&y));
        z
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_frozen_layer_is_near_the_layer(
            heads in 1_usize..4, width in 1_usize..12, hidden in 8_usize..50, ffn in 1_usize..60,
            lengths in prop::collection::vec(0_u32..40, 1..6), seed in any::<u64>(),
        ) {
            let made = Made::new(hidden, heads, width, ffn, seed);
            let starts: Vec<u32> = [0].into_iter().chain(lengths.iter().scan(0, |end, length| {
                *end += length;
                Some(*end)
            })).collect();
            let tokens = *starts.last().expect("an end") as usize;
            let mut x = Draw::new(seed ^ 1).values(tokens * hidden);
            let expected = exact(&made.parts(), &x, &starts);
            let layer = Layer::new(&made.parts());
            layer.forward(&mut x, &starts);
            // LayerNorm leaves rows of length √hidden; 8 bits lose a hundredth or two of it.
            let distance = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
            let lost = distance(&x, &expected) / (x.len().max(1) as f64);
            prop_assert!(lost.sqrt() < 0.06, "{}", lost.sqrt());
        }
    }

    #[test]
    fn a_layer_without_heads_and_neurons_adds_its_biases() {
        let (offset, gamma) = ([0.5, -1.0, 2.0], [1.0; 3]);
        let norm = Norm { gamma: &gamma, beta: &[0.0; 3], epsilon: 1e-5 };
        let [to_nothing, from_nothing] = [
            Linear { weight: Matrix::empty(3, 0), bias: &[] },
            Linear { weight: Matrix::empty(0, 3), bias: &offset },
        ];
        let layer = Layer::new(&Parts {
            attention: [to_nothing; 3],
            output: from_nothing,
            attention_norm: norm,
            up: to_nothing,
            down: from_nothing,
            ffn_norm: norm,
            heads: 0,
        });
        let mut x = Draw::new(4).values(3 * 11);
        let mut expected = x.clone();
        for _ in 0..2 {
            norm.forward(&mut expected, Some(&offset.repeat(11)));
        }
        layer.forward(&mut x, &[0, 4, 11]);
        assert_eq!(x, expected);
    }

    #[test]
    fn threads_do_not_show() {
        let made = Made::new(40, 3, 8, 70, 9);
        let layer = Layer::new(&made.parts());
        let x = Draw::new(2).values(200 * 40);
        let forward = |threads| {
            let mut x = x.clone();
            on_threads(threads, || layer.forward(&mut x, &[0, 90, 90, 150, 200]));
            x
        };
        assert!(forward(1) == forward(4));
    }
}
