//! From the teacher's IO labels to the student's BIO labels (docs/math.md, "Projection from IO to BIO").

use crate::numbers::narrow;
use encoder::decode::softmax;
use text::labels::{Labels, Policy, Tag};

/// The teacher's soft targets for the words of a batch, projected from IO to BIO.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// `[words, student labels]` q at temperature T; each row sums to 1.
    pub q: Vec<f32>,
    /// `[words]` whether the word counts in any loss: false where the teacher's hard tag (T = 1) is of a type to ignore.
    pub counts: Vec<bool>,
}

/// Projects teacher word logits `[words, teacher labels]` to the student's BIO labels at `temperature`.
/// `texts` are the `[texts + 1]` starts of texts, so that c = p of the previous word of the *text* (0 at its first).
///
/// p = softmax(z/T), c = `p_{t-1}(k)`, without what ends there (E-): q(B-k) = p(k)·(1 - c), q(I-k) = p(k)·c, so that q(B-k) + q(I-k) = p(k): the
/// type marginals are the teacher's. A teacher that has B- labels itself is taken at its word.
///
/// The probability of a type that the student lacks joins O's, unless the type is to be ignored: a word whose most probable
/// type is such a type does not count ([`Projection::counts`]). In all other words that probability is left out and the rest
/// rescaled to sum to 1, which keeps the ratios of all types. c is not rescaled: it is the probability that the previous word
/// was k, whatever else it may have been.
#[must_use]
pub fn project(
    teacher: &Labels,
    student: &Labels,
    logits: &[f32],
    texts: &[u32],
    temperature: f64,
) -> Projection {
    let columns = teacher.len();
    let words = logits.len() / columns;
    let targets = Columns::new(teacher, student);
    let mut projection =
        Projection { q: Vec::with_capacity(words * student.len()), counts: vec![true; words] };
    let mut before: Option<Vec<f64>> = None;
    for (word, row) in logits.chunks_exact(columns).enumerate() {
        if u32::try_from(word).is_ok_and(|word| texts.binary_search(&word).is_ok()) {
            before = None;
        }
        let p = softmax(row, temperature);
        let types = targets.going_on(&p);
        let mut q = vec![0.0; student.len()];
        for (column, tag) in teacher.tags().iter().enumerate() {
            let Some((begin, inside)) = targets.of_tag(*tag) else {
                if !targets.ignored(*tag) {
                    q[targets.outside] += p[column];
                }
                continue;
            };
            let c = match *tag {
                Tag::Inside(kind) if teacher.marks_begin(kind) => 1.0,
                Tag::Inside(kind) => before.as_ref().map_or(0.0, |types| types[kind]),
                Tag::Begin(_) | Tag::Outside => 0.0,
            };
            q[begin] += p[column] * (1.0 - c);
            q[inside] += p[column] * c;
        }
        if targets.any_ignored() {
            projection.counts[word] = !targets.lost(&softmax(row, 1.0));
            let kept: f64 = q.iter().sum();
            if kept > 0.0 {
                for q in &mut q {
                    *q /= kept;
                }
            } else {
                // The teacher is wholly certain of a type that is left out: the word does not count, but its row must
                // still be a distribution.
                q[targets.outside] = 1.0;
            }
        }
        projection.q.extend(q.into_iter().map(narrow));
        before = Some(types);
    }
    projection
}

/// What becomes of a teacher's B- where words are read alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It stays B-.
    Kept,
    /// It is I- too: nothing begins at a word's further sub-words.
    Never,
}

/// `[rows, student labels]` the teacher's rows at `temperature`, each alone. I-X means here: of type X, and beginning an entity
/// unless the row before is of type X too. All that an IO teacher says of a type is that; one with B- labels also says B-X,
/// which begins in any case.
///
/// Types that the student lacks are O, or those to ignore left out and the rest rescaled, as in [`project`].
#[must_use]
pub fn alone(teacher: &Labels, student: &Labels, logits: &[f32], temperature: f64, begin: Begin) -> Vec<f64> {
    let targets = Columns::new(teacher, student);
    let mut rows = Vec::with_capacity(logits.len() / teacher.len() * student.len());
    for row in logits.chunks_exact(teacher.len()) {
        let mut own = vec![0.0; student.len()];
        for (p, tag) in softmax(row, temperature).into_iter().zip(teacher.tags()) {
            if let Some(column) = targets.alone(*tag, begin) {
                own[column] += p;
            }
        }
        let kept: f64 = own.iter().sum();
        if kept > 0.0 {
            for p in &mut own {
                *p /= kept;
            }
        } else {
            own[targets.outside] = 1.0;
        }
        rows.extend(own);
    }
    rows
}

/// Where the teacher's types go in the student.
pub struct Columns<'a> {
    teacher: &'a Labels,
    /// By teacher type: the student's columns of B- and I-.
    begin_inside: Vec<Option<(usize, usize)>>,
    /// The student's column of O.
    pub outside: usize,
}

impl<'a> Columns<'a> {
    /// Where the types of `teacher` are in `student`.
    #[must_use]
    pub fn new(teacher: &'a Labels, student: &Labels) -> Self {
        let columns = teacher.types().iter().enumerate().map(|(kind, name)| {
            let columns = student.column_of(name, true).zip(student.column_of(name, false));
            columns.filter(|_| teacher.policy(kind) == Policy::Learn)
        });
        Self { teacher, begin_inside: columns.collect(), outside: student.outside() }
    }

    /// The student's columns for B- and I- of a teacher's tag; `None` for O and for a type that the student lacks.
    #[must_use]
    pub fn of_tag(&self, tag: Tag) -> Option<(usize, usize)> {
        match tag {
            Tag::Outside => None,
            Tag::Begin(kind) | Tag::Inside(kind) => self.begin_inside[kind],
        }
    }

    /// The student's column for a teacher's tag of a row that is read alone; none = to ignore.
    #[must_use]
    pub fn alone(&self, tag: Tag, begin: Begin) -> Option<usize> {
        match (self.of_tag(tag), tag) {
            (Some((column, _)), Tag::Begin(_)) if begin == Begin::Kept => Some(column),
            (Some((_, inside)), _) => Some(inside),
            (None, tag) => (!self.ignored(tag)).then_some(self.outside),
        }
    }

    /// Whether a teacher's tag is of a type to ignore.
    #[must_use]
    pub fn ignored(&self, tag: Tag) -> bool {
        match tag {
            Tag::Outside => false,
            Tag::Begin(kind) | Tag::Inside(kind) => self.teacher.policy(kind) == Policy::Ignore,
        }
    }

    /// Whether the teacher has a type to ignore.
    #[must_use]
    pub fn any_ignored(&self) -> bool {
        self.teacher.types_to(Policy::Ignore).next().is_some()
    }

    /// `[teacher types]` probability of each type.
    fn by_type(&self, p: &[f64]) -> Vec<f64> {
        let mut types = vec![0.0; self.begin_inside.len()];
        for (p, tag) in p.iter().zip(self.teacher.tags()) {
            if let Tag::Begin(kind) | Tag::Inside(kind) = *tag {
                types[kind] += p;
            }
        }
        types
    }

    /// `[teacher types]` probability that an entity of each type is there and does not end there (E-, S-).
    fn going_on(&self, p: &[f64]) -> Vec<f64> {
        let rest: Vec<f64> = p
            .iter()
            .enumerate()
            .map(|(column, p)| if self.teacher.ends(column) { 0.0 } else { *p })
            .collect();
        self.by_type(&rest)
    }

    /// Whether the most probable type is one to ignore; ties go to O, then to the first type.
    fn lost(&self, p: &[f64]) -> bool {
        let outside = p[self.teacher.outside()];
        let best = self
            .by_type(p)
            .into_iter()
            .enumerate()
            .fold((None, outside), |best, (kind, p)| if p > best.1 { (Some(kind), p) } else { best });
        best.0.is_some_and(|kind| self.teacher.policy(kind) == Policy::Ignore)
    }
}

/// B-X for I-X and back; `None` for O and where the scheme has no B-.
#[must_use]
pub fn partners(labels: &Labels) -> Vec<Option<usize>> {
    let column = |tag| labels.tags().iter().position(|t| *t == tag);
    labels
        .tags()
        .iter()
        .map(|tag| match *tag {
            Tag::Outside => None,
            Tag::Begin(kind) => column(Tag::Inside(kind)),
            Tag::Inside(kind) => column(Tag::Begin(kind)),
        })
        .collect()
}
