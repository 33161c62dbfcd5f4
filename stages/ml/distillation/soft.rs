//! What the teacher says, in tensors alone: the device's form of [`crate::projection::project`],
//! [`crate::losses::kd::distillation`], [`crate::projection::alone`] and [`crate::crf::structural::chain`], whose
//! documentation holds for both.

use burn::tensor::{Device, Tensor, activation};

use crate::{
    crf::lattice::{self, Counts},
    numbers::{count, matrix},
    projection::{Begin, Columns, partners},
};
use encoder::{backend::grid::indices, network::CrfWeights};
use text::labels::{Labels, Tag};

/// Stands for 0 under a logarithm or a division: the least normal f32, about.
const LEAST: f64 = 1.2e-38;

/// Teacher word logits `[words, teacher labels]` -> `[words, student labels]` q at `temperature`. `texts` are the
/// `[texts + 1]` starts of texts.
#[must_use]
pub fn project(
    teacher: &Labels,
    student: &Labels,
    logits: Tensor<2>,
    texts: &[u32],
    temperature: f64,
) -> Tensor<2> {
    let [words, columns] = logits.dims();
    let device = logits.device();
    let targets = Columns::new(teacher, student);
    let (kinds, width) = (teacher.types().len(), student.len());
    // What each of the teacher's tags says: of which type it is if it goes on, whose probability a word earlier splits it, and where its
    // two parts go.
    let (mut types, mut split) = (vec![0.0; columns * kinds], vec![0.0; kinds * columns]);
    let mut always = vec![0.0; columns];
    let (mut begins, mut insides) = (vec![0.0; columns * width], vec![0.0; columns * width]);
    for (column, tag) in teacher.tags().iter().enumerate() {
        if let Tag::Begin(kind) | Tag::Inside(kind) = *tag
            && !teacher.ends(column)
        {
            types[column * kinds + kind] = 1.0;
        }
        let Some((begin, inside)) = targets.of_tag(*tag) else {
            if !targets.ignored(*tag) {
                begins[column * width + targets.outside] = 1.0;
            }
            continue;
        };
        begins[column * width + begin] = 1.0;
        insides[column * width + inside] = 1.0;
        match *tag {
            Tag::Inside(kind) if teacher.marks_begin(kind) => always[column] = 1.0,
            Tag::Inside(kind) => split[kind * columns + column] = 1.0,
            Tag::Begin(_) | Tag::Outside => {}
        }
    }
    let constant = |values, shape| matrix(values, shape, &device);
    let p = activation::softmax(logits / temperature, 1);
    let before = Before::new(texts, words, &device).of(p.clone().matmul(constant(types, [columns, kinds])));
    let c = before.matmul(constant(split, [kinds, columns])) + constant(always, [1, columns]);
    let on = p.clone() * c;
    let q = (p - on.clone()).matmul(constant(begins, [columns, width]))
        + on.matmul(constant(insides, [columns, width]));
    if targets.any_ignored() { rescaled(q, targets.outside) } else { q }
}

/// KD of `logits [N, labels]` of the student from `q [N, labels]`. -> `[1]`
#[must_use]
pub fn distillation(
    logits: Tensor<2>,
    q: Tensor<2>,
    labels: &Labels,
    temperature: f64,
    boundary: f64,
) -> Tensor<1> {
    let [words, columns] = logits.dims();
    let device = logits.device();
    if words == 0 {
        return Tensor::zeros([1], &device);
    }
    let partner = partners(labels);
    let (mut both, mut entities) = (vec![0.0; columns * columns], vec![0.0; columns]);
    let mut swap: Vec<u32> = Vec::with_capacity(columns);
    for (label, partner) in partner.iter().enumerate() {
        both[label * columns + label] = 1.0;
        if let Some(partner) = *partner {
            both[partner * columns + label] = 1.0;
            entities[label] = narrow_share(boundary);
        }
        swap.push(u32::try_from(partner.unwrap_or(label)).unwrap_or(u32::MAX));
    }
    let log = |p: Tensor<2>| p.clamp_min(LEAST).log();
    let both = q.clone().matmul(matrix(both, [columns, columns], &q.device()));
    let entropy = (q.clone() * (log(both) * (1.0 - boundary) + log(q.clone()) * boundary)).sum();
    let of_entities = q.clone() * matrix(entities, [1, columns], &q.device());

    let z = logits / temperature;
    let log_s = activation::log_softmax(z.clone(), 1);
    let log_own_share = activation::log_sigmoid(z.clone() - z.select(1, indices(&swap, &device)));
    let student = (log_s * q).sum() - (log_own_share * of_entities).sum();
    (student.neg() + entropy) * (temperature * temperature / count(words))
}

#[expect(clippy::cast_possible_truncation, reason = "a share")]
fn narrow_share(boundary: f64) -> f32 {
    (1.0 - boundary) as f32
}

/// The CRF's structural loss: emissions `[N, labels]` of the student, `logits [N, teacher labels]` of the same words.
/// -> `[1]`
///
/// # Panics
/// When the two have not the same words, or `texts` does not end with the last.
#[must_use]
pub fn crf_structural(
    emissions: Tensor<2>,
    weights: &CrfWeights,
    teacher: &Labels,
    logits: Tensor<2>,
    texts: &[u32],
    labels: &Labels,
) -> Tensor<1> {
    let words = emissions.dims()[0];
    assert_eq!(words, logits.dims()[0], "a row of the teacher's for each word");
    assert_eq!(texts.last().map_or(0, |&end| end as usize), words, "texts end with the last word");
    if words == 0 {
        return Tensor::zeros([1], &emissions.device());
    }
    let counts = chain(labels, alone(teacher, labels, logits, 1.0, Begin::Kept), texts);
    lattice::excess(emissions, weights, counts, texts, labels) / count(words)
}

/// `[N, student labels]` the teacher's rows `[N, teacher labels]` at `temperature`, each alone.
#[must_use]
pub fn alone(
    teacher: &Labels,
    student: &Labels,
    logits: Tensor<2>,
    temperature: f64,
    begin: Begin,
) -> Tensor<2> {
    let (columns, width) = (teacher.len(), student.len());
    let targets = Columns::new(teacher, student);
    let mut to = vec![0.0; columns * width];
    for (column, tag) in teacher.tags().iter().enumerate() {
        if let Some(place) = targets.alone(*tag, begin) {
            to[column * width + place] = 1.0;
        }
    }
    let to = matrix(to, [columns, width], &logits.device());
    rescaled(activation::softmax(logits / temperature, 1).matmul(to), targets.outside)
}

/// The marginals of words, summed over texts, and of their neighbours. No recursion: what a word's type was says all of the
/// past, and its type's probability is that of the word alone.
fn chain(labels: &Labels, alone: Tensor<2>, texts: &[u32]) -> Counts {
    let [words, n] = alone.dims();
    let device = alone.device();
    let column = |tag| labels.tags().iter().position(|t| *t == tag);
    let kind = |label: usize| match labels.tags()[label] {
        Tag::Outside => None,
        Tag::Begin(kind) | Tag::Inside(kind) => Some(kind),
    };
    // An I- whose type is another than that of the word before becomes B-.
    let (mut moves, mut same, mut begins) = (vec![0.0; n], vec![0.0; n * n], vec![0.0; n * n]);
    for (label, tag) in labels.tags().iter().enumerate() {
        if let Tag::Inside(own) = *tag
            && let Some(begin) = column(Tag::Begin(own))
        {
            moves[label] = 1.0;
            begins[label * n + begin] = 1.0;
            (0..n).filter(|from| kind(*from) == Some(own)).for_each(|from| same[from * n + label] = 1.0);
        }
    }
    let constant = |values, shape| matrix(values, shape, &device);
    let (moves, same, begins) = (constant(moves, [1, n]), constant(same, [n, n]), constant(begins, [n, n]));
    let before = Before::new(texts, words, &device);
    // Of `moving`, what stays where it is, and what goes to B-.
    let settle = |all: Tensor<2>, stays: Tensor<2>| {
        let moving = all.clone() * moves.clone();
        let stays = moving.clone() * stays;
        all - moving.clone() + stays.clone() + (moving - stays).matmul(begins.clone())
    };
    let marginals = settle(alone.clone(), before.of(alone.clone()).matmul(same.clone()));
    let neighbours = before.of(marginals.clone()).transpose().matmul(alone);
    let ends = |at: &dyn Fn(&[u32]) -> u32| {
        let mut ends = vec![0.0; words];
        texts.windows(2).filter(|text| text[0] < text[1]).for_each(|text| ends[at(text) as usize] = 1.0);
        (marginals.clone() * constant(ends, [words, 1])).sum_dim(0).reshape([n])
    };
    Counts {
        first: ends(&|text| text[0]),
        last: ends(&|text| text[1] - 1),
        moves: settle(neighbours, same),
        words: marginals,
    }
}

/// The word before each word of the same text.
struct Before {
    row: Tensor<1, burn::tensor::Int>,
    /// `[words, 1]` 0 for the first word of a text.
    there: Tensor<2>,
}

impl Before {
    fn new(texts: &[u32], words: usize, device: &Device) -> Self {
        let row: Vec<u32> =
            (0..words).map(|word| u32::try_from(word).unwrap_or(u32::MAX).saturating_sub(1)).collect();
        let mut there = vec![1.0; words];
        for &first in texts.iter().filter(|&&first| (first as usize) < words) {
            there[first as usize] = 0.0;
        }
        Self { row: indices(&row, device), there: matrix(there, [words, 1], device) }
    }

    /// `[words, columns]` the rows of the words before; zeros for the first.
    fn of(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.select(0, self.row.clone()) * self.there.clone()
    }
}

/// Rows that sum to 1; one that was all 0 is O for certain.
fn rescaled(rows: Tensor<2>, outside: usize) -> Tensor<2> {
    let [_, columns] = rows.dims();
    let mut certain = vec![0.0; columns];
    certain[outside] = 1.0;
    let certain = matrix(certain, [1, columns], &rows.device());
    let kept = rows.clone().sum_dim(1);
    let nothing = kept.clone().lower_equal_elem(0.0).float();
    rows / kept.clamp_min(LEAST) + nothing.matmul(certain)
}
