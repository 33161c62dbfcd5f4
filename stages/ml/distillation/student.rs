//! A student made of the teacher's own layers (docs/math.md, "Initialisation").

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use stage_contract::StageError;

use crate::crf::transitions::Transitions;
use encoder::{
    config::{Config, Decode, LayerShape},
    model::Model,
    network::{CrfParameters, Network},
};
use text::labels::{Labels, Tag};

/// `keep` (2 or more) of `layers` layers: the first and the last, the dropped ones spread evenly in between. 10 of 12 gives
/// {0,1,2,4,5,6,7,9,10,11}.
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
pub fn begin_prior(labels: &Labels, sequences: &[&[Option<usize>]]) -> Vec<f64> {
    let mut counts = vec![(1_usize, 1_usize); labels.types().len()];
    for &column in sequences.iter().copied().flatten().flatten() {
        match labels.tags()[column] {
            Tag::Begin(kind) => counts[kind].0 += 1,
            Tag::Inside(kind) => counts[kind].1 += 1,
            Tag::Outside => {}
        }
    }
    counts.iter().map(|&(begin, inside)| begin as f64 / (begin + inside) as f64).collect()
}

/// The shape of a student made of these layers of the teacher.
#[must_use]
pub fn shape(teacher: &Config, layers: &[usize], labels: Labels) -> Config {
    let layers = layers
        .iter()
        .map(|&layer| LayerShape { from_teacher_layer: layer, ..teacher.layers[layer] })
        .collect();
    Config { layers, labels, crf: true, decode: Decode::Crf, ..teacher.clone() }
}

/// Builds a student of this [`shape`]: the teacher's embeddings and layers, a head of the teacher's rows, and a CRF that
/// starts at the teacher's bigram scores. Where the teacher has one row for a type (IO), B-X and I-X are that row shifted
/// by the log prior; where it has both (BIO), they are its own.
///
/// # Errors
/// A label of the student that the teacher does not have.
pub fn from_teacher(
    teacher: &Model,
    config: Config,
    prior: &[f64],
    transitions: &Transitions,
    device: &Device,
) -> Result<Model, StageError> {
    let old = &teacher.network;
    let network = Network {
        layers: config.layers.iter().map(|layer| old.layers[layer.from_teacher_layer].clone()).collect(),
        head: head(teacher, &config.labels, prior, device)?,
        crf: Some(crf(&config.labels, transitions, device)),
        ..old.clone()
    };
    Ok(Model { config, network, tokenizer: teacher.tokenizer.clone() })
}

/// `[hidden, labels]` and `[labels]`.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn head(teacher: &Model, labels: &Labels, prior: &[f64], device: &Device) -> Result<Linear, StageError> {
    let from = &teacher.config.labels;
    let columns = columns_of(from, labels)?;
    let columns: Vec<i64> =
        columns.into_iter().map(|column| i64::try_from(column).unwrap_or_default()).collect();
    let marked =
        |kind: usize| from.type_index(&labels.types()[kind]).is_some_and(|kind| from.marks_begin(kind));
    let shift = labels.tags().iter().map(|&tag| match tag {
        Tag::Begin(kind) if !marked(kind) => prior[kind].ln() as f32,
        Tag::Inside(kind) if !marked(kind) => (1.0 - prior[kind]).ln() as f32,
        Tag::Outside | Tag::Begin(_) | Tag::Inside(_) => 0.0,
    });
    let shift: Vec<f32> = shift.collect();
    let index = Tensor::from_data(TensorData::from(columns.as_slice()), device);
    let old = &teacher.network.head;
    let weight = old.weight.val().select(1, index.clone());
    let bias = old.bias.as_ref().map(|bias| {
        bias.val().select(0, index) + Tensor::from_data(TensorData::from(shift.as_slice()), device)
    });
    Ok(Linear { weight: Param::from_tensor(weight), bias: bias.map(Param::from_tensor) })
}

/// The teacher's column for each label of a student ([`Labels::column_of`]).
///
/// # Errors
/// A label for which the teacher has none.
pub fn columns_of(teacher: &Labels, labels: &Labels) -> Result<Vec<usize>, StageError> {
    let columns = labels.tags().iter().zip(labels.names()).map(|(&tag, name)| {
        let column = match tag {
            Tag::Outside => Some(teacher.outside()),
            Tag::Begin(kind) => teacher.column_of(&labels.types()[kind], true),
            Tag::Inside(kind) => teacher.column_of(&labels.types()[kind], false),
        };
        column.ok_or_else(|| {
            StageError::new(format!("the teacher has no label for the student's {name}")).help(format!(
                "use a teacher with the student's types; this one's labels are {}",
                teacher.names().join(", ")
            ))
        })
    });
    columns.collect()
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn crf(labels: &Labels, bigram: &Transitions, device: &Device) -> CrfParameters {
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
    use crate::crf::transitions::bigram;
    use encoder::{
        backend::readback::host,
        testing::{tiny, tokenizer},
    };

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
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let prior = begin_prior(&labels, &[&[0, 1, 2, 2].map(Some), &[Some(1), None, Some(0)]]);
        assert!((prior[0] - 3.0 / 6.0).abs() < 1e-12, "{prior:?}");
        assert!((prior[1] - 0.5).abs() < 1e-12, "{prior:?}");
    }

    /// The head of a student made from a teacher with these labels whose every label has a row and a bias of its own.
    fn made_from(names: &str) -> (Vec<f32>, Vec<f32>) {
        let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
        let config = Config { labels: Labels::parse(&names).expect("labels"), crf: false, ..tiny() };
        let device = Device::flex();
        let mut network = Network::init(&config, 3, &device);
        let biases: Vec<f32> = (0_u8..).take(names.len()).map(f32::from).collect();
        network.head.bias =
            Some(Param::from_tensor(Tensor::from_data(TensorData::from(biases.as_slice()), &device)));
        let teacher = Model { config, network, tokenizer: tokenizer(&["un"]) };
        let labels = Labels::bio(["PER", "LOC", "ORG"]);
        let shape = shape(&teacher.config, &[0, 1], labels.clone());
        let student =
            from_teacher(&teacher, shape, &[0.25; 3], &bigram(&labels, &[]), &device).expect("a student");
        let row = |model: &Model, column: usize| {
            host(model.network.head.weight.val().slice([0..16, column..column + 1]))
        };
        let from = columns_of(&teacher.config.labels, &labels).expect("all there");
        for (column, from) in from.into_iter().enumerate() {
            assert_eq!(row(&student, column), row(&teacher, from));
        }
        let bias = student.network.head.bias.as_ref().map(|bias| host(bias.val())).expect("a bias");
        (biases, bias)
    }

    #[test]
    fn an_io_teachers_row_becomes_two_that_share_its_probability() {
        let (_, bias) = made_from("O I-LOC I-PER I-MISC I-ORG");
        let right =
            [(0.0, 1.0), (2.0, 0.25), (2.0, 0.75), (1.0, 0.25), (1.0, 0.75), (4.0, 0.25), (4.0, 0.75)];
        assert!(
            bias.iter().zip(right).all(|(found, (own, share))| (found - own - f32::ln(share)).abs() < 1e-6),
            "{bias:?}"
        );
    }

    #[test]
    fn a_bio_teachers_rows_are_taken_as_they_are() {
        let (own, bias) = made_from("O B-PER I-PER B-LOC I-LOC B-ORG I-ORG");
        assert_eq!(bias, own);
    }
}
