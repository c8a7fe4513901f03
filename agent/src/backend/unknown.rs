//! A camera of a newer configuration: it is listed, and is never reachable.

use std::sync::Arc;

use async_trait::async_trait;
use ivt_hal::rtsp::UrlError;
use ivt_hal::{Channel, Encoder, Error, Kind, Source, Stream};

use super::{Camera, CameraOptions, Described};

/// A kind of camera that only a newer program knows.
#[derive(Debug)]
pub(super) struct UnknownCamera;

impl Described for UnknownCamera {
    fn has_sub(&self) -> bool {
        false
    }

    fn camera(&self, _: CameraOptions) -> Result<Camera, UrlError> {
        Ok(Camera { channel: Channel::new(Arc::new(Self)), cgi: None })
    }
}

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
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn it_is_listed_and_never_there() {
        let text = "version = 2\n[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
                    [[channel]]\nbackend = 'onvif'";
        let config: Config = text.parse().unwrap();
        let described = config.channels[0].backend.described();
        assert!(described.files().is_empty() && !described.has_sub());
        let bitrates = config.channels[0].bitrates;
        let options = CameraOptions { bitrates, reply_limit: 1, number: 0 };
        let camera = described.camera(options).unwrap();
        let Camera { channel: Channel { encoder, snapshot: None, .. }, cgi: None } = camera else {
            panic!("one channel without pictures");
        };
        encoder.reach().await.unwrap_err();
        let error = encoder.source(Stream::Main).await.err().unwrap().to_string();
        assert!(error.contains("newer configuration"), "{error}");
    }
}
