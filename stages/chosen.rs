//! The model that a tool is told to use.

use std::path::{Path, PathBuf};

use clap::Args;
use hub::located;
use stage_contract::{
    self as contract, Device, DeviceRequest, Invalid, Preview, StageError, ToolContext, ToolError, terminal,
};

use encoder::{
    backend::device,
    model::PREVIEW,
    predictor::{Precision, Predictor},
};
use text::folder;

/// Which model, and what it computes in.
#[derive(Clone, Debug, Args)]
pub struct Chosen {
    /// Take the model in this folder, in Hugging Face layout, or of the Hugging Face Hub: hub:OWNER/NAME or
    /// hub:OWNER/NAME@REVISION
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Compute the encoder's layers in f32, or faster and nearly as well in 8 bits (on the CPU) or bf16 (on a GPU)
    #[arg(long, value_name = "f32|bf16|int8", default_value = "f32")]
    pub precision: Precision,
}

/// Where the model lies, and what it runs on.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its folder.
    pub folder: PathBuf,
    device: Device,
    /// What it computes in.
    pub precision: Precision,
}

impl Chosen {
    /// Finds the model, downloads it where it is the hub's, and chooses the device.
    ///
    /// # Errors
    /// It is not there, or the device does not compute so.
    pub fn found(&self, cx: &ToolContext) -> Result<Found, ToolError> {
        let folder = folder(&self.model)?;
        let (devices, note) = device::resolve(device_for(self.precision, cx.device.clone())?)?;
        device_for(self.precision, DeviceRequest::Exactly(devices.clone()))?;
        if let Some(note) = note {
            tracing::info!("{note}");
        }
        Ok(Found { folder, device: devices.first, precision: self.precision })
    }
}

impl Found {
    /// Loads it.
    ///
    /// # Errors
    /// As [`Predictor::open`].
    pub fn open(&self) -> Result<Predictor, StageError> {
        Predictor::open(&self.folder, &device::burn(self.device), self.precision)
    }
}

/// 8 bits are for the CPU, which they take where nobody names a device, and 16 are not.
fn device_for(precision: Precision, asked: DeviceRequest) -> Result<DeviceRequest, Invalid> {
    let named = match &asked {
        DeviceRequest::Auto => None,
        DeviceRequest::Exactly(devices) if devices.further.is_empty() => Some(devices.first),
        DeviceRequest::Exactly(devices) => {
            return Err(Invalid::new(format!("a model reads texts on one device, and not on {devices}"))
                .help(format!("--device {}; only a training in `run` takes several", devices.first)));
        }
    };
    match (precision, named) {
        (Precision::Bf16, Some(contract::Device::CPU)) => {
            Err(Invalid::new("--precision bf16 runs on a GPU, and not on cpu")
                .help("--device cuda, or leave --precision out"))
        }
        (Precision::F32 | Precision::Bf16, _) => Ok(asked),
        (Precision::Int8, None | Some(contract::Device::CPU)) => {
            Ok(DeviceRequest::Exactly(contract::Device::CPU.into()))
        }
        (Precision::Int8, Some(device)) => {
            Err(Invalid::new(format!("--precision int8 runs on the CPU, and not on {device}"))
                .help("--device cpu, or --precision f32"))
        }
    }
}

/// The model's folder: the one that was named, or that of a repository of the hub, which is downloaded.
///
/// # Errors
/// It is not there, or has not what a model has.
pub fn folder(model: &Path) -> Result<PathBuf, ToolError> {
    let folder = located::<ToolError>(model, &folder::needed, PREVIEW, &hub::Lines::new(terminal::stderr()))?;
    check(&folder)?;
    Ok(folder)
}

/// The folder that was named, or that of a repository of the hub with as much of a model as it has: whole or not.
///
/// # Errors
/// It is not there, or has nothing of a model.
pub fn whatever(model: &Path) -> Result<PathBuf, ToolError> {
    const ANY: Preview = Preview { reads: folder::is_outside, look: |_, _| Ok(()) };
    let folder = located::<ToolError>(model, &folder::audited, ANY, &hub::Lines::new(terminal::stderr()))?;
    there(&folder)?;
    Ok(folder)
}

/// Says what is missing before anything is read.
fn check(model: &Path) -> Result<(), Invalid> {
    there(model)?;
    folder::files(model).map(drop).map_err(|e| Invalid::of(&e))
}

fn there(model: &Path) -> Result<(), Invalid> {
    let shown = model.display();
    if !model.exists() {
        let help = format!("{}; or a repository of the hub: `hub:owner/name`", folder::LAYOUT);
        return Err(Invalid::new(format!("there is no model folder {shown}")).help(help));
    }
    if !model.is_dir() {
        return Err(Invalid::new(format!("the model {shown} is not a folder")).help(folder::LAYOUT));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use encoder::testing::fixture::model;
    use text::labels::Labels;

    #[test]
    fn a_model_folder_that_is_missing_or_incomplete_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| check(path).expect_err("refused").to_string();
        assert!(error(&folder.path().join("x")).starts_with("there is no model folder "));
        fs::write(folder.path().join("config.json"), "{}").expect("written");
        assert!(error(&folder.path().join("config.json")).ends_with(" is not a folder"));
        assert!(error(folder.path()).ends_with(" has no model.safetensors and no pytorch_model.bin"));
        model(Labels::bio(["PER", "LOC", "ORG", "MISC"]), &[]).save(folder.path()).expect("saved");
        check(folder.path()).expect("complete");
    }

    #[test]
    fn eight_bits_are_for_the_cpu_and_sixteen_for_a_gpu() {
        let [cpu, cuda, several] =
            ["cpu", "cuda:1", "cuda:1,0"].map(|name| name.parse::<DeviceRequest>().expect("a request"));
        for asked in [DeviceRequest::Auto, cpu.clone()] {
            assert_eq!(device_for(Precision::Int8, asked).expect("a device"), cpu);
        }
        assert_eq!(device_for(Precision::F32, cuda.clone()).expect("as asked"), cuda);
        let error = device_for(Precision::F32, several).expect_err("one at a time");
        assert_eq!(error.message, "a model reads texts on one device, and not on cuda:1,0");
        assert!(error.help.expect("help").starts_with("--device cuda:1;"));
        let error = device_for(Precision::Int8, cuda.clone()).expect_err("no bytes there");
        assert_eq!(error.message, "--precision int8 runs on the CPU, and not on cuda:1");
        assert_eq!(device_for(Precision::Bf16, cuda.clone()).expect("as asked"), cuda);
        let error = device_for(Precision::Bf16, cpu).expect_err("slower than f32 there");
        assert_eq!(error.message, "--precision bf16 runs on a GPU, and not on cpu");
    }
}
