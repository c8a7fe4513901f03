//! `ivt-agent probe`: finds out which family a camera is of, what it can do, and how to configure it.
//!
//! One connection at a time, as weak cameras bear no more, and a login that was refused once is not tried again.

mod abilities;
#[cfg(feature = "ui")]
mod describe;
mod find;
mod outcome;
mod search;
mod section;
mod streams;
mod unseen;

use std::fmt::Display;
use std::time::Duration;

use futures::future::BoxFuture;
use ivt_base::mask::mask;
use ivt_hal::http::Http;
use ivt_hal::rtsp::UrlError;
use ivt_hal::{Bitrates, Credentials, Kind};
use tokio::time::{Instant, timeout_at};

use crate::backend::onvif::{OnvifCamera, address};
use crate::backend::{Backend, CameraOptions, Servers};
use crate::config::{Channel, Config};
use find::Found;

#[cfg(feature = "ui")]
pub(crate) use describe::{Described, described};
pub use outcome::{Ability, Outcome, SeenStream};
pub use search::discover;
#[cfg(feature = "ui")]
pub(crate) use search::everywhere;
pub use unseen::Unseen;

/// Longest time for one camera.
const LIMIT: Duration = Duration::from_secs(30);
/// The form of a stream's address.
const STREAM: &str = "rtsp://HOST[:PORT]/PATH without login, which has keys of its own";
/// Longest text of a camera that is shown, in characters.
const SHOWN: usize = 120;

/// The camera to be probed.
pub struct Target {
    /// Where its web server is.
    web: OnvifCamera,
    /// Where its ONVIF device service is.
    onvif: OnvifCamera,
    login: Option<Credentials>,
    /// The number of the camera behind an NVR, from 1.
    input: u16,
    /// The address of its main stream, where that alone is known of it.
    stream: Option<String>,
    /// The channel as it is configured, for a camera that is.
    configured: Option<Backend>,
}

/// What is told while a camera is probed, and how it went.
struct Probe<'a> {
    say: &'a mut (dyn FnMut(&str) + Send),
    until: Instant,
    /// The camera refused the login, which is not tried again.
    refused: bool,
    /// Something did not work that has to.
    failed: bool,
    outcome: Outcome,
}

/// What is known of the cameras that were probed before.
#[derive(Default)]
struct Known {
    servers: Servers,
    /// Those that refused their login.
    refused: Vec<Target>,
}

impl Known {
    /// Whether a host of this camera has refused this login. Recorders lock after a few tries.
    fn has_refused(&self, target: &Target) -> bool {
        let hosts = |target: &Target| {
            [&target.web.host, &target.onvif.host].map(|host| host.to_ascii_lowercase())
        };
        let wanted = hosts(target);
        self.refused.iter().any(|before| {
            before.login == target.login && hosts(before).iter().any(|host| wanted.contains(host))
        })
    }
}

impl Target {
    /// The camera at `HOST[:PORT]` or `http://HOST[:PORT][/PATH]`, or the one whose main stream is at `rtsp://…`.
    ///
    /// # Errors
    /// Another form of address; the text does not repeat it.
    pub fn at(text: &str, login: Option<Credentials>, input: u16) -> Result<Self, String> {
        if section::is_stream(text) {
            let backend =
                section::backend(&section::of_stream(text, login.as_ref()), login.as_ref());
            let backend = backend.filter(|_| !text.contains('@'));
            let (web, onvif) = backend.as_ref().and_then(Backend::places).ok_or(STREAM)?;
            return Ok(Self {
                web,
                onvif,
                login,
                input,
                stream: Some(text.to_owned()),
                configured: backend,
            });
        }
        let onvif = address(text)?;
        Ok(Self { web: onvif.clone(), onvif, login, input, stream: None, configured: None })
    }

    /// The clients of its web server and of its ONVIF device service.
    fn clients(&self, servers: &Servers) -> [Http; 2] {
        [&self.web, &self.onvif]
            .map(|place| servers.client(&place.host, place.port, self.login.clone()))
    }

    /// The camera of a configured channel; `None` for one that is not on the network.
    pub fn configured(channel: &Channel) -> Option<Self> {
        let backend = &channel.backend;
        let (web, onvif) = backend.places()?;
        Some(Self {
            web,
            onvif,
            login: backend.network.credentials(),
            input: backend.network.input.max(1),
            stream: None,
            configured: Some(backend.clone()),
        })
    }
}

/// The channels of a configuration, or one of them: a title for each, and the camera where it is on the network.
///
/// # Errors
/// There is no such channel.
pub fn channels(
    config: &Config,
    only: Option<usize>,
) -> Result<Vec<(String, Option<Target>)>, String> {
    if let Some(number) = only.filter(|number| *number >= config.channels.len()) {
        let have = config.channels.len();
        return Err(format!("there is no channel {number}: there are {have}, counted from 0"));
    }
    let channels = config.channels.iter().enumerate();
    let chosen = channels.filter(|(number, _)| only.is_none_or(|only| only == *number));
    let target = |(number, channel): (usize, &Channel)| {
        let target = Target::configured(channel);
        let title = match target {
            Some(_) => format!("channel {number}"),
            None => format!("channel {number}: not on the network, there is nothing to probe"),
        };
        (title, target)
    };
    Ok(chosen.map(target).collect())
}

/// Probes these channels, one after the other. True if all their cameras can be used.
///
/// A future of a type of its own would be compiled once more for the program that waits for it, with all that it calls.
pub fn all<'a>(
    channels: Vec<(String, Option<Target>)>,
    say: &'a mut (dyn FnMut(&str) + Send),
) -> BoxFuture<'a, bool> {
    Box::pin(async move {
        let (mut known, mut is_good) = (Known::default(), true);
        for (title, target) in channels {
            if !title.is_empty() {
                say(&title);
            }
            if let Some(target) = target {
                let outcome = one(target, &mut known, say).await;
                is_good &= outcome.is_good;
                if !outcome.settings.is_empty() {
                    say(&format!("\n{}", section::text(&outcome.settings)));
                }
            }
        }
        is_good
    })
}

/// Probes one camera and tells each step as it goes, within 30 s.
pub async fn probe(target: Target, say: &mut (dyn FnMut(&str) + Send)) -> Outcome {
    one(target, &mut Known::default(), say).await
}

async fn one(target: Target, known: &mut Known, say: &mut (dyn FnMut(&str) + Send)) -> Outcome {
    let refused = known.has_refused(&target);
    let mut probe = Probe::new(say, Instant::now() + LIMIT);
    probe.refused = refused;
    let found = if refused {
        probe.tell("its host has refused this login before");
        Found::default()
    } else if target.stream.is_some() {
        Found::default()
    } else {
        let clients = target.clients(&known.servers);
        find::find(&mut probe, &target, clients).await
    };
    let settings = section::settings(&target, &found);
    let backend = match &target.configured {
        Some(backend) => Some(backend.clone()),
        None => section::backend(&settings, target.login.as_ref()),
    };
    match backend {
        Some(backend) => match made(&backend, &known.servers) {
            Ok((channel, fillers)) => {
                if !probe.refused {
                    streams::look(&mut probe, &channel, backend.rtsp_policy()).await;
                }
                abilities::tell(&mut probe, &channel, &fillers, &found).await;
            }
            Err(e) => probe.fail(&format!("an address of the camera: {e}")),
        },
        None => probe.fail("nothing is known that this camera could be used by: give the address of its web server"),
    }
    if probe.refused {
        let advice = "the camera refused the login, which was not tried again: probe once more with the right one";
        probe.fail(advice);
        known.refused.push(target);
    }
    let Probe { refused, failed, outcome, .. } = probe;
    let (maker, model, firmware) = found.names();
    Outcome { is_good: !failed, is_refused: refused, maker, model, firmware, settings, ..outcome }
}

/// The slots of a channel, each with the word of the backend that fills it.
type Fillers = Vec<(&'static str, Option<&'static str>)>;

/// What a backend makes of the camera, and which of its kinds fills which slot.
fn made(backend: &Backend, servers: &Servers) -> Result<(ivt_hal::Channel, Fillers), UrlError> {
    let options =
        CameraOptions { bitrates: Bitrates::default(), reply_limit: 1 << 20, number: 0, servers };
    Ok((backend.camera(options)?.channel, backend.fillers(options)?))
}

impl<'a> Probe<'a> {
    fn new(say: &'a mut (dyn FnMut(&str) + Send), until: Instant) -> Self {
        Self { say, until, refused: false, failed: false, outcome: Outcome::default() }
    }

    /// What `work` comes to within `limit` and the time for the camera; else why not. What
    /// talks to a camera is large, hence not on the stack.
    async fn step<T>(
        &mut self,
        limit: Duration,
        work: BoxFuture<'_, Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let until = self.until.min(Instant::now() + limit);
        if until <= Instant::now() {
            self.failed = true;
            return Err(Trouble { refused: false, text: "not asked: the time is over".into() });
        }
        let done = timeout_at(until, work).await;
        let done = done.unwrap_or_else(|_| {
            Err(Trouble { refused: false, text: "it did not answer in time".into() })
        });
        if let Err(trouble) = &done {
            self.refused |= trouble.refused;
        }
        done
    }

    fn tell(&mut self, text: &str) {
        (self.say)(text);
    }

    fn fail(&mut self, text: &str) {
        self.failed = true;
        (self.say)(text);
    }
}

/// Why a step did not work.
#[derive(Debug)]
struct Trouble {
    /// The camera refused the login.
    refused: bool,
    text: String,
}

impl From<ivt_hal::Error> for Trouble {
    fn from(error: ivt_hal::Error) -> Self {
        let text = match &error.source {
            Some(source) => format!("{}: {}", error.kind, plain(&source.to_string())),
            None => error.kind.to_string(),
        };
        Self { refused: error.kind == Kind::Refused, text }
    }
}

/// A text of the camera as it can be shown: one line without secrets and control characters, cut where it is long.
fn plain(text: &impl Display) -> String {
    let text = mask(&text.to_string());
    let text = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    text.take(SHOWN).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_camera_cannot_command_the_terminal() {
        assert_eq!(plain(&"\u{1b}[2J name\r\n\u{7}"), "[2J name");
        assert_eq!(plain(&"x".repeat(1000)).len(), SHOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_ends_with_the_time_for_the_camera_and_the_next_is_not_begun() {
        let mut say = |_: &str| {};
        let until = Instant::now() + LIMIT;
        let mut probe = Probe::new(&mut say, until);
        let never = Box::pin(std::future::pending::<Result<(), Trouble>>());
        assert!(probe.step(LIMIT * 9, never).await.is_err());
        assert_eq!(Instant::now(), until);
        let unasked = Box::pin(async { panic!("it is asked") });
        let trouble = probe.step::<()>(LIMIT, unasked).await.unwrap_err();
        assert!(probe.failed);
        assert_eq!(trouble.text, "not asked: the time is over");
    }
}
