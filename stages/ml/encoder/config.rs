//! `config.json` of a token classifier: the stock keys, and `ner_pipe` for pruned shapes (docs/formats.md, "Student
//! folder").

mod keys;
mod made;
mod stock;
mod tensors;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use stage_contract::StageError;

use self::keys::{Keys, up_to};
pub use self::made::Declared;
pub use crate::layer::LayerShape;
use crate::{
    arch::{Architecture, Part, Settings},
    layer::Widths,
};
use text::{
    folder,
    labels::{Labels, Scheme},
    tokenizer::Special,
};

/// Everything about a model's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which encoder it is.
    pub architecture: &'static dyn Architecture,
    /// Entries of the word embedding.
    pub vocab: usize,
    /// Hidden width.
    pub hidden: usize,
    /// Width of one head; explicit because hidden / heads no longer gives it after pruning.
    pub head_dim: usize,
    /// Layers, first to last.
    pub layers: Vec<LayerShape>,
    /// Entries of the position embedding, those before the encoder's first position unused.
    pub positions: usize,
    /// Padding's id, from which some encoders count positions.
    pub pad: u32,
    /// `LayerNorm` epsilon.
    pub eps: f64,
    /// What the encoder has beside sizes.
    pub settings: Settings,
    /// Output columns.
    pub labels: Labels,
    /// Whether the checkpoint has CRF tensors.
    pub crf: bool,
    /// How words get their tags.
    pub decode: Decode,
    /// The config.json it came from, so that keys we do not use survive a round trip. Null for a new model.
    pub stock: Value,
}

/// How a model's words get their tags ([`crate::decode`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// By the most probable type.
    #[default]
    Types,
    /// By the most probable label.
    Argmax,
    /// By the CRF.
    Crf,
}

impl Decode {
    /// As config.json and reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Types => "types",
            Self::Argmax => "argmax",
            Self::Crf => "crf",
        }
    }
}

/// Where label2id says otherwise than id2label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The label.
    pub label: String,
    /// By id2label, which counts.
    pub column: usize,
    /// By label2id.
    pub inverse: u64,
}

impl Contradiction {
    /// Name of the event by which whoever loads a model is told of one.
    pub const SAID: &'static str = "contradiction";
}

/// The names of config.json's labels by id2label, whatever they mean, and what label2id says otherwise.
///
/// # Errors
/// There is no id2label, or it has gaps.
pub fn declared_labels(stock: &Value) -> Result<(Vec<String>, Vec<Contradiction>), StageError> {
    let keys = Keys::of(stock)?;
    let names = keys.label_names()?;
    let contradictions = keys.contradictions(&names);
    Ok((names, contradictions))
}

/// Version of the `ner_pipe` key that this code reads and writes.
const FORMAT: u64 = 1;

/// What helps a file that is broken.
const COPY: &str = "copy config.json from the model's own repository, where transformers saves it";

/// Token types of a new model: all tokens are of one.
const NEW_TYPES: usize = 1;

/// More than any encoder has. What is claimed beyond it is not worth the memory to look.
const MOST_LAYERS: usize = 1000;

/// No size and no id is larger: the largest vocabularies that we know have 256,000 entries, the widest layers 100,000 neurons.
/// Then no count of parameters overflows.
const LARGEST: usize = 1 << 24;

/// The only activation, as config.json calls it.
const ACTIVATION: &str = "gelu";

impl Config {
    /// Reads config.json of a model folder.
    ///
    /// # Errors
    /// Unreadable, a key missing or senseless, an architecture that is not known, an activation other than
    /// gelu.
    pub fn load(model: &Path) -> Result<Self, StageError> {
        let value = Self::read(model)?;
        let path = model.join(folder::CONFIG);
        Self::parse(value).map_err(|e| StageError::because(format!("cannot use {}", path.display()), e))
    }

    /// Reads config.json of a model folder and understands nothing of it.
    ///
    /// # Errors
    /// There is none, or it is no JSON.
    pub fn read(model: &Path) -> Result<Value, StageError> {
        let path = folder::config(model)?;
        let bytes = folder::small(&path)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let text = String::from_utf8_lossy(&bytes);
            // Python writes and reads them, and nobody else does.
            let help = if ["NaN", "Infinity"].iter().any(|name| text.contains(name)) {
                "JSON has no NaN and no Infinity: write null or a number in their place"
            } else {
                COPY
            };
            StageError::because(format!("{} is not JSON", path.display()), e).help(help)
        })
    }

    /// Understands config.json.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(stock: Value) -> Result<Self, StageError> {
        let keys = Keys::of(&stock)?;
        let architecture = keys.architecture()?;
        let names = architecture.keys();
        if let Some(types) = names.types {
            // Read where it is used, but what it is must be known now.
            keys.number(types)?;
        }
        let hidden = keys.positive(names.hidden)?;
        let heads = keys.positive(names.heads)?;
        let own_width = names.head_dim.map(|key| keys.number(key)).transpose()?.flatten();
        let own_width = own_width.filter(|width| *width > 0);
        let labels = keys.labels()?;
        let (head_dim, layers, crf, decode) = match keys.object("ner_pipe")? {
            Some(own) => pruned(&own, &labels)?,
            None if !hidden.is_multiple_of(heads) && own_width.is_none() => {
                return Err(StageError::new(format!(
                    "{} {hidden} is not a multiple of {} {heads}",
                    names.hidden, names.heads
                ))
                .help(COPY));
            }
            None => {
                let ffn = keys.positive(names.neurons)?;
                let layers = (0..keys.positive_up_to(names.layers, MOST_LAYERS)?)
                    .map(|layer| LayerShape {
                        heads,
                        ffn,
                        from_teacher_layer: layer,
                        ..LayerShape::default()
                    })
                    .collect::<Vec<_>>();
                let layers = architecture.layers(&stock, layers)?;
                (own_width.unwrap_or(hidden / heads), layers, false, Decode::Types)
            }
        };
        let epsilon = match names.epsilon {
            Some(key) => {
                // In f32 it is neither 0 nor infinite.
                let fits = |eps: &f64| *eps >= f64::from(f32::MIN_POSITIVE) && *eps <= 1.0;
                keys.get(key, |value| value.as_f64().filter(fits), "a number above 0, and 1 at most")?
            }
            None => None,
        };
        let config = Self {
            architecture,
            vocab: keys.positive("vocab_size")?,
            hidden,
            head_dim,
            layers,
            positions: keys.positive("max_position_embeddings")?,
            pad: u32::try_from(keys.number("pad_token_id")?.unwrap_or(names.default_pad))
                .map_err(|e| StageError::because("pad_token_id is too large", e))?,
            eps: epsilon.unwrap_or(names.default_epsilon),
            settings: architecture.settings(&stock)?,
            labels,
            crf,
            decode,
            stock,
        };
        config.calibration()?;
        for layer in &config.layers {
            up_to("the width of all heads of a layer", layer.heads.saturating_mul(head_dim), LARGEST)?;
        }
        if config.settings.rotary.is_some() && !head_dim.is_multiple_of(2) {
            return Err(StageError::new(format!(
                "a head is {head_dim} wide, and rotary positions turn its entries in pairs"
            ))
            .help(COPY));
        }
        if config.positions <= config.first_position() {
            return Err(StageError::new(format!(
                "max_position_embeddings {} leaves no position after pad_token_id {}",
                config.positions, config.pad
            )));
        }
        Ok(config)
    }

    /// Compares `pad_token_id`, where positions count from it, with the tokenizer's. An encoder reads no other special id of
    /// config.json: whole families of models have a wrong `bos_token_id` and `eos_token_id` there.
    ///
    /// # Errors
    /// They disagree.
    pub fn check_special(&self, special: Special) -> Result<(), StageError> {
        let first = |pad| self.architecture.first_position(pad);
        if first(self.pad) == first(special.pad) {
            return Ok(());
        }
        Err(StageError::new(format!(
            "config.json says pad_token_id = {}, but the tokenizer gives it {}",
            self.pad, special.pad
        ))
        .help("use config.json and the tokenizer of one and the same model"))
    }

    /// Writes down the special ids that the tokenizer gives.
    pub fn name_special(&mut self, special: Special) {
        if !self.stock.is_object() {
            self.stock = Value::Object(self.begun());
        }
        if let Some(stock) = self.stock.as_object_mut() {
            for (key, id) in [("bos_token_id", special.bos), ("eos_token_id", special.eos)] {
                stock.insert(key.to_owned(), id.into());
            }
        }
    }

    /// config.json's text: the stock keys in their order, those that we know brought up to date, `ner_pipe` last.
    #[must_use]
    pub fn json(&self) -> String {
        let mut keys = match &self.stock {
            Value::Object(keys) => keys.clone(),
            _ => self.begun(),
        };
        let names = self.architecture.keys();
        if let Some(family) = self.architecture.families().first() {
            keys.entry("architectures").or_insert_with(|| json!([family.class]));
            keys.entry("model_type").or_insert_with(|| json!(family.model_type));
        }
        keys.entry(names.activation).or_insert_with(|| json!(ACTIVATION));
        if let Some(types) = names.types {
            keys.entry(types).or_insert_with(|| json!(names.default_types));
        }
        let mut set = |key: &str, value: Value| {
            keys.insert(key.to_owned(), value);
        };
        set("vocab_size", json!(self.vocab));
        set(names.hidden, json!(self.hidden));
        set(names.layers, json!(self.layers.len()));
        set("max_position_embeddings", json!(self.positions));
        set("pad_token_id", json!(self.pad));
        if let Some(epsilon) = names.epsilon {
            set(epsilon, json!(self.eps));
        }
        set(
            "id2label",
            self.labels.names().iter().enumerate().map(|(i, n)| (i.to_string(), n.clone())).collect(),
        );
        set("label2id", self.labels.names().iter().enumerate().map(|(i, n)| (n.clone(), i)).collect());
        // Transformers before 4.56 reads torch_dtype; weights are always saved in f32.
        for key in ["dtype", "torch_dtype"] {
            if keys.contains_key(key) {
                keys.insert(key.to_owned(), json!("float32"));
            }
        }
        // Layers of different widths cannot be told in stock keys: those then keep what they said.
        for (key, width) in [
            (names.heads, (|layer| layer.heads) as fn(&LayerShape) -> usize),
            (names.neurons, |layer| layer.ffn),
        ] {
            let first = self.layers.first().map_or(0, width);
            if self.layers.iter().all(|layer| width(layer) == first) || !keys.contains_key(key) {
                keys.insert(key.to_owned(), json!(first));
            }
        }
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|l| {
                let mut layer =
                    json!({"heads": l.heads, "ffn": l.ffn, "from_teacher_layer": l.from_teacher_layer});
                if let Some(reach) = l.reach {
                    layer["reach"] = json!(reach);
                }
                if l.bare {
                    layer["bare"] = json!(true);
                }
                layer
            })
            .collect();
        self.architecture.write(&self.layers, &mut keys);
        let scheme = scheme_name(self.labels.scheme());
        let mut own = json!({
            "format": FORMAT, "head_dim": self.head_dim, "layers": layers, "scheme": scheme, "crf": self.crf,
            "decode": self.decode,
        });
        for (key, value) in self.history() {
            own[key] = value;
        }
        keys.shift_remove("ner_pipe");
        keys.insert("ner_pipe".to_owned(), own);
        format!("{:#}\n", Value::Object(keys))
    }

    /// Rows of the token-type embedding in the checkpoint; folded into the positions on loading.
    #[must_use]
    pub fn types(&self) -> usize {
        let names = self.architecture.keys();
        let Some(key) = names.types else { return names.default_types };
        if self.stock.is_null() {
            return NEW_TYPES;
        }
        let said = self.stock.get(key).and_then(Value::as_u64);
        let said = said.and_then(|types| usize::try_from(types).ok()).filter(|types| *types > 0);
        said.unwrap_or(names.default_types)
    }

    /// What config.json of a new model begins with.
    fn begun(&self) -> Map<String, Value> {
        self.architecture.keys().types.map(|key| (key.to_owned(), json!(NEW_TYPES))).into_iter().collect()
    }

    /// The sizes of each layer, first to last.
    pub fn widths(&self) -> impl Iterator<Item = Widths> {
        self.layers.iter().map(|layer| Widths {
            hidden: self.hidden,
            heads: layer.heads,
            attention: layer.heads * self.head_dim,
            neurons: layer.ffn,
            origin: layer.from_teacher_layer,
            reach: layer.reach,
            bare: layer.bare,
        })
    }

    /// Encoder and head parameters in closed form, token types included, CRF not (docs/math.md).
    #[must_use]
    pub fn parameters(&self) -> usize {
        let (h, tensors) = (self.hidden, self.architecture.tensors());
        let positions = if tensors.positions.is_some() { self.positions } else { 0 };
        let of = |parts: &[Part], widths: &Widths| {
            parts.iter().map(|part| part.parameters(widths, &self.settings)).sum::<usize>()
        };
        let whole = Widths { hidden: h, ..Widths::default() };
        let embeddings = (self.vocab + positions + self.types()) * h + of(&[tensors.norm], &whole);
        let layers = self.widths().map(|widths| of(tensors.parts, &widths)).sum::<usize>();
        embeddings + layers + of(tensors.shared, &whole) + h * self.labels.len() + self.labels.len()
    }

    /// Parameters of the CRF: transitions, start and end; 0 without one.
    #[must_use]
    pub fn crf_parameters(&self) -> usize {
        if self.crf { self.labels.len() * (self.labels.len() + 2) } else { 0 }
    }

    /// All parameters, the CRF's included: how many a model has, wherever it is said.
    #[must_use]
    pub fn all_parameters(&self) -> usize {
        self.parameters() + self.crf_parameters()
    }

    /// Longest window with specials: 512, or less when there are fewer positions.
    #[must_use]
    pub fn max_pieces(&self) -> usize {
        (self.positions - self.first_position()).min(512)
    }

    fn first_position(&self) -> usize {
        self.architecture.first_position(self.pad) as usize
    }
}

fn scheme_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Io => "io",
        Scheme::Bio => "bio",
    }
}

/// The `ner_pipe` key: head width, layers, whether there is a CRF, and how words are decoded.
fn pruned(own: &Keys<'_>, labels: &Labels) -> Result<(usize, Vec<LayerShape>, bool, Decode), StageError> {
    let format = own.positive("format")?;
    if format as u64 != FORMAT {
        return Err(StageError::new(format!("ner_pipe.format is {format}, and this build reads {FORMAT}"))
            .help("use the ner-pipe that wrote this model"));
    }
    let scheme = own.text("scheme")?;
    if scheme != Some(scheme_name(labels.scheme())) {
        return Err(StageError::new(format!(
            "ner_pipe.scheme is {}, but id2label is {}",
            scheme.unwrap_or("missing"),
            scheme_name(labels.scheme())
        )));
    }
    let layers = own.get("layers", Value::as_array, "a list")?.map_or(&[][..], Vec::as_slice);
    if layers.is_empty() {
        return Err(StageError::new("ner_pipe.layers is missing or empty"));
    }
    up_to("the number of ner_pipe.layers", layers.len(), MOST_LAYERS)?;
    let layers = layers
        .iter()
        .map(|layer| {
            let keys = Keys::of(layer)?;
            Ok(LayerShape {
                reach: keys.number("reach")?,
                bare: keys.flag("bare")?,
                heads: keys.positive("heads")?,
                ffn: keys.positive("ffn")?,
                from_teacher_layer: keys
                    .number("from_teacher_layer")?
                    .ok_or_else(|| StageError::new("ner_pipe.layers names no from_teacher_layer"))?,
            })
        })
        .collect::<Result<Vec<_>, StageError>>()?;
    let crf = own.flag("crf")?;
    let decode = match own.text("decode")? {
        // Students of earlier versions.
        None if crf => Decode::Crf,
        None => Decode::Types,
        Some(by) => serde_json::from_value(by.into()).map_err(|_| {
            StageError::new(format!("ner_pipe.decode is {by}")).help("write types, argmax or crf")
        })?,
    };
    if decode == Decode::Crf && !crf {
        return Err(StageError::new("ner_pipe.decode is crf, and ner_pipe.crf is false").help("write argmax"));
    }
    Ok((own.positive("head_dim")?, layers, crf, decode))
}

#[cfg(test)]
mod tests;
