//! The layer of BERT and its children, as `encoder::arch::post_norm` computes it.

use encoder::arch::post_norm::{ATTENTION_NORM, ATTENTION_OUTPUT, DOWN, FFN_NORM, KEY, QUERY, UP, VALUE};

use super::{
    form::{Form, Place, Shared, scores},
    graph::Value,
    parts::Writer,
};

/// See the module.
pub struct PostNorm;

impl Form for PostNorm {
    fn layer(&self, writer: &mut Writer, place: &Place<'_>, shared: &Shared, x: &Value) -> Value {
        around(writer, place, x, |writer, x| {
            let [query, key, value] = attended(writer, place, x);
            let scores = scores(&mut writer.graph, &query, &key);
            place.weigh(&mut writer.graph, &scores, place.head_dim(), &shared.seen, &value)
        })
    }
}

/// Queries, keys and values `[batch, heads, length, head_dim]`.
pub fn attended(writer: &mut Writer, place: &Place<'_>, x: &Value) -> [Value; 3] {
    [QUERY, KEY, VALUE].map(|part| {
        let rows = place.linear(writer, part, x);
        place.heads(&mut writer.graph, &rows)
    })
}

/// The layer, of which `attend` computes the heads' contexts `[batch, length, heads * head_dim]`.
pub fn around(
    writer: &mut Writer,
    place: &Place<'_>,
    x: &Value,
    attend: impl FnOnce(&mut Writer, &Value) -> Value,
) -> Value {
    let context = attend(writer, x);
    let attended = place.linear(writer, ATTENTION_OUTPUT, &context);
    let sum = writer.graph.add(&attended, x);
    let x = place.norm(writer, ATTENTION_NORM, &sum);
    let neurons = place.linear(writer, UP, &x);
    let neurons = writer.graph.gelu(&neurons);
    let down = place.linear(writer, DOWN, &neurons);
    let sum = writer.graph.add(&down, &x);
    place.norm(writer, FFN_NORM, &sum)
}
