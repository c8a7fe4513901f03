//! The second media service (`http://www.onvif.org/ver20/media/wsdl`), which knows H.265.

use std::net::IpAddr;

use super::envelope::Call;
use super::fault::Fault;
use super::media::{by_encoder, encoder_token, mains, multicast, resolution, snapshot, source};
use super::node::{Node, leaf, node};
use super::ptz;
use super::site::{Profile, Site};

/// The answer to a call.
///
/// # Errors
/// What the operation refuses.
pub async fn answer(site: &Site, host: IpAddr, call: &Call) -> Result<Node, Fault> {
    Ok(match call.name() {
        "GetServiceCapabilities" => node("tr2:GetServiceCapabilitiesResponse", [own()]),
        "GetProfiles" => {
            let types: Vec<_> = call.operation().children("Type").map(|kind| kind.text()).collect();
            let wanted = match call.optional("Token") {
                Some(token) => vec![site.profile(token)?],
                None => site.profiles(),
            };
            let mut all = Vec::new();
            for one in wanted {
                all.push(profile(site, one, &types).await?);
            }
            node("tr2:GetProfilesResponse", all)
        }
        "GetStreamUri" => {
            let one = site.profile(call.argument("ProfileToken")?)?;
            let protocol = call.argument("Protocol")?;
            if !matches!(protocol, "RtspUnicast" | "RTSP" | "RtspOverHttp") {
                return Err(Fault::argument("ter:InvalidStreamSetup", "no such protocol"));
            }
            node("tr2:GetStreamUriResponse", [leaf("tr2:Uri", site.stream(host, one))])
        }
        "GetSnapshotUri" => {
            let one = site.profile(call.argument("ProfileToken")?)?;
            node("tr2:GetSnapshotUriResponse", [leaf("tr2:Uri", snapshot(site, host, one)?)])
        }
        "GetVideoSourceConfigurations" => {
            let mut all = Vec::new();
            for main in mains(site) {
                all.push(source("tr2:Configurations", site, main).await?);
            }
            node("tr2:GetVideoSourceConfigurationsResponse", all)
        }
        "GetVideoEncoderConfigurations" => {
            let wanted = match (call.optional("ConfigurationToken"), call.optional("ProfileToken"))
            {
                (Some(token), _) => vec![by_encoder(site, token)?],
                (None, Some(token)) => vec![site.profile(token)?],
                (None, None) => site.profiles(),
            };
            let mut all = Vec::new();
            for one in wanted {
                all.push(encoder("tr2:Configurations", site, one).await?);
            }
            node("tr2:GetVideoEncoderConfigurationsResponse", all)
        }
        name => return Err(Fault::unsupported(name)),
    })
}

/// The capabilities of this service.
pub fn own() -> Node {
    let profiles = node("tr2:ProfileCapabilities", [])
        .with("MaximumNumberOfProfiles", 64)
        .with("ConfigurationsSupported", "VideoSource VideoEncoder PTZ");
    let streaming = node("tr2:StreamingCapabilities", [])
        .with("RTSPStreaming", true)
        .with("RTPMulticast", false)
        .with("RTP_RTSP_TCP", true);
    node("tr2:Capabilities", [profiles, streaming]).with("SnapshotUri", true)
}

/// A profile with the configurations of these types; `All` is all of them, and none is only the name.
async fn profile(site: &Site, profile: Profile, types: &[&str]) -> Result<Node, Fault> {
    let wanted = |kind: &str| types.iter().any(|word| *word == "All" || *word == kind);
    let mut configurations = Vec::new();
    if wanted("VideoSource") {
        configurations.push(source("tr2:VideoSource", site, profile).await?);
    }
    if wanted("VideoEncoder") {
        configurations.push(encoder("tr2:VideoEncoder", site, profile).await?);
    }
    if wanted("PTZ") && site.has_ptz(profile) {
        configurations.push(ptz::configuration("tr2:PTZ", site, profile.channel));
    }
    let mut content = vec![leaf("tr2:Name", profile.token())];
    if !configurations.is_empty() {
        content.push(node("tr2:Configurations", configurations));
    }
    Ok(node("tr2:Profiles", content).with("token", profile.token()).with("fixed", true))
}

async fn encoder(name: &'static str, site: &Site, profile: Profile) -> Result<Node, Fault> {
    let picture = site.picture(profile).await?;
    let rate = node(
        "tt:RateControl",
        [leaf("tt:FrameRateLimit", picture.rate), leaf("tt:BitrateLimit", 2500)],
    )
    .with("ConstantBitRate", false);
    let content = [
        leaf("tt:Name", encoder_token(profile)),
        leaf("tt:UseCount", 1),
        leaf("tt:Encoding", if picture.hevc { "H265" } else { "H264" }),
        resolution("tt:Resolution", picture.size),
        rate,
        multicast(),
        leaf("tt:Quality", 5),
    ];
    let profile_word = if picture.hevc { "Main" } else { "Baseline" };
    let token = encoder_token(profile);
    Ok(node(name, content).with("token", token).with("GovLength", 30).with("Profile", profile_word))
}
