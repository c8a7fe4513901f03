//! Finds cameras with ONVIF on the networks of this device, and asks each what it is.

use std::io;
#[cfg(feature = "linux")]
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "linux")]
use futures::future::join_all;
use ivt_hal::http::{Http, Limits};
use ivt_hal::onvif::{self, Found, Onvif, Options, Search};
use ivt_hal::{Bitrates, Kind, Snapshot as _, Stream, Transport};
use tokio::time::timeout;

use super::{Target, plain};

/// Most of our own addresses from which is searched.
#[cfg(feature = "linux")]
const NETWORKS: usize = 8;
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

/// Searches the network for cameras with ONVIF, and tells of each. True if there is one.
///
/// # Errors
/// The network does not take the search.
pub async fn discover(search: &Search, say: &mut (dyn FnMut(&str) + Send)) -> io::Result<bool> {
    let found = everywhere(search).await?;
    for camera in &found {
        let address = camera.addresses.first().map_or_else(String::new, plain);
        say(&format!("{address}  {}  {}", plain(&camera.name), plain(&camera.hardware)));
    }
    if found.is_empty() {
        say(
            "no camera answered the search; one without ONVIF, or with it turned off, never does: give its address",
        );
    }
    Ok(!found.is_empty())
}

/// Searches for everyone on each network that this device is in; for one address, only there.
///
/// # Errors
/// No network takes the search.
pub(crate) async fn everywhere(search: &Search) -> io::Result<Vec<Found>> {
    #[cfg(feature = "linux")]
    if search.to.ip().is_multicast() && search.from.is_none() {
        let own = own().await;
        let searches: Vec<_> =
            own.iter().map(|from| Search { from: Some(*from), ..*search }).collect();
        let outcomes = join_all(searches.iter().map(onvif::discover)).await;
        // One network that takes no search does not keep the others from being searched.
        let (found, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        return match failed.into_iter().find_map(Result::err) {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(onvif::merged(found.into_iter().flatten())),
        };
    }
    onvif::discover(search).await
}

/// Our own address in each network, the loopback's last: a camera's own service may be on this very device.
#[cfg(feature = "linux")]
async fn own() -> Vec<IpAddr> {
    use ivt_hal::Network as _;
    use ivt_hal::linux::SystemNetwork;

    let listed = SystemNetwork::new(std::path::Path::new("/")).interfaces().await;
    let listed = listed.unwrap_or_default();
    let own = listed.iter().filter_map(|interface| interface.ip.parse::<Ipv4Addr>().ok());
    let own = own.take(NETWORKS).chain([Ipv4Addr::LOCALHOST]);
    own.map(IpAddr::V4).collect()
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
