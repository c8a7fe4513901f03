//! Asks a camera whether it can be spoken to beside its streams.

use std::error::Error as _;

use ivt_base::text::shorten;
use ivt_hal::{Channel, Kind, Stream};
use tokio::time::timeout;

use super::channel::Asked;
use crate::deadlines::CAMERA;

/// Whether there is anything that can be asked.
pub(super) fn can_be_asked(channel: &Channel) -> bool {
    channel.clock.is_some() || channel.network.is_some() || channel.snapshot.is_some()
}

/// Asks the camera something that changes nothing, and returns what became of it.
pub(super) async fn ask(channel: Channel) -> Asked {
    let question = async {
        match channel {
            Channel { clock: Some(clock), .. } => clock.now().await.map(drop),
            Channel { network: Some(network), .. } => network.interfaces().await.map(drop),
            Channel { snapshot: Some(snapshot), .. } => snapshot.jpeg(Stream::Sub).await.map(drop),
            _ => Ok(()),
        }
    };
    match timeout(CAMERA, question).await {
        Ok(Ok(())) => Asked::Answered,
        Ok(Err(error)) => judged(&error),
        Err(_) => Asked::Failed("camera_silent", String::new()),
    }
}

/// What is known of a camera's failure, without secrets.
pub(crate) fn told(error: &ivt_hal::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(reason) = cause {
        said = format!("{said}: {reason}");
        cause = reason.source();
    }
    shorten(&said)
}

fn judged(error: &ivt_hal::Error) -> Asked {
    let reason = match error.kind {
        // It has answered that it cannot do this.
        Kind::Unsupported | Kind::Invalid => return Asked::Answered,
        Kind::Offline | Kind::Timeout => "camera_silent",
        Kind::Refused => "camera_refused",
        _ => "camera_failed",
    };
    Asked::Failed(reason, told(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use ivt_hal::{Clock, Error, WallTime};
    use tokio::time::Instant;

    use super::*;

    /// A clock that fails in a way, or hangs.
    struct Broken(Option<Kind>);

    #[async_trait]
    impl Clock for Broken {
        async fn now(&self) -> ivt_hal::Result<WallTime> {
            match self.0 {
                Some(kind) => Err(Error::new("clock now", kind)),
                None => std::future::pending().await,
            }
        }

        async fn set(&self, _: WallTime) -> ivt_hal::Result<()> {
            Ok(())
        }
    }

    async fn asked(clock: Broken) -> Asked {
        let plain = crate::backend::Backend::unknown();
        let servers = crate::backend::Servers::default();
        let options = crate::backend::CameraOptions {
            bitrates: Default::default(),
            reply_limit: 1,
            number: 0,
            servers: &servers,
        };
        let channel = plain.camera(options).unwrap().channel;
        assert!(!can_be_asked(&channel));
        let channel = Channel { clock: Some(Arc::new(clock)), ..channel };
        assert!(can_be_asked(&channel));
        ask(channel).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_camera_says_tells_how_it_is() {
        for (kind, want) in [
            (Kind::Offline, "camera_silent"),
            (Kind::Timeout, "camera_silent"),
            (Kind::Refused, "camera_refused"),
            (Kind::Other, "camera_failed"),
        ] {
            let Asked::Failed(reason, said) = asked(Broken(Some(kind))).await else {
                panic!("{kind}: it failed");
            };
            assert!(reason == want && said.contains("clock now"), "{reason}: {said}");
        }
        assert_eq!(asked(Broken(Some(Kind::Unsupported))).await, Asked::Answered);
        let start = Instant::now();
        assert!(matches!(asked(Broken(None)).await, Asked::Failed("camera_silent", _)));
        assert_eq!(start.elapsed(), CAMERA);
    }
}
