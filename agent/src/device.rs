//! From the configuration to the hardware.

use std::sync::Arc;

use async_trait::async_trait;
use ivt_hal::emulator::Emulator;
use ivt_hal::http::{Http, HttpSnapshot, Limits};
use ivt_hal::rtsp::{Rtsp, UrlError};
use ivt_hal::{
    Cgi, Channel, Credentials, Device, Encoder, Error, Kind, Model, Snapshot, Source, Stream,
};

use crate::config::{self, Backend, Config, Web};

/// The camera or NVR that the configuration describes. Talks to nobody.
pub fn device(config: &Config) -> Result<Device, UrlError> {
    let usual = Limits::default().body;
    let limit = config.tlss.as_ref().map_or(usual, |tlss| tlss.reply_limit);
    // Pictures are not for the hosted service alone.
    let channels = config.channels.iter().map(|each| channel(each, limit.max(usual)));
    let channels = channels.collect::<Result<_, _>>()?;
    // A device with several cameras has no web server that could speak for all of them.
    let cgi = match (config.model, &config.channels[..]) {
        (Model::Camera, [only]) => web(only)
            .filter(|web| web.cgi)
            .map(|web| Arc::new(http(only, web, limit)) as Arc<dyn Cgi>),
        _ => None,
    };
    Ok(Device { model: config.model, channels, cgi })
}

/// `limit`: bytes of a picture.
fn channel(channel: &config::Channel, limit: usize) -> Result<Channel, UrlError> {
    match &channel.backend {
        Backend::Rtsp { main, sub, transport, .. } => {
            let sub = sub.as_ref().map(|sub| sub.expose().as_str());
            let rtsp = Rtsp::new(main.expose(), sub, login(channel), *transport)?;
            let encoder = Arc::new(rtsp.with_bitrates(channel.bitrates));
            let snapshot = web(channel).map(|web| {
                let http = http(channel, web, limit);
                Arc::new(HttpSnapshot::new(http, &web.snapshot, None)) as Arc<dyn Snapshot>
            });
            Ok(Channel { encoder, snapshot })
        }
        Backend::Emulator { main, sub, command } => {
            let emulator = Arc::new(Emulator {
                main: main.clone(),
                sub: sub.clone(),
                command: command.iter().map(|word| word.expose().to_owned()).collect(),
                bitrates: channel.bitrates,
            });
            Ok(Channel { encoder: emulator.clone(), snapshot: Some(emulator) })
        }
        Backend::Unknown => Ok(Channel { encoder: Arc::new(Unknown), snapshot: None }),
    }
}

fn login(channel: &config::Channel) -> Option<Credentials> {
    let Backend::Rtsp { username, password, .. } = &channel.backend else { return None };
    let username = username.clone()?;
    Some(Credentials { username, password: password.expose().to_owned() })
}

fn web(channel: &config::Channel) -> Option<&Web> {
    match &channel.backend {
        Backend::Rtsp { web, .. } => web.as_ref(),
        Backend::Emulator { .. } | Backend::Unknown => None,
    }
}

/// A camera's web server. `limit`: bytes of an answer's body.
fn http(channel: &config::Channel, web: &Web, limit: usize) -> Http {
    let limits = Limits { body: limit, ..Limits::default() };
    Http::new(&web.host, web.port, login(channel), limits)
}

/// A camera of a newer configuration: it is listed, and never there.
struct Unknown;

#[async_trait]
impl Encoder for Unknown {
    async fn source(&self, _: Stream) -> ivt_hal::Result<Source> {
        Err(Error::new("a backend of a newer configuration", Kind::Unsupported))
    }

    async fn bitrate(&self, _: Stream) -> ivt_hal::Result<Option<u32>> {
        Ok(None)
    }

    async fn reach(&self) -> ivt_hal::Result<()> {
        Err(Error::new("a backend of a newer configuration", Kind::Unsupported))
    }
}

#[cfg(test)]
mod tests {
    use ivt_hal::Transport;

    use super::*;

    fn parsed(channel: &str) -> Device {
        let text = format!(
            "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n[[channel]]\n{channel}"
        );
        device(&text.parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_rtsp_channel_keeps_its_login_apart() {
        let device = parsed(
            "backend = 'rtsp'\nmain = 'rtsp://10.0.0.2/a'\nusername = 'u'\npassword = 'p'\n\
             transport = 'udp'\nbitrate = 2000000",
        );
        let encoder = &device.channels[0].encoder;
        let Source::Rtsp(source) = encoder.source(Stream::Sub).await.unwrap() else {
            panic!("an RTSP source");
        };
        assert_eq!(source.url, "rtsp://10.0.0.2/a");
        assert!(source.transport == Transport::Udp);
        assert!(source.credentials.unwrap().password == "p");
        assert_eq!(encoder.bitrate(Stream::Main).await.unwrap(), Some(2_000_000));
        assert!(device.channels[0].snapshot.is_none(), "RTSP alone takes no pictures");
    }

    #[test]
    fn a_web_server_of_another_family_gives_pictures_alone() {
        let channel = "backend = 'rtsp'\nmain = 'rtsp://h/a'\nweb = 'http://h'\n";
        let device = parsed(channel);
        assert!(device.cgi.is_some() && device.channels[0].snapshot.is_some());
        let device = parsed(&format!("{channel}web_cgi = false"));
        assert!(device.cgi.is_none() && device.channels[0].snapshot.is_some());
    }

    #[tokio::test]
    async fn a_backend_of_a_newer_configuration_is_listed_and_never_there() {
        let text = "version = 2\n[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
                    [[channel]]\nbackend = 'onvif'";
        let device = device(&text.parse().unwrap()).unwrap();
        let [Channel { encoder, snapshot: None }] = &device.channels[..] else {
            panic!("one channel without pictures");
        };
        encoder.reach().await.unwrap_err();
        let error = encoder.source(Stream::Main).await.err().unwrap().to_string();
        assert!(error.contains("newer configuration"), "{error}");
    }

    #[tokio::test]
    async fn an_emulator_serves_files_or_the_built_in_clips() {
        let device = parsed("backend = 'emulator'\nmain = '/clips/a.flv'");
        let encoder = &device.channels[0].encoder;
        let file = |source| match source {
            Source::Clip { file, .. } => file,
            _ => panic!("a clip"),
        };
        assert_eq!(file(encoder.source(Stream::Main).await.unwrap()), Some("/clips/a.flv".into()));
        assert_eq!(file(encoder.source(Stream::Sub).await.unwrap()), None);
        assert!(device.channels[0].snapshot.is_some());

        let device = parsed("backend = 'emulator'\ncommand = ['encoder', '-']");
        let source = device.channels[0].encoder.source(Stream::Main).await.unwrap();
        assert!(matches!(source, Source::Command(words) if words == ["encoder", "-"]));
    }
}
