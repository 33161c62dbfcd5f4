//! Between a network's parameters and a checkpoint's tensors: Hugging Face's names, `[out, in]` matrices.

use std::{collections::BTreeMap, convert::Infallible};

use burn::{
    module::{Param, ParamId},
    nn::{Embedding, LayerNorm, LayerNormConfig, Linear},
    tensor::{Device, Tensor, TensorData},
};
use rand::Rng;
use stage_contract::StageError;

use crate::ml::{
    config::Config,
    host::host,
    model::{CrfParameters, Layer, Network},
    precision::Precision,
    random,
    weights::{Array, Weights},
};

/// Names of a checkpoint's tensors.
pub mod name {
    /// `[vocab, hidden]`
    pub const WORD: &str = "roberta.embeddings.word_embeddings";
    /// `[positions, hidden]`
    pub const POSITION: &str = "roberta.embeddings.position_embeddings";
    /// `[types, hidden]`; folded into the positions, because every token is of type 0.
    pub const TYPE: &str = "roberta.embeddings.token_type_embeddings";
    /// `LayerNorm` of the embeddings.
    pub const NORM: &str = "roberta.embeddings.LayerNorm";
    /// Query, key and value: `[heads * head_dim, hidden]`.
    pub const QUERY: &str = "attention.self.query";
    /// See [`QUERY`].
    pub const KEY: &str = "attention.self.key";
    /// See [`QUERY`].
    pub const VALUE: &str = "attention.self.value";
    /// `[hidden, heads * head_dim]`
    pub const ATTENTION_OUTPUT: &str = "attention.output.dense";
    /// `LayerNorm` after attention.
    pub const ATTENTION_NORM: &str = "attention.output.LayerNorm";
    /// `[ffn, hidden]`
    pub const UP: &str = "intermediate.dense";
    /// `[hidden, ffn]`
    pub const DOWN: &str = "output.dense";
    /// `LayerNorm` after the FFN.
    pub const FFN_NORM: &str = "output.LayerNorm";
    /// `[labels, hidden]`
    pub const HEAD: &str = "classifier";
    /// `[labels, labels]` as [from, to]
    pub const TRANSITIONS: &str = "crf.transitions";
    /// `[labels]`
    pub const START: &str = "crf.start";
    /// `[labels]`
    pub const END: &str = "crf.end";

    /// A part of layer `index`.
    #[must_use]
    pub fn layer(index: usize, part: &str) -> String {
        format!("roberta.encoder.layer.{index}.{part}")
    }
}

/// Standard deviation of new weights: `initializer_range` of BERT (Devlin et al. 2018, appendix A).
const INITIALIZER_RANGE: f64 = 0.02;

/// Checks the shapes of a checkpoint's matrices against its config, before any work.
///
/// # Errors
/// The first that is missing or of another shape, or a layer too many.
pub fn check(config: &Config, shapes: &BTreeMap<String, Vec<usize>>) -> Result<(), StageError> {
    let (hidden, labels) = (config.hidden, config.labels.len());
    let mut expected =
        vec![(name::WORD.to_owned(), [config.vocab, hidden]), (name::HEAD.to_owned(), [labels, hidden])];
    for (index, layer) in config.layers.iter().enumerate() {
        let attention = layer.heads * config.head_dim;
        for part in [name::QUERY, name::KEY, name::VALUE] {
            expected.push((name::layer(index, part), [attention, hidden]));
        }
        expected.push((name::layer(index, name::UP), [layer.ffn, hidden]));
        expected.push((name::layer(index, name::DOWN), [hidden, layer.ffn]));
    }
    let wrong = |message: String| {
        Err(StageError::new(format!("weights and config.json disagree: {message}"))
            .help("use a checkpoint and a config.json of one and the same model, fine-tuned for token classification"))
    };
    for (name, shape) in expected {
        match shapes.get(&format!("{name}.weight")) {
            None => return wrong(format!("there is no tensor {name}.weight")),
            Some(found) if *found != shape => {
                return wrong(format!("{name}.weight is {found:?} and not {shape:?}"));
            }
            Some(_) => {}
        }
    }
    let more = format!("{}.weight", name::layer(config.layers.len(), name::QUERY));
    if shapes.contains_key(&more) {
        return wrong(format!("the checkpoint has more than {} layers", config.layers.len()));
    }
    Ok(())
}

impl Network {
    /// Builds a network from a checkpoint's tensors.
    ///
    /// # Errors
    /// A tensor is missing, of another shape, or left over.
    pub fn from_weights(config: &Config, mut weights: Weights, device: &Device) -> Result<Self, StageError> {
        let network = Self::build(config, device, &mut |name, shape| weights.take(name, shape))?;
        weights.finish()?;
        Ok(network)
    }

    /// A new network: matrices and embeddings drawn from N(0, 0.02), biases and CRF 0, `LayerNorm` 1 and 0. Each tensor
    /// has a stream of its own, so that the draws depend on nothing but `seed` and the tensor's name and size.
    #[must_use]
    pub fn init(config: &Config, seed: u64, device: &Device) -> Self {
        let Ok(network) = Self::build(config, device, &mut |name, shape| -> Result<_, Infallible> {
            let size = shape.iter().product();
            Ok(match name.rsplit_once('.') {
                Some((norm, "weight")) if norm.ends_with("LayerNorm") => vec![1.0; size],
                Some((_, "weight")) if !name.starts_with(name::TYPE) => normal(seed, name, size),
                _ => vec![0.0; size],
            })
        });
        network
    }

    fn build<E>(
        config: &Config,
        device: &Device,
        source: &mut impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let (hidden, labels) = (config.hidden, config.labels.len());
        let mut builder = Builder { device, eps: config.eps, source };
        let layers = config
            .layers
            .iter()
            .enumerate()
            .map(|(index, shape)| {
                let of = |part| name::layer(index, part);
                let attention = shape.heads * config.head_dim;
                Ok(Layer {
                    query: builder.linear(&of(name::QUERY), hidden, attention)?,
                    key: builder.linear(&of(name::KEY), hidden, attention)?,
                    value: builder.linear(&of(name::VALUE), hidden, attention)?,
                    attention_output: builder.linear(&of(name::ATTENTION_OUTPUT), attention, hidden)?,
                    attention_norm: builder.norm(&of(name::ATTENTION_NORM), hidden)?,
                    up: builder.linear(&of(name::UP), hidden, shape.ffn)?,
                    down: builder.linear(&of(name::DOWN), shape.ffn, hidden)?,
                    ffn_norm: builder.norm(&of(name::FFN_NORM), hidden)?,
                    heads: shape.heads,
                    frozen: None,
                })
            })
            .collect::<Result<_, E>>()?;
        let crf = if config.crf {
            Some(CrfParameters {
                transitions: builder.tensor(name::TRANSITIONS, [labels, labels])?,
                start: builder.tensor(name::START, [labels])?,
                end: builder.tensor(name::END, [labels])?,
            })
        } else {
            None
        };
        Ok(Self {
            word: Embedding {
                weight: builder.tensor(&format!("{}.weight", name::WORD), [config.vocab, hidden])?,
            },
            position: builder.positions(config)?,
            norm: builder.norm(name::NORM, hidden)?,
            layers,
            head: builder.linear(name::HEAD, hidden, labels)?,
            crf,
            precision: Precision::F32,
        })
    }

    /// The network's parameters as a checkpoint's tensors. The token types are part of the positions: they come as zeros.
    ///
    /// # Panics
    /// Of a frozen network, which has given its layers' matrices up.
    #[must_use]
    pub fn weights(&self, config: &Config) -> Weights {
        let mut writer = Writer(Weights::default());
        writer.tensor(&format!("{}.weight", name::WORD), self.word.weight.val());
        writer.tensor(&format!("{}.weight", name::POSITION), self.position.weight.val());
        let types = vec![config.types(), config.hidden];
        let zeros = vec![0.0; types.iter().product()];
        writer.0.insert(format!("{}.weight", name::TYPE), Array { shape: types, values: zeros });
        writer.norm(name::NORM, &self.norm);
        for (index, layer) in self.layers.iter().enumerate() {
            assert!(layer.frozen.is_none(), "a frozen layer has no matrices");
            for (part, linear) in [
                (name::QUERY, &layer.query),
                (name::KEY, &layer.key),
                (name::VALUE, &layer.value),
                (name::ATTENTION_OUTPUT, &layer.attention_output),
                (name::UP, &layer.up),
                (name::DOWN, &layer.down),
            ] {
                writer.linear(&name::layer(index, part), linear);
            }
            writer.norm(&name::layer(index, name::ATTENTION_NORM), &layer.attention_norm);
            writer.norm(&name::layer(index, name::FFN_NORM), &layer.ffn_norm);
        }
        writer.linear(name::HEAD, &self.head);
        if let Some(crf) = &self.crf {
            writer.tensor(name::TRANSITIONS, crf.transitions.val());
            writer.tensor(name::START, crf.start.val());
            writer.tensor(name::END, crf.end.val());
        }
        writer.0
    }
}

/// The id of the parameter that a checkpoint's tensor becomes: the same in every process, so that the state of an
/// optimizer finds its parameters again.
#[must_use]
pub fn parameter_id(name: &str) -> ParamId {
    random::stream(name).into()
}

struct Builder<'a, F> {
    device: &'a Device,
    eps: f64,
    source: &'a mut F,
}

impl<E, F: FnMut(&str, &[usize]) -> Result<Vec<f32>, E>> Builder<'_, F> {
    fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>, E> {
        let values = (self.source)(name, &shape)?;
        Ok(self.parameter(name, values, shape))
    }

    fn parameter<const D: usize>(&self, name: &str, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        let mut parameter = Param::from_data(TensorData::new(values, shape), self.device);
        parameter.id = parameter_id(name);
        parameter
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, E> {
        let weight = format!("{name}.weight");
        let values = (self.source)(&weight, &[outputs, inputs])?;
        Ok(Linear {
            weight: self.parameter(&weight, transposed(&values, outputs, inputs), [inputs, outputs]),
            bias: Some(self.tensor(&format!("{name}.bias"), [outputs])?),
        })
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<LayerNorm, E> {
        let mut norm = LayerNormConfig::new(width).with_epsilon(self.eps).init(self.device);
        norm.gamma = self.tensor(&format!("{name}.weight"), [width])?;
        norm.beta = Some(self.tensor(&format!("{name}.bias"), [width])?);
        Ok(norm)
    }

    fn positions(&mut self, config: &Config) -> Result<Embedding, E> {
        let name = format!("{}.weight", name::POSITION);
        let (rows, width) = (config.positions, config.hidden);
        let mut values = (self.source)(&name, &[rows, width])?;
        let types = (self.source)(&format!("{}.weight", name::TYPE), &[config.types(), width])?;
        let first = &types[..width];
        // Adding zeros would turn -0 into +0, and a checkpoint must survive any number of round trips bit by bit.
        if first.iter().any(|value| *value != 0.0) {
            for row in values.chunks_exact_mut(width) {
                for (value, kind) in row.iter_mut().zip(first) {
                    *value += kind;
                }
            }
        }
        Ok(Embedding { weight: self.parameter(&name, values, [rows, width]) })
    }
}

struct Writer(Weights);

impl Writer {
    fn tensor<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) {
        let shape = tensor.dims().to_vec();
        self.0.insert(name, Array { shape, values: host(tensor) });
    }

    fn linear(&mut self, name: &str, linear: &Linear) {
        let weight = linear.weight.val();
        let [inputs, outputs] = weight.dims();
        let values = transposed(&host(weight), inputs, outputs);
        self.0.insert(format!("{name}.weight"), Array { shape: vec![outputs, inputs], values });
        if let Some(bias) = &linear.bias {
            self.tensor(&format!("{name}.bias"), bias.val());
        }
    }

    fn norm(&mut self, name: &str, norm: &LayerNorm) {
        self.tensor(&format!("{name}.weight"), norm.gamma.val());
        if let Some(beta) = &norm.beta {
            self.tensor(&format!("{name}.bias"), beta.val());
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`, in blocks that stay in the cache.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut result = vec![0.0; values.len()];
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..columns).step_by(BLOCK) {
            for row in top..rows.min(top + BLOCK) {
                for column in left..columns.min(left + BLOCK) {
                    result[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    result
}

/// `size` draws from N(0, 0.02) by Box and Muller (1958).
fn normal(seed: u64, name: &str, size: usize) -> Vec<f32> {
    let mut rng = random::rng(seed, name);
    let mut values = Vec::with_capacity(size + 1);
    while values.len() < size {
        // 1 - [0, 1) is never 0, whose logarithm would be infinite.
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * INITIALIZER_RANGE;
        let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(size);
    values
}
