//! A model as ONNX: its true shapes, any batch and length.

mod deberta;
mod form;
mod graph;
mod modernbert;
mod parts;
mod post_norm;
mod proto;

use encoder::{
    arch::{self, Architecture},
    config::Config,
    model::Model,
};
use prost::Message;
use stage_contract::StageError;

pub use self::parts::Precision;
use self::{
    form::{Form, Place, SHUT, Shared, Whole},
    graph::Value,
    parts::Writer,
};

/// The ONNX form of every encoder that has one.
const FORMS: [(&dyn Architecture, &dyn Form); 5] = [
    (&arch::roberta::Roberta, &post_norm::PostNorm),
    (&arch::bert::Bert, &post_norm::PostNorm),
    (&arch::distilbert::DistilBert, &post_norm::PostNorm),
    (&arch::modernbert::ModernBert, &modernbert::ModernBert),
    (&arch::deberta::Deberta, &deberta::Deberta),
];

/// Inputs `[batch, length]`.
pub const IDS: &str = "input_ids";
/// 1 for a token, 0 for padding.
pub const MASK: &str = "attention_mask";
/// What BERT's tokenizer gives beside them. Every token is of the first type, so that nothing reads it.
pub const TYPES: &str = "token_type_ids";
/// The output `[batch, length, labels]`.
pub const LOGITS: &str = "logits";

/// What one file holds at most: protobuf counts its bytes in 31 bits.
const LARGEST_FILE: usize = (1 << 31) - 1;

/// Whether an encoder has an ONNX form.
///
/// # Errors
/// It has none, by name.
pub fn check(architecture: &'static dyn Architecture) -> Result<(), StageError> {
    form(architecture).map(drop)
}

fn form(architecture: &'static dyn Architecture) -> Result<&'static dyn Form, StageError> {
    let found = FORMS.iter().find(|(own, _)| *own == architecture);
    found.map(|(_, form)| *form).ok_or_else(|| {
        let name = architecture.families()[0].model_type;
        StageError::new(format!("{name} has no ONNX form")).help("use `hf` or `hf-dense` in place of `onnx`")
    })
}

/// Whether a model has an input for token types.
#[must_use]
pub fn takes_types(config: &Config) -> bool {
    config.types() > 1
}

/// The bytes of `model.onnx`.
///
/// # Errors
/// Its encoder has no ONNX form, or it is larger than one file may be.
pub fn encode(model: &Model, precision: Precision) -> Result<Vec<u8>, StageError> {
    let (config, network) = (&model.config, &model.network);
    let form = form(config.architecture)?;
    let tensors = config.architecture.tensors();
    #[expect(clippy::cast_possible_truncation, reason = "an ε of about 1e-5")]
    let mut writer = Writer::new(precision, config.eps as f32);
    let (ids, mask) = (writer.graph.input(IDS), writer.graph.input(MASK));
    if takes_types(config) {
        writer.graph.input(TYPES);
    }
    let whole = Whole { config, network, seen: seen(&mut writer, &mask), ids };
    let mut x = writer.words(tensors.word, &network.word, &whole.ids);
    if let (Some(name), Some(table)) = (tensors.positions, &network.position) {
        let table = writer.tensor(&format!("{name}.weight"), table.weight.val());
        let places = places(&mut writer, config, &whole.ids, &mask);
        let rows = writer.graph.gather(&table, &places);
        x = writer.graph.add(&x, &rows);
    }
    x = writer.norm(tensors.norm.name(), &network.norm, &x);
    let positions = form.positions(&mut writer, &whole);
    let shared = Shared { seen: whole.seen, positions };
    for (index, layer) in network.layers.iter().enumerate() {
        x = form.layer(&mut writer, &Place { layer, index, tensors }, &shared, &x);
    }
    let x = form.finish(&mut writer, network, x);
    // In f32 in every precision: it is small, and decides.
    writer.exact(tensors.head, &network.head, &x);
    let model = writer.graph.finish(LOGITS, config.labels.len());
    let size = model.encoded_len();
    if size > LARGEST_FILE {
        return Err(StageError::new(format!(
            "the model takes {size} bytes, and an ONNX file at most {LARGEST_FILE}"
        ))
        .help("use `onnx-int8`, which takes a quarter, or `hf`"));
    }
    Ok(model.encode_to_vec())
}

/// `[batch, 1, 1, length]` what is added to the scores of each key.
fn seen(writer: &mut Writer, mask: &Value) -> Value {
    let graph = &mut writer.graph;
    let mask = graph.unsqueeze(mask, &[1, 2]);
    let (mask, one, shut) = (graph.cast_to_float(&mask), graph.float(1.0), graph.float(SHUT));
    let hidden = graph.sub(&one, &mask);
    graph.mul(&hidden, &shut)
}

/// The row of the position embedding of each token: from the encoder's first on. Where that depends on padding's id, padding
/// does not count, wherever it stands (fairseq).
fn places(writer: &mut Writer, config: &Config, ids: &Value, mask: &Value) -> Value {
    let graph = &mut writer.graph;
    let first = config.architecture.first_position(config.pad);
    if first == 0 {
        return graph.places(ids);
    }
    let axis = graph.int(1);
    let counted = graph.node("CumSum", [mask, &axis], []);
    let counted = graph.mul(&counted, mask);
    let before = graph.int(i64::from(first) - 1);
    graph.add(&counted, &before)
}

#[cfg(test)]
mod tests;
