//! Devices: which are there, and Burn's name for each.
//!
//! In a build with CUDA, Burn's own default device is CUDA even where there is no driver, and its first use panics: so
//! nothing here or elsewhere asks for a default device, and CUDA is only named after [`resolve`] found it whole.

use ::burn::tensor;
use stage_contract::{Device, DeviceRequest, Invalid};

/// Burn's device for ours: Flex, the pure-Rust backend, or CUDA. On the CPU the process keeps its memory from now on.
///
/// # Panics
/// For CUDA in a build without it, which [`resolve`] never returns.
#[must_use]
pub fn burn(device: Device) -> tensor::Device {
    match device {
        Device::Cpu => {
            kernels::memory::hold();
            tensor::Device::flex()
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(index) => tensor::Device::cuda(index),
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(index) => panic!("cuda:{index} in a build without CUDA"),
    }
}

/// Turns `--device` into a device that is there; with `auto` in a build with CUDA, also a line that says what was taken
/// and why.
///
/// # Errors
/// CUDA was asked for and is not in this build, has no driver, no NVRTC or headers, or no such index.
pub fn resolve(request: DeviceRequest) -> Result<(Device, Option<String>), Invalid> {
    match request {
        DeviceRequest::Exactly(Device::Cpu) => Ok((Device::Cpu, None)),
        DeviceRequest::Exactly(Device::Cuda(index)) => cuda(index).map(|device| (device, None)),
        #[cfg(not(feature = "cuda"))]
        DeviceRequest::Auto => Ok((Device::Cpu, None)),
        #[cfg(feature = "cuda")]
        DeviceRequest::Auto => Ok(match cuda(0) {
            Ok(device) => (device, Some(format!("using {device}"))),
            Err(why) => (Device::Cpu, Some(format!("using the CPU: {why}"))),
        }),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Device, Invalid> {
    Err(Invalid::new("CUDA is not in this build")
        .help("cargo build --release --features cuda, or --device cpu"))
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, Invalid> {
    let count = tensor::Device::enumerate(tensor::DeviceType::Cuda).into_vec().len();
    if count == 0 {
        return Err(Invalid::new("no CUDA device: there is no NVIDIA driver, or it shows no GPU")
            .help("check that nvidia-smi lists a GPU, or use --device cpu"));
    }
    if index >= count {
        return Err(Invalid::new(format!("there is no cuda:{index}, only cuda:0 to cuda:{}", count - 1))
            .help("--device cuda:0"));
    }
    compiler().map(|()| Device::Cuda(index))
}

/// Compiles an empty kernel as Burn will compile its own: NVRTC at run time, with the toolkit's headers. Burn panics in
/// the middle of the work when either is missing.
#[cfg(feature = "cuda")]
fn compiler() -> Result<(), Invalid> {
    use std::panic;

    use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};

    const KERNEL: &str = "#include <cuda_fp16.h>\nextern \"C\" __global__ void empty() {}";
    let root = cubecl_cuda::install::cuda_path().ok_or_else(|| {
        Invalid::new("the CUDA toolkit is not installed, and its headers are needed")
            .help("set CUDA_PATH to the folder that holds include/cuda_fp16.h, or use --device cpu")
    })?;
    let include_paths = vec![root.join("include").display().to_string()];
    let options = CompileOptions { include_paths, ..CompileOptions::default() };
    // cudarc panics when it cannot load the library; its message would only repeat ours.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let outcome = panic::catch_unwind(|| compile_ptx_with_opts(KERNEL, options));
    panic::set_hook(hook);
    match outcome {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Invalid::new(format!("NVRTC finds no usable CUDA headers in {}", root.display()))
            .help("set CUDA_PATH to the folder that holds include/cuda_fp16.h, or use --device cpu")),
        Err(_) => Err(Invalid::new("libnvrtc, which compiles CUDA kernels, cannot be loaded")
            .help("add the CUDA toolkit's lib64 to LD_LIBRARY_PATH, or use --device cpu")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        let found = resolve(DeviceRequest::Exactly(Device::Cpu)).expect("the CPU");
        assert_eq!(found, (Device::Cpu, None));
        assert_eq!(burn(Device::Cpu), tensor::Device::flex());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_get_it_and_takes_the_cpu_by_itself() {
        let error = resolve(DeviceRequest::Exactly(Device::Cuda(0))).expect_err("no CUDA here");
        assert_eq!(error.message, "CUDA is not in this build");
        assert!(error.help.expect("help").contains("--features cuda"));
        assert_eq!(resolve(DeviceRequest::Auto).expect("the CPU"), (Device::Cpu, None));
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_cuda_build_without_a_gpu_names_the_driver_and_falls_back() {
        if !tensor::Device::enumerate(tensor::DeviceType::Cuda).into_vec().is_empty() {
            return;
        }
        let error = resolve(DeviceRequest::Exactly(Device::Cuda(0))).expect_err("no driver here");
        assert!(error.message.contains("no NVIDIA driver"), "{}", error.message);
        let (device, why) = resolve(DeviceRequest::Auto).expect("the CPU");
        assert_eq!(device, Device::Cpu);
        assert!(why.expect("a reason").starts_with("using the CPU: no CUDA device"));
    }
}
