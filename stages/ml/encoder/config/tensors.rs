//! What tensors a checkpoint of a shape has.

use super::Config;
use crate::{
    arch::Part,
    layer::Widths,
    weights::{Shapes, crf},
};

impl Config {
    /// The tensors of a checkpoint of this shape: names, and lengths of axes.
    #[must_use]
    pub fn tensors(&self) -> Shapes {
        let (h, labels, tensors) = (self.hidden, self.labels.len(), self.architecture.tensors());
        let mut found = Shapes::new();
        let mut add = |name: String, part: Part, widths: &Widths, count: usize| {
            let (weight, bias) = part.shapes(widths, &self.settings);
            found.extend(weight.map(|mut shape| {
                shape[0] *= count;
                (format!("{name}.weight"), shape)
            }));
            found.extend(bias.map(|length| (format!("{name}.bias"), vec![length])));
        };
        let whole = Widths { hidden: h, ..Widths::default() };
        for (index, widths) in self.widths().enumerate() {
            for part in tensors.parts {
                match part.share() {
                    Some(share) => add(tensors.shared_by(index, share), *part, &widths, share.count),
                    None => add(tensors.part(index, *part), *part, &widths, 1),
                }
            }
        }
        for part in tensors.shared.iter().chain([&tensors.norm]) {
            add(part.name().to_owned(), *part, &whole, 1);
        }
        let embeddings = [
            (Some(tensors.word), self.vocab),
            (tensors.positions, self.positions),
            (tensors.types, self.types()),
        ];
        for (name, rows) in embeddings {
            found.extend(name.map(|name| (format!("{name}.weight"), vec![rows, h])));
        }
        found.insert(format!("{}.weight", tensors.head), vec![labels, h]);
        found.insert(format!("{}.bias", tensors.head), vec![labels]);
        if self.crf {
            let of = [
                (crf::TRANSITIONS, vec![labels, labels]),
                (crf::START, vec![labels]),
                (crf::END, vec![labels]),
            ];
            found.extend(of.map(|(name, shape)| (name.to_owned(), shape)));
        }
        found
    }
}
