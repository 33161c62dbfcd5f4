//! Heads and neurons that hold nothing but zeros: pruned by a mask and not for good, which no model gets faster by.

use serde::Serialize;
use stage_contract::report::grouped;

use super::{finding::Finding, weights::Weights};
use encoder::{
    arch::{Axis, Part, matrices},
    config::Config,
    layer::Widths,
};

/// How many there are, and how many of them do nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Units {
    pub heads: usize,
    pub blank_heads: usize,
    pub neurons: usize,
    pub blank_neurons: usize,
}

/// Counts them in all layers.
pub(super) fn count(config: &Config, weights: &Weights) -> (Units, Option<Finding>) {
    let mut units = Units::default();
    let mut of = Vec::new();
    for (index, widths) in config.widths().enumerate() {
        let heads = blank(config, weights, index, &widths, Axis::Heads, config.head_dim);
        let neurons = blank(config, weights, index, &widths, Axis::Neurons, 1);
        units.heads += widths.heads;
        units.neurons += widths.neurons;
        units.blank_heads += heads;
        units.blank_neurons += neurons;
        if heads + neurons > 0 {
            of.push(format!("{}.{index}", config.architecture.tensors().layers));
        }
    }
    let nothing = units.blank_heads + units.blank_neurons == 0;
    let finding = (!nothing).then(|| {
        let Units { heads, blank_heads, neurons, blank_neurons } = units;
        Finding::warning(format!(
            "{} of {} heads and {} of {} neurons hold zeros alone: they add nothing, and cost what others cost",
            grouped(blank_heads),
            grouped(heads),
            grouped(blank_neurons),
            grouped(neurons),
        ))
        .tensors(of)
        .help("a `prune` stage with criterion = \"magnitude\" takes those of zeros first, out of the matrices for good")
    });
    (units, finding)
}

/// How many units of an axis add nothing in a layer: what comes out of them is multiplied by zeros alone, or is zero
/// whatever comes in.
fn blank(
    config: &Config,
    weights: &Weights,
    layer: usize,
    widths: &Widths,
    axis: Axis,
    width: usize,
) -> usize {
    let tensors = config.architecture.tensors();
    let units = axis.len(widths) / width.max(1);
    let mut multiplied = vec![true; units];
    let mut made = vec![true; units];
    let whole = |unit: usize, blank: &[bool]| {
        blank.get(unit * width..(unit + 1) * width).is_some_and(|own| own.iter().all(|blank| *blank))
    };
    for (part, output, input) in matrices(tensors.parts) {
        let Some((rows, columns)) = masks(config, weights, layer, part, output.len(widths)) else {
            return 0;
        };
        for unit in 0..units {
            if input == axis {
                multiplied[unit] &= whole(unit, columns);
            }
            if output == axis {
                made[unit] &= whole(unit, &rows);
            }
        }
    }
    multiplied.iter().zip(&made).filter(|(multiplied, made)| **multiplied || **made).count()
}

/// Which rows of a part are zeros, their bias too, and which columns.
fn masks<'w>(
    config: &Config,
    weights: &'w Weights,
    layer: usize,
    part: Part,
    rows: usize,
) -> Option<(Vec<bool>, &'w [bool])> {
    let tensors = config.architecture.tensors();
    let (name, from) = match part.share() {
        Some(share) => (tensors.shared_by(layer, share), share.index * rows),
        None => (tensors.part(layer, part), 0),
    };
    let blank = weights.blank.get(&format!("{name}.weight"))?;
    let mut own = blank.rows.get(from..from + rows)?.to_vec();
    if part.has_bias() {
        let bias = &weights.blank.get(&format!("{name}.bias"))?.rows;
        own.iter_mut().zip(bias).for_each(|(own, bias)| *own &= bias);
    }
    Some((own, &blank.columns))
}
