//! What a forward pass multiplies and adds, in closed form (docs/math.md, "Parameters, FLOPs, memory"): a measure of
//! work that no machine blurs.

use crate::{arch, config::Config, layer::Widths};

/// Tokens of the sentence in the table of docs/math.md.
pub const TOKENS: usize = 64;

/// Floating-point operations of a forward pass over one sentence of so many `tokens`, a multiplication and an addition
/// being two: the matrix products of every layer (Q, K, V and O; scores and context; both of the FFN) and of the
/// classifier. Embeddings, biases, norms, softmax and GELU are left out: below a hundredth of the whole.
#[must_use]
pub fn flops(config: &Config, tokens: usize) -> usize {
    let (architecture, tensors) = (config.architecture, config.architecture.tensors());
    let layer = |widths: Widths| {
        let products = tensors.matrices().map(|(_, output, input)| output.len(&widths) * input.len(&widths));
        2 * (tokens * products.sum::<usize>() + architecture.attention_products(&widths, tokens))
    };
    let whole = Widths { hidden: config.hidden, ..Widths::default() };
    let shared =
        arch::matrices(tensors.shared).map(|(_, output, input)| output.len(&whole) * input.len(&whole));
    let head = config.hidden * config.labels.len();
    config.widths().map(layer).sum::<usize>() + 2 * tokens * (shared.sum::<usize>() + head)
}

/// Bytes of activations in f32 that are alive at once at most, while one batch of packed rows passes: the widest layer's
/// input, and beside it either Q, K, V and context, or the FFN's neurons and output; one head's scores of a sentence of
/// `longest` tokens for each of the `threads`; and the logits. In closed form: what an allocator makes of it is its own, and a prepacked layer needs
/// less.
#[must_use]
pub fn activations(config: &Config, rows: usize, longest: usize, threads: usize) -> usize {
    let widest = config.layers.iter().map(|layer| {
        let columns = layer.heads * config.head_dim;
        let attention = rows * 4 * columns + threads * longest * longest;
        attention.max(rows * (layer.ffn + config.hidden))
    });
    let alive = rows * config.hidden + widest.max().unwrap_or(0) + rows * config.labels.len();
    alive * size_of::<f32>()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        arch::roberta::Roberta,
        config::{Decode, LayerShape},
    };
    use text::labels::Labels;

    fn camembert(layers: usize, vocab: usize, heads: usize, ffn: usize) -> Config {
        let layer =
            |from_teacher_layer| LayerShape { heads, ffn, from_teacher_layer, ..LayerShape::default() };
        Config {
            architecture: &Roberta,
            vocab,
            hidden: 768,
            head_dim: 64,
            layers: (0..layers).map(layer).collect(),
            positions: 514,
            pad: 1,
            eps: 1e-5,
            settings: crate::arch::Settings::default(),
            labels: Labels::bio(["PER", "LOC", "ORG"]),
            crf: false,
            decode: Decode::Types,
            stock: Value::Null,
        }
    }

    /// The table of docs/math.md: parameters, and by how many per cent the work at 64 tokens is below the teacher's.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    fn parameters_and_work_are_those_of_the_table() {
        let teacher = camembert(12, 32005, 12, 3072);
        assert_eq!(teacher.parameters(), 110_036_743);
        for (name, config, parameters, less) in [
            ("10 layers", camembert(10, 32005, 12, 3072), 95_860_999, 16.7),
            ("the seed's recipe", camembert(10, 32005, 9, 3072), 89_956_999, 23.8),
            ("p70", camembert(10, 16000, 9, 2560), 69_795_719, 32.9),
            ("p60", camembert(10, 16000, 9, 1920), 59_958_919, 44.3),
            ("p60-hf", camembert(10, 16000, 12, 1536), 59_960_839, 44.1),
            ("p58-8", camembert(8, 20000, 9, 2304), 58_298_887, 50.0),
        ] {
            assert_eq!(config.parameters(), parameters, "{name}");
            let share = flops(&config, TOKENS) as f64 / flops(&teacher, TOKENS) as f64;
            let found = (1000.0 * (1.0 - share)).round() / 10.0;
            assert!((found - less).abs() < 1e-9, "{name}: {found} % less, and not {less} %");
        }
    }

    #[test]
    fn work_is_counted_by_hand() {
        let mut config = camembert(1, 10, 1, 3);
        (config.hidden, config.head_dim) = (2, 5);
        // Q, K, V, O: 4 x 2 x 5; scores and context: 2 x 7 x 5; FFN: 2 x 2 x 3; classifier: 2 x 7.
        assert_eq!(flops(&config, 7), 2 * 7 * (40 + 70 + 12 + 14));
        // Input 7 x 2; Q, K, V, context 7 x 20 and one score matrix 7 x 7; logits 7 x 7.
        assert_eq!(activations(&config, 7, 7, 1), 4 * (14 + 140 + 49 + 49));
    }
}
