use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

use super::Ops;
use crate::{
    arch::post_norm::{FFN_NORM, KEY, QUERY, UP, VALUE},
    backend::{precision::Precision, readback::host},
    config::{Config, LayerShape},
    inputs::Inputs,
    layer::Probe,
    network::{Masks, Network, Output},
    testing::{batch, places::places, tiny, trained},
};

/// It moves all scores of a query alike: its gradient is 0 but for rounding.
fn is_bias_of_a_key(name: &str) -> bool {
    name.ends_with(&format!("parts.{KEY}.Linear.bias"))
}

/// Windows of one token, of few, and of as many as there are positions.
const RAGGED: [u32; 6] = [5, 1, 18, 2, 1, 17];

/// Pruned layers: no two alike, and heads and neurons that fill no register.
fn pruned() -> Config {
    let layer = |heads, ffn| LayerShape { heads, ffn, from_teacher_layer: 0, ..LayerShape::default() };
    Config { layers: vec![layer(4, 24), layer(1, 7), layer(3, 40)], ..tiny() }
}

/// One layer and positions for the longest window of `CamemBERT`.
fn long() -> Config {
    let layers = vec![LayerShape { heads: 2, ffn: 16, from_teacher_layer: 0, ..LayerShape::default() }];
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

fn both(config: &Config, lengths: &[u32], device: &Device) -> [Inputs; 2] {
    let batch = batch(lengths);
    let (fused, stock) = (Inputs::new(&batch, config, device), Inputs::reference(&batch, config, device));
    assert!(matches!((&fused.ops, &stock.ops), (Ops::Kernels { .. }, Ops::Burn(_))));
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
        let gates = through_gates.then(|| Masks::open(&network, &device));
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
        let distance = distance(fused, stock);
        assert!(distance < 2e-5 || is_bias_of_a_key(name), "{name}: {distance}");
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
fn a_network_without_gradients_gives_them_to_masks_alone() {
    let (config, device) = (tiny(), Device::flex().autodiff());
    let network = trained(&config, &Device::flex()).train().no_grad();
    let found = both(&config, &RAGGED, &device).map(|batch| {
        let gates = Masks::open(&network, &device);
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
            let output = network.forward(&Inputs::new(&batch(&RAGGED), &config, &device), &[1]);
            let logits = host(output.logits.clone());
            let gradients = GradientsParams::from_grads(loss(&output).backward(), &network);
            let mut collect = Collect { gradients: &gradients, path: Vec::new(), found: Found::default() };
            network.visit(&mut collect);
            (logits, collect.found.values)
        })
    };
    assert!(bits(1) == bits(3));
}

/// Each operation alone, where the kernels are and at every other place; with what is padded on the way.
#[test]
fn each_operation_gives_elsewhere_what_the_kernels_give() {
    let config = pruned();
    let here = Device::flex();
    let network = trained(&config, &here);
    let rows: usize = RAGGED.iter().map(|length| *length as usize).sum();
    let values: Vec<f32> =
        (0..rows * config.hidden).map(|i| (0.7 * f32::from(u16::try_from(i).expect("few"))).sin()).collect();
    let each = |network: &Network, device: &Device| -> Vec<(String, Vec<f32>)> {
        let packed = Inputs::new(&batch(&RAGGED), &config, device);
        let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [rows, config.hidden]), device);
        let mut found = Vec::new();
        for (index, layer) in network.layers.iter().enumerate() {
            let parts = [QUERY, KEY, VALUE].map(|part| layer.linear(part));
            for (name, y) in [
                ("linear", packed.ops.linear(layer.linear(QUERY), x.clone())),
                ("linear_gelu", packed.ops.linear_gelu(layer.linear(UP), x.clone())),
                ("add_norm", packed.ops.add_norm(layer.norm(FFN_NORM), x.clone(), x.clone() * 0.3)),
                ("attention", packed.ops.attention(parts, layer.widths.heads, &x)),
            ] {
                found.push((format!("{name} of layer {index}"), host(y)));
            }
        }
        found
    };
    let right = each(&network, &here);
    for place in places() {
        let network = network.clone().to_device(&place.device);
        for ((name, found), (_, right)) in place.run(|| each(&network, &place.device)).iter().zip(&right) {
            let far = f64::from(distance(found, right));
            assert!(far < place.far, "{name} at {}: {far}", place.name);
        }
    }
}

/// Attention in one piece and in pieces, in both precisions: padding is nobody's business.
#[test]
fn ragged_windows_attend_as_they_do_alone_in_one_piece_and_in_pieces() {
    let config = pruned();
    let network = trained(&config, &Device::flex());
    for place in places() {
        for (precision, limit) in [(Precision::F32, place.far), (Precision::Bf16, 0.03)] {
            let network = network.clone().to_device(&place.device).at(precision);
            let logits = |lengths: &[u32], device: &Device, network: &Network| {
                // Every window begins with the same ids, so what stands beside it is all that differs.
                let mut batch = batch(lengths);
                let mut ids = Vec::new();
                for length in lengths {
                    ids.extend((0..*length).map(|id| 5 + id % 9));
                }
                batch.ids = ids;
                host(network.forward(&Inputs::new(&batch, &config, device), &[]).logits)
            };
            let trained = network.clone().train();
            let autodiff = place.device.clone().autodiff();
            for (device, network) in [(&place.device, &network), (&autodiff, &trained)] {
                place.run(|| {
                    let together = logits(&RAGGED, device, network);
                    let alone: Vec<f32> =
                        RAGGED.iter().flat_map(|length| logits(&[*length], device, network)).collect();
                    let far = f64::from(distance(&together, &alone));
                    assert!(far < limit, "{precision:?} at {}: {far}", place.name);
                });
            }
        }
    }
}

/// The whole encoder, forward and backward.
#[test]
fn the_encoder_gives_elsewhere_what_the_kernels_give() {
    let config = pruned();
    let network = trained(&config, &Device::flex());
    let of = |network: &Network, device: &Device| {
        let network = network.clone().train();
        let packed = Inputs::new(&batch(&RAGGED), &config, &device.clone().autodiff());
        let output = network.forward(&packed, &[0, config.layers.len()]);
        let mut found = vec![("logits".to_owned(), host(output.logits.clone()))];
        let gradients = GradientsParams::from_grads(loss(&output).backward(), &network);
        let mut collect = Collect { gradients: &gradients, path: Vec::new(), found: Found::default() };
        network.visit(&mut collect);
        found.extend(collect.found.names.into_iter().zip(collect.found.values));
        found
    };
    let right = of(&network, &Device::flex());
    for place in places() {
        let found = place.run(|| of(&network.clone().to_device(&place.device), &place.device));
        assert_eq!(found.len(), right.len());
        for ((name, found), (_, right)) in found.iter().zip(&right) {
            let far = f64::from(distance(found, right));
            assert!(far < place.far || is_bias_of_a_key(name), "{name} at {}: {far}", place.name);
        }
    }
}
