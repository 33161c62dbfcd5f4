//! What CUDA needs, looked for before any work: Burn panics in the middle of it when something is missing.

use std::path::{Path, PathBuf};

use stage_contract::Invalid;

/// Drivers before this lack names that the build is bound to (`.cargo/config.toml`: CUDA 12.8).
const OLDEST_DRIVER: u32 = 570;

/// Free memory below which not even a small model with its kernels has a place.
const LEAST_MEMORY: u64 = 1 << 30;

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    name: String,
    free: u64,
    total: u64,
}

/// How it went to compile an empty kernel with NVRTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compiled {
    Whole,
    WithoutHeaders,
    WithoutLibrary,
}

/// Where things are looked for: this machine, or a made-up one. Asked in this order, each only when all before it was
/// found.
pub(super) trait Place {
    /// What the kernel says of the driver that it runs; none where it has none, or does not say.
    fn driver(&mut self) -> Option<String>;
    /// How many GPUs the driver's library shows; none where there is no such library.
    fn count(&mut self) -> Option<Result<usize, String>>;
    /// A GPU that is there.
    fn card(&mut self, index: usize) -> Result<Card, String>;
    /// Where the toolkit is.
    fn toolkit(&mut self) -> Option<PathBuf>;
    /// Compiles as Burn will compile its own.
    fn compile(&mut self, toolkit: &Path) -> Compiled;
}

/// What the GPU of that number is called, when all that its use needs is there.
pub(super) fn judge(index: usize, place: &mut dyn Place) -> Result<String, Invalid> {
    let driver = place.driver();
    let version = driver.as_deref().and_then(version);
    if let Some((_, text)) = version.as_ref().filter(|(major, _)| *major < OLDEST_DRIVER) {
        return Err(Invalid::new(format!("the NVIDIA driver {text} is too old"))
            .help(format!("install driver {OLDEST_DRIVER} or later, or use --device cpu")));
    }
    let count = match place.count() {
        None if driver.is_some() => {
            return Err(Invalid::new("libcuda cannot be loaded, though an NVIDIA driver runs")
                .help("start the container with its GPUs (docker run --gpus all), or use --device cpu"));
        }
        None => {
            return Err(Invalid::new("no CUDA device: there is no NVIDIA driver")
                .help("install the driver, so that nvidia-smi lists a GPU, or use --device cpu"));
        }
        Some(Err(why)) => {
            return Err(Invalid::new(format!("no CUDA device: the NVIDIA driver answers {why}"))
                .help("check that nvidia-smi lists a GPU (a driver just updated needs a restart), or use --device cpu"));
        }
        Some(Ok(count)) => count,
    };
    if count == 0 {
        return Err(Invalid::new("no CUDA device: the NVIDIA driver shows no GPU").help(
            "check that nvidia-smi lists one and CUDA_VISIBLE_DEVICES hides none, or use --device cpu",
        ));
    }
    if index >= count {
        return Err(Invalid::new(format!("there is no cuda:{index}, only cuda:0 to cuda:{}", count - 1))
            .help("--device cuda:0"));
    }
    let headers = "set CUDA_PATH to the folder that holds include/cuda_fp16.h, or use --device cpu";
    let Some(toolkit) = place.toolkit() else {
        return Err(
            Invalid::new("the CUDA toolkit is not installed, and its headers are needed").help(headers)
        );
    };
    match place.compile(&toolkit) {
        Compiled::Whole => {}
        Compiled::WithoutHeaders => {
            let message = format!("NVRTC finds no usable CUDA headers in {}", toolkit.display());
            return Err(Invalid::new(message).help(headers));
        }
        Compiled::WithoutLibrary => {
            return Err(Invalid::new("libnvrtc, which compiles CUDA kernels, cannot be loaded")
                .help("add the CUDA toolkit's lib64 to LD_LIBRARY_PATH, or use --device cpu"));
        }
    }
    let card = place.card(index).map_err(|why| {
        Invalid::new(format!("cuda:{index} cannot be used: the NVIDIA driver answers {why}"))
            .help("end what else runs on it (nvidia-smi lists it), or use --device cpu")
    })?;
    if card.free < LEAST_MEMORY {
        let (name, free, total) = (card.name, mib(card.free), mib(card.total));
        return Err(Invalid::new(format!("cuda:{index} ({name}) has {free} MiB free of {total} MiB"))
            .help("end what else runs on it (nvidia-smi lists it), or use --device cpu"));
    }
    Ok(format!("{}, {} MiB free of {}", card.name, mib(card.free), mib(card.total)))
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// The driver's version out of what the kernel says: its first number with a point, as a whole and before the point.
fn version(driver: &str) -> Option<(u32, String)> {
    driver.split_whitespace().find_map(|word| {
        let (major, rest) = word.split_once('.')?;
        let minor = rest.split('.').next()?;
        let major = major.parse().ok().filter(|_| minor.parse::<u32>().is_ok())?;
        Some((major, word.to_owned()))
    })
}

#[cfg(feature = "cuda")]
pub(super) use machine::{Machine, free};

#[cfg(feature = "cuda")]
mod machine {
    use std::{fs, panic};

    use cudarc::{
        driver::CudaContext,
        nvrtc::{CompileOptions, compile_ptx_with_opts},
    };

    use super::{Card, Compiled, Path, PathBuf, Place};

    /// This machine.
    pub struct Machine;

    impl Place for Machine {
        fn driver(&mut self) -> Option<String> {
            fs::read_to_string("/proc/driver/nvidia/version").ok()
        }

        fn count(&mut self) -> Option<Result<usize, String>> {
            let count = quietly(CudaContext::device_count)?;
            Some(count.map(|count| usize::try_from(count).unwrap_or_default()).map_err(|e| e.to_string()))
        }

        fn card(&mut self, index: usize) -> Result<Card, String> {
            let card = || {
                let context = CudaContext::new(index)?;
                let (free, total) = context.mem_get_info()?;
                Ok(Card { name: context.name()?, free: free as u64, total: total as u64 })
            };
            let card = quietly(card).unwrap_or_else(|| panic!("the library was there"));
            card.map_err(|e: cudarc::driver::DriverError| e.to_string())
        }

        fn toolkit(&mut self) -> Option<PathBuf> {
            cubecl_cuda::install::cuda_path()
        }

        fn compile(&mut self, toolkit: &Path) -> Compiled {
            const KERNEL: &str = "#include <cuda_fp16.h>\nextern \"C\" __global__ void empty() {}";
            let include_paths = vec![toolkit.join("include").display().to_string()];
            let options = CompileOptions { include_paths, ..CompileOptions::default() };
            match quietly(|| compile_ptx_with_opts(KERNEL, options)) {
                Some(Ok(_)) => Compiled::Whole,
                Some(Err(_)) => Compiled::WithoutHeaders,
                None => Compiled::WithoutLibrary,
            }
        }
    }

    /// Bytes free on a GPU.
    pub fn free(index: usize) -> Option<u64> {
        let free = quietly(|| CudaContext::new(index).and_then(|context| context.mem_get_info()))?;
        free.ok().map(|(free, _)| free as u64)
    }

    /// cudarc panics when it cannot load a library; its message would only repeat ours.
    fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| ()));
        let outcome = panic::catch_unwind(panic::AssertUnwindSafe(work));
        panic::set_hook(hook);
        outcome.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which all is there, until something is taken away.
    #[derive(Clone)]
    struct Made {
        driver: Option<&'static str>,
        count: Option<Result<usize, String>>,
        card: Result<Card, String>,
        toolkit: Option<&'static str>,
        compiled: Compiled,
        asked: Vec<&'static str>,
    }

    impl Place for Made {
        fn driver(&mut self) -> Option<String> {
            self.driver.map(str::to_owned)
        }

        fn count(&mut self) -> Option<Result<usize, String>> {
            self.asked.push("count");
            self.count.clone()
        }

        fn card(&mut self, _: usize) -> Result<Card, String> {
            self.asked.push("card");
            self.card.clone()
        }

        fn toolkit(&mut self) -> Option<PathBuf> {
            self.toolkit.map(PathBuf::from)
        }

        fn compile(&mut self, _: &Path) -> Compiled {
            self.asked.push("compile");
            self.compiled
        }
    }

    const DRIVER: &str = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Tue Jan 1 00:00:00 UTC 2025\n\
                          GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1)\n";

    fn whole() -> Made {
        Made {
            driver: Some(DRIVER),
            count: Some(Ok(2)),
            card: Ok(Card { name: "H100".into(), free: 70 << 30, total: 80 << 30 }),
            toolkit: Some("/usr/local/cuda"),
            compiled: Compiled::Whole,
            asked: Vec::new(),
        }
    }

    /// What is said of a machine, and what to do.
    fn said(mut machine: Made) -> String {
        let error = judge(0, &mut machine).expect_err("something is missing");
        let help = error.help.expect("help");
        assert!(help.contains("or use --device cpu"), "{help}");
        format!("{} ({help})", error.message)
    }

    #[test]
    fn a_whole_machine_has_a_gpu_with_a_name_and_memory() {
        assert_eq!(judge(1, &mut whole()).expect("whole"), "H100, 71680 MiB free of 81920");
        // Where the kernel says nothing of a driver, as under WSL, the library alone decides.
        judge(0, &mut Made { driver: None, ..whole() }).expect("whole");
    }

    #[test]
    fn each_thing_that_is_missing_is_named_with_what_to_do() {
        let cases: [(Made, [&str; 2]); 9] = [
            (
                Made { driver: None, count: None, ..whole() },
                ["no CUDA device: there is no NVIDIA driver", "nvidia-smi"],
            ),
            (
                Made { count: None, ..whole() },
                ["libcuda cannot be loaded, though an NVIDIA driver runs", "--gpus all"],
            ),
            (
                Made {
                    driver: Some("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12"),
                    ..whole()
                },
                ["the NVIDIA driver 535.183.01 is too old", "driver 570 or later"],
            ),
            (
                Made { count: Some(Err("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH".into())), ..whole() },
                ["MISMATCH", "restart"],
            ),
            (
                Made { count: Some(Ok(0)), ..whole() },
                ["the NVIDIA driver shows no GPU", "CUDA_VISIBLE_DEVICES"],
            ),
            (Made { toolkit: None, ..whole() }, ["the CUDA toolkit is not installed", "CUDA_PATH"]),
            (
                Made { compiled: Compiled::WithoutHeaders, ..whole() },
                ["NVRTC finds no usable CUDA headers in /usr/local/cuda", "CUDA_PATH"],
            ),
            (Made { compiled: Compiled::WithoutLibrary, ..whole() }, ["libnvrtc", "LD_LIBRARY_PATH"]),
            (
                Made { card: Err("CUDA_ERROR_OUT_OF_MEMORY".into()), ..whole() },
                ["cuda:0 cannot be used", "nvidia-smi"],
            ),
        ];
        for (machine, parts) in cases {
            let said = said(machine);
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
        let full = Card { name: "RTX 4090".into(), free: 300 << 20, total: 24 << 30 };
        let said = said(Made { card: Ok(full), ..whole() });
        assert!(
            said.starts_with("cuda:0 (RTX 4090) has 300 MiB free of 24576 MiB (end what else runs"),
            "{said}"
        );
        let error = judge(2, &mut whole()).expect_err("there are two");
        assert_eq!(error.message, "there is no cuda:2, only cuda:0 to cuda:1");
    }

    #[test]
    fn nothing_is_asked_of_what_is_known_to_be_missing() {
        let mut old = Made { driver: Some("Kernel Module  470.1.2"), ..whole() };
        judge(0, &mut old).expect_err("too old");
        assert!(old.asked.is_empty(), "its library might lack the names: {:?}", old.asked);
        let mut bare = Made { toolkit: None, ..whole() };
        judge(0, &mut bare).expect_err("no toolkit");
        assert_eq!(bare.asked, ["count"]);
    }

    #[test]
    fn a_version_is_found_in_what_open_and_closed_drivers_say() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)";
        assert_eq!(version(open), Some((580, "580.65.06".into())));
        assert_eq!(version(DRIVER).map(|(major, _)| major), Some(570));
        assert_eq!(version("nothing"), None);
    }
}
