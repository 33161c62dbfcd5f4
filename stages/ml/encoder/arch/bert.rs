//! BERT (Devlin et al. 2018): learned positions from 0, and token types, of which a sentence alone has the first.

use super::{
    architecture::Architecture,
    declarations::{Family, Keys, Part, Tensors},
    post_norm,
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
            head_dim: None,
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
        &const {
            Tensors {
                word: "bert.embeddings.word_embeddings",
                positions: Some("bert.embeddings.position_embeddings"),
                types: Some("bert.embeddings.token_type_embeddings"),
                norm: Part::norm("bert.embeddings.LayerNorm"),
                layers: "bert.encoder.layer",
                parts: &post_norm::parts(post_norm::NAMES),
                shared: &[],
                head: "classifier",
                unused: &[
                    "cls.",
                    "bert.pooler.",
                    "bert.embeddings.position_ids",
                    "bert.embeddings.token_type_ids",
                ],
            }
        }
    }
}
