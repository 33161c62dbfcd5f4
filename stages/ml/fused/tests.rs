use std::cell::Cell;

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

use super::Rows;
use crate::ml::{
    config::{Config, LayerShape},
    host::host,
    model::{
        Gates, Network, Output, Packed, Probe,
        tests::{batch, tiny, trained},
    },
};

thread_local! {
    static PRETENDED: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn pretended() -> bool {
    PRETENDED.get()
}

/// Does something while this thread takes the CPU for another backend, so that all runs as it would there.
pub(crate) fn elsewhere<T>(work: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            PRETENDED.set(self.0);
        }
    }
    let _back = Back(PRETENDED.replace(true));
    work()
}

/// Windows of one token, of few, and of as many as there are positions.
const RAGGED: [u32; 6] = [5, 1, 18, 2, 1, 17];

/// Pruned layers: no two alike, and heads and neurons that fill no register.
fn pruned() -> Config {
    let layer = |heads, ffn| LayerShape { heads, ffn, from_teacher_layer: 0 };
    Config { layers: vec![layer(4, 24), layer(1, 7), layer(3, 40)], ..tiny() }
}

/// One layer and positions for the longest window of `CamemBERT`.
fn long() -> Config {
    let layers = vec![LayerShape { heads: 2, ffn: 16, from_teacher_layer: 0 }];
    Config { layers, positions: 514, ..tiny() }
}

/// Gradients of every parameter and gate, in order.
#[derive(Default)]
struct Found {
    names: Vec<String>,
    values: Vec<Vec<f32>>,
}

struct Collect<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: Found,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.found.names.push(self.path.join("."));
            self.found.values.push(host(gradient));
        }
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

/// A loss in which every output counts differently.
fn loss(output: &Output) -> Tensor<1> {
    let parts = std::iter::once(&output.logits).chain(&output.hidden).map(|output| {
        let [rows, columns] = output.dims();
        #[expect(clippy::cast_precision_loss, reason = "tests are small")]
        let slopes: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 0.37).sin()).collect();
        (output.clone() * Tensor::from_data(TensorData::new(slopes, [rows, columns]), &output.device())).sum()
    });
    parts.reduce(|a, b| a + b).expect("an output")
}

/// Largest distance over the largest value.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-3_f32, |largest, x| largest.max(x.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

fn both(config: &Config, lengths: &[u32], device: &Device) -> [Packed; 2] {
    let batch = batch(lengths);
    let (fused, stock) = (Packed::new(&batch, config, device), Packed::stock(&batch, config, device));
    assert!(matches!((&fused.layout, &stock.layout), (Rows::Fused { .. }, Rows::Stock(_))));
    [fused, stock]
}

fn assert_forward(config: &Config, lengths: &[u32]) {
    let device = Device::flex();
    let network = trained(config, &device);
    let states: Vec<_> = (0..=config.layers.len()).collect();
    let [fused, stock] = both(config, lengths, &device).map(|batch| network.forward(&batch, &states));
    assert!(distance(&host(fused.logits), &host(stock.logits)) < 1e-5);
    for (state, (fused, stock)) in fused.hidden.into_iter().zip(stock.hidden).enumerate() {
        let distance = distance(&host(fused), &host(stock));
        assert!(distance < 1e-5, "state {state}: {distance}");
    }
}

/// Runs both forms forward and backward; also through gates, which are open.
fn assert_backward(config: &Config, lengths: &[u32], through_gates: bool) {
    let device = Device::flex().autodiff();
    let network = trained(config, &Device::flex()).train();
    let states = [0, config.layers.len()];
    let [fused, stock] = both(config, lengths, &device).map(|batch| {
        let gates = through_gates.then(|| Gates::open(&network, &device));
        let output = network.forward_probed(&batch, &states, gates.as_ref().map(|gates| gates as &dyn Probe));
        let gradients = loss(&output).backward();
        let gates = gates.iter().flat_map(|gates| gates.heads.iter().chain(&gates.ffn));
        let by_gates: Vec<_> =
            gates.map(|gate| host(gate.grad(&gradients).expect("a gate's gradient"))).collect();
        let gradients = GradientsParams::from_grads(gradients, &network);
        let mut collect = Collect { gradients: &gradients, path: Vec::new(), found: Found::default() };
        network.visit(&mut collect);
        collect.found.names.extend((0..by_gates.len()).map(|i| format!("gate {i}")));
        collect.found.values.extend(by_gates);
        collect.found
    });
    assert_eq!(fused.names, stock.names);
    assert!(fused.names.len() >= 5 + 16 * config.layers.len(), "{:?}", fused.names);
    for ((name, fused), stock) in fused.names.iter().zip(&fused.values).zip(&stock.values) {
        // A key's bias moves all scores of a query alike: its gradient is 0 but for rounding.
        let distance = distance(fused, stock);
        assert!(distance < 2e-5 || name.ends_with("key.bias"), "{name}: {distance}");
    }
}

#[test]
fn fused_and_stock_agree_forward_on_ragged_windows() {
    assert_forward(&tiny(), &RAGGED);
    assert_forward(&pruned(), &RAGGED);
    assert_forward(&pruned(), &[1]);
}

#[test]
fn fused_and_stock_agree_backward_on_ragged_windows() {
    assert_backward(&tiny(), &RAGGED, false);
    assert_backward(&pruned(), &RAGGED, false);
    assert_backward(&pruned(), &[9, 9], false);
}

#[test]
fn fused_and_stock_agree_through_gates() {
    assert_backward(&pruned(), &RAGGED, true);
}

#[test]
fn fused_and_stock_agree_on_windows_of_512() {
    assert_forward(&long(), &[512, 1, 300]);
    assert_backward(&long(), &[512, 1, 300], false);
}

#[test]
fn a_frozen_network_gives_gradients_to_gates_alone() {
    let (config, device) = (tiny(), Device::flex().autodiff());
    let network = trained(&config, &Device::flex()).train().no_grad();
    let found = both(&config, &RAGGED, &device).map(|batch| {
        let gates = Gates::open(&network, &device);
        let gradients = loss(&network.forward_probed(&batch, &[], Some(&gates))).backward();
        gates
            .heads
            .iter()
            .chain(&gates.ffn)
            .map(|gate| host(gate.grad(&gradients).expect("there")))
            .collect::<Vec<_>>()
    });
    for (fused, stock) in found[0].iter().zip(&found[1]) {
        assert!(distance(fused, stock) < 2e-5);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let config = pruned();
    let network: Network = trained(&config, &Device::flex()).train();
    let bits = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let device = Device::flex().autodiff();
            let output = network.forward(&Packed::new(&batch(&RAGGED), &config, &device), &[1]);
            let logits = host(output.logits.clone());
            let gradients = GradientsParams::from_grads(loss(&output).backward(), &network);
            let mut collect = Collect { gradients: &gradients, path: Vec::new(), found: Found::default() };
            network.visit(&mut collect);
            (logits, collect.found.values)
        })
    };
    assert!(bits(1) == bits(3));
}
