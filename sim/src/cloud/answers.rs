//! The cloud's answers to the requests of devices.

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::Call;
use serde_json::{Value, json};

use super::device::Device;

/// The answers that a deployment may want to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Version of the newest firmware; empty when there is none.
    pub firmware_model: String,
    /// Address of the newest firmware.
    pub firmware_url: String,
    /// Address for preview pictures of devices; deployed clouds answer an empty one.
    pub preview_url: String,
    /// Address for alarm pictures of devices; empty when none are wanted.
    pub alarm_picture_url: String,
}

impl Answers {
    /// Answers one request, and keeps on `device` what the request tells.
    pub(super) fn answer(&self, device: &Device, call: Call) -> Result<Value, RpcError> {
        call.check()?;
        match call {
            Call::Keepalive(keepalive) => {
                device.keep(keepalive?);
                Ok(json!({}))
            }
            Call::GetFirmware => {
                Ok(json!({ "firmware_model": self.firmware_model, "url": self.firmware_url }))
            }
            Call::PreviewServer => Ok(json!({ "url": self.preview_url })),
            Call::AlarmNotify(_) => Ok(json!({ "pic_upload_url": self.alarm_picture_url })),
            other => Err(RpcError {
                code: RpcError::UNSUPPORTED,
                msg: format!("{} is a request to a device, not to the cloud", other.method()),
            }),
        }
    }
}
