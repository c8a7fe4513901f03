//! The service of inputs and outputs (`http://www.onvif.org/ver10/deviceIO/wsdl`): each channel has a video source
//! and a digital input.

use super::envelope::Call;
use super::events::token;
use super::fault::Fault;
use super::media::mains;
use super::node::{Node, leaf, node};
use super::site::Site;

/// The answer to a call.
///
/// # Errors
/// What the operation refuses.
pub fn answer(site: &Site, call: &Call) -> Result<Node, Fault> {
    let sources = mains(site).into_iter().map(super::media::source_token);
    Ok(match call.name() {
        "GetServiceCapabilities" => node("tmd:GetServiceCapabilitiesResponse", [own(site)]),
        "GetVideoSources" => {
            node("tmd:GetVideoSourcesResponse", sources.map(|token| leaf("tmd:Token", token)))
        }
        "GetRelayOutputs" => node("tmd:GetRelayOutputsResponse", []),
        "GetDigitalInputs" => {
            let inputs = 0..site.world.units().len();
            let inputs =
                inputs.map(|channel| node("tmd:DigitalInputs", []).with("token", token(channel)));
            node("tmd:GetDigitalInputsResponse", inputs)
        }
        name => return Err(Fault::unsupported(name)),
    })
}

/// The capabilities of this service.
pub fn own(site: &Site) -> Node {
    node("tmd:Capabilities", [])
        .with("VideoSources", mains(site).len())
        .with("VideoOutputs", 0)
        .with("AudioSources", 0)
        .with("AudioOutputs", 0)
        .with("RelayOutputs", 0)
        .with("DigitalInputs", site.world.units().len())
}
