//! `DeBERTa`'s attention in BERT's layer, as `encoder::arch::deberta` computes it.

use encoder::arch::{
    deberta::{EMBEDDING, NORM},
    post_norm::{KEY, QUERY},
};

use super::{
    form::{Form, Place, Shared, Whole, scores},
    graph::{Value, int},
    parts::Writer,
    post_norm,
};

/// See the module.
pub struct Deberta;

impl Form for Deberta {
    /// The embedding `[2 * span, hidden]`; its row for each distance that there is, `[2 * length - 1]`, from the farthest
    /// key after a query on; which of those a query has for a key, `[length, length]`; and a key for a query.
    fn positions(&self, writer: &mut Writer, model: &Whole<'_>) -> Vec<Value> {
        let (shared, names) = (&model.network.shared, model.network.architecture.tensors().shared);
        let embedding = shared[EMBEDDING].relative();
        let embedding = writer.tensor(&format!("{}.weight", names[EMBEDDING].name()), embedding);
        let norm = shared[NORM].norm().expect("no layer's");
        let embedding = writer.norm(names[NORM].name(), norm, &embedding);
        let buckets = model.config.settings.relative.expect("read from its configuration");
        let farthest = i64::try_from(model.config.positions).unwrap_or(i64::MAX) - 1;
        // By a table and not by logarithms, whose last bit decides between two rows and differs between runtimes.
        let rows: Vec<i64> = (-farthest..=farthest).map(|distance| buckets.row(distance).into()).collect();
        let graph = &mut writer.graph;
        let rows = graph.ints(&rows);
        let (one, farthest) = (graph.int(1), graph.int(farthest));
        let length = graph.length(&model.ids);
        let from = graph.sub(&one, &length);
        let distances = graph.node("Range", [&from, &length, &one], []);
        let distances = graph.add(&distances, &farthest);
        let rows = graph.gather(&rows, &distances);
        let places = graph.places(&model.ids);
        let (queries, keys) = (graph.unsqueeze(&places, &[1]), graph.unsqueeze(&places, &[0]));
        let apart = graph.sub(&queries, &keys);
        let to_key = graph.sub(&apart, &from);
        let to_query = graph.transpose(&to_key, &[1, 0]);
        vec![embedding, rows, to_key, to_query]
    }

    fn layer(&self, writer: &mut Writer, place: &Place<'_>, shared: &Shared, x: &Value) -> Value {
        let [embedding, rows, to_key, to_query] = &shared.positions[..] else {
            panic!("its positions are relative");
        };
        post_norm::around(writer, place, x, |writer, x| {
            let [query, key, value] = post_norm::attended(writer, place, x);
            let content = scores(&mut writer.graph, &query, &key);
            let [place_key, place_query] = [KEY, QUERY].map(|part| {
                // Of the whole embedding, which is constant: a runtime computes it once, when it loads the model.
                let said = place.linear(writer, part, embedding);
                let graph = &mut writer.graph;
                let said = graph.gather(&said, rows);
                let said = graph.reshape(&said, &[0, place.layer.widths.heads, place.head_dim()]);
                graph.transpose(&said, &[1, 2, 0])
            });
            let graph = &mut writer.graph;
            let shape = graph.node("Shape", [&content], []);
            let mut meet = |rows: &Value, places: &Value, index: &Value| {
                let all = graph.matmul(rows, places);
                let index = graph.node("Expand", [index, &shape], []);
                graph.node("GatherElements", [&all, &index], [int("axis", 3)])
            };
            let to_key = meet(&query, &place_key, to_key);
            let to_query = meet(&key, &place_query, to_query);
            let to_query = graph.transpose(&to_query, &[0, 1, 3, 2]);
            let scores = graph.add(&content, &to_key);
            let scores = graph.add(&scores, &to_query);
            place.weigh(graph, &scores, 3 * place.head_dim(), &shared.seen, &value)
        })
    }
}
