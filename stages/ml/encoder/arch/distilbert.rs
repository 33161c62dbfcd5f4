//! `DistilBERT` (Sanh et al. 2019): BERT without token types, under names of its own.

use super::{
    architecture::Architecture,
    declarations::{Family, Keys, Part, Tensors},
    post_norm,
};

/// See the module.
#[derive(Debug)]
pub struct DistilBert;

impl Architecture for DistilBert {
    fn families(&self) -> &'static [Family] {
        &[Family { model_type: "distilbert", class: "DistilBertForTokenClassification" }]
    }

    fn keys(&self) -> &'static Keys {
        &Keys {
            hidden: "dim",
            layers: "n_layers",
            heads: "n_heads",
            head_dim: None,
            neurons: "hidden_dim",
            activation: "activation",
            epsilon: None,
            types: None,
            default_epsilon: 1e-12,
            default_types: 0,
            default_pad: 0,
        }
    }

    fn tensors(&self) -> &'static Tensors {
        &const {
            Tensors {
                word: "distilbert.embeddings.word_embeddings",
                positions: Some("distilbert.embeddings.position_embeddings"),
                types: None,
                norm: Part::norm("distilbert.embeddings.LayerNorm"),
                layers: "distilbert.transformer.layer",
                parts: &post_norm::parts([
                    "attention.q_lin",
                    "attention.k_lin",
                    "attention.v_lin",
                    "attention.out_lin",
                    "sa_layer_norm",
                    "ffn.lin1",
                    "ffn.lin2",
                    "output_layer_norm",
                ]),
                shared: &[],
                head: "classifier",
                unused: &["vocab_", "distilbert.embeddings.position_ids"],
            }
        }
    }
}
