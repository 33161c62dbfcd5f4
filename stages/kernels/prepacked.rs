//! An encoder's layer for inference alone: weights packed once, in f32 or 8 bits, and everything but attention computed row
//! by row in one go, while it is in the cache.

use rayon::prelude::*;

use crate::{
    attention::Attention,
    linear::Linear,
    norm::Norm,
    packed::{Packed, task},
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

/// A layer, its linear ones packed as `P`.
#[derive(Clone, Debug)]
pub struct Layer<P> {
    attention: P,
    output: P,
    attention_norm: OwnNorm,
    up: P,
    down: P,
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
struct Rows<R> {
    room: R,
    x: Vec<f32>,
    neurons: Vec<f32>,
}

impl<P: Packed> Layer<P> {
    /// Packs it.
    ///
    /// # Panics
    /// When shapes do not fit.
    #[must_use]
    pub fn new(parts: &Parts<'_>) -> Self {
        let layer = Self {
            attention: P::pack(&parts.attention),
            output: P::pack(&[parts.output]),
            attention_norm: OwnNorm::new(parts.attention_norm),
            up: P::pack(&[parts.up]),
            down: P::pack(&[parts.down]),
            ffn_norm: OwnNorm::new(parts.ffn_norm),
            heads: parts.heads,
        };
        let (hidden, columns) = layer.attention.shape();
        let ffn = layer.up.shape().1;
        assert_eq!(parts.attention.map(|one| one.bias.len()), [columns / 3; 3], "query, key and value");
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
        let task = task(rows);
        x.par_chunks_mut((task * hidden).max(1)).enumerate().for_each_init(
            Rows::<P::Scratch>::default,
            |own, (number, x)| {
                let (first, rows) = (number * task, x.len() / hidden);
                let context = &context[first * width..(first + rows) * width];
                own.x.resize(rows * hidden, 0.0);
                self.output.rows(context, &mut own.x, &mut own.room, false);
                self.attention_norm.norm().forward_here(&mut own.x, x);
                own.neurons.resize(rows * self.up.shape().1, 0.0);
                self.up.rows(&own.x, &mut own.neurons, &mut own.room, true);
                self.down.rows(&own.neurons, x, &mut own.room, false);
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
        float::F32,
        gelu::gelu,
        int8::Int8,
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

    /// How far a prepacked layer is from the layer, a number in the mean.
    fn lost<P: Packed>(made: &Made, starts: &[u32], seed: u64) -> f64 {
        let tokens = *starts.last().expect("an end") as usize;
        let mut x = Draw::new(seed).values(tokens * made.biases[3].len());
        let expected = exact(&made.parts(), &x, starts);
        Layer::<P>::new(&made.parts()).forward(&mut x, starts);
        let squares = x.iter().zip(&expected).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
        (squares / (x.len().max(1) as f64)).sqrt()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_prepacked_layer_is_near_the_layer(
            heads in 1_usize..4, width in 1_usize..12, hidden in 8_usize..50, ffn in 1_usize..60,
            lengths in prop::collection::vec(0_u32..40, 1..6), seed in any::<u64>(),
        ) {
            let made = Made::new(hidden, heads, width, ffn, seed);
            let starts: Vec<u32> = [0].into_iter().chain(lengths.iter().scan(0, |end, length| {
                *end += length;
                Some(*end)
            })).collect();
            // LayerNorm leaves rows of length √hidden; 8 bits lose a hundredth or two of it, a layer of three neurons and
            // a width of three in thousands 0.07.
            let (in_f32, in_8_bits) = (lost::<F32>(&made, &starts, seed ^ 1), lost::<Int8>(&made, &starts, seed ^ 1));
            prop_assert!(in_f32 < 1e-5 && in_8_bits < 0.1, "{in_f32}, {in_8_bits}");
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
        let parts = Parts {
            attention: [to_nothing; 3],
            output: from_nothing,
            attention_norm: norm,
            up: to_nothing,
            down: from_nothing,
            ffn_norm: norm,
            heads: 0,
        };
        let x = Draw::new(4).values(3 * 11);
        let mut expected = x.clone();
        for _ in 0..2 {
            norm.forward(&mut expected, Some(&offset.repeat(11)));
        }
        let (mut in_f32, mut in_8_bits) = (x.clone(), x);
        Layer::<F32>::new(&parts).forward(&mut in_f32, &[0, 4, 11]);
        Layer::<Int8>::new(&parts).forward(&mut in_8_bits, &[0, 4, 11]);
        assert_eq!((&in_f32, &in_8_bits), (&expected, &expected));
    }

    #[test]
    fn threads_do_not_show() {
        let made = Made::new(40, 3, 8, 70, 9);
        let (in_f32, in_8_bits) = (Layer::<F32>::new(&made.parts()), Layer::<Int8>::new(&made.parts()));
        let x = Draw::new(2).values(200 * 40);
        let forward = |threads| {
            let mut of_both = [x.clone(), x.clone()];
            on_threads(threads, || {
                in_f32.forward(&mut of_both[0], &[0, 90, 90, 150, 200]);
                in_8_bits.forward(&mut of_both[1], &[0, 90, 90, 150, 200]);
            });
            of_both
        };
        let once = forward(1);
        assert!(once == forward(4) && once == forward(7));
    }
}
