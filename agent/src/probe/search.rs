//! Finds cameras with ONVIF on the networks of this device.

use std::io;
#[cfg(feature = "linux")]
use std::net::{IpAddr, Ipv4Addr};

#[cfg(feature = "linux")]
use futures::future::join_all;
use ivt_hal::onvif::{self, Found, Search};

use super::plain;

/// Most of our own addresses from which is searched.
#[cfg(feature = "linux")]
const NETWORKS: usize = 8;

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
