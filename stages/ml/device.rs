//! Devices: which are there, and Burn's name for each.

use stage_contract::{Device, DeviceRequest, Invalid};

/// Burn's device for ours.
#[must_use]
pub fn burn(device: Device) -> burn::tensor::Device {
    let _ = device;
    todo!()
}

/// Turns `--device` into a device that is there; with `auto`, also a line that says what was taken and why.
///
/// # Errors
/// CUDA was asked for and is not in this build, has no driver, no NVRTC or headers, or no such index.
pub fn resolve(request: DeviceRequest) -> Result<(Device, Option<String>), Invalid> {
    let _ = request;
    todo!()
}
