//! Our side of `benches/encoder.py`, which starts this once and asks in turn with the others: a line of JSON in, the time
//! that the work took and a line of JSON out.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::{
    env,
    io::{self, BufRead, Write},
    path::PathBuf,
    time::Instant,
};

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Device, Int, Tensor, TensorData, activation::log_softmax},
};
use encoder::{
    backend::{device, precision::Precision, prepacked::WeightFormat},
    batch::Batch,
    config::Config,
    inputs::Inputs,
    network::Network,
};
use serde::{Deserialize, Serialize};
use stage_contract::{self as contract, DeviceRequest};
use train::optimizer::{Groups, Groupwise, Norm};

#[derive(Deserialize)]
struct Request {
    run: Run,
    /// Ids of each window of each batch.
    batches: Vec<Vec<Vec<u32>>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Run {
    F32,
    Bf16,
    Int8,
    /// Steps that learn to tell an id's remainder, which is as good a label as any.
    Train,
    /// The same in bf16.
    TrainBf16,
}

impl Run {
    /// What steps compute in, where there are steps.
    fn training(self) -> Option<Precision> {
        match self {
            Self::Train => Some(Precision::F32),
            Self::TrainBf16 => Some(Precision::Bf16),
            Self::F32 | Self::Bf16 | Self::Int8 => None,
        }
    }
}

#[derive(Serialize)]
struct Answer {
    seconds: f64,
    /// Logits of the first row, or the first loss.
    first: Vec<f32>,
}

struct Server {
    config: Config,
    device: Device,
    /// As it is read from the disk.
    given: Network,
    exact: Network,
    int8: Network,
    /// What was trained so far, in each precision.
    training: Vec<(Precision, Network, Groupwise)>,
}

fn main() {
    let folder: PathBuf = env::args().nth(1).filter(|folder| !folder.starts_with('-')).map_or_else(
        || {
            println!("this bench answers benches/encoder.py");
            std::process::exit(0)
        },
        PathBuf::from,
    );
    let asked = env::args()
        .nth(2)
        .map_or(Ok(DeviceRequest::Exactly(contract::Device::CPU.into())), |device| device.parse());
    let (devices, _) = device::resolve(asked.expect("cpu or cuda:N")).expect("that device");
    let mut server = Server::open(&folder, device::burn(devices.first));
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line.expect("a line")).expect("a request");
        let answer = device::on_pool(&server.device.clone(), || server.answer(&request));
        println!("{}", serde_json::to_string(&answer).expect("JSON"));
        io::stdout().flush().expect("read by the script");
    }
}

impl Server {
    fn open(folder: &std::path::Path, device: Device) -> Self {
        let config = Config::load(folder).expect("config.json");
        let mut weights = encoder::model::weights(folder, &config).expect("weights");
        encoder::layout::take_apart(&config, &mut weights).expect("its parts");
        let given = Network::from_weights(&config, weights, &device).expect("the config's shapes");
        let exact = given.clone().prepack(&config, WeightFormat::F32);
        let int8 = given.clone().prepack(&config, WeightFormat::Int8);
        Self { config, device, given, exact, int8, training: Vec::new() }
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
    fn answer(&mut self, request: &Request) -> Answer {
        if let Some(precision) = request.run.training()
            && !self.training.iter().any(|(known, ..)| *known == precision)
        {
            let groups = Groups { head: 1.0, crf: 1.0, layer: 1.0, weight_decay: 0.01 };
            let optimizer = Groupwise::new(groups, self.config.layers.len());
            let network = self.given.clone().fork(&self.device).at(precision).train();
            self.training.push((precision, network, optimizer));
        }
        let narrow = self.given.clone().at(Precision::Bf16);
        let start = Instant::now();
        // Nothing is read before all is done: a GPU need not wait for the host between batches.
        let mut first = None;
        for windows in &request.batches {
            let found = match request.run {
                Run::F32 => self.forward(&self.exact, windows),
                Run::Bf16 => self.forward(&narrow, windows),
                Run::Int8 => self.forward(&self.int8, windows),
                Run::Train => self.step(windows, Precision::F32),
                Run::TrainBf16 => self.step(windows, Precision::Bf16),
            };
            first.get_or_insert(found);
        }
        self.device.sync().expect("the device did its work");
        let seconds = start.elapsed().as_secs_f64();
        let first = first.map(|first| first.into_data().try_to_vec().expect("f32")).unwrap_or_default();
        Answer { seconds, first }
    }

    /// Logits of the first row.
    fn forward(&self, network: &Network, windows: &[Vec<u32>]) -> Tensor<1> {
        let logits = network.forward(&Inputs::new(&batch(windows), &self.config, &self.device), &[]).logits;
        logits.narrow(0, 0, 1).flatten(0, 1)
    }

    /// Cross-entropy over all tokens, gradients clipped, a step of `AdamW`: the loss.
    fn step(&mut self, windows: &[Vec<u32>], precision: Precision) -> Tensor<1> {
        let at = self.training.iter().position(|(known, ..)| *known == precision).expect("made before");
        let (_, network, mut optimizer) = self.training.swap_remove(at);
        let autodiff = self.device.clone().autodiff();
        let labels: Vec<i64> = windows
            .iter()
            .flatten()
            .map(|id| i64::from(*id) % i64::try_from(self.config.labels.len()).expect("few"))
            .collect();
        let labels = TensorData::new(labels.clone(), [labels.len(), 1]);
        let labels = Tensor::<2, Int>::from_data(labels, &autodiff);
        let packed = Inputs::new(&batch(windows), &self.config, &autodiff);
        let loss = log_softmax(network.forward(&packed, &[]).logits, 1).gather(1, labels).mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let norm = Norm::of(&network, &gradients, &network.device());
        let network = optimizer.step(5e-5, network, gradients, &norm, 1.0);
        self.training.push((precision, network, optimizer));
        loss.inner()
    }
}

fn batch(windows: &[Vec<u32>]) -> Batch {
    let mut batch = Batch { starts: vec![0], ..Batch::default() };
    for window in windows {
        batch.ids.extend(window);
        batch.starts.push(u32::try_from(batch.ids.len()).expect("benchmarks are small"));
    }
    batch
}
