//! What stages contribute to one topic, one stage after the other.

use maud::{Markup, html};
use stage_contract::report::{Block, Gate, Section, Topic};

use super::{
    chart::lines,
    gates::{bare, gates},
    heat_map::heat_map,
    intervals::intervals,
    passages::passages,
    results::StageResult,
    scatter::scatter,
    table::table,
    wide::wide,
};

/// In the place of what holds text, on a page without.
const WITHHELD: &str = "not shown, because it is text of the corpus; type `ner-pipe report --show-text` for a page with it, and mind who reads it";

/// All of one topic; `text`: sentences of the corpus may be in it. Nothing where no stage has anything to show.
pub(super) fn topic(topic: Topic, results: &[StageResult<'_>], text: bool) -> Option<Markup> {
    let of = |result: &StageResult<'_>| -> Vec<Section> {
        let sections = result.sections.iter();
        sections.filter(|section| section.topic == topic).cloned().collect()
    };
    let found: Vec<(&StageResult<'_>, Vec<Section>)> =
        results.iter().map(|result| (result, of(result))).collect();
    let withheld = !text && found.iter().flat_map(|(_, sections)| sections).any(|section| section.sensitive);
    let shown = found.iter().map(|(result, sections)| {
        let open = sections.iter().filter(|section| text || !section.sensitive);
        (*result, open.flat_map(|section| &section.blocks).collect::<Vec<_>>())
    });
    let shown: Vec<(&StageResult<'_>, Vec<&Block>)> = shown.collect();
    let verdicts = if topic == Topic::GATES { verdicts(results, &shown) } else { gates_of(&shown) };
    let rest = |blocks: &[&Block]| blocks.iter().any(|block| !matches!(block, Block::Gates(_)));
    if verdicts.is_empty() && !withheld && !shown.iter().any(|(_, blocks)| rest(blocks)) {
        return None;
    }
    Some(html! {
        @if withheld { p.nothing { (WITHHELD) } }
        @if !verdicts.is_empty() {
            (gates(&verdicts.iter().map(|(stage, gate)| (*stage, gate)).collect::<Vec<_>>()))
        }
        @for (result, blocks) in shown.iter().filter(|(_, blocks)| rest(blocks)) { (heading(result)) (all(blocks)) }
    })
}

/// With the stage of each.
type Verdicts<'r> = Vec<(&'r str, Gate)>;

fn gates_of<'r>(shown: &[(&'r StageResult<'r>, Vec<&Block>)]) -> Verdicts<'r> {
    let of = |(result, blocks): &(&'r StageResult<'r>, Vec<&Block>)| -> Verdicts<'r> {
        let gates = blocks
            .iter()
            .filter_map(|block| if let Block::Gates(gates) = block { Some(gates) } else { None });
        gates.flatten().map(|gate| (result.node.id.as_str(), gate.clone())).collect()
    };
    shown.iter().flat_map(of).collect()
}

/// Of a stage whose outputs tell nothing of its gates, the outcomes that were recorded.
fn verdicts<'r>(
    results: &'r [StageResult<'r>],
    shown: &[(&'r StageResult<'r>, Vec<&Block>)],
) -> Verdicts<'r> {
    let told = gates_of(shown);
    let mut all = Vec::new();
    for result in results {
        let id = result.node.id.as_str();
        let own: Vec<_> = told.iter().filter(|(stage, _)| *stage == id).cloned().collect();
        let recorded = result.record.iter().flat_map(|record| &record.gates);
        let recorded = recorded.filter(|_| own.is_empty()).map(|(name, outcome)| (id, bare(name, outcome)));
        all.extend(recorded.collect::<Vec<_>>());
        all.extend(own);
    }
    all
}

/// A heading with the stage's name, and a word where its result is not of now.
fn heading(result: &StageResult<'_>) -> Markup {
    html! {
        h3 { (result.node.id) }
        @if !result.of_now {
            p.note { "The last result; its stage is not fresh: " (result.outlook.state.name()) "." }
        }
    }
}

/// Blocks from top to bottom; neighbouring charts side by side.
fn all(blocks: &[&Block]) -> Markup {
    let is_chart = |block: &Block| matches!(block, Block::Lines(_) | Block::Scatter(_));
    html! {
        @for group in blocks.chunk_by(|one, next| is_chart(one) && is_chart(next)) {
            @if is_chart(group[0]) { div.charts { @for block in group { (draw(block)) } } }
            @else { @for block in group { (draw(block)) } }
        }
    }
}

fn draw(block: &Block) -> Markup {
    match block {
        Block::Heading(text) => html! { h4 { (text) } },
        Block::Text(text) => html! { p { (text) } },
        Block::Note(text) => html! { p.note { (text) } },
        Block::List(items) => html! { ul { @for item in items { li { (item) } } } },
        Block::Table(found) => table(found),
        Block::Lines(chart) => lines(chart),
        Block::Scatter(chart) => scatter(chart),
        Block::Intervals(chart) => intervals(chart),
        Block::HeatMap(map) => wide(&map.title, &heat_map(map)),
        Block::Passages(found) => passages(found),
        // Those of all stages stand above, as one table.
        Block::Gates(_) => html! {},
    }
}
