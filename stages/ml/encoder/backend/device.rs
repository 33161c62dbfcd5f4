//! Devices: which are there, and Burn's name for each.
//!
//! In a build with CUDA, Burn's own default device is CUDA even where there is no driver, and its first use panics: so
//! nothing here or elsewhere asks for a default device, and CUDA is only named after [`resolve`] found it whole.

use ::burn::tensor;
use stage_contract::{Backend, Device, DeviceRequest, Devices, Invalid};

use crate::backend::fused;

#[cfg(any(feature = "cuda", test))]
mod cuda;

/// Burn's device for ours: Flex, the pure-Rust backend, or CUDA. On the CPU the process keeps its memory from now on.
///
/// # Panics
/// For CUDA in a build without it, which [`resolve`] never returns.
#[must_use]
pub fn burn(device: Device) -> tensor::Device {
    match device.backend {
        Backend::Cpu => {
            kernels::memory::hold();
            tensor::Device::flex()
        }
        #[cfg(feature = "cuda")]
        Backend::Cuda => tensor::Device::cuda(device.index),
        #[cfg(not(feature = "cuda"))]
        Backend::Cuda => panic!("{device} in a build without CUDA"),
    }
}

/// Does work on one of the kernels' threads, if it is for the CPU: a kernel that is called from elsewhere first waits for
/// one of them to wake.
pub fn on_pool<R: Send>(device: &tensor::Device, work: impl FnOnce() -> R + Send) -> R {
    if fused::runs_on(device) { rayon::scope(|_| work()) } else { work() }
}

/// Turns `--device` into devices that are there; with `auto` in a build with CUDA, also a line that says what was taken
/// and why.
///
/// # Errors
/// CUDA was asked for and is not in this build, has no driver or too old a one, no GPU of that number, no NVRTC or headers,
/// or too little free memory.
pub fn resolve(request: DeviceRequest) -> Result<(Devices, Option<String>), Invalid> {
    match request {
        DeviceRequest::Exactly(devices) => {
            devices.gpus().try_for_each(|index| cuda(index).map(drop))?;
            Ok((devices, None))
        }
        #[cfg(not(feature = "cuda"))]
        DeviceRequest::Auto => Ok((Device::CPU.into(), None)),
        #[cfg(feature = "cuda")]
        DeviceRequest::Auto => Ok(match cuda(0) {
            Ok(what) => (Device::cuda(0).into(), Some(format!("using {}: {what}", Device::cuda(0)))),
            Err(why) => (Device::CPU.into(), Some(format!("using the CPU: {why}"))),
        }),
    }
}

/// Bytes of a device's own memory that nothing takes now; none for the CPU.
#[must_use]
pub fn free(device: Device) -> Option<u64> {
    match device.backend {
        Backend::Cpu => None,
        #[cfg(feature = "cuda")]
        Backend::Cuda => cuda::free(device.index),
        #[cfg(not(feature = "cuda"))]
        Backend::Cuda => None,
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<String, Invalid> {
    Err(Invalid::new("CUDA is not in this build")
        .help("cargo build --release --features cuda, or --device cpu"))
}

/// What a GPU is called, when all that its use needs is there.
#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<String, Invalid> {
    cuda::judge(index, &mut cuda::Machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        let found = resolve(DeviceRequest::Exactly(Device::CPU.into())).expect("the CPU");
        assert_eq!(found, (Device::CPU.into(), None));
        assert_eq!(burn(Device::CPU), tensor::Device::flex());
        assert_eq!(free(Device::CPU), None);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_get_it_and_takes_the_cpu_by_itself() {
        let error = resolve(DeviceRequest::Exactly(Device::cuda(0).into())).expect_err("no CUDA here");
        assert_eq!(error.message, "CUDA is not in this build");
        assert!(error.help.expect("help").contains("--features cuda"));
        assert_eq!(resolve(DeviceRequest::Auto).expect("the CPU"), (Device::CPU.into(), None));
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_cuda_build_without_a_gpu_names_the_driver_and_falls_back() {
        if !tensor::Device::enumerate(tensor::DeviceType::Cuda).into_vec().is_empty() {
            return;
        }
        let error = resolve(DeviceRequest::Exactly(Device::cuda(0).into())).expect_err("no driver here");
        assert!(error.message.contains("no NVIDIA driver"), "{}", error.message);
        let (device, why) = resolve(DeviceRequest::Auto).expect("the CPU");
        assert_eq!(device, Device::CPU.into());
        assert!(why.expect("a reason").starts_with("using the CPU: no CUDA device"));
    }
}
