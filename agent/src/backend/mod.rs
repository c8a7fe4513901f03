//! What a channel's abilities come from: its key `backend` names one or more kinds of camera, and the slots of
//! the channel are filled by them in that order. One file for each kind holds the kind's own keys, how they are
//! read, and how its part of the camera is made; `network` has the keys that cameras on the network share.
//!
//! To add a kind, write such a file and its rows in `kind`.

mod abilities;
#[cfg(feature = "profiles")]
pub(crate) mod cgi;
mod emulator;
mod kind;
#[cfg(feature = "linux")]
mod linux;
mod login;
mod network;
#[cfg(feature = "onvif")]
pub(crate) mod onvif;
#[cfg(any(feature = "onvif", feature = "profiles"))]
mod readdressed;
mod servers;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unknown;
mod web;

use std::path::Path;
use std::sync::Arc;

use ivt_hal::http::{HttpSnapshot, Limits};
use ivt_hal::rtsp::UrlError;
use ivt_hal::{Bitrates, Cgi, Channel, Snapshot, Stream};

use crate::config::credentials::Login;
use crate::config::error::Error;
use crate::config::section::Section;
use abilities::Choices;
use kind::Kind;

pub use network::{Network, RtspPolicy};
pub use servers::Servers;
pub use web::Web;

/// The word of the board that the agent runs on, which has no streams.
const BOARD: &str = "linux";

/// What a channel's abilities come from, as it was configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// `backend`: the kinds of camera in their order, each once. Empty for a channel that only a newer program
    /// understands: it is listed, and is never reached.
    kinds: Vec<Kind>,
    /// What the kinds of camera on the network share.
    pub network: Network,
    /// `abilities`: which kind fills which slot.
    choices: Choices,
}

/// The parts of the configuration outside the camera's own keys that making the camera needs.
#[derive(Clone, Copy)]
pub struct CameraOptions<'a> {
    /// Bits per second that the encoder is set to.
    pub bitrates: Bitrates,
    /// Longest answer of the camera's web server to the hosted service, in bytes.
    pub reply_limit: usize,
    /// The number of the channel.
    pub number: usize,
    /// The clients of the device's web servers, for several channels to share.
    pub servers: &'a Servers,
}

/// A camera of a device.
pub struct Camera {
    /// What the camera can do.
    pub channel: Channel,
    /// The camera's web server, if it takes the commands of the hosted service.
    pub cgi: Option<Arc<dyn Cgi>>,
}

impl Backend {
    /// The backend of a channel that only a newer program understands.
    pub fn unknown() -> Self {
        Self { kinds: Vec::new(), network: Network::default(), choices: Choices::default() }
    }

    /// Reads a channel's key `backend` and the keys of those kinds of camera. Relative paths count from `base`.
    ///
    /// # Errors
    /// A key that is missing or wrong, with its line and what is allowed.
    pub(crate) fn read(
        section: &mut Section<'_, '_>,
        apart: Login,
        base: &Path,
    ) -> Result<Self, Error> {
        let rows = section.require("backend", kind::rows)?;
        let words: Vec<_> = rows.iter().map(|row| row.word).collect();
        let cameras: Vec<_> = words.iter().copied().filter(|word| *word != BOARD).collect();
        let network = Network::read(section, apart, &cameras)?;
        let read = rows.iter().map(|row| (row.read)(section, &network, base));
        let kinds = read.collect::<Result<Vec<_>, _>>()?;
        let mut chosen = section.section("abilities")?;
        let choices = Choices::read(&mut chosen, &words, &cameras)?;
        let backend = Self { kinds, network, choices };
        let servers = Servers::default();
        let offers = backend.offers(CameraOptions {
            bitrates: Bitrates::default(),
            reply_limit: 0,
            number: 0,
            servers: &servers,
        });
        let offers = offers.map_err(|e| section.error(format!("channel.main: {e}")))?;
        if let Some((slot, word)) = backend.choices.lacking(&offers) {
            let lacking = format!("channel.abilities.{slot}: {word:?} cannot do that here");
            chosen.pass(chosen.error(lacking), "the slot stays empty")?;
        }
        let pictures = backend.network.web.as_ref().and_then(|web| web.snapshot.as_ref());
        if pictures.is_some() && backend.choices.snapshot.is_some() {
            let both = "channel.snapshot and channel.abilities.snapshot exclude each other";
            chosen.pass(chosen.error(both), "channel.snapshot is left out")?;
        }
        chosen.finish()?;
        Ok(backend)
    }

    /// Whether the camera has a separate sub stream; without one, the main stream serves every quality.
    pub fn has_sub(&self) -> bool {
        self.network.sub.is_some() || self.streams().is_some_and(Kind::has_sub)
    }

    /// All that counts for the address of a stream where the camera itself has to be asked for it; `None` where the
    /// address is known.
    pub(crate) fn asks(&self, stream: Stream) -> Option<impl PartialEq + '_> {
        let Network { main, sub, username, password, transport, input, .. } = &self.network;
        let configured = match stream {
            Stream::Main => main,
            Stream::Sub => sub,
        };
        let kind = self.streams().filter(|kind| kind.asks() && configured.is_none())?;
        Some((kind, username, password, transport, input))
    }

    /// The kind that knows the streams.
    fn streams(&self) -> Option<&Kind> {
        let chosen = self.choices.streams;
        self.kinds.iter().find(|kind| chosen.is_none_or(|word| word == kind.word()))
    }

    /// Files from which the camera streams. Each is held in memory while it is streamed.
    pub fn files(&self) -> Vec<&Path> {
        self.kinds.iter().flat_map(Kind::files).collect()
    }

    /// Files that say how the camera is spoken to.
    pub fn profiles(&self) -> impl Iterator<Item = &Path> {
        self.kinds.iter().filter_map(Kind::profile)
    }

    /// Programs with their arguments that the channel starts.
    #[cfg(feature = "sandbox")]
    pub(crate) fn programs(&self) -> impl Iterator<Item = Vec<String>> {
        self.kinds.iter().filter_map(Kind::program)
    }

    /// Whether the board is among what the abilities come from, whose clock is set and which may be restarted.
    #[cfg(feature = "sandbox")]
    pub(crate) fn has_board(&self) -> bool {
        self.kinds.iter().any(Kind::is_board)
    }

    /// Whether a program of the channel restarts the board.
    #[cfg(feature = "sandbox")]
    pub(crate) fn restarts(&self) -> bool {
        self.kinds.iter().any(|kind| kind.is_board() && kind.program().is_some())
    }

    /// How the camera's RTSP streams are opened.
    pub fn rtsp_policy(&self) -> RtspPolicy {
        self.network.policy
    }

    /// Hosts and ports of the camera's own web servers.
    pub fn web_servers(&self) -> impl Iterator<Item = (&str, u16)> {
        let web = self.network.web.as_ref().map(|web| (&*web.host, web.port));
        web.into_iter().chain(self.kinds.iter().filter_map(Kind::server))
    }

    /// Makes the camera, without talking to anybody.
    ///
    /// # Errors
    /// An address cannot be used.
    pub fn camera(&self, options: CameraOptions<'_>) -> Result<Camera, UrlError> {
        let mut channel = self.choices.fill(&self.offers(options)?);
        let Some(web) = &self.network.web else { return Ok(Camera { channel, cgi: None }) };
        let usual = Limits::default();
        let http = options.servers.client(&web.host, web.port, self.network.credentials());
        let mut cameras = self.kinds.iter().filter(|kind| !kind.is_board());
        let is_rtsp_alone = cameras.all(|kind| *kind == Kind::Rtsp);
        let path = web.snapshot.as_deref().or(is_rtsp_alone.then_some(web::SNAPSHOT));
        if let (Some(path), None) = (path, self.choices.snapshot) {
            // Pictures keep the usual limit, since others take them, too.
            let limits = Limits { body: options.reply_limit.max(usual.body), ..usual };
            let pictures = HttpSnapshot::new(http.with_limits(limits), path, None);
            channel.snapshot = Some(Arc::new(pictures) as Arc<dyn Snapshot>);
        }
        let limits = Limits { body: options.reply_limit, ..usual };
        let is_hosted = is_rtsp_alone || self.kinds.iter().any(Kind::is_hosted);
        let cgi = web
            .cgi
            .unwrap_or(is_hosted)
            .then(|| Arc::new(http.with_limits(limits)) as Arc<dyn Cgi>);
        Ok(Camera { channel, cgi })
    }

    /// The slots of the channel, each with the word of the backend that fills it.
    ///
    /// # Errors
    /// An address cannot be used.
    #[cfg(all(feature = "onvif", feature = "profiles"))]
    pub(crate) fn fillers(
        &self,
        options: CameraOptions<'_>,
    ) -> Result<Vec<(&'static str, Option<&'static str>)>, UrlError> {
        Ok(self.choices.fillers(&self.offers(options)?))
    }

    /// Where the camera's web server and its ONVIF device service are, or are likely to be; `None` for a camera
    /// that is not on the network.
    #[cfg(all(feature = "onvif", feature = "profiles"))]
    pub(crate) fn places(&self) -> Option<(onvif::OnvifCamera, onvif::OnvifCamera)> {
        let known = self.kinds.iter().find_map(|kind| match kind {
            Kind::Onvif(camera) => Some(camera.clone()),
            _ => None,
        });
        let at = |host: &str, port| onvif::OnvifCamera {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            path: ivt_hal::onvif::DEVICE_PATH.to_owned(),
        };
        let Network { web, main, .. } = &self.network;
        let main = main.as_ref().and_then(|main| url::Url::parse(main.expose()).ok());
        let main = main.as_ref().and_then(|main| main.host_str()).map(|host| at(host, 80));
        let web = web.as_ref().map(|web| at(&web.host, web.port));
        let web = web.or(known.clone()).or(main)?;
        let onvif = known.unwrap_or_else(|| web.clone());
        Some((web, onvif))
    }

    /// What each kind can do, with the kind's word.
    fn offers(&self, options: CameraOptions<'_>) -> Result<Vec<(&'static str, Channel)>, UrlError> {
        let offer = |kind: &Kind| Ok((kind.word(), kind.channel(&self.network, options)?));
        self.kinds.iter().map(offer).collect()
    }
}
