//! `ModernBERT` (Warner et al. 2024) and its child `ModernCamemBERT` (Antoun et al. 2025): norms before attention and FFN,
//! rotary positions, a gated FFN, and two layers in three in which tokens see their neighbours alone.

use burn::tensor::{Int, Tensor, activation::gelu};
use serde_json::{Map, Value, json};
use stage_contract::StageError;

use super::{
    architecture::{Architecture, Pass},
    declarations::{Axis, Family, Keys, Part, Settings, Share, Tensors},
    demand::demand,
};
use crate::{
    backend::{
        fused::Ops,
        positions::{Positions, Rotary},
        prepacked::{PrepackedLayer, WeightFormat},
    },
    layer::{Component, Layer, LayerShape, Probe},
};

/// See the module.
#[derive(Debug)]
pub struct ModernBert;

/// Places of the parts of a layer.
pub const ATTENTION_NORM: usize = 0;
/// See [`ATTENTION_NORM`].
pub const QUERY: usize = 1;
/// See [`ATTENTION_NORM`].
pub const KEY: usize = 2;
/// See [`ATTENTION_NORM`].
pub const VALUE: usize = 3;
/// See [`ATTENTION_NORM`].
pub const ATTENTION_OUTPUT: usize = 4;
/// See [`ATTENTION_NORM`].
pub const FFN_NORM: usize = 5;
/// See [`ATTENTION_NORM`].
pub const UP: usize = 6;
/// See [`ATTENTION_NORM`].
pub const GATE: usize = 7;
/// See [`ATTENTION_NORM`].
pub const DOWN: usize = 8;

const fn third(index: usize) -> Share {
    Share { tensor: "attn.Wqkv", index, count: 3 }
}

const fn half(index: usize) -> Share {
    Share { tensor: "mlp.Wi", index, count: 2 }
}

const PARTS: [Part; 9] = [
    Part::gain("attn_norm", true),
    Part::matrix("attn.query", Axis::Heads, Axis::Hidden, Some(third(0))),
    Part::matrix("attn.key", Axis::Heads, Axis::Hidden, Some(third(1))),
    Part::matrix("attn.value", Axis::Heads, Axis::Hidden, Some(third(2))),
    Part::matrix("attn.Wo", Axis::Hidden, Axis::Heads, None),
    Part::gain("mlp_norm", false),
    Part::matrix("mlp.up", Axis::Neurons, Axis::Hidden, Some(half(0))),
    Part::matrix("mlp.gate", Axis::Neurons, Axis::Hidden, Some(half(1))),
    Part::matrix("mlp.Wo", Axis::Hidden, Axis::Neurons, None),
];

/// Places of what stands before the classifier.
pub const FINAL_NORM: usize = 0;
/// See [`FINAL_NORM`].
pub const DENSE: usize = 1;
/// See [`FINAL_NORM`].
pub const HEAD_NORM: usize = 2;

const SHARED: [Part; 3] = [
    Part::gain("model.final_norm", false),
    Part::matrix("head.dense", Axis::Hidden, Axis::Hidden, None),
    Part::gain("head.norm", false),
];

const SLIDING: &str = "sliding_attention";
const FULL: &str = "full_attention";

impl Architecture for ModernBert {
    fn families(&self) -> &'static [Family] {
        &[Family { model_type: "modernbert", class: "ModernBertForTokenClassification" }]
    }

    fn keys(&self) -> &'static Keys {
        &Keys {
            hidden: "hidden_size",
            layers: "num_hidden_layers",
            heads: "num_attention_heads",
            head_dim: None,
            neurons: "intermediate_size",
            activation: "hidden_activation",
            epsilon: Some("norm_eps"),
            types: None,
            default_epsilon: 1e-5,
            default_types: 0,
            default_pad: 50283,
        }
    }

    fn tensors(&self) -> &'static Tensors {
        &const {
            Tensors {
                word: "model.embeddings.tok_embeddings",
                positions: None,
                types: None,
                norm: Part::gain("model.embeddings.norm", false),
                layers: "model.layers",
                parts: &PARTS,
                shared: &SHARED,
                head: "classifier",
                unused: &["decoder."],
            }
        }
    }

    fn settings(&self, config: &Value) -> Result<Settings, StageError> {
        for key in ["norm_bias", "attention_bias", "mlp_bias", "classifier_bias"] {
            demand(config, key, &json!(false), &json!(false))?;
        }
        demand(config, "classifier_activation", &json!("gelu"), &json!("gelu"))?;
        // Before transformers 5 the two bases had keys of their own.
        let base = |kind: &str, key: &str, default: f64| {
            let own = &config["rope_parameters"][kind];
            demand(own, "rope_type", &json!("default"), &json!("default"))?;
            let said = own["rope_theta"].as_f64().or_else(|| config[key].as_f64());
            Ok::<_, StageError>(said.unwrap_or(default))
        };
        let whole = base(FULL, "global_rope_theta", 160_000.0)?;
        // `null` there means: as in the others.
        let null = config.get("local_rope_theta").is_some_and(Value::is_null);
        let near = base(SLIDING, "local_rope_theta", if null { whole } else { 10_000.0 })?;
        Ok(Settings { rotary: Some([whole, near]), ..Settings::default() })
    }

    fn layers(&self, config: &Value, mut layers: Vec<LayerShape>) -> Result<Vec<LayerShape>, StageError> {
        let whole = |key: &str, default: u64| match &config[key] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .filter(|number| *number > 0)
                .ok_or_else(|| StageError::new(format!("{key} is {value}, expected a positive number"))),
        };
        // Half of `local_attention`, or what a key of that meaning says, which transformers takes for it.
        let reach = whole("sliding_window", whole("local_attention", 128)? / 2)?;
        // A text has not so many tokens, and twice as many can still be counted.
        let reach = usize::try_from(reach).unwrap_or(usize::MAX).min(1 << 24);
        let every = usize::try_from(whole("global_attn_every_n_layers", 3)?).unwrap_or(usize::MAX);
        let kinds = config["layer_types"].as_array();
        if let Some(kinds) = kinds.filter(|kinds| kinds.len() != layers.len()) {
            let message = format!("layer_types has {} entries for {} layers", kinds.len(), layers.len());
            return Err(StageError::new(message).help("write one for each layer into config.json"));
        }
        for (index, layer) in layers.iter_mut().enumerate() {
            let near = match kinds.map(|kinds| &kinds[index]) {
                None => index % every > 0,
                Some(kind) if kind == SLIDING => true,
                Some(kind) if kind == FULL => false,
                Some(kind) => {
                    return Err(StageError::new(format!("layer_types names {kind}"))
                        .help(format!("write \"{FULL}\" or \"{SLIDING}\" for each layer into config.json")));
                }
            };
            layer.reach = near.then_some(reach);
            layer.bare = index == 0;
        }
        Ok(layers)
    }

    fn write(&self, layers: &[LayerShape], config: &mut Map<String, Value>) {
        let kind = |layer: &LayerShape| if layer.reach.is_some() { SLIDING } else { FULL };
        config.insert("layer_types".to_owned(), layers.iter().map(kind).collect());
    }

    fn positions(
        &self,
        settings: &Settings,
        _shared: &[Component],
        head_dim: usize,
        positions: &Tensor<1, Int>,
        _ops: &Ops,
    ) -> Positions {
        let bases = settings.rotary.expect("read from its configuration");
        Positions::Rotary(Box::new(bases.map(|base| Rotary::new(positions, base, head_dim))))
    }

    fn forward(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        pass: &Pass<'_>,
        probe: Option<(usize, &dyn Probe)>,
    ) -> Tensor<2> {
        let (ops, heads, reach) = (pass.ops, layer.widths.heads, layer.widths.reach);
        let Positions::Rotary(rotary) = &pass.positions else {
            panic!("its positions are rotary");
        };
        let [whole, near] = rotary.as_ref();
        let rotary = if reach.is_some() { near } else { whole };
        let [query, key, value] = self.attended(layer, &x, ops);
        let turned = |rows| rotary.turn(ops.wide(rows), heads);
        let mut context = ops.attend([turned(query), turned(key), value], heads, reach);
        if let Some((index, probe)) = probe {
            context = probe.context(index, ops.wide(context));
        }
        let x = x + ops.wide(ops.linear(layer.linear(ATTENTION_OUTPUT), context));
        let normed = ops.norm(layer.norm(FFN_NORM), x.clone());
        let up = ops.linear_gelu(layer.linear(UP), normed.clone());
        let mut neurons = up * ops.linear(layer.linear(GATE), normed);
        if let Some((index, probe)) = probe {
            neurons = probe.neurons(index, ops.wide(neurons));
        }
        x + ops.wide(ops.linear(layer.linear(DOWN), neurons))
    }

    fn finish(&self, shared: &[Component], x: Tensor<2>, ops: &Ops) -> Tensor<2> {
        let norm = |place: usize, x| ops.norm(shared[place].norm().expect("no layer's"), x);
        let dense = ops.linear(shared[DENSE].linear(), norm(FINAL_NORM, x));
        norm(HEAD_NORM, gelu(ops.wide(dense)))
    }

    fn attended(&self, layer: &Layer, x: &Tensor<2>, ops: &Ops) -> [Tensor<2>; 3] {
        let x = match layer.norm_if_any(ATTENTION_NORM) {
            Some(norm) => ops.norm(norm, x.clone()),
            None => x.clone(),
        };
        [QUERY, KEY, VALUE].map(|part| ops.linear(layer.linear(part), x.clone()))
    }

    fn prepack(&self, _layer: &Layer, _epsilon: f32, _format: WeightFormat) -> Option<PrepackedLayer> {
        None
    }
}
