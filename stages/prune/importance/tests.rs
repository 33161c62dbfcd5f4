use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::*;
use crate::prune::means::Means;
use encoder::arch::post_norm::{DOWN, KEY, QUERY, VALUE};
use encoder::batch::Encoded;
use encoder::testing::{tiny, trained};
use text::{
    corpus::{Provenance, Record},
    labels::Labels,
    tokenizer::{Anchor, Window},
};

/// Texts of the given lengths, a word for every row but the specials; the second word of each owns no piece,
/// and the fifth has a tag that the model does not know.
fn labelled(lengths: &[usize]) -> Labelled {
    let text = |length: &usize| {
        let ids = (0..*length).map(|i| u32::try_from(2 + i * 7 % 48).expect("small")).collect();
        let anchors = (0..length - 2).map(|word| Anchor { word, row: word + 1, owned: word != 1 }).collect();
        Encoded { windows: vec![Window { ids, anchors, ..Window::default() }], words: length - 2 }
    };
    // O B-PER I-PER, again and again.
    let gold = |length: &usize| (0..length - 2).map(|word| Some(word % 3).filter(|_| word != 4)).collect();
    Labelled {
        texts: lengths.iter().map(text).collect(),
        gold: lengths.iter().map(gold).collect(),
        unknown: BTreeMap::new(),
        ids: (0..lengths.len()).map(|text| format!("a-{text}")).collect(),
    }
}

#[test]
fn a_gates_gradient_equals_the_finite_difference_of_the_loss() {
    let device = Device::flex();
    for crf in [true, false] {
        let mut config = tiny();
        config.crf = crf;
        let network = trained(&config, &device);
        let (records, members) = (labelled(&[7, 12]), [0, 1]);
        let autodiff = device.clone().autodiff();
        let training = network.clone().train().no_grad();
        let found = gradients(&config, &training, &records, &members, &autodiff).expect("words");

        let batch = Batch::pack(&records.texts, &members);
        let (used, gold) = supervised(&batch, &records);
        assert_eq!(starts(&batch, &used), [0, 3, 11]);
        let rows: Vec<_> = used.iter().map(|&word| batch.rows[word]).collect();
        let packed = Inputs::new(&batch, &config, &device);
        let loss = |gates: &Masks| -> f64 {
            let logits =
                network.forward_probed(&packed, &[], Some(gates)).logits.select(0, indices(&rows, &device));
            let loss = match network.crf_weights() {
                Some(crf) => crf_nll(logits, &crf, &gold, &starts(&batch, &used), &config.labels),
                None => cross_entropy(logits, &gold, &vec![1.0; gold.len()]),
            };
            f64::from(loss.into_scalar::<f32>())
        };
        let moved = |tensor: &Tensor<1>, place: usize, by: f32| {
            let mut values = host(tensor.clone());
            values[place] += by;
            Tensor::from_floats(values.as_slice(), &device)
        };
        let step = 0.02;
        for layer in 0..2 {
            for (place, expected) in found.heads[layer].iter().enumerate() {
                let at = |by| {
                    let mut gates = Masks::open(&network, &device);
                    gates.heads[layer] = moved(&gates.heads[layer], place, by);
                    loss(&gates)
                };
                close(f64::from(*expected), (at(step) - at(-step)) / f64::from(2.0 * step));
            }
            for place in [0, 3, 11] {
                let at = |by| {
                    let mut gates = Masks::open(&network, &device);
                    gates.ffn[layer] = moved(&gates.ffn[layer], place, by);
                    loss(&gates)
                };
                close(f64::from(found.ffn[layer][place]), (at(step) - at(-step)) / f64::from(2.0 * step));
            }
        }
        assert!(found.heads.concat().iter().any(|gradient| gradient.abs() > 1e-3), "gradients are not all 0");
    }
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 2e-4 + 0.01 * expected.abs(), "{found} and {expected}");
}

#[test]
fn scores_are_the_mean_of_absolute_gradients_and_do_not_depend_on_the_run() {
    let (config, device) = (tiny(), Device::flex());
    let network = trained(&config, &device);
    let records = labelled(&[7, 12, 9, 5, 10]);
    let batches = records.batches(3, 16, 4).expect("words");
    assert_eq!(batches.len(), 3);
    let mut steps = 0;
    let measure = |moment, steps: &mut usize| {
        Importance::measured(moment, &config, &network, &records, &batches, &device, |done| {
            *steps += done;
            Ok(())
        })
        .expect("scores")
    };
    let scores = measure(Moment::Absolute, &mut steps);
    assert_eq!(steps, 3);
    assert_eq!(scores, measure(Moment::Absolute, &mut steps));
    let squares = measure(Moment::Square, &mut steps);

    let mut by_hand = [Importance::zero(&config), Importance::zero(&config)];
    let training = network.clone().train().no_grad();
    for members in &batches {
        let found =
            gradients(&config, &training, &records, members, &device.clone().autodiff()).expect("words");
        by_hand[0].add(Moment::Absolute, &found);
        by_hand[1].add(Moment::Square, &found);
    }
    assert_eq!([scores.clone(), squares], by_hand.map(|sum| sum.scaled(1.0 / 3.0)));
    let norm: f64 = scores.clone().normalised().heads[0].iter().map(|score| score * score).sum();
    assert!((norm - 1.0).abs() < 1e-12);
    let mean = scores.relative().ffn[1].iter().sum::<f64>() / 16.0;
    assert!((mean - 1.0).abs() < 1e-12);
}

#[test]
fn what_overflows_is_no_score_and_names_batch_records_and_layer() {
    let (config, device) = (tiny(), Device::flex());
    let tensors = config.architecture.tensors();
    let mut weights = trained(&config, &device).weights(&config);
    let value = format!("{}.weight", tensors.part(1, tensors.parts[VALUE]));
    weights.get_mut(&value).expect("there").values.iter_mut().for_each(|value| *value *= 1e37);
    let network = Network::from_weights(&config, weights, &device).expect("a network");
    let records = labelled(&[7, 12]);
    let batches = [vec![0, 1]];
    let moment = Moment::Absolute;
    let scores = Importance::measured(moment, &config, &network, &records, &batches, &device, |_| Ok(()));
    let means = Means::measure(&config, &network, &records, &batches, &device, |_| Ok(()));
    for (error, what) in [(scores.err(), "the gradient"), (means.err(), "the mean")] {
        let message = error.expect(what).to_string();
        assert!(message.starts_with(what), "{message}");
        assert!(message.contains("in batch 1, of records a-0, a-1: layer 2 of 2"), "{message}");
    }
}

#[test]
fn magnitude_follows_the_weights_of_a_head_and_of_a_neuron() {
    let (config, device) = (tiny(), Device::flex());
    let mut weights = Network::init(&config, 3, &device).weights(&config);
    let tensors = config.architecture.tensors();
    let name = |layer, part: usize| format!("{}.weight", tensors.part(layer, tensors.parts[part]));
    for part in [QUERY, KEY, VALUE] {
        let array = weights.get_mut(&name(0, part)).expect("there");
        array.values[2 * 4 * 16..3 * 4 * 16].fill(1.0);
    }
    let array = weights.get_mut(&name(1, DOWN)).expect("there");
    (0..16).for_each(|row| array.values[row * 16 + 5] = 1.0);
    let scores = Importance::magnitude(&config, &weights);
    assert_eq!(highest(&scores.heads[0], 1), [2]);
    assert_eq!(highest(&scores.ffn[1], 1), [5]);
}

#[test]
fn random_scores_follow_from_the_seed() {
    let config = tiny();
    assert_eq!(Importance::random(&config, 1), Importance::random(&config, 1));
    assert_ne!(Importance::random(&config, 1), Importance::random(&config, 2));
}

#[test]
fn the_highest_come_ascending_and_ties_go_to_the_lower_index() {
    assert_eq!(highest(&[0.1, 0.9, 0.5, 0.9, 0.5], 3), [1, 2, 3]);
    assert_eq!(highest(&[0.5, 0.5, 0.5], 2), [0, 1]);
}

#[test]
fn tags_are_matched_by_name_and_an_unknown_type_is_named() {
    let record = |tags: &[&str]| Record {
        id: "press-7".to_owned(),
        text: "Paris".to_owned(),
        source: "press".to_owned(),
        group: "press-7".to_owned(),
        words: vec![[0, 5]; tags.len()],
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        score: vec![1.0; tags.len()],
        provenance: Provenance::Gold,
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let io = Labels::parse(&names(&["O", "I-LOC", "I-PER"])).expect("labels");
    let read = Labelled::new(Vec::new(), &[record(&["B-LOC", "I-LOC", "O"])], &io).expect("known");
    assert_eq!(read.gold, [vec![Some(1), Some(1), Some(0)]]);
    let bio = Labels::bio(["PER", "LOC", "ORG"]);
    let read = Labelled::new(Vec::new(), &[record(&["B-LOC", "I-LOC", "B-MISC"])], &bio).expect("known");
    assert_eq!(read.gold, [vec![Some(3), Some(4), None]]);
    assert_eq!(read.unknown, BTreeMap::from([("MISC".to_owned(), 1)]), "out of the loss, and counted");
    let error = Labelled::new(Vec::new(), &[record(&["B-DATE"])], &bio).expect_err("unknown");
    assert_eq!(error.to_string(), "record press-7 is tagged B-DATE, for which the model has no label");
}
