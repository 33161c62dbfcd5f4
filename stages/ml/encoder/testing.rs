//! What tests of this package and of those above share: small models, other backends, a host that may not be read.

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "for tests alone, which fail as they should"
)]

pub mod fixture;
pub mod places;

use std::cell::Cell;

use burn::tensor::Device;
use serde_json::json;
pub use text::testing::real;
use text::{labels::Labels, tokenizer::Tokenizer};

use crate::{
    arch::roberta::Roberta,
    batch::Batch,
    config::{Config, Decode, LayerShape},
    network::Network,
};

thread_local! {
    static PRETENDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread takes the CPU for another backend.
pub(crate) fn is_elsewhere() -> bool {
    PRETENDED.get()
}

/// Does something while this thread takes the CPU for another backend, so that all runs as it would there.
pub fn elsewhere<T>(work: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            PRETENDED.set(self.0);
        }
    }
    let _back = Back(PRETENDED.replace(true));
    work()
}

thread_local! {
    static SHUT: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread may read no tensor.
pub(crate) fn is_shut() -> bool {
    SHUT.get()
}

/// Does something during which this thread may read no tensor.
pub fn shut<T>(work: impl FnOnce() -> T) -> T {
    struct Open;
    impl Drop for Open {
        fn drop(&mut self) {
            SHUT.set(false);
        }
    }
    SHUT.set(true);
    let _open = Open;
    work()
}

/// A network small enough for tests, with layers of different widths.
pub fn tiny() -> Config {
    Config {
        architecture: &Roberta,
        vocab: 50,
        hidden: 16,
        head_dim: 4,
        layers: vec![
            LayerShape { heads: 4, ffn: 24, from_teacher_layer: 0, ..LayerShape::default() },
            LayerShape { heads: 3, ffn: 16, from_teacher_layer: 2, ..LayerShape::default() },
        ],
        positions: 20,
        pad: 1,
        eps: 1e-5,
        settings: crate::arch::Settings::default(),
        labels: Labels::bio(["PER", "LOC", "ORG"]),
        crf: true,
        decode: Decode::Crf,
        stock: serde_json::Value::Null,
    }
}

/// A tokenizer of whole words: ids 0 to 3 are `<s>`, `<pad>`, `</s>`, `<unk>`, and the words follow.
pub fn tokenizer(words: &[&str]) -> Tokenizer {
    let words = [&["<s>", "<pad>", "</s>", "<unk>"], words].concat();
    let vocabulary: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let special = words[..4].iter().enumerate().map(|(id, word)| {
        json!({"id": id, "content": word, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    });
    Tokenizer::from_json(json.to_string().into_bytes()).expect("a tokenizer")
}

/// Windows of the given lengths, each a text of its own, whose words own every row.
pub fn batch(lengths: &[u32]) -> Batch {
    let mut batch = Batch { starts: vec![0], texts: vec![0], ..Batch::default() };
    for (text, length) in lengths.iter().enumerate() {
        let first = u32::try_from(batch.ids.len()).expect("small");
        batch.ids.extend((0..*length).map(|i| 2 + (first * 7 + i * 13) % 48));
        batch.rows.extend(first..first + length);
        batch.starts.push(first + length);
        batch.texts.push(first + length);
        batch.members.push(text);
    }
    batch.owned = vec![true; batch.rows.len()];
    batch.covered = batch.owned.clone();
    batch
}

/// The largest distance between two numbers of the same place.
#[must_use]
pub fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Larger weights than a new network has, so that attention is far from uniform and every part counts.
pub fn trained(config: &Config, device: &Device) -> Network {
    let mut weights = Network::init(config, 7, device).weights(config);
    let tensors = config.architecture.tensors();
    let part = |index| move |(part, _, _)| tensors.part(index, part);
    let layers = (0..config.layers.len()).flat_map(|index| tensors.matrices().map(part(index)));
    for matrix in layers.chain([tensors.head.to_owned()]) {
        let array = weights.get_mut(&format!("{matrix}.weight")).expect("there");
        array.values.iter_mut().for_each(|value| *value *= 20.0);
    }
    Network::from_weights(config, weights, device).expect("the same shapes")
}

/// What `testdata/values.py` gives a tensor of this name.
pub fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let values = uniform(name).take(shape.iter().product());
    match name {
        bias if bias.ends_with("bias") => values.map(|u| u * 0.5).collect(),
        norm if norm.to_lowercase().contains("norm") => values.map(|u| 1.0 + u * 0.5).collect(),
        _ => values.collect(),
    }
}

/// splitmix64 from the name's FNV-1a hash on, in [-0.5, 0.5).
fn uniform(name: &str) -> impl Iterator<Item = f32> {
    let seed = text::random::stream(name);
    (0_u64..).map(move |index| {
        let mut z = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        #[expect(clippy::cast_precision_loss, reason = "24 bits")]
        let share = (z >> 40) as f32 / 16_777_216.0;
        share - 0.5
    })
}
