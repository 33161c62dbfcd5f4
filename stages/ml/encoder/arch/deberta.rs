//! DeBERTa-v2 and -v3 (He et al. 2021) and their child `CamemBERTa` v2 (Antoun et al. 2024): BERT's layer, in which queries
//! and keys also meet each other's places, by one embedding of distances for all layers.

use burn::tensor::{Int, Tensor};
use serde_json::{Value, json};
use stage_contract::StageError;

use super::{
    architecture::{Architecture, Pass},
    declarations::{Family, Keys, Part, Settings, Tensors},
    demand::demand,
    post_norm,
};
use crate::{
    backend::{
        fused::Ops,
        positions::{Buckets, Positions, Relative},
        prepacked::{PrepackedLayer, WeightFormat},
    },
    layer::{Component, Layer, Probe, Widths},
};

/// See the module.
#[derive(Debug)]
pub struct Deberta;

/// What distances are counted in: below it f32 has every whole number.
const MOST_PLACES: usize = 1 << 24;

/// Places of what all layers use.
pub const EMBEDDING: usize = 0;
/// See [`EMBEDDING`].
pub const NORM: usize = 1;

impl Architecture for Deberta {
    fn families(&self) -> &'static [Family] {
        &[Family { model_type: "deberta-v2", class: "DebertaV2ForTokenClassification" }]
    }

    fn keys(&self) -> &'static Keys {
        &Keys {
            hidden: "hidden_size",
            layers: "num_hidden_layers",
            heads: "num_attention_heads",
            head_dim: Some("attention_head_size"),
            neurons: "intermediate_size",
            activation: "hidden_act",
            epsilon: Some("layer_norm_eps"),
            types: None,
            default_epsilon: 1e-7,
            default_types: 0,
            default_pad: 0,
        }
    }

    fn tensors(&self) -> &'static Tensors {
        &const {
            Tensors {
                word: "deberta.embeddings.word_embeddings",
                positions: None,
                types: None,
                norm: Part::norm("deberta.embeddings.LayerNorm"),
                layers: "deberta.encoder.layer",
                parts: &post_norm::parts([
                    "attention.self.query_proj",
                    "attention.self.key_proj",
                    "attention.self.value_proj",
                    "attention.output.dense",
                    "attention.output.LayerNorm",
                    "intermediate.dense",
                    "output.dense",
                    "output.LayerNorm",
                ]),
                shared: &[
                    Part::Relative { name: "deberta.encoder.rel_embeddings" },
                    Part::norm("deberta.encoder.LayerNorm"),
                ],
                head: "classifier",
                unused: &[
                    "lm_predictions.",
                    "mask_predictions.",
                    "cls.",
                    "pooler.",
                    "deberta.embeddings.position_embeddings",
                    "deberta.embeddings.position_ids",
                ],
            }
        }
    }

    /// What version 3 and its children have; version 2's convolution, and keys of their own for places, are not known here.
    fn settings(&self, config: &Value) -> Result<Settings, StageError> {
        for (key, expected, default) in [
            ("relative_attention", json!(true), json!(false)),
            ("share_att_key", json!(true), json!(false)),
            ("position_biased_input", json!(false), json!(true)),
            ("norm_rel_ebd", json!("layer_norm"), json!("none")),
            ("conv_kernel_size", json!(0), json!(0)),
            ("type_vocab_size", json!(0), json!(0)),
        ] {
            demand(config, key, &expected, &default)?;
        }
        demand(config, "embedding_size", &config["hidden_size"], &config["hidden_size"])?;
        let kinds: Vec<&str> = match &config["pos_att_type"] {
            Value::String(kinds) => kinds.split('|').map(str::trim).collect(),
            kinds => kinds.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        if !["c2p", "p2c"].iter().all(|kind| kinds.contains(kind)) {
            let message = format!(
                "pos_att_type is {}, and only c2p and p2c together are known",
                config["pos_att_type"]
            );
            return Err(StageError::new(message).help("use a model of DeBERTa v3, such as CamemBERTa v2"));
        }
        let positive = |key: &str| {
            let number = config[key].as_i64().filter(|number| *number > 0);
            let number = number.and_then(|number| usize::try_from(number).ok());
            if number.is_some_and(|number| number > MOST_PLACES) {
                return Err(StageError::new(format!(
                    "{key} is {}, and no encoder has more than {MOST_PLACES}",
                    config[key]
                ))
                .help("copy config.json from the model's own repository"));
            }
            Ok(number)
        };
        let farthest = positive("max_relative_positions")?.or(positive("max_position_embeddings")?);
        let buckets = Buckets { count: positive("position_buckets")?, farthest: farthest.unwrap_or(512) };
        Ok(Settings { relative: Some(buckets), ..Settings::default() })
    }

    fn positions(
        &self,
        settings: &Settings,
        shared: &[Component],
        _head_dim: usize,
        _positions: &Tensor<1, Int>,
        ops: &Ops,
    ) -> Positions {
        let norm = shared[NORM].norm().expect("no layer's");
        let embedding = ops.norm(norm, shared[EMBEDDING].relative());
        let buckets = settings.relative.expect("read from its configuration");
        Positions::Relative(Box::new(Relative::new(embedding, buckets, ops)))
    }

    fn forward(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        pass: &Pass<'_>,
        probe: Option<(usize, &dyn Probe)>,
    ) -> Tensor<2> {
        let Positions::Relative(relative) = &pass.positions else {
            panic!("its positions are relative");
        };
        let ops = pass.ops;
        post_norm::around(layer, x, ops, probe, |x| {
            let [query, key, _] = post_norm::attended(layer, &relative.embedding, ops);
            relative.attend(post_norm::attended(layer, x, ops), [key, query], layer.widths.heads)
        })
    }

    /// And for each head what queries and keys say to `2 * tokens - 1` places, whose own projections count too.
    fn attention_products(&self, widths: &Widths, tokens: usize) -> usize {
        let places = 2 * tokens - 1;
        let content = 2 * tokens * tokens * widths.attention;
        content + 2 * tokens * places * widths.attention + 2 * places * widths.hidden * widths.attention
    }

    fn prepack(&self, _layer: &Layer, _epsilon: f32, _format: WeightFormat) -> Option<PrepackedLayer> {
        None
    }
}
