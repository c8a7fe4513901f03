//! The cloud's answers to the requests of devices.

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{AlarmNotify, Call};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::Cloud;
use super::device::Device;

/// The answers that a deployment may want to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Version of the newest firmware; empty when there is none.
    pub firmware_model: String,
    /// Address of the newest firmware; empty takes that of the image that the cloud hosts, if it does.
    pub firmware_url: String,
    /// Address for preview pictures of devices; deployed clouds answer an empty one.
    pub preview_url: String,
    /// Whether the cloud takes preview pictures at an address of its own where `preview_url` is empty.
    pub previews: bool,
}

impl Cloud {
    /// Answers one request, and keeps on `device` what the request tells. `base` is the address at which the device
    /// called.
    pub(super) fn answer(
        &self,
        device: &Device,
        base: Option<&Url>,
        call: Call,
    ) -> Result<Value, RpcError> {
        call.check()?;
        match call {
            Call::Keepalive(keepalive) => {
                device.keep(keepalive?);
                Ok(json!({}))
            }
            Call::GetFirmware => {
                refused(self.faults.borrow().firmware.refuse)?;
                let answers = self.answers.borrow();
                let hosted = || own(base, &self.hosted.path().unwrap_or_default());
                let url = given(&answers.firmware_url).unwrap_or_else(hosted);
                Ok(json!({ "firmware_model": answers.firmware_model, "url": url }))
            }
            Call::PreviewServer => {
                let answers = self.answers.borrow();
                let path = format!("/preview/{}", device.preview_token());
                let taken = || if answers.previews { own(base, &path) } else { String::new() };
                Ok(json!({ "url": given(&answers.preview_url).unwrap_or_else(taken) }))
            }
            Call::AlarmNotify(alarm) => self.note_alarm(device, base, alarm?),
            other => Err(RpcError {
                code: RpcError::UNSUPPORTED,
                msg: format!("{} is a request to a device, not to the cloud", other.method()),
            }),
        }
    }

    fn note_alarm(
        &self,
        device: &Device,
        base: Option<&Url>,
        alarm: AlarmNotify,
    ) -> Result<Value, RpcError> {
        let faults = self.faults.borrow().alarm.clone();
        let wanted = faults.refuse.is_none() && !faults.no_url;
        let token = device.change_alarms(|log| log.note(alarm, wanted));
        refused(faults.refuse)?;
        let url = match faults.url {
            _ if faults.no_url => String::new(),
            Some(url) => url,
            None => own(base, &format!("/alarm/{token}")),
        };
        Ok(json!({ "pic_upload_url": url }))
    }
}

fn refused(code: Option<i64>) -> Result<(), RpcError> {
    code.map_or(Ok(()), |code| Err(RpcError { code, msg: "refused on request".into() }))
}

fn given(url: &str) -> Option<String> {
    (!url.is_empty()).then(|| url.to_owned())
}

/// An address of the cloud itself; empty where the path is.
fn own(base: Option<&Url>, path: &str) -> String {
    let url = base.filter(|_| !path.is_empty()).and_then(|base| base.join(path).ok());
    url.map_or_else(String::new, String::from)
}
