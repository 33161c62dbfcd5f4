//! `RoBERTa` (Liu et al. 2019) and its children `CamemBERT` (Martin et al. 2020) and XLM-`RoBERTa` (Conneau et al. 2020).

use super::{
    architecture::Architecture,
    declarations::{Family, Keys, Part, Tensors},
    post_norm,
};

/// See the module.
#[derive(Debug)]
pub struct Roberta;

impl Architecture for Roberta {
    fn families(&self) -> &'static [Family] {
        &[
            Family { model_type: "camembert", class: "CamembertForTokenClassification" },
            Family { model_type: "roberta", class: "RobertaForTokenClassification" },
            Family { model_type: "xlm-roberta", class: "XLMRobertaForTokenClassification" },
        ]
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
            default_pad: 1,
        }
    }

    fn tensors(&self) -> &'static Tensors {
        &const {
            Tensors {
                word: "roberta.embeddings.word_embeddings",
                positions: Some("roberta.embeddings.position_embeddings"),
                types: Some("roberta.embeddings.token_type_embeddings"),
                norm: Part::norm("roberta.embeddings.LayerNorm"),
                layers: "roberta.encoder.layer",
                parts: &post_norm::parts(post_norm::NAMES),
                shared: &[],
                head: "classifier",
                unused: &[
                    "lm_head.",
                    "roberta.pooler.",
                    "roberta.embeddings.position_ids",
                    "roberta.embeddings.token_type_ids",
                ],
            }
        }
    }

    /// The rows up to padding's are unused (fairseq).
    fn first_position(&self, pad: u32) -> u32 {
        pad + 1
    }
}
