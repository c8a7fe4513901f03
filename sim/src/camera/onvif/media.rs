//! The media service (`http://www.onvif.org/ver10/media/wsdl`).

use std::net::IpAddr;

use super::envelope::Call;
use super::fault::Fault;
use super::node::{Node, leaf, node};
use super::ptz;
use super::quirk::Quirk;
use super::site::{Picture, Profile, Site};

/// Bits per second that encoders are limited to.
const BITRATE: u32 = 2_500_000;
/// Pictures from one key picture to the next.
const GOP: u32 = 30;

/// The answer to a call.
///
/// # Errors
/// What the operation refuses.
pub async fn answer(site: &Site, host: IpAddr, call: &Call) -> Result<Node, Fault> {
    Ok(match call.name() {
        "GetServiceCapabilities" => node("trt:GetServiceCapabilitiesResponse", [own()]),
        "GetProfiles" => {
            let mut all = Vec::new();
            for one in site.profiles() {
                all.push(profile("trt:Profiles", site, one).await?);
            }
            node("trt:GetProfilesResponse", all)
        }
        "GetProfile" => {
            let one = site.profile(call.argument("ProfileToken")?)?;
            node("trt:GetProfileResponse", [profile("trt:Profile", site, one).await?])
        }
        "GetStreamUri" => {
            let one = site.profile(call.argument("ProfileToken")?)?;
            if call.argument("StreamSetup/Stream")? != "RTP-Unicast" {
                return Err(Fault::argument("ter:InvalidStreamSetup", "only RTP-Unicast"));
            }
            let protocol = call.argument("StreamSetup/Transport/Protocol")?;
            if !matches!(protocol, "UDP" | "TCP" | "RTSP" | "HTTP") {
                return Err(Fault::argument("ter:InvalidStreamSetup", "no such protocol"));
            }
            node("trt:GetStreamUriResponse", [uri(&site.stream(host, one))])
        }
        "GetSnapshotUri" => {
            let one = site.profile(call.argument("ProfileToken")?)?;
            node("trt:GetSnapshotUriResponse", [uri(&snapshot(site, host, one)?)])
        }
        "GetVideoSources" => {
            let mut all = Vec::new();
            for main in mains(site) {
                let Picture { size, rate, .. } = site.picture(main).await?;
                let content = [leaf("tt:Framerate", rate), resolution("tt:Resolution", size)];
                all.push(node("trt:VideoSources", content).with("token", source_token(main)));
            }
            node("trt:GetVideoSourcesResponse", all)
        }
        "GetVideoSourceConfigurations" => {
            let mut all = Vec::new();
            for main in mains(site) {
                all.push(source("trt:Configurations", site, main).await?);
            }
            node("trt:GetVideoSourceConfigurationsResponse", all)
        }
        "GetVideoSourceConfiguration" => {
            let token = call.argument("ConfigurationToken")?;
            let found = mains(site).into_iter().find(|main| source_token(*main) == token);
            let one = found.ok_or_else(|| no_configuration(token))?;
            let one = source("trt:Configuration", site, one).await?;
            node("trt:GetVideoSourceConfigurationResponse", [one])
        }
        "GetVideoEncoderConfigurations" => {
            let mut all = Vec::new();
            for one in site.profiles() {
                all.push(encoder("trt:Configurations", site.picture(one).await?, one));
            }
            node("trt:GetVideoEncoderConfigurationsResponse", all)
        }
        "GetVideoEncoderConfiguration" => {
            let one = by_encoder(site, call.argument("ConfigurationToken")?)?;
            let one = encoder("trt:Configuration", site.picture(one).await?, one);
            node("trt:GetVideoEncoderConfigurationResponse", [one])
        }
        "GetVideoEncoderConfigurationOptions" => {
            let one = match (call.optional("ConfigurationToken"), call.optional("ProfileToken")) {
                (Some(token), _) => by_encoder(site, token)?,
                (None, Some(token)) => site.profile(token)?,
                (None, None) => {
                    site.profiles().into_iter().next().ok_or_else(|| no_configuration(""))?
                }
            };
            let options = options(site.picture(one).await?);
            node("trt:GetVideoEncoderConfigurationOptionsResponse", [options])
        }
        "GetAudioSources" => node("trt:GetAudioSourcesResponse", []),
        "GetAudioEncoderConfigurations" => node("trt:GetAudioEncoderConfigurationsResponse", []),
        name => return Err(Fault::unsupported(name)),
    })
}

/// The capabilities of this service.
pub fn own() -> Node {
    let profiles = node("trt:ProfileCapabilities", []).with("MaximumNumberOfProfiles", 64);
    let streaming = node("trt:StreamingCapabilities", [])
        .with("RTPMulticast", false)
        .with("RTP_TCP", true)
        .with("RTP_RTSP_TCP", true);
    node("trt:Capabilities", [profiles, streaming]).with("SnapshotUri", true)
}

/// The address of a profile's picture, as quirks have it.
///
/// # Errors
/// A quirk makes it a fault.
pub fn snapshot(site: &Site, host: IpAddr, profile: Profile) -> Result<String, Fault> {
    match () {
        () if site.quirks.has(Quirk::SnapshotFaults) => Err(Fault::unsupported("GetSnapshotUri")),
        () if site.quirks.has(Quirk::NoSnapshot) => Ok(String::new()),
        () => Ok(site.snapshot(host, profile)),
    }
}

/// The profiles of the main streams, one of each channel.
pub fn mains(site: &Site) -> Vec<Profile> {
    site.profiles().into_iter().step_by(2).collect()
}

/// A video source configuration; all profiles of a channel share one.
///
/// # Errors
/// The stream has no picture.
pub async fn source(name: &'static str, site: &Site, profile: Profile) -> Result<Node, Fault> {
    let main = Profile { stream: crate::camera::Stream::Main, ..profile };
    let (width, height) = site.picture(main).await?.size;
    let bounds =
        node("tt:Bounds", []).with("x", 0).with("y", 0).with("width", width).with("height", height);
    let token = source_token(profile);
    let content = [
        leaf("tt:Name", format!("source {}", profile.channel)),
        leaf("tt:UseCount", 2),
        leaf("tt:SourceToken", &token),
        bounds,
    ];
    Ok(node(name, content).with("token", token))
}

/// The token of a profile's encoder.
pub fn encoder_token(profile: Profile) -> String {
    format!("encoder_{}_{}", profile.channel, profile.stream.as_str())
}

/// The profile whose encoder has this token.
///
/// # Errors
/// There is none.
pub fn by_encoder(site: &Site, token: &str) -> Result<Profile, Fault> {
    let found = site.profiles().into_iter().find(|profile| encoder_token(*profile) == token);
    found.ok_or_else(|| no_configuration(token))
}

/// Width and height.
pub fn resolution(name: &'static str, (width, height): (u32, u32)) -> Node {
    node(name, [leaf("tt:Width", width), leaf("tt:Height", height)])
}

/// Where multicast would go; the camera has none.
pub fn multicast() -> Node {
    let address = [leaf("tt:Type", "IPv4"), leaf("tt:IPv4Address", "0.0.0.0")];
    let content = [
        node("tt:Address", address),
        leaf("tt:Port", 0),
        leaf("tt:TTL", 0),
        leaf("tt:AutoStart", false),
    ];
    node("tt:Multicast", content)
}

async fn profile(name: &'static str, site: &Site, profile: Profile) -> Result<Node, Fault> {
    let mut content = vec![
        leaf("tt:Name", profile.token()),
        source("tt:VideoSourceConfiguration", site, profile).await?,
        encoder("tt:VideoEncoderConfiguration", site.picture(profile).await?, profile),
    ];
    if site.has_ptz(profile) {
        content.push(ptz::configuration("tt:PTZConfiguration", site, profile.channel));
    }
    Ok(node(name, content).with("token", profile.token()).with("fixed", true))
}

/// H.265 has no word in this service: it is told as H.264, as cameras do.
fn encoder(name: &'static str, picture: Picture, profile: Profile) -> Node {
    let rate = [
        leaf("tt:FrameRateLimit", picture.rate),
        leaf("tt:EncodingInterval", 1),
        leaf("tt:BitrateLimit", BITRATE / 1000),
    ];
    let h264 = [leaf("tt:GovLength", GOP), leaf("tt:H264Profile", "Baseline")];
    let content = [
        leaf("tt:Name", format!("{} {}", profile.stream.as_str(), profile.channel)),
        leaf("tt:UseCount", 1),
        leaf("tt:Encoding", "H264"),
        resolution("tt:Resolution", picture.size),
        leaf("tt:Quality", 5),
        node("tt:RateControl", rate),
        node("tt:H264", h264),
        multicast(),
        leaf("tt:SessionTimeout", "PT60S"),
    ];
    node(name, content).with("token", encoder_token(profile))
}

fn options(picture: Picture) -> Node {
    let range = |name, low, high| node(name, [leaf("tt:Min", low), leaf("tt:Max", high)]);
    let h264 = [
        resolution("tt:ResolutionsAvailable", picture.size),
        range("tt:GovLengthRange", GOP, GOP),
        range("tt:FrameRateRange", picture.rate, picture.rate),
        range("tt:EncodingIntervalRange", 1, 1),
        leaf("tt:H264ProfilesSupported", "Baseline"),
    ];
    node("trt:Options", [range("tt:QualityRange", 5, 5), node("tt:H264", h264)])
}

fn uri(text: &str) -> Node {
    let content = [
        leaf("tt:Uri", text),
        leaf("tt:InvalidAfterConnect", false),
        leaf("tt:InvalidAfterReboot", false),
        leaf("tt:Timeout", "PT0S"),
    ];
    node("trt:MediaUri", content)
}

/// The token of a channel's video source.
pub fn source_token(profile: Profile) -> String {
    format!("source_{}", profile.channel)
}

fn no_configuration(token: &str) -> Fault {
    Fault::argument("ter:NoConfig", format!("no configuration {token}"))
}
