//! Against transformers in float32: `parity/teacher.json` of the folder that `NER_PIPE_REAL` names.

use std::collections::BTreeMap;

use serde::Deserialize;

use burn::module::Module;

use super::*;
use crate::batch::Batch;
use crate::inputs::Inputs;
use crate::testing::furthest;

#[derive(Deserialize)]
struct Sentence {
    input_ids: Vec<u32>,
    /// `[tokens, labels]`
    logits: Vec<Vec<f32>>,
    /// First 8 columns of hidden states, 0 = embeddings.
    hidden_first_8: BTreeMap<String, Vec<Vec<f32>>>,
}

#[test]
fn logits_and_hidden_states_equal_those_of_transformers() {
    let Some(real) = crate::testing::real("") else { return };
    let device = Device::flex();
    let text = fs::read_to_string(real.join("parity/teacher.json")).expect("parity sentences");
    let sentences: Vec<Sentence> = serde_json::from_str(&text).expect("JSON");
    let folder = real.join("teacher");
    let config = Config::load(&folder).expect("a config");
    let weights = weights(&folder, &config).expect("weights in f16");
    assert_eq!(weights.parameters(), config.parameters());
    let network = Network::from_weights(&config, weights, &device).expect("a network");

    // All sentences in one ragged batch: packing must not show.
    let mut batch = Batch { starts: vec![0], ..Batch::default() };
    for sentence in &sentences {
        batch.ids.extend(&sentence.input_ids);
        batch.starts.push(u32::try_from(batch.ids.len()).expect("small"));
    }
    let states: Vec<usize> = vec![0, 1, 6, 12];
    for device in [device.clone(), device.autodiff()] {
        let network = if device.is_autodiff() { network.clone().train() } else { network.clone() };
        let output = network.forward(&Inputs::new(&batch, &config, &device), &states);
        let logits = host(output.logits);
        let hidden: Vec<_> = output.hidden.into_iter().map(host).collect();
        for (sentence, rows) in sentences.iter().zip(batch.starts.windows(2)) {
            let rows = rows[0] as usize..rows[1] as usize;
            let columns = config.labels.len();
            let found = &logits[rows.start * columns..rows.end * columns];
            assert!(furthest(found, &sentence.logits.concat()) < 1e-4);
            assert_eq!(sentence.hidden_first_8.len(), states.len());
            for (state, hidden) in states.iter().zip(&hidden) {
                let found: Vec<_> =
                    rows.clone().flat_map(|row| hidden[row * config.hidden..][..8].to_vec()).collect();
                let expected = sentence.hidden_first_8[&state.to_string()].concat();
                assert!(furthest(&found, &expected) < 1e-4, "hidden state {state}");
            }
        }
    }
}
