//! Between a network's parameters and a checkpoint's tensors: Hugging Face's names, `[out, in]` matrices.

use std::convert::Infallible;

use burn::{
    module::{Param, ParamId},
    nn::{Embedding, LayerNorm, LayerNormConfig, Linear},
    tensor::{Device, Tensor, TensorData},
};
use rand::Rng;
use stage_contract::StageError;

use crate::{
    arch::Part,
    backend::{precision::Precision, readback::host},
    config::Config,
    layer::{Component, Layer, Widths},
    network::{CrfParameters, Network},
    weights::{Array, Shapes, Weights, crf},
};
use text::random;

/// Standard deviation of new weights: `initializer_range` of BERT (Devlin et al. 2018, appendix A).
const INITIALIZER_RANGE: f64 = 0.02;

/// Where weights and config.json are not of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The tensor; empty where there are too many layers.
    pub tensor: String,
    /// What is wrong.
    pub message: String,
}

/// All that is wrong with the shapes of a checkpoint's tensors by its config; those in `left` have no place there.
#[must_use]
pub fn mismatches(config: &Config, shapes: &Shapes, left: &[String]) -> Vec<Mismatch> {
    let beyond = format!("{}.{}.", config.architecture.tensors().layers, config.layers.len());
    let more = left.iter().any(|name| name.starts_with(&beyond)).then(|| Mismatch {
        tensor: String::new(),
        message: format!("the checkpoint has more than {} layers", config.layers.len()),
    });
    let wrong = |(name, shape): (String, Vec<usize>)| {
        let message = match shapes.get(&name) {
            None => format!("there is no tensor {name}"),
            Some(found) if *found != shape => format!("{name} is {found:?} and not {shape:?}"),
            Some(_) => return None,
        };
        Some(Mismatch { tensor: name, message })
    };
    more.into_iter().chain(config.tensors().into_iter().filter_map(wrong)).collect()
}

/// Checks the shapes of a checkpoint's tensors against its config, before any work. Those in `left` have no place there:
/// that is said of them, but for what checkpoints carry along.
///
/// # Errors
/// The first of the [`mismatches`].
pub fn check(config: &Config, shapes: &Shapes, left: &[String]) -> Result<(), StageError> {
    if let Some(first) = mismatches(config, shapes, left).into_iter().next() {
        return Err(disagree(&first));
    }
    let tensors = config.architecture.tensors();
    let left: Vec<&str> = left.iter().map(String::as_str).filter(|name| !tensors.carries(name)).collect();
    if let Some(first) = left.first() {
        let more = if left.len() > 1 { format!(" and {} more", left.len() - 1) } else { String::new() };
        tracing::info!("the checkpoint has {first}{more}, which token classifiers do not use: left out");
    }
    Ok(())
}

/// What is said of a mismatch.
#[must_use]
pub fn disagree(mismatch: &Mismatch) -> StageError {
    StageError::new(format!("weights and config.json disagree: {}", mismatch.message)).help(
        "use a checkpoint and a config.json of one and the same model, fine-tuned for token classification",
    )
}

/// Takes a checkpoint's tensors apart that hold several matrices one below another: one tensor for each part.
///
/// # Errors
/// The rows of one are no multiple of what it holds.
pub fn take_apart(config: &Config, weights: &mut Weights) -> Result<(), StageError> {
    let tensors = config.architecture.tensors();
    for index in 0..config.layers.len() {
        for (part, share) in tensors.shares() {
            let name = format!("{}.weight", tensors.shared_by(index, share));
            // Where it is missing, whoever needs it says so.
            let Some(whole) = weights.get(&name) else { continue };
            let [rows, columns] = whole.shape[..] else {
                return Err(StageError::new(format!("{name} is no matrix")));
            };
            if rows % share.count > 0 {
                return Err(StageError::new(format!(
                    "{name} has {rows} rows, which are not {} parts",
                    share.count
                )));
            }
            let rows = rows / share.count;
            let values = whole.values[share.index * rows * columns..][..rows * columns].to_vec();
            weights.insert(
                format!("{}.weight", tensors.part(index, part)),
                Array { shape: vec![rows, columns], values },
            );
            if share.index + 1 == share.count {
                weights.remove(&name);
            }
        }
    }
    Ok(())
}

/// The way back of [`take_apart`].
pub fn put_together(config: &Config, weights: &mut Weights) {
    let tensors = config.architecture.tensors();
    for index in 0..config.layers.len() {
        for (part, share) in tensors.shares() {
            let Some(own) = weights.remove(&format!("{}.weight", tensors.part(index, part))) else {
                continue;
            };
            let name = format!("{}.weight", tensors.shared_by(index, share));
            match weights.get_mut(&name) {
                Some(whole) => {
                    whole.shape[0] += own.shape[0];
                    whole.values.extend(own.values);
                }
                None => weights.insert(name, own),
            }
        }
    }
}

impl Network {
    /// Builds a network from tensors, one for each part ([`take_apart`]).
    ///
    /// # Errors
    /// A tensor is missing, of another shape, or left over.
    pub fn from_weights(config: &Config, mut weights: Weights, device: &Device) -> Result<Self, StageError> {
        let network = Self::build(config, device, &mut |name, shape, _| weights.take(name, shape))?;
        weights.finish()?;
        Ok(network)
    }

    /// A new network: matrices and embeddings drawn from N(0, 0.02), biases and CRF 0, `LayerNorm` 1 and 0. Each tensor
    /// has a stream of its own, so that the draws depend on nothing but `seed` and the tensor's name and size.
    #[must_use]
    pub fn init(config: &Config, seed: u64, device: &Device) -> Self {
        let Ok(network) = Self::build(config, device, &mut |name, shape, start| -> Result<_, Infallible> {
            let size = shape.iter().product();
            Ok(match start {
                Start::Normal => normal(seed, name, size),
                Start::One => vec![1.0; size],
                Start::Zero => vec![0.0; size],
            })
        });
        network
    }

    fn build<E>(
        config: &Config,
        device: &Device,
        source: &mut impl FnMut(&str, &[usize], Start) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let (hidden, labels) = (config.hidden, config.labels.len());
        let mut builder = Builder { device, config, source };
        let tensors = config.architecture.tensors();
        let layers = config
            .widths()
            .enumerate()
            .map(|(index, widths)| {
                let part = |part: &Part| builder.part(&tensors.part(index, *part), *part, &widths);
                Ok(Layer::new(tensors.parts.iter().map(part).collect::<Result<_, E>>()?, widths))
            })
            .collect::<Result<_, E>>()?;
        let whole = Widths { hidden, ..Widths::default() };
        let shared = tensors.shared.iter().map(|part| builder.part(part.name(), *part, &whole));
        let shared = shared.collect::<Result<_, E>>()?;
        let crf = if config.crf {
            Some(CrfParameters {
                transitions: builder.tensor(crf::TRANSITIONS, [labels, labels], Start::Zero)?,
                start: builder.tensor(crf::START, [labels], Start::Zero)?,
                end: builder.tensor(crf::END, [labels], Start::Zero)?,
            })
        } else {
            None
        };
        Ok(Self {
            word: Embedding {
                weight: builder.tensor(
                    &format!("{}.weight", tensors.word),
                    [config.vocab, hidden],
                    Start::Normal,
                )?,
            },
            position: builder.positions(config)?,
            norm: builder.norm(tensors.norm.name(), hidden, tensors.norm.has_bias())?,
            layers,
            shared,
            head: builder.linear(tensors.head, hidden, labels, true)?,
            crf,
            precision: Precision::F32,
            settings: config.settings,
            architecture: config.architecture,
        })
    }

    /// The network's parameters as a checkpoint's tensors. The token types are part of the positions: they come as zeros.
    ///
    /// # Panics
    /// Of a prepacked network, which has given its layers' matrices up.
    #[must_use]
    pub fn weights(&self, config: &Config) -> Weights {
        let mut writer = Writer(Weights::default());
        let tensors = self.architecture.tensors();
        writer.tensor(&format!("{}.weight", tensors.word), self.word.weight.val());
        if let (Some(name), Some(position)) = (tensors.positions, &self.position) {
            writer.tensor(&format!("{name}.weight"), position.weight.val());
        }
        if let Some(name) = tensors.types {
            let types = vec![config.types(), config.hidden];
            let zeros = vec![0.0; types.iter().product()];
            writer.0.insert(format!("{name}.weight"), Array { shape: types, values: zeros });
        }
        writer.norm(tensors.norm.name(), &self.norm);
        for (index, layer) in self.layers.iter().enumerate() {
            assert!(layer.prepacked.is_none(), "a prepacked layer has no matrices");
            for (part, component) in tensors.parts.iter().zip(layer.parts()) {
                writer.component(&tensors.part(index, *part), component);
            }
        }
        for (part, component) in tensors.shared.iter().zip(&self.shared) {
            writer.component(part.name(), component);
        }
        writer.linear(tensors.head, &self.head);
        if let Some(own) = &self.crf {
            writer.tensor(crf::TRANSITIONS, own.transitions.val());
            writer.tensor(crf::START, own.start.val());
            writer.tensor(crf::END, own.end.val());
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

/// What a new tensor holds.
#[derive(Clone, Copy)]
enum Start {
    /// Draws from N(0, 0.02).
    Normal,
    One,
    Zero,
}

struct Builder<'a, F> {
    device: &'a Device,
    config: &'a Config,
    source: &'a mut F,
}

impl<E, F: FnMut(&str, &[usize], Start) -> Result<Vec<f32>, E>> Builder<'_, F> {
    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        start: Start,
    ) -> Result<Param<Tensor<D>>, E> {
        let values = (self.source)(name, &shape, start)?;
        Ok(self.parameter(name, values, shape))
    }

    fn parameter<const D: usize>(&self, name: &str, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        let mut parameter = Param::from_data(TensorData::new(values, shape), self.device);
        parameter.id = parameter_id(name);
        parameter
    }

    fn part(&mut self, name: &str, part: Part, widths: &Widths) -> Result<Component, E> {
        let hidden = widths.hidden;
        Ok(match part {
            Part::Linear { output, input, bias, .. } => {
                Component::Linear(self.linear(name, input.len(widths), output.len(widths), bias)?)
            }
            Part::Norm { .. } if part.is_missing(widths) => Component::Norm(None),
            Part::Norm { bias, .. } => Component::Norm(Some(self.norm(name, hidden, bias)?)),
            Part::Relative { .. } => {
                let rows = part.parameters(widths, &self.config.settings) / hidden.max(1);
                let weight = self.tensor(&format!("{name}.weight"), [rows, hidden], Start::Normal)?;
                Component::Relative(Embedding { weight })
            }
        })
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear, E> {
        let weight = format!("{name}.weight");
        let values = (self.source)(&weight, &[outputs, inputs], Start::Normal)?;
        Ok(Linear {
            weight: self.parameter(&weight, transposed(&values, outputs, inputs), [inputs, outputs]),
            bias: self.bias(name, outputs, bias)?,
        })
    }

    fn norm(&mut self, name: &str, width: usize, bias: bool) -> Result<LayerNorm, E> {
        let mut norm = LayerNormConfig::new(width).with_epsilon(self.config.eps).init(self.device);
        norm.gamma = self.tensor(&format!("{name}.weight"), [width], Start::One)?;
        norm.beta = self.bias(name, width, bias)?;
        Ok(norm)
    }

    fn bias(&mut self, name: &str, width: usize, there: bool) -> Result<Option<Param<Tensor<1>>>, E> {
        there.then(|| self.tensor(&format!("{name}.bias"), [width], Start::Zero)).transpose()
    }

    fn positions(&mut self, config: &Config) -> Result<Option<Embedding>, E> {
        let tensors = config.architecture.tensors();
        let Some(name) = tensors.positions else { return Ok(None) };
        let name = format!("{name}.weight");
        let (rows, width) = (config.positions, config.hidden);
        let mut values = (self.source)(&name, &[rows, width], Start::Normal)?;
        let types = match tensors.types {
            Some(name) => (self.source)(&format!("{name}.weight"), &[config.types(), width], Start::Zero)?,
            None => vec![0.0; width],
        };
        let first = &types[..width];
        // Adding zeros would turn -0 into +0, and a checkpoint must survive any number of round trips bit by bit.
        if first.iter().any(|value| *value != 0.0) {
            for row in values.chunks_exact_mut(width) {
                for (value, kind) in row.iter_mut().zip(first) {
                    *value += kind;
                }
            }
        }
        Ok(Some(Embedding { weight: self.parameter(&name, values, [rows, width]) }))
    }
}

struct Writer(Weights);

impl Writer {
    fn tensor<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) {
        let shape = tensor.dims().to_vec();
        self.0.insert(name, Array { shape, values: host(tensor) });
    }

    fn component(&mut self, name: &str, component: &Component) {
        match component {
            Component::Linear(linear) => self.linear(name, linear),
            Component::Norm(Some(norm)) => self.norm(name, norm),
            Component::Norm(None) => {}
            Component::Relative(embedding) => {
                self.tensor(&format!("{name}.weight"), embedding.weight.val());
            }
        }
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
