//! Where tests run beside the CPU's kernels: the CPU taken for another backend, which is always there, and a GPU, which is
//! said to be missing where it is.

use burn::{module::Module, tensor::Device};

use stage_contract as contract;

use crate::{backend::device, model::Model, testing::elsewhere};

/// A place other than the CPU's kernels.
pub struct Place {
    /// For messages.
    pub name: &'static str,
    /// Its device.
    pub device: Device,
    pretended: bool,
    /// How far it may be off in f32: a matrix product's rounding, which CUDA may do to TF32's 11 bits.
    pub far: f64,
}

impl Place {
    /// Does something there.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.pretended { elsewhere(work) } else { work() }
    }

    /// A model's copy there.
    pub fn model(&self, model: &Model) -> Model {
        Model { network: model.network.clone().to_device(&self.device), ..model.clone() }
    }
}

/// All that there are.
pub fn places() -> Vec<Place> {
    let mut places =
        vec![Place { name: "Burn's operations", device: Device::flex(), pretended: true, far: 2e-5 }];
    match gpu(0) {
        Ok(device) => places.push(Place { name: "CUDA", device, pretended: false, far: 2e-2 }),
        Err(why) => eprintln!("SKIPPED ON CUDA, and run on the CPU alone: {why}"),
    }
    places
}

/// Places for a training on two devices, each with the second: the CPU twice, and two GPUs where there are so many.
pub fn pairs() -> Vec<(Place, contract::Device)> {
    let cpu = |name, pretended| Place { name, device: Device::flex(), pretended, far: 2e-5 };
    let mut pairs = vec![
        (cpu("the CPU", false), contract::Device::CPU),
        (cpu("Burn's operations", true), contract::Device::CPU),
    ];
    match gpu(0).and_then(|first| gpu(1).map(|_| first)) {
        Ok(device) => {
            let cuda = Place { name: "CUDA", device, pretended: false, far: 2e-2 };
            pairs.push((cuda, contract::Device::cuda(1)));
        }
        Err(why) => eprintln!("SKIPPED ON TWO GPUS, and run on the CPU twice: {why}"),
    }
    pairs
}

/// The GPU of that number, or what it lacks.
fn gpu(index: usize) -> Result<Device, String> {
    let device = contract::Device::cuda(index);
    match device::resolve(contract::DeviceRequest::Exactly(device.into())) {
        Ok(_) => Ok(device::burn(device)),
        Err(why) => Err(why.message),
    }
}
