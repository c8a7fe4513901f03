//! Asks a camera that was found what it is, little as it is known.

use std::time::Duration;

use bytes::Bytes;
use ivt_hal::http::{Http, Limits};
use ivt_hal::onvif::{Onvif, Options};
use ivt_hal::{Bitrates, Kind, Snapshot as _, Stream, Transport};
use tokio::time::timeout;

use super::{Target, plain};

/// Longest time for what a camera says of itself, and as much for its picture.
const ANSWER: Duration = Duration::from_secs(4);
/// Longest picture of a camera that is shown in a list, in bytes.
const PICTURE: usize = 256 << 10;

/// What a camera says of itself when it is asked little.
#[derive(Debug, Default)]
pub(crate) struct Described {
    /// Who made it; empty where it says nothing. The same holds for the model.
    pub(crate) maker: String,
    pub(crate) model: String,
    /// A picture, as JPEG.
    pub(crate) picture: Option<Bytes>,
    /// It refused, for want of a login.
    pub(crate) is_refused: bool,
    /// It said nothing at this address.
    pub(crate) is_silent: bool,
}

/// Asks the camera at an address that was found what it is, and for a picture. No login is given: anybody may answer a
/// search.
pub(crate) async fn described(address: &str) -> Described {
    let Ok(Target { onvif: at, .. }) = Target::at(address, None, 1) else {
        return Described { is_silent: true, ..Described::default() };
    };
    let limits = Limits { body: PICTURE, ..Limits::default() };
    let http = Http::new(&at.host, at.port, None, limits);
    let options = Options { transport: Transport::Auto, bitrates: Bitrates::default(), input: 1 };
    let camera = Onvif::new(http, &at.path, None, options);
    let mut seen = Described::default();
    match timeout(ANSWER, camera.names()).await {
        Ok(Ok([maker, model, ..])) => (seen.maker, seen.model) = (plain(&maker), plain(&model)),
        Ok(Err(e)) if e.kind == Kind::Refused => {
            seen.is_refused = true;
            return seen;
        }
        _ => {
            seen.is_silent = true;
            return seen;
        }
    }
    match timeout(ANSWER, camera.jpeg(Stream::Sub)).await {
        Ok(Ok(picture)) => seen.picture = Some(picture),
        Ok(Err(e)) => seen.is_refused = e.kind == Kind::Refused,
        _ => {}
    }
    seen
}
