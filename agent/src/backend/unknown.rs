//! A camera of a newer configuration: it is listed, and is never reachable.

use async_trait::async_trait;
use ivt_hal::{Encoder, Error, Kind, Source, Stream};

/// A kind of camera that only a newer program knows.
#[derive(Debug)]
pub(super) struct UnknownCamera;

#[async_trait]
impl Encoder for UnknownCamera {
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
    use ivt_hal::Channel;

    use super::super::{Backend, Camera, CameraOptions, Servers};
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn it_is_listed_and_never_there() {
        let text = "version = 2\n[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
                    [[channel]]\nbackend = 'quantum'";
        let config: Config = text.parse().unwrap();
        let channel = &config.channels[0];
        assert_eq!(channel.backend, Backend::unknown());
        assert!(channel.backend.files().is_empty() && !channel.backend.has_sub());
        let servers = Servers::default();
        let options = CameraOptions {
            bitrates: channel.bitrates,
            reply_limit: 1,
            number: 0,
            servers: &servers,
        };
        let camera = channel.backend.camera(options).unwrap();
        let Camera { channel: Channel { encoder, snapshot: None, .. }, cgi: None } = camera else {
            panic!("one channel without pictures");
        };
        encoder.reach().await.unwrap_err();
        let error = encoder.source(Stream::Main).await.err().unwrap().to_string();
        assert!(error.contains("newer configuration"), "{error}");
    }
}
