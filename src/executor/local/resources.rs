use std::{env, fs, num::NonZero, thread};

use super::super::Resources;

/// What this machine has.
pub fn resources() -> Resources {
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    Resources { cpus, memory: memory(), gpus: visible_gpus() }
}

/// As this process sees them, without asking CUDA: that takes time and memory.
fn visible_gpus() -> Vec<String> {
    if let Ok(visible) = env::var("CUDA_VISIBLE_DEVICES") {
        return listed(&visible);
    }
    let devices = fs::read_dir("/dev").into_iter().flatten().flatten();
    let names = devices.filter_map(|device| device.file_name().into_string().ok());
    let mut numbers: Vec<u32> = names.filter_map(|name| name.strip_prefix("nvidia")?.parse().ok()).collect();
    numbers.sort_unstable();
    (0..numbers.len()).map(|index| index.to_string()).collect()
}

/// CUDA reads the list up to the first entry that names none.
fn listed(visible: &str) -> Vec<String> {
    let names = visible.split(',').map(str::trim);
    names.take_while(|name| !name.is_empty() && *name != "-1").map(str::to_owned).collect()
}

/// The machine's memory, or what its control group allows, in bytes.
fn memory() -> Option<u64> {
    const KIB: u64 = 1024;
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(KIB);
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|limit| limit.trim().parse().ok()).unwrap_or(u64::MAX);
    Some(total.min(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_gpus_ends_where_cuda_ends_it() {
        assert_eq!(listed("3, GPU-9f"), ["3", "GPU-9f"]);
        assert_eq!(listed("1,-1,2"), ["1"]);
        assert!(listed("").is_empty());
    }
}
