//! `ModernBERT`'s layer, as `encoder::arch::modernbert` computes it.

use encoder::{
    arch::modernbert::{
        ATTENTION_NORM, ATTENTION_OUTPUT, DENSE, DOWN, FFN_NORM, FINAL_NORM, GATE, HEAD_NORM, KEY, QUERY, UP,
        VALUE,
    },
    backend::positions::frequencies,
    network::Network,
};

use super::{
    form::{Form, Place, SHUT, Shared, Whole, scores},
    graph::{Graph, Value, last},
    parts::Writer,
};

/// See the module.
pub struct ModernBert;

impl Form for ModernBert {
    /// Cosine and sine `[length, head_dim]` of layers in which every token attends to all, and of those with a reach; then
    /// the distance of each pair of tokens `[length, length]`.
    fn positions(&self, writer: &mut Writer, model: &Whole<'_>) -> Vec<Value> {
        let graph = &mut writer.graph;
        let places = graph.places(&model.ids);
        let rows = graph.unsqueeze(&places, &[1]);
        let row = graph.unsqueeze(&places, &[0]);
        let distance = graph.sub(&rows, &row);
        let distance = graph.node("Abs", [&distance], []);
        let places = graph.cast_to_float(&rows);
        let bases = model.config.settings.rotary.expect("read from its configuration");
        let turns = bases.map(|base| {
            let frequencies = frequencies(base, model.config.head_dim);
            let frequencies =
                graph.floats(&format!("frequencies {base}"), &[frequencies.len()], &frequencies);
            let half = graph.mul(&places, &frequencies);
            let angles = graph.node("Concat", [&half, &half], [last()]);
            ["Cos", "Sin"].map(|function| graph.node(function, [&angles], []))
        });
        turns.into_iter().flatten().chain([distance]).collect()
    }

    fn layer(&self, writer: &mut Writer, place: &Place<'_>, shared: &Shared, x: &Value) -> Value {
        let [whole_cos, whole_sin, near_cos, near_sin, distance] = &shared.positions[..] else {
            panic!("its positions are rotary");
        };
        let normed = place.norm(writer, ATTENTION_NORM, x);
        let [query, key, value] = [QUERY, KEY, VALUE].map(|part| {
            let rows = place.linear(writer, part, &normed);
            place.heads(&mut writer.graph, &rows)
        });
        let graph = &mut writer.graph;
        let (turn, mask) = match place.layer.widths.reach {
            None => ([whole_cos, whole_sin], shared.seen.clone()),
            Some(reach) => ([near_cos, near_sin], near(graph, distance, reach, &shared.seen)),
        };
        let [query, key] = [query, key].map(|rows| turned(graph, &rows, turn, place.head_dim()));
        let scores = scores(graph, &query, &key);
        let context = place.weigh(graph, &scores, place.head_dim(), &mask, &value);
        let attended = place.linear(writer, ATTENTION_OUTPUT, &context);
        let x = writer.graph.add(x, &attended);
        let normed = place.norm(writer, FFN_NORM, &x);
        let (up, gate) = (place.linear(writer, UP, &normed), place.linear(writer, GATE, &normed));
        let up = writer.graph.gelu(&up);
        let neurons = writer.graph.mul(&up, &gate);
        let down = place.linear(writer, DOWN, &neurons);
        writer.graph.add(&x, &down)
    }

    fn finish(&self, writer: &mut Writer, network: &Network, x: Value) -> Value {
        let names = network.architecture.tensors().shared;
        let norm = |writer: &mut Writer, part: usize, x: &Value| {
            let norm = network.shared[part].norm().expect("no layer's");
            writer.norm(names[part].name(), norm, x)
        };
        let x = norm(writer, FINAL_NORM, &x);
        let x = writer.exact(names[DENSE].name(), network.shared[DENSE].linear(), &x);
        let x = writer.graph.gelu(&x);
        norm(writer, HEAD_NORM, &x)
    }
}

/// Turns `[batch, heads, length, head_dim]` by `[length, head_dim]` (Su et al. 2021).
fn turned(graph: &mut Graph, x: &Value, [cos, sin]: [&Value; 2], width: usize) -> Value {
    let [first, second] = graph.halves(x, width);
    let second = graph.node("Neg", [&second], []);
    let across = graph.node("Concat", [&second, &first], [last()]);
    let (along, across) = (graph.mul(x, cos), graph.mul(&across, sin));
    graph.add(&along, &across)
}

/// `[batch, 1, length, length]` what is added to scores where tokens see so far to each side. The smaller of two and not
/// their sum, which would be -∞.
fn near(graph: &mut Graph, distance: &Value, reach: usize, seen: &Value) -> Value {
    let reach = graph.int(i64::try_from(reach).unwrap_or(i64::MAX));
    let far = graph.node("Greater", [distance, &reach], []);
    let (shut, open) = (graph.float(SHUT), graph.float(0.0));
    let near = graph.node("Where", [&far, &shut, &open], []);
    graph.node("Min", [seen, &near], [])
}
