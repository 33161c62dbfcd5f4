use std::fs;

use serde::{Deserialize, Serialize};
use stage_contract::Device;

/// What a measured value (latency, memory) depends on, beyond the rest of the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The device's class: `cpu` or `cuda`.
    pub device: String,
    /// The processor's model as the kernel names it.
    pub processor: String,
    /// CPU threads.
    pub threads: usize,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn here(device: Device, threads: usize) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self { device: device.backend.name().to_owned(), processor: processor(&cpuinfo), threads }
    }
}

/// The model from `/proc/cpuinfo`. ARM has no model line, but numbers of its maker and part.
fn processor(cpuinfo: &str) -> String {
    let field = |name: &str| {
        cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    field("model name")
        .or_else(|| Some(format!("{} {}", field("CPU implementer")?, field("CPU part")?)))
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(test)]
mod tests {
    use super::processor;

    #[test]
    fn the_processor_is_named_as_the_kernel_does() {
        assert_eq!(processor("processor : 0\nmodel name\t: Fast 9000\n\nmodel name : other\n"), "Fast 9000");
        assert_eq!(processor("CPU implementer : 0x41\nCPU part : 0xd0c\n"), "0x41 0xd0c");
        assert_eq!(processor(""), std::env::consts::ARCH);
    }
}
