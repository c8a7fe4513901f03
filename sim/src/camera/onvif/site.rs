//! What all services tell of: the addresses of the camera, its clock, and its media profiles.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ivt_media::frame::{Track, VideoCodec};
use ivt_media::source::Opener;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::clock::Clock;
use super::envelope::Service;
use super::fault::Fault;
use super::quirk::{Quirk, Switches};
use crate::camera::Stream;
use crate::camera::channel::ChannelOptions;
use crate::camera::world::{Unit, World};

/// Longest time to learn the size of a stream's pictures.
const PROBE: Duration = Duration::from_secs(3);
/// The host of addresses that lead nowhere (RFC 5737).
pub const NOWHERE: &str = "192.0.2.1";

/// The camera, as its ONVIF services see it.
pub struct Site {
    /// The cameras behind the services.
    pub world: Arc<World>,
    /// The clock of the device.
    pub clock: Clock,
    /// What the camera does against the specification.
    pub quirks: Arc<Switches>,
    /// Port of the RTSP server.
    pub rtsp: u16,
    /// Port of the web server.
    pub http: u16,
    /// Another port of the web server, for [`Quirk::OtherPort`].
    pub other: u16,
    streams: Vec<[Encoding; 2]>,
}

/// A media profile: one stream of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Number of the channel, from 0.
    pub channel: usize,
    /// The stream.
    pub stream: Stream,
}

/// How a stream's pictures are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Whether it is H.265, and not H.264.
    pub hevc: bool,
    /// Frames per second, rounded.
    pub rate: u32,
}

struct Encoding {
    opener: Arc<dyn Opener>,
    picture: OnceCell<Picture>,
}

impl Site {
    /// The site of a camera whose channels have these streams.
    pub fn new(
        world: Arc<World>,
        channels: &[ChannelOptions],
        quirks: Arc<Switches>,
        [rtsp, http, other]: [u16; 3],
    ) -> Self {
        let encoding = |opener: &Arc<dyn Opener>| Encoding {
            opener: opener.clone(),
            picture: OnceCell::new(),
        };
        let streams = channels.iter().map(|of| [encoding(&of.main), encoding(&of.sub)]).collect();
        Self { clock: Clock::new(world.clone()), world, quirks, rtsp, http, other, streams }
    }

    /// The address of a service.
    pub fn service(&self, host: IpAddr, service: Service) -> String {
        let path = match service {
            Service::Device => "device_service",
            Service::Media => "media_service",
            Service::Media2 => "media2_service",
            Service::Ptz => "ptz_service",
            Service::DeviceIo => "deviceio_service",
            Service::Events | Service::Subscription => "event_service",
        };
        let elsewhere = service != Service::Device && self.quirks.has(Quirk::OtherPort);
        let port = if elsewhere { self.other } else { self.http };
        format!("http://{}:{port}/onvif/{path}", self.host(host))
    }

    /// The address of a profile's stream.
    pub fn stream(&self, host: IpAddr, profile: Profile) -> String {
        let Profile { channel, stream } = profile;
        format!("rtsp://{}:{}/ch{channel}/{}", self.host(host), self.rtsp, stream.as_str())
    }

    /// The address of a profile's picture.
    pub fn snapshot(&self, host: IpAddr, profile: Profile) -> String {
        let token = profile.token();
        format!("http://{}:{}/onvif/snapshot?profile={token}", self.host(host), self.http)
    }

    /// All profiles: of each channel main and sub stream.
    pub fn profiles(&self) -> Vec<Profile> {
        let of = |channel| [Stream::Main, Stream::Sub].map(|stream| Profile { channel, stream });
        (0..self.streams.len()).flat_map(of).collect()
    }

    /// The profile with this token.
    ///
    /// # Errors
    /// There is none.
    pub fn profile(&self, token: &str) -> Result<Profile, Fault> {
        let found = self.profiles().into_iter().find(|profile| profile.token() == token);
        found.ok_or_else(|| Fault::argument("ter:NoProfile", format!("no profile {token}")))
    }

    /// The camera of a channel.
    ///
    /// # Errors
    /// There is none.
    pub fn unit(&self, channel: usize) -> Result<&Unit, Fault> {
        let missing = || Fault::receiver("ter:Action", format!("no channel {channel}"));
        self.world.unit(channel).ok_or_else(missing)
    }

    /// Whether a profile has a PTZ configuration.
    pub fn has_ptz(&self, profile: Profile) -> bool {
        let elsewhere = self.quirks.has(Quirk::PtzElsewhere) && profile.stream == Stream::Main;
        let unit = self.world.unit(profile.channel);
        !elsewhere
            && !self.quirks.has(Quirk::NoPtz)
            && unit.is_some_and(|unit| unit.channel.ptz.is_some())
    }

    /// How a profile's stream is encoded, as its first picture says.
    ///
    /// # Errors
    /// The stream has no picture.
    pub async fn picture(&self, profile: Profile) -> Result<Picture, Fault> {
        let streams = self.streams.get(profile.channel);
        let encoding = streams.map(|[main, sub]| match profile.stream {
            Stream::Main => main,
            Stream::Sub => sub,
        });
        let failed = || Fault::receiver("ter:Action", "the stream has no picture");
        let encoding = encoding.ok_or_else(failed)?;
        let probe =
            || async { timeout(PROBE, first(&*encoding.opener)).await.ok().flatten().ok_or(()) };
        encoding.picture.get_or_try_init(probe).await.copied().map_err(|()| failed())
    }

    fn host(&self, host: IpAddr) -> String {
        match host {
            _ if self.quirks.has(Quirk::Unreachable) => NOWHERE.to_owned(),
            IpAddr::V4(host) => host.to_string(),
            IpAddr::V6(host) => format!("[{host}]"),
        }
    }
}

impl Profile {
    /// The token by which clients know the profile.
    pub fn token(self) -> String {
        format!("profile_{}_{}", self.channel, self.stream.as_str())
    }
}

async fn first(opener: &dyn Opener) -> Option<Picture> {
    let mut source = opener.open().await.ok()?;
    loop {
        let frame = source.frame().await.ok()?;
        if let Track::Video(params) = &frame.track {
            let rate =
                params.frame_rate.filter(|(_, per)| *per > 0).map(|(frames, per)| frames / per);
            return Some(Picture {
                size: params.dimensions,
                hevc: params.codec == VideoCodec::H265,
                rate: rate.unwrap_or(15).clamp(1, 60),
            });
        }
    }
}
