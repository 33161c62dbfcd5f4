//! Where tests run beside the CPU's kernels: the CPU taken for another backend, which is always there, and a GPU, which is
//! said to be missing where it is.

use burn::{module::Module, tensor::Device};

use crate::ml::{fused::tests::elsewhere, model::Model};

/// A place other than the CPU's kernels.
pub(crate) struct Place {
    pub name: &'static str,
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
pub(crate) fn places() -> Vec<Place> {
    let mut places =
        vec![Place { name: "Burn's operations", device: Device::flex(), pretended: true, far: 2e-5 }];
    match gpu() {
        Ok(device) => places.push(Place { name: "CUDA", device, pretended: false, far: 2e-2 }),
        Err(why) => eprintln!("SKIPPED ON CUDA, and run on the CPU alone: {why}"),
    }
    places
}

#[cfg(feature = "cuda")]
fn gpu() -> Result<Device, String> {
    use stage_contract::{Device::Cuda, DeviceRequest};

    use crate::ml::device;

    match device::resolve(DeviceRequest::Exactly(Cuda(0))) {
        Ok(_) => Ok(device::burn(Cuda(0))),
        Err(why) => Err(why.message),
    }
}

#[cfg(not(feature = "cuda"))]
fn gpu() -> Result<Device, String> {
    Err("this build has no CUDA (--features cuda)".into())
}
