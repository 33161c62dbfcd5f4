use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What computes. Not part of a key, and neither is this file (ARCHITECTURE.md, "A run").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The embedded default.
    Cpu,
    /// NVIDIA's GPUs.
    Cuda,
}

impl Backend {
    /// All of them: a new one is a variant, its line here, and what the stages' device module makes of it.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Cuda];

    /// As `--device` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    /// Whether a machine may have several devices of it, told apart by their numbers.
    #[must_use]
    pub fn is_numbered(self) -> bool {
        self != Self::Cpu
    }
}

/// Where tensors live while a stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What computes.
    pub backend: Backend,
    /// Its number among those of the backend; 0 where there is one.
    pub index: usize,
}

impl Device {
    /// The embedded default.
    pub const CPU: Self = Self { backend: Backend::Cpu, index: 0 };

    /// A CUDA device by its number.
    #[must_use]
    pub const fn cuda(index: usize) -> Self {
        Self { backend: Backend::Cuda, index }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.backend.name())?;
        if self.backend.is_numbered() { write!(f, ":{}", self.index) } else { Ok(()) }
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
        self.iter().filter(|device| device.backend.is_numbered()).map(|device| device.index)
    }

    /// The devices of these numbers, of one backend; none without a number.
    #[must_use]
    pub fn numbered(backend: Backend, indices: &[usize]) -> Option<Self> {
        let mut devices = indices.iter().map(|&index| Device { backend, index });
        let first = devices.next()?;
        Some(Self { first, further: devices.collect() })
    }

    /// Others of the same backend.
    #[must_use]
    pub fn only(&self, indices: &[usize]) -> Option<Self> {
        Self::numbered(self.first.backend, indices)
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
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (name, numbers) =
            text.split_once(':').map_or((text, None), |(name, numbers)| (name, Some(numbers)));
        let backend = Backend::ALL.into_iter().find(|backend| backend.name() == name);
        let devices = match (backend, numbers) {
            (Some(backend), None) => Some(Device { backend, index: 0 }.into()),
            (Some(backend), Some(numbers)) if backend.is_numbered() => several(backend, numbers)?,
            _ => None,
        };
        devices
            .map(Self::Exactly)
            .ok_or_else(|| "expected auto, cpu, cuda, cuda:N, or several GPUs as cuda:0,1".to_owned())
    }
}

/// `N` and `N,N`
fn several(backend: Backend, numbers: &str) -> Result<Option<Devices>, String> {
    let list = numbers.split(',').map(|index| index.parse().ok());
    let list: Vec<usize> = list.collect::<Option<_>>().unwrap_or_default();
    if let Some((_, twice)) = list.iter().enumerate().find(|(at, index)| list[..*at].contains(index)) {
        return Err(format!("{}:{twice} is named twice: name each GPU once", backend.name()));
    }
    Ok(Devices::numbered(backend, &list))
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
        let devices = Devices::numbered(Backend::Cuda, &[2, 0]).expect("two");
        assert_eq!((devices.first, devices.further), (Device::cuda(2), vec![Device::cuda(0)]));
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
