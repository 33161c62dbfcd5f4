use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where tensors live while a stage runs. Not part of a key (ARCHITECTURE.md, "A run").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The embedded default.
    Cpu,
    /// A CUDA device by its index.
    Cuda(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// One device, or several GPUs on which a training runs at once; no two are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// Where everything runs that is not spread.
    pub first: Device,
    /// What a training takes beside it.
    pub further: Vec<Device>,
}

impl Devices {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Device> {
        std::iter::once(self.first).chain(self.further.iter().copied())
    }

    /// The numbers of those that are GPUs, in order.
    pub fn gpus(&self) -> impl Iterator<Item = usize> {
        self.iter().filter_map(|device| match device {
            Device::Cuda(index) => Some(index),
            Device::Cpu => None,
        })
    }

    /// The GPUs of these numbers; none without a number.
    #[must_use]
    pub fn of_gpus(indices: &[usize]) -> Option<Self> {
        let (first, further) = indices.split_first()?;
        let further = further.iter().copied().map(Device::Cuda).collect();
        Some(Self { first: Device::Cuda(*first), further })
    }
}

impl From<Device> for Devices {
    fn from(first: Device) -> Self {
        Self { first, further: Vec::new() }
    }
}

/// As `--device` names them.
impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.gpus().skip(1).try_for_each(|index| write!(f, ",{index}"))
    }
}

/// What the user asked for with `--device`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceRequest {
    /// A GPU when there is one, else the CPU.
    #[default]
    Auto,
    /// Exactly these devices, or an error.
    Exactly(Devices),
}

impl FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let devices = match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => Device::Cpu.into(),
            "cuda" => Device::Cuda(0).into(),
            _ => gpus(text)?,
        };
        Ok(Self::Exactly(devices))
    }
}

/// `cuda:N` and `cuda:N,N`
fn gpus(text: &str) -> Result<Devices, String> {
    let list = text.strip_prefix("cuda:").unwrap_or_default().split(',').map(|index| index.parse().ok());
    let list: Vec<usize> = list.collect::<Option<_>>().unwrap_or_default();
    if let Some((_, twice)) = list.iter().enumerate().find(|(at, index)| list[..*at].contains(index)) {
        return Err(format!("cuda:{twice} is named twice: name each GPU once"));
    }
    Devices::of_gpus(&list)
        .ok_or_else(|| "expected auto, cpu, cuda, cuda:N, or several GPUs as cuda:0,1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_gpus_is_read_and_shown_alike() {
        for text in ["cpu", "cuda:0", "cuda:3", "cuda:0,1", "cuda:2,0,7"] {
            let Ok(DeviceRequest::Exactly(devices)) = text.parse() else { panic!("{text}") };
            assert_eq!(devices.to_string(), text);
        }
        assert_eq!("auto".parse(), Ok(DeviceRequest::Auto));
        assert_eq!("cuda".parse::<DeviceRequest>(), "cuda:0".parse());
        let devices = Devices::of_gpus(&[2, 0]).expect("two");
        assert_eq!((devices.first, devices.further), (Device::Cuda(2), vec![Device::Cuda(0)]));
    }

    #[test]
    fn a_gap_another_device_and_a_gpu_named_twice_are_refused() {
        for text in ["cuda:", "cuda:0,", "cuda:,1", "cuda:0,cuda:1", "cuda:0,cpu", "cuda:0, 1", "0,1", "gpu"]
        {
            let error = text.parse::<DeviceRequest>().expect_err(text);
            assert!(error.contains("cuda:0,1"), "{text}: {error}");
        }
        let error = "cuda:1,0,1".parse::<DeviceRequest>().expect_err("twice");
        assert_eq!(error, "cuda:1 is named twice: name each GPU once");
    }
}
