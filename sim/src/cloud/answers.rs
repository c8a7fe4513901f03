//! What the cloud answers to a device's requests.

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::Call;
use serde_json::{Value, json};

use super::device::Device;

/// The answers that a deployment may want to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Version of the newest firmware; empty: there is none.
    pub firmware_model: String,
    /// Where to download it.
    pub firmware_url: String,
    /// Where devices post preview pictures; deployed clouds answer an empty one.
    pub preview_url: String,
    /// Where devices post alarm pictures; empty: nowhere.
    pub alarm_picture_url: String,
}

impl Answers {
    /// Answers one request and notes on `device` what it says.
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
