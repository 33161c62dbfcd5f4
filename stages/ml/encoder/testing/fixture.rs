//! A model for tests that knows four words by heart: *Anna* is a person, *Paris* a place, *CAF* an organisation, *Noël*
//! something else; every other piece is O.

use burn::tensor::Device;
use serde_json::{Value, json};

use crate::{
    arch::{
        post_norm::{ATTENTION_OUTPUT, DOWN},
        roberta::Roberta,
    },
    config::{Config, Decode, LayerShape},
    model::Model,
    network::Network,
    weights::crf,
};
use text::{
    labels::{Labels, Tag},
    tokenizer::Tokenizer,
};

const WORDS: [(&str, &str); 4] = [("PER", "▁Anna"), ("LOC", "▁Paris"), ("ORG", "▁CAF"), ("MISC", "▁Noël")];
const HIDDEN: usize = 8;
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéèàêçë0123456789.,'’!-";

/// Labels of `Jean-Baptiste/camembert-ner`, the teacher of docs/math.md, "The model".
pub fn teacher_labels() -> Labels {
    Labels::parse(&["O", "I-LOC", "I-PER", "I-MISC", "I-ORG"].map(str::to_owned)).expect("labels")
}

/// A model with these labels and, for BIO, a CRF that joins neighbours of one type. Of the types in `forgotten` it sees
/// nothing. It reads 62 pieces at once.
pub fn model(labels: Labels, forgotten: &[&str]) -> Model {
    let tokenizer = Tokenizer::from_json(tokenizer().to_string().into_bytes()).expect("a tokenizer");
    let bio = labels.tags().iter().any(|tag| matches!(tag, Tag::Begin(_)));
    let config = Config {
        architecture: &Roberta,
        vocab: tokenizer.vocab_size(),
        hidden: HIDDEN,
        head_dim: 4,
        layers: vec![LayerShape { heads: 2, ffn: 8, from_teacher_layer: 0, ..LayerShape::default() }],
        positions: 64,
        pad: 1,
        eps: 1e-5,
        settings: crate::arch::Settings::default(),
        labels,
        crf: bio,
        decode: if bio { Decode::Crf } else { Decode::Types },
        stock: Value::Null,
    };
    let device = Device::flex();
    let tensors = config.architecture.tensors();
    let mut weights = Network::init(&config, 1, &device).weights(&config);
    let mut fill = |name: &str, values: &dyn Fn(usize) -> f32| {
        let array = weights.get_mut(name).expect("a tensor of that name");
        for (at, value) in array.values.iter_mut().enumerate() {
            *value = values(at);
        }
    };
    // Dimension 0 stands for O, k + 1 for the k-th word; the layer adds nothing.
    let vocab: Vec<String> = pieces();
    fill(&format!("{}.weight", tensors.word), &|at| {
        let word = WORDS.iter().position(|(_, piece)| vocab[at / HIDDEN] == *piece);
        f32::from(at % HIDDEN == word.map_or(0, |word| word + 1))
    });
    fill(&format!("{}.weight", tensors.positions.expect("an embedding")), &|_| 0.0);
    for part in [ATTENTION_OUTPUT, DOWN] {
        fill(&format!("{}.weight", tensors.part(0, tensors.parts[part])), &|_| 0.0);
    }
    let labels = &config.labels;
    let own = |label: usize| match labels.tags()[label] {
        Tag::Outside => Some(0),
        Tag::Begin(kind) | Tag::Inside(kind) => {
            let kind = labels.types()[kind].as_str();
            let known = WORDS.iter().position(|(other, _)| *other == kind && !forgotten.contains(other));
            known.map(|word| word + 1)
        }
    };
    fill(&format!("{}.weight", tensors.head), &|at| f32::from(own(at / HIDDEN) == Some(at % HIDDEN)));
    fill(&format!("{}.bias", tensors.head), &|at| if at == labels.outside() { 1.0 } else { 0.0 });
    if bio {
        fill(crf::TRANSITIONS, &|at| {
            f32::from(matches!(labels.tags()[at % labels.len()], Tag::Inside(_))) * 0.5
        });
    }
    let network = Network::from_weights(&config, weights, &device).expect("the same shapes");
    Model { config, network, tokenizer }
}

fn pieces() -> Vec<String> {
    let specials = ["<s>", "<pad>", "</s>", "<unk>", "▁"].map(str::to_owned);
    let words = WORDS.iter().map(|(_, piece)| (*piece).to_owned());
    specials.into_iter().chain(words).chain(LETTERS.chars().map(String::from)).collect()
}

/// A Unigram tokenizer in which the four words are pieces and all else falls to letters.
fn tokenizer() -> Value {
    let vocab: Vec<Value> =
        pieces().iter().map(|piece| json!([piece, if piece.len() > 4 { -1.0 } else { -4.0 }])).collect();
    let added: Vec<Value> = (0..4)
        .map(|id| {
            json!({
                "id": id, "content": pieces()[id], "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer":
            { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "post_processor": null,
        "decoder": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "model": { "type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": false },
    })
}
