//! The streams of a backend, but those whose address was configured: the keys `main` and `sub` beside "cgi" and
//! "onvif".

use std::sync::Arc;

use async_trait::async_trait;
use ivt_hal::rtsp::{Rtsp, UrlError};
use ivt_hal::{Bitrates, Encoder, Result as HalResult, Source, Stream};

use super::Network;

struct Readdressed {
    configured: Rtsp,
    main: bool,
    sub: bool,
    known: Arc<dyn Encoder>,
}

/// The streams that a backend knows, but those whose address was configured.
pub(super) fn readdressed(
    known: Arc<dyn Encoder>,
    network: &Network,
    bitrates: Bitrates,
) -> Result<Arc<dyn Encoder>, UrlError> {
    let (main, sub) = (network.main.is_some(), network.sub.is_some());
    if !main && !sub {
        return Ok(known);
    }
    Ok(Arc::new(Readdressed { configured: network.rtsp(bitrates)?, main, sub, known }))
}

impl Readdressed {
    fn of(&self, stream: Stream) -> &dyn Encoder {
        let configured = match stream {
            Stream::Main => self.main,
            Stream::Sub => self.sub,
        };
        if configured { &self.configured } else { &*self.known }
    }
}

#[async_trait]
impl Encoder for Readdressed {
    async fn source(&self, stream: Stream) -> HalResult<Source> {
        self.of(stream).source(stream).await
    }

    async fn bitrate(&self, stream: Stream) -> HalResult<Option<u32>> {
        self.of(stream).bitrate(stream).await
    }

    async fn reach(&self) -> HalResult<()> {
        self.of(Stream::Main).reach().await
    }
}

#[cfg(test)]
mod tests {
    use ivt_hal::emulator::Emulator;

    use super::*;

    #[tokio::test]
    async fn a_configured_address_wins_over_the_one_that_a_backend_knows() {
        let known = || Arc::new(Emulator::default()) as Arc<dyn Encoder>;
        let bitrates = Bitrates { main: Some(1), sub: Some(2) };
        let url = async |network: &Network, stream| {
            let encoder = readdressed(known(), network, bitrates).unwrap();
            match encoder.source(stream).await.unwrap() {
                Source::Rtsp(source) => source.url,
                _ => "known".into(),
            }
        };
        let (main, sub) = ("rtsp://h/m".to_owned().into(), "rtsp://h/s".to_owned().into());
        let mut network = Network::default();
        assert_eq!(url(&network, Stream::Main).await, "known");
        network.sub = Some(sub);
        assert_eq!(url(&network, Stream::Main).await, "known");
        assert_eq!(url(&network, Stream::Sub).await, "rtsp://h/s");
        network.main = Some(main);
        assert_eq!(url(&network, Stream::Main).await, "rtsp://h/m");
        let encoder = readdressed(known(), &network, bitrates).unwrap();
        assert_eq!(encoder.bitrate(Stream::Sub).await.unwrap(), Some(2));
        network.sub = None;
        assert_eq!(url(&network, Stream::Sub).await, "known");
    }
}
