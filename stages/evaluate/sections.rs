//! What a page shows of an evaluation. No part of the code that results depend on: `registry` alone names it.

mod differences;
mod models;
mod numbers;
mod scores;

use stage_contract::report::{Block, Bound, Gate, Section, Topic};

pub(crate) use self::differences::differences;
use self::{
    models::{calibration, decodings, latency, scatters, side_by_side},
    scores::{Table, of},
};
use super::evaluation::{Direction, Evaluation, Foreign, Verdict};

const TOPIC: Topic = Topic::new(200, "Size, speed and scores");

/// Gates, and all models side by side.
pub(crate) fn evaluation(evaluation: &Evaluation) -> Vec<Section> {
    let gates: Vec<Gate> = evaluation.gates.iter().map(|(name, verdict)| gate(name, verdict)).collect();
    let mut blocks = vec![Block::heading("Models side by side")];
    blocks.extend(side_by_side(evaluation));
    blocks.extend(decodings(evaluation));
    blocks.extend(calibration(evaluation));
    blocks.extend(scatters(evaluation));
    blocks.push(Block::heading("Fidelity: agreement with the teacher"));
    blocks.extend(of(evaluation, Table::Fidelity));
    blocks.push(Block::heading("Quality: against gold"));
    if evaluation.models.iter().any(|(_, model)| model.quality.is_some()) {
        blocks.extend(of(evaluation, Table::Quality));
    } else {
        blocks.push(Block::note("no gold was wired, so quality is not known"));
    }
    blocks.push(Block::heading("Latency by length"));
    blocks.extend(latency(evaluation));
    blocks.extend(foreign(&evaluation.foreign));
    let mut sections = vec![Section::new(TOPIC, blocks)];
    if !gates.is_empty() {
        sections.push(Section::new(Topic::GATES, vec![Block::Gates(gates)]));
    }
    sections
}

fn gate(name: &str, verdict: &Verdict) -> Gate {
    let mut of = verdict.metric.clone();
    for (before, part) in [(" against ", &verdict.against), (", ", &verdict.slice), (": ", &verdict.reason)] {
        if let Some(part) = part {
            of.push_str(before);
            of.push_str(part);
        }
    }
    let bound = match verdict.direction {
        Direction::Max => Bound::AtMost(verdict.bound),
        Direction::Min => Bound::AtLeast(verdict.bound),
    };
    Gate {
        name: name.to_owned(),
        outcome: verdict.outcome.name().to_owned(),
        of,
        measured: verdict.measured,
        interval: verdict.interval,
        bound: Some(bound),
    }
}

/// Entities that became O; nothing where there are none.
fn foreign(foreign: &Foreign) -> Vec<Block> {
    let teacher = ("the teacher".to_owned(), &foreign.teacher);
    let gold = foreign.gold.iter().map(|(set, counts)| (format!("gold set {set}"), counts));
    let told = [teacher].into_iter().chain(gold).filter(|(_, counts)| !counts.is_empty());
    let items: Vec<String> = told
        .map(|(place, counts)| {
            let counts = counts.iter().map(|(kind, count)| format!("{count} {kind}"));
            format!("{place}: {}", counts.collect::<Vec<_>>().join(", "))
        })
        .collect();
    if items.is_empty() {
        return Vec::new();
    }
    vec![Block::heading("Entities of types that the final model lacks, which became O"), Block::List(items)]
}
