//! Faults of the server that has the firmware.

use serde::{Deserialize, Serialize};

use crate::cloud::record::StepFault;

/// Faults of firmware. The default is a server that does all that HTTP says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirmwareFaults {
    /// GetFirmware is answered with an error of this code.
    pub refuse: Option<i64>,
    /// Requests for a part of the image are answered with the whole image.
    pub ignore_range: bool,
    /// Each answer with the image is cut after so many bytes.
    pub cut_after: Option<u64>,
    /// The image is sent at so many bytes a second.
    pub bytes_per_second: Option<u64>,
    /// The `Content-Length` of the image is off by so many bytes.
    pub length_off: i64,
    /// The image is sent without `Content-Length`, in chunks.
    pub chunked: bool,
    /// Answers with a part of the image begin so many bytes off what was asked for, and say so.
    pub range_off: i64,
    /// The image has another `ETag` in each answer.
    pub new_etag: bool,
    /// The byte of the image at this offset is sent with all its bits turned.
    pub damage_at: Option<u64>,
    /// The fault that a request for the image meets.
    pub image: Option<StepFault>,
    /// The fault that a request for the signature meets: a status of 404 where there is to be none.
    pub signature: Option<StepFault>,
}
