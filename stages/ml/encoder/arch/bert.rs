//! BERT (Devlin et al. 2018): learned positions from 0, and token types, of which a sentence alone has the first.

use burn::{nn::Linear, tensor::Tensor};

use super::{
    architecture::{Architecture, Family, Keys, Tensors},
    post_norm,
};
use crate::{
    backend::{
        fused::Rows,
        prepacked::{PrepackedLayer, WeightFormat},
    },
    layer::{Layer, Probe},
};

/// See the module.
#[derive(Debug)]
pub struct Bert;

impl Architecture for Bert {
    fn families(&self) -> &'static [Family] {
        &[Family { model_type: "bert", class: "BertForTokenClassification" }]
    }

    fn keys(&self) -> &'static Keys {
        &Keys {
            hidden: "hidden_size",
            layers: "num_hidden_layers",
            heads: "num_attention_heads",
            neurons: "intermediate_size",
            activation: "hidden_act",
            epsilon: Some("layer_norm_eps"),
            types: Some("type_vocab_size"),
            default_epsilon: 1e-12,
            default_types: 2,
            default_pad: 0,
        }
    }

    fn tensors(&self) -> &'static Tensors {
        &Tensors {
            word: "bert.embeddings.word_embeddings",
            positions: Some("bert.embeddings.position_embeddings"),
            types: Some("bert.embeddings.token_type_embeddings"),
            norm: "bert.embeddings.LayerNorm",
            layers: "bert.encoder.layer",
            parts: &const { post_norm::parts(post_norm::NAMES) },
            head: "classifier",
            unused: &[
                "cls.",
                "bert.pooler.",
                "bert.embeddings.position_ids",
                "bert.embeddings.token_type_ids",
            ],
        }
    }

    fn first_position(&self, _pad: u32) -> u32 {
        0
    }

    fn forward(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        rows: &Rows,
        probe: Option<(usize, &dyn Probe)>,
    ) -> Tensor<2> {
        post_norm::forward(layer, x, rows, probe)
    }

    fn attention<'l>(&self, layer: &'l Layer) -> [&'l Linear; 3] {
        post_norm::attention(layer)
    }

    fn prepack(&self, layer: &Layer, epsilon: f32, format: WeightFormat) -> PrepackedLayer {
        post_norm::prepack(layer, epsilon, format)
    }
}
