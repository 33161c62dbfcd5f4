//! Against transformers: `testdata/parity.json`, which `testdata/parity.py` wrote.

use std::collections::BTreeMap;

use burn::{module::Module, tensor::Device};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    backend::{prepacked::WeightFormat, readback::host},
    batch::Batch,
    config::Config,
    finite::finite,
    inputs::Inputs,
    layout,
    network::Network,
    testing::{elsewhere, furthest, values},
    weights::{Array, Weights},
};

#[derive(Deserialize)]
struct Case {
    config: Value,
    parameters: usize,
    tensors: BTreeMap<String, Vec<usize>>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<u32>,
    /// `[tokens, labels]`
    logits: Vec<Vec<f32>>,
    /// `[layers + 1][tokens][4]`: the first columns of each hidden state.
    hidden_first_4: Vec<Vec<Vec<f32>>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../testdata/parity.json")).expect("cases of transformers")
}

/// The weights that parity.py gives tensors of these names.
fn weights(case: &Case) -> Weights {
    let mut weights = Weights::default();
    for (name, shape) in &case.tensors {
        weights.insert(name, Array { shape: shape.clone(), values: values(name, shape) });
    }
    weights
}

fn network(case: &Case, config: &Config) -> Network {
    let mut weights = weights(case);
    layout::take_apart(config, &mut weights).expect("whole parts");
    Network::from_weights(config, weights, &Device::flex()).expect("all tensors, and no other")
}

/// All texts in one ragged batch: packing must not show.
fn batch(case: &Case) -> Batch {
    let mut batch = Batch { starts: vec![0], ..Batch::default() };
    for text in &case.texts {
        batch.ids.extend(&text.ids);
        batch.starts.push(u32::try_from(batch.ids.len()).expect("small"));
    }
    batch
}

fn near(found: &[f32], right: &[f32], what: &str) {
    let distance = furthest(found, right);
    assert!(distance < 2e-5, "{what}: {distance}");
}

#[test]
fn every_encoder_computes_what_transformers_computes() {
    let device = Device::flex();
    let mut seen = Vec::new();
    for case in cases() {
        let config = Config::parse(case.config.clone()).expect("a configuration that transformers wrote");
        assert_eq!(config.parameters(), case.parameters);
        assert_eq!(config.tensors(), case.tensors);
        layout::check(&config, &case.tensors, &[]).expect("the shapes that it names");
        let network = network(&case, &config);
        let name = config.architecture.families()[0].model_type;
        seen.push(name);
        let batch = batch(&case);
        let states: Vec<usize> = (0..=config.layers.len()).collect();
        let check = |network: &Network, device: &Device, form: &str| {
            let output = network.forward(&Inputs::new(&batch, &config, device), &states);
            let right: Vec<f32> = case.texts.iter().flat_map(|text| text.logits.concat()).collect();
            near(&host(output.logits), &right, &format!("{name}, {form}: logits"));
            for (state, found) in output.hidden.into_iter().enumerate() {
                let found: Vec<f32> =
                    host(found).chunks_exact(config.hidden).flat_map(|row| row[..4].to_vec()).collect();
                let right: Vec<f32> =
                    case.texts.iter().flat_map(|text| text.hidden_first_4[state].concat()).collect();
                near(&found, &right, &format!("{name}, {form}: state {state}"));
            }
        };
        check(&network, &device, "kernels");
        check(&network.clone().train(), &device.clone().autodiff(), "kernels under autodiff");
        elsewhere(|| check(&network, &device, "Burn's operations"));
        check(&network.clone().prepack(&config, WeightFormat::F32), &device, "prepacked");
    }
    assert_eq!(
        seen,
        ["camembert", "bert", "distilbert", "modernbert", "deberta-v2"],
        "every encoder has a case"
    );
    assert_eq!(seen.len(), super::ARCHITECTURES.len());
}

/// What is normalised, compared by softmax or by argmax does not change with the scale of what it is made of: far beyond the other
/// terms a tensor of weights says the same at any scale, until f32 has no room. Then it must say nothing.
#[test]
fn weights_that_overflow_say_what_smaller_ones_say_or_nothing() {
    let device = Device::flex();
    for case in cases() {
        let config = Config::parse(case.config.clone()).expect("a configuration");
        let name = config.architecture.families()[0].model_type;
        let batch = batch(&case);
        let tags = |network: &Network| -> Option<Vec<usize>> {
            let logits = host(network.forward(&Inputs::new(&batch, &config, &device), &[]).logits);
            let best =
                |row: &[f32]| (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
            finite(&logits).then(|| logits.chunks_exact(config.labels.len()).map(best).collect())
        };
        let matrices = case.tensors.iter().filter(|(_, shape)| shape.len() == 2);
        for (tensor, shape) in matrices {
            let at = |scale: f32| {
                let mut weights = weights(&case);
                let values = values(tensor, shape).iter().map(|value| value * scale).collect();
                weights.insert(tensor.as_str(), Array { shape: shape.clone(), values });
                layout::take_apart(&config, &mut weights).expect("whole parts");
                Network::from_weights(&config, weights, &device).expect("all tensors, and no other")
            };
            let said = |scale: f32| {
                let network = at(scale);
                let pack = |format| tags(&network.clone().prepack(&config, format));
                [
                    ("kernels", tags(&network)),
                    ("Burn", elsewhere(|| tags(&network))),
                    ("prepacked", pack(WeightFormat::F32)),
                    ("8 bits", pack(WeightFormat::Int8)),
                ]
            };
            let right = said(1e8);
            for scale in [1e16, 1e20, 1e26, 1e32, 1e38] {
                for ((form, right), (_, found)) in right.iter().zip(said(scale)) {
                    let silent = found.is_some() && found != *right;
                    assert!(!silent, "{name}, {tensor} times {scale:e}, {form}: {found:?} for {right:?}");
                }
            }
        }
    }
}

#[test]
fn a_student_of_every_encoder_is_written_as_it_was_read() {
    let device = Device::flex();
    for case in cases() {
        let config = Config::parse(case.config.clone()).expect("a configuration");
        let network = network(&case, &config);
        let again: Config =
            Config::parse(serde_json::from_str(&config.json()).expect("JSON")).expect("what we wrote");
        assert_eq!((again.hidden, &again.layers, again.pad), (config.hidden, &config.layers, config.pad));
        assert_eq!(again.architecture, config.architecture);
        let mut written = network.weights(&config);
        assert_eq!(written.parameters(), config.parameters());
        layout::put_together(&config, &mut written);
        let names: Vec<_> = case.tensors.keys().filter(|name| written.get(name).is_none()).collect();
        assert_eq!(names, Vec::<&String>::new(), "all that transformers reads");
        layout::take_apart(&again, &mut written).expect("whole parts");
        let network = Network::from_weights(&again, written, &device).expect("all tensors, and no other");
        let output = network.forward(&Inputs::new(&batch(&case), &again, &device), &[]);
        let right: Vec<f32> = case.texts.iter().flat_map(|text| text.logits.concat()).collect();
        near(&host(output.logits), &right, "after a round trip");
    }
}

#[test]
fn an_encoder_that_is_not_known_is_refused_with_those_that_are() {
    let error = Config::parse(serde_json::json!({"model_type": "t5"})).expect_err("no encoder");
    let message = error.to_string();
    assert!(message.contains("model_type is t5") && message.contains("camembert, roberta"), "{message}");
    assert!(message.contains("bert, distilbert"), "{message}");
}
