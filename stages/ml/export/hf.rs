//! Folders that stock transformers loads.

use std::path::Path;

use burn::tensor::Device;
use encoder::{
    arch::Axis,
    config::{Config, LayerShape},
    layer::Widths,
    layout,
    model::{self, Model},
    network::Network,
    weights::{Array, Weights},
};
use stage_contract::StageError;
use text::folder;

/// Whether stock keys tell a model's shape.
///
/// # Errors
/// They do not.
pub fn check(config: &Config) -> Result<(), StageError> {
    if config.is_stock() {
        return Ok(());
    }
    Err(StageError::new(
        "the model's layers have widths of their own, and config.json has one number for all of them where transformers \
         reads it",
    )
    .help("use `hf-dense`, which transformers loads, or `onnx`, which is as fast as the model"))
}

/// The shape that [`dense`] gives a model.
///
/// # Errors
/// There is none that transformers reads.
pub fn dense_shape(config: &Config) -> Result<Config, StageError> {
    let heads = config.hidden / config.head_dim;
    let ffn = config.layers.iter().map(|layer| layer.ffn).max().unwrap_or_default();
    let layers = config.layers.iter().map(|layer| LayerShape { heads, ffn, ..*layer }).collect();
    let wide = Config { layers, ..config.clone() };
    let fits = config.layers.iter().all(|layer| layer.heads <= heads);
    if fits && wide.is_stock() {
        return Ok(wide);
    }
    Err(StageError::new(format!(
        "no shape that transformers reads holds this model (hidden width {}, heads of {})",
        config.hidden, config.head_dim
    ))
    .help("use `onnx`"))
}

/// The model with zeros for the heads and neurons that its layers lack: the same logits in a shape that stock keys tell.
///
/// # Errors
/// As [`dense_shape`].
pub fn dense(model: &Model) -> Result<Model, StageError> {
    let wide = dense_shape(&model.config)?;
    let mut weights = model.network.weights(&model.config);
    let tensors = wide.architecture.tensors();
    let pairs: Vec<(Widths, Widths)> = model.config.widths().zip(wide.widths()).collect();
    for (index, (own, wide)) in pairs.into_iter().enumerate() {
        for (part, output, input) in tensors.matrices() {
            let name = tensors.part(index, part);
            widen(&mut weights, &format!("{name}.weight"), [(output, &own, &wide), (input, &own, &wide)]);
            if part.has_bias() {
                widen(&mut weights, &format!("{name}.bias"), [(output, &own, &wide)]);
            }
        }
    }
    let network = Network::from_weights(&wide, weights, &model.network.device())?;
    Ok(Model { config: wide, network, tokenizer: model.tokenizer.clone() })
}

/// Zeros after the end of each axis.
fn widen<const D: usize>(weights: &mut Weights, name: &str, axes: [(Axis, &Widths, &Widths); D]) {
    let array = weights.get_mut(name).expect("weights and configuration of one model");
    let shape: Vec<usize> = axes.iter().map(|(axis, _, wide)| axis.len(wide)).collect();
    if shape == array.shape {
        return;
    }
    let columns = if D == 1 { 1 } else { shape[D - 1] };
    let own = if D == 1 { 1 } else { array.shape[D - 1] };
    let mut values = vec![0.0; shape.iter().product()];
    for (to, from) in values.chunks_exact_mut(columns).zip(array.values.chunks_exact(own)) {
        to[..own].copy_from_slice(from);
    }
    *array = Array { shape, values };
}

/// The model as whoever does not know `ner_pipe` reads it from a folder: without a CRF.
///
/// # Errors
/// Unreadable.
pub fn read_stock(path: &Path, device: &Device) -> Result<Model, StageError> {
    let file = path.join(folder::CONFIG);
    let json = std::fs::read_to_string(&file).map_err(|e| StageError::io("read", &file, e))?;
    let config = Config::parse_stock(&json)?;
    let mut weights = model::weights(path, &config)?;
    layout::take_apart(&config, &mut weights)?;
    let network = Network::from_weights(&config, weights, device)?;
    let tokenizer = text::tokenizer::Tokenizer::load(path, config.vocab)?;
    Ok(Model { config, network, tokenizer })
}
