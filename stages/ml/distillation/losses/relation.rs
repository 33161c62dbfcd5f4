//! Relations between the words of a text (Wang et al. 2021, `MiniLMv2`).

use burn::tensor::{Int, Tensor, TensorData, activation};

use super::loss::{Lesson, Loss, Pass, Wants};
use crate::numbers::{NEVER, count};

/// How words relate to each other.
pub struct Relation;

impl Loss for Relation {
    fn name(&self) -> &'static str {
        "relation"
    }

    fn doc(&self) -> &'static str {
        "how the words of a text relate to each other in one layer of each model (MiniLMv2)"
    }

    /// A layer's queries, keys and values follow from the state before it.
    fn wants(&self, lesson: &Lesson<'_>) -> Wants {
        Wants { states: lesson.relation.into_iter().collect(), ..Wants::default() }
    }

    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)> {
        let (Some((layer, origin)), [(student, teacher)]) = (pass.lesson.relation, pass.states.as_slice())
        else {
            return Vec::new();
        };
        let [ours, theirs] = pass.packed;
        let ours = pass.network.attended(layer, &ours.ops, student);
        let theirs = pass.teacher.attended(origin, &theirs.ops, teacher);
        let heads = pass.lesson.training.relation_heads;
        vec![(self.name(), relation(ours, theirs, &pass.targets.texts, heads))]
    }
}

/// Words of a text that are related with each other at once; a longer one is cut.
const RUN: usize = 512;

/// Relation: mean over Q-Q, K-K, V-V and over relation heads of (1/N) Σ KL(teacher's relations of a word || student's), where
/// the relations of a word are the softmax of its scaled dot products with all words of its text. Queries, keys and values
/// `[N, width]` of each, `texts [texts + 1]` the first word of each text; the relation heads cut both widths into as many
/// equal parts, whatever the models' own heads are. No gradient flows to the teacher. -> `[1]`
///
/// # Panics
/// When `heads` does not divide a width, or `texts` does not end at N.
#[must_use]
pub fn relation(student: [Tensor<2>; 3], teacher: [Tensor<2>; 3], texts: &[u32], heads: usize) -> Tensor<1> {
    let words = student[0].dims()[0];
    let device = student[0].device();
    assert_eq!(texts.last().map_or(0, |&end| end as usize), words, "texts end with the last word");
    if words == 0 {
        return Tensor::zeros([1], &device);
    }
    // A rectangle `[runs, length]`, whose padding repeats a word and is masked on both sides.
    let runs: Vec<(usize, usize)> = texts
        .windows(2)
        .flat_map(|text| {
            let end = text[1] as usize;
            (text[0] as usize..end).step_by(RUN).map(move |start| (start, RUN.min(end - start)))
        })
        .collect();
    let length = runs.iter().map(|(_, words)| *words).max().unwrap_or_default();
    let cells = || runs.iter().flat_map(|&(start, words)| (0..length).map(move |at| (start, at, at < words)));
    let gather: Vec<i64> = cells()
        .map(|(start, at, real)| i64::try_from(if real { start + at } else { start }).unwrap_or_default())
        .collect();
    let gather = Tensor::<1, Int>::from_data(TensorData::new(gather, [runs.len() * length]), &device);
    #[expect(clippy::cast_possible_truncation, reason = "a large number")]
    let bias: Vec<f32> = cells().map(|(_, _, real)| if real { 0.0 } else { NEVER as f32 }).collect();
    let bias = Tensor::<4>::from_data(TensorData::new(bias, [runs.len(), 1, 1, length]), &device);
    let real: Vec<f32> = cells().map(|(_, _, real)| f32::from(real)).collect();
    let real = Tensor::<4>::from_data(TensorData::new(real, [runs.len(), 1, length, 1]), &device);

    let relations = |rows: Tensor<2>| -> Tensor<4> {
        let width = rows.dims()[1];
        assert!(width.is_multiple_of(heads), "{heads} relation heads of a width of {width}");
        let own = width / heads;
        let rows = rows.select(0, gather.clone()).reshape([runs.len(), length, heads, own]).swap_dims(1, 2);
        let scores = (rows.clone() / count(own).sqrt()).matmul(rows.swap_dims(2, 3));
        activation::log_softmax(scores + bias.clone(), 3)
    };
    student
        .into_iter()
        .zip(teacher)
        .map(|(student, teacher)| {
            let (student, teacher) = (relations(student), relations(teacher.detach()));
            (teacher.clone().exp() * (teacher - student) * real.clone()).sum()
        })
        .reduce(|sum, next| sum + next)
        .expect("queries, keys and values")
        / (3.0 * count(heads) * count(words))
}
