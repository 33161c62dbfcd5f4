//! A student made of the teacher's own layers (ML.md §4).

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use stage_contract::StageError;

use crate::ml::{
    config::{Config, LayerShape},
    labels::{Labels, Tag},
    losses::Bigram,
    model::{CrfParameters, Model, Network},
};

/// `keep` (2 or more) of `layers` layers: the first and the last, the dropped ones spread evenly in between. 10 of 12 gives
/// {0,1,2,4,5,6,7,9,10,11} (ML.md §4).
#[must_use]
pub fn uniform(layers: usize, keep: usize) -> Vec<usize> {
    let drop = layers.saturating_sub(keep);
    let inner = layers.saturating_sub(2);
    // The k-th of d dropped layers lies at (k + 1/2) / d of the inner ones: 3 and 8 of 12 for d = 2.
    let dropped: Vec<usize> = (0..drop).map(|k| 1 + inner * (2 * k + 1) / (2 * drop)).collect();
    (0..layers).filter(|layer| !dropped.contains(layer)).collect()
}

/// How often an entity word of each type begins an entity, measured on tags: P(B | type), smoothed by one of each.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn begin_prior(labels: &Labels, sequences: &[Vec<usize>]) -> Vec<f64> {
    let mut counts = vec![(1_usize, 1_usize); labels.types().len()];
    for &column in sequences.iter().flatten() {
        match labels.tags()[column] {
            Tag::Begin(kind) => counts[kind].0 += 1,
            Tag::Inside(kind) => counts[kind].1 += 1,
            Tag::Outside => {}
        }
    }
    counts.iter().map(|&(begin, inside)| begin as f64 / (begin + inside) as f64).collect()
}

/// Builds a student: the teacher's embeddings and the layers named, a head whose B-X and I-X rows are the teacher's
/// row for X shifted by the log prior, and a CRF that starts at the teacher's bigram scores.
///
/// # Errors
/// A label of the student that the teacher does not have.
pub fn from_teacher(
    teacher: &Model,
    layers: &[usize],
    labels: Labels,
    prior: &[f64],
    transitions: &Bigram,
    device: &Device,
) -> Result<Model, StageError> {
    let head = head(teacher, &labels, prior, device)?;
    let old = &teacher.network;
    let network = Network {
        layers: layers.iter().map(|&layer| old.layers[layer].clone()).collect(),
        head,
        crf: Some(crf(&labels, transitions, device)),
        ..old.clone()
    };
    let shapes =
        layers.iter().map(|&layer| LayerShape { from_teacher_layer: layer, ..teacher.config.layers[layer] });
    let config = Config { layers: shapes.collect(), labels, crf: true, ..teacher.config.clone() };
    Ok(Model { config, network, tokenizer: teacher.tokenizer.clone() })
}

/// `[hidden, labels]` and `[labels]`.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn head(teacher: &Model, labels: &Labels, prior: &[f64], device: &Device) -> Result<Linear, StageError> {
    let from = &teacher.config.labels;
    let mut columns = Vec::new();
    let mut shift = Vec::new();
    for (&tag, name) in labels.tags().iter().zip(labels.names()) {
        let (column, log_prior) = match tag {
            Tag::Outside => (Some(from.outside()), 0.0),
            Tag::Begin(kind) => (inside(from, &labels.types()[kind]), prior[kind].ln()),
            Tag::Inside(kind) => (inside(from, &labels.types()[kind]), (1.0 - prior[kind]).ln()),
        };
        let column = column.ok_or_else(|| {
            StageError::new(format!("the teacher has no label for the student's {name}"))
                .help(format!("the teacher's labels are {}", from.names().join(", ")))
        })?;
        columns.push(i64::try_from(column).unwrap_or_default());
        shift.push(log_prior as f32);
    }
    let index = Tensor::from_data(TensorData::from(columns.as_slice()), device);
    let old = &teacher.network.head;
    let weight = old.weight.val().select(1, index.clone());
    let bias = old.bias.as_ref().map(|bias| {
        bias.val().select(0, index) + Tensor::from_data(TensorData::from(shift.as_slice()), device)
    });
    Ok(Linear { weight: Param::from_tensor(weight), bias: bias.map(Param::from_tensor) })
}

/// The teacher's column for a type: its I- in an IO model.
fn inside(labels: &Labels, kind: &str) -> Option<usize> {
    let kind = labels.type_index(kind)?;
    labels.tags().iter().position(|&tag| tag == Tag::Inside(kind))
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn crf(labels: &Labels, bigram: &Bigram, device: &Device) -> CrfParameters {
    let n = labels.len();
    // Illegal moves are a constant mask and not weights: any finite number does here.
    let scores: Vec<f32> =
        bigram.scores.iter().map(|&s| if s.is_finite() { s as f32 } else { 0.0 }).collect();
    let (transitions, start) = scores.split_at(n * n);
    CrfParameters {
        transitions: Param::from_tensor(Tensor::from_data(
            TensorData::new(transitions.to_vec(), [n, n]),
            device,
        )),
        start: Param::from_tensor(Tensor::from_data(TensorData::from(start), device)),
        end: Param::from_tensor(Tensor::zeros([n], device)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_keeps_the_ten_layers_of_the_design() {
        assert_eq!(uniform(12, 10), [0, 1, 2, 4, 5, 6, 7, 9, 10, 11]);
    }

    #[test]
    fn uniform_keeps_as_many_as_asked_and_the_ends() {
        for layers in 2..=24 {
            for keep in 2..=layers {
                let kept = uniform(layers, keep);
                assert_eq!(kept.len(), keep, "{keep} of {layers}: {kept:?}");
                assert_eq!((kept[0], kept[keep - 1]), (0, layers - 1), "{keep} of {layers}: {kept:?}");
            }
        }
    }

    #[test]
    fn the_prior_counts_beginnings() {
        let labels = Labels::student(false);
        let prior = begin_prior(&labels, &[vec![0, 1, 2, 2], vec![1, 0]]);
        assert!((prior[0] - 3.0 / 6.0).abs() < 1e-12, "{prior:?}");
        assert!((prior[1] - 0.5).abs() < 1e-12, "{prior:?}");
    }
}
