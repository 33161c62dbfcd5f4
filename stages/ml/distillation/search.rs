//! Which of its layers a model can do without: measured, and not guessed.

use burn::tensor::Device;
use stage_contract::{Context, StageError};

use encoder::{
    batch::{Encoded, buckets},
    config::Config,
    decode::softmax,
    infer::{WordLogits, word_logits},
    model::Model,
    network::Network,
};

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
struct Search {
    /// Layers that stay, in order.
    kept: Vec<usize>,
    /// Layers that went, first to last, each with the loss after it went.
    dropped: Vec<(usize, f64)>,
}

/// Texts that a search reads for every layer it tries: so many batches of so many tokens.
const BATCHES: usize = 16;
const TOKENS: usize = 1024;

/// Some texts to search on, drawn by `seed` over all lengths.
#[must_use]
fn draw(texts: &[Encoded], seed: u64) -> Vec<Encoded> {
    let batches = buckets(texts, TOKENS, Some(seed));
    batches.into_iter().take(BATCHES).flatten().map(|text| texts[text].clone()).collect()
}

/// Searches on some of `texts`, and says what it found: the layers that stay, in order.
///
/// # Errors
/// When the user cancels.
pub fn reported(
    cx: &Context<'_>,
    model: &Model,
    texts: &[Encoded],
    keep: usize,
    device: &Device,
) -> Result<Vec<usize>, StageError> {
    let trials = trials(model.config.layers.len(), keep);
    let mut progress = cx.progress("searching layers", trials as u64, "trials");
    let found = search(model, &draw(texts, cx.seed), keep, device, || {
        progress.advance(1);
        cx.check_cancelled()
    })?;
    let dropped: Vec<String> =
        found.dropped.iter().map(|(layer, loss)| format!("{layer} (KL {loss:.4})")).collect();
    let kept: Vec<String> = found.kept.iter().map(ToString::to_string).collect();
    cx.show(format!("layers kept: {}; dropped, first to last: {}", kept.join(", "), dropped.join(", ")));
    if let Some((_, loss)) = found.dropped.last() {
        cx.metric("search.kl", *loss);
    }
    Ok(found.kept)
}

/// A model with these of its layers only.
#[must_use]
pub fn only(model: &Model, layers: &[usize]) -> Model {
    let own = &model.network.layers;
    Model {
        config: Config {
            layers: layers.iter().map(|&layer| model.config.layers[layer]).collect(),
            ..model.config.clone()
        },
        network: Network {
            layers: layers.iter().map(|&layer| own[layer].clone()).collect(),
            ..model.network.clone()
        },
        tokenizer: model.tokenizer.clone(),
    }
}

/// How many layers a search tries, until `keep` of `layers` are left.
#[must_use]
fn trials(layers: usize, keep: usize) -> usize {
    (keep.max(2) + 1..=layers).map(|left| left - 2).sum()
}

/// Drops one inner layer after another until `keep` (2 or more) are left, each time the one without which the teacher's word
/// distributions on `texts` move least: KL from the whole teacher's, mean over words. `step` is called after every trial.
/// Equal losses go to the lower layer.
///
/// # Errors
/// What `step` returns, to stop early.
fn search(
    teacher: &Model,
    texts: &[Encoded],
    keep: usize,
    device: &Device,
    mut step: impl FnMut() -> Result<(), StageError>,
) -> Result<Search, StageError> {
    let whole = word_logits(teacher, texts, TOKENS, device, None)?;
    let without = |layers: &[usize]| -> Result<f64, StageError> {
        Ok(divergence(&whole, &word_logits(&only(teacher, layers), texts, TOKENS, device, None)?))
    };
    let mut found = Search { kept: (0..teacher.config.layers.len()).collect(), dropped: Vec::new() };
    while found.kept.len() > keep.max(2) {
        let mut least: Option<(usize, f64)> = None;
        for place in 1..found.kept.len() - 1 {
            let mut rest = found.kept.clone();
            rest.remove(place);
            let loss = without(&rest)?;
            step()?;
            if least.is_none_or(|(_, least)| loss < least) {
                least = Some((place, loss));
            }
        }
        // Three layers have an inner one.
        let Some((place, loss)) = least else { break };
        found.dropped.push((found.kept.remove(place), loss));
    }
    Ok(found)
}

/// Mean over owned words of KL(first || second).
#[expect(clippy::cast_precision_loss, reason = "counts of words")]
fn divergence(first: &[WordLogits], second: &[WordLogits]) -> f64 {
    let (mut sum, mut words) = (0.0, 0_usize);
    for (first, second) in first.iter().zip(second) {
        for word in (0..first.len()).filter(|word| first.owned[*word]) {
            let (p, q) = (softmax(first.word(word), 1.0), softmax(second.word(word), 1.0));
            let terms = p.iter().zip(&q).filter(|(p, _)| **p > 0.0);
            sum += terms.map(|(p, q)| p * (p / q.max(f64::MIN_POSITIVE)).ln()).sum::<f64>();
            words += 1;
        }
    }
    sum / words.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoder::{
        arch::post_norm::{ATTENTION_OUTPUT, DOWN},
        config::Config,
        infer::encode,
        testing::{tiny, tokenizer, trained},
    };

    #[test]
    fn layers_that_do_nothing_go_first_and_the_ends_stay() {
        let device = Device::flex();
        let config = Config { layers: vec![tiny().layers[0]; 5], ..tiny() };
        let mut weights = trained(&config, &device).weights(&config);
        // What they add is nothing, and what they normalise is normal already.
        let tensors = config.architecture.tensors();
        for (layer, part) in
            [1, 3].iter().flat_map(|&layer| [ATTENTION_OUTPUT, DOWN].map(|part| (layer, part)))
        {
            for kind in ["weight", "bias"] {
                let name = format!("{}.{kind}", tensors.part(layer, tensors.parts[part]));
                let array = weights.get_mut(&name).expect("there");
                array.values.fill(0.0);
            }
        }
        let network = Network::from_weights(&config, weights, &device).expect("whole");
        let teacher = Model { config, network, tokenizer: tokenizer(&["un", "deux", "trois"]) };
        let texts = ["un deux trois un", "deux", "trois trois un"];
        let words: Vec<_> = texts.iter().map(|text| text::words::words(text)).collect();
        let texts = encode(&teacher, texts.into_iter().zip(words.iter().map(Vec::as_slice))).expect("tokens");
        assert_eq!(draw(&texts, 3).len(), 3);

        let mut steps = 0;
        let mut count = || {
            steps += 1;
            Ok(())
        };
        let found = search(&teacher, &texts, 2, &device, &mut count).expect("found");
        assert_eq!(found.kept, [0, 4]);
        let mut first: Vec<usize> = found.dropped[..2].iter().map(|(layer, _)| *layer).collect();
        first.sort_unstable();
        assert_eq!(first, [1, 3], "{found:?}");
        assert!(found.dropped[1].1 < 1e-6 && found.dropped[2].1 > 1e-4, "{found:?}");
        assert_eq!(steps, trials(5, 2));
        assert_eq!(search(&teacher, &texts, 2, &device, || Ok(())).expect("again"), found);
        assert_eq!(search(&teacher, &texts, 5, &device, || Ok(())).expect("all").dropped, []);
    }
}
