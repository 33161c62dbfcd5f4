//! What a loss is, and what it sees.

use burn::tensor::{Device, Tensor};

use crate::{crf::transitions::Transitions, params::Training, targets::Targets};
use encoder::{batch::Batch, inputs::Inputs, model::Model, network::Network};
use text::labels::Labels;

/// Something a student learns by: a mean over the words of a batch.
pub trait Loss: Sync {
    /// As `weights` calls it, and the history its term.
    fn name(&self) -> &'static str;

    /// One line of documentation.
    fn doc(&self) -> &'static str;

    /// What it wants to see of a batch beside the student's logits.
    fn wants(&self, _lesson: &Lesson<'_>) -> Wants {
        Wants::default()
    }

    /// Its terms `[1]`, each of which is multiplied by its weight; none where the models have nothing to compare.
    fn terms(&self, pass: &Pass<'_>) -> Vec<(&'static str, Tensor<1>)>;
}

/// What a loss wants to see of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Whether it wants the teacher's logits.
    pub logits: bool,
    /// Pairs of hidden states, student's and teacher's, 0 = embeddings.
    pub states: Vec<(usize, usize)>,
}

/// What stays the same through a training.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// The teacher; its network may be another copy ([`Pass::teacher`]).
    pub teacher: &'a Model,
    /// The student's shape, labels and tokenizer.
    pub student: &'a Model,
    /// Parameters.
    pub training: &'a Training,
    /// Pairs of hidden states, student's and teacher's (0 = embeddings).
    pub pairs: &'a [(usize, usize)],
    /// Layers whose words' relations are compared, student's and teacher's (0 = the first).
    pub relation: Option<(usize, usize)>,
    /// The teacher's transitions.
    pub transitions: &'a Transitions,
}

impl Lesson<'_> {
    /// The student's labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.student.config.labels
    }

    /// The teacher's labels.
    #[must_use]
    pub fn teacher_labels(&self) -> &Labels {
        &self.teacher.config.labels
    }
}

/// What both models made of a batch.
pub struct Pass<'a> {
    /// What stays the same.
    pub lesson: Lesson<'a>,
    /// The student's network, on its autodiff device.
    pub network: &'a Network,
    /// The teacher's network, on the same device.
    pub teacher: &'a Network,
    /// The batch as the student reads it.
    pub batch: &'a Batch,
    /// The same, packed; and as the teacher reads it.
    pub packed: [&'a Inputs; 2],
    /// The words that count.
    pub targets: &'a Targets,
    /// `[N, labels]` the student's logits of those words.
    pub logits: Tensor<2>,
    /// `[M, labels]` the student's logits of their further sub-words ([`Targets::pieces`]), where those are taught.
    pub pieces: Option<Tensor<2>>,
    /// What the teacher says of all words and sub-words, where it was wanted.
    pub said: &'a Said,
    /// `[N, hidden]` of those words, student's and teacher's: the pairs that this loss wanted, in its order.
    pub states: Vec<(Tensor<2>, Tensor<2>)>,
}

impl Pass<'_> {
    /// Where the teacher's tensors are.
    #[must_use]
    pub fn device(&self) -> Device {
        self.teacher.device()
    }
}

/// What the teacher says of a batch, where the losses need it: `[words + continuations, teacher labels]` logits, words first.
pub enum Said {
    /// On the CPU.
    Host(Vec<f32>),
    /// Elsewhere, where reading it would make the device wait.
    Device(Box<Tensor<2>>),
}
