//! The publishing side of RTMP: one connection that carries one stream to one server.

use std::time::Duration;

use ivt_base::byte_stream::ByteStream;
use ivt_base::mask::{Known, learn};
use ivt_base::text::shorten;
use tokio::time::timeout;

use crate::coalesce::Streams;
use crate::flv::{Tag, TagKind};
use crate::rtmp::RtmpError;
use crate::rtmp::chunk::channel;
use crate::rtmp::dial;
use crate::rtmp::dialogue::{Dialogue, Turned};
use crate::rtmp::error::{PublishError, Step};
use crate::rtmp::login::{self, Told};
use crate::rtmp::options::Options;
use crate::rtmp::url::RtmpUrl;

/// Least bytes within the stall limit that count as progress. A server that reads a byte now and
/// then is stuck, too.
const PROGRESS: usize = 4096;

/// A publish that the server has consented to.
#[derive(Debug)]
pub struct Publisher {
    dialogue: Dialogue,
    stall: Duration,
    /// The secrets of the address that a redirect named.
    _known: Vec<Known>,
}

impl Publisher {
    /// Connects to the server and publishes, within `options.establish`. A server that asks for a
    /// login by `authmod` is given that of `url` over further connections, two at most. One
    /// redirect is followed, to an RTMP address that gives up no TLS.
    ///
    /// # Errors
    ///
    /// There is no connection, the server is not trusted or refuses, or the time is over.
    pub async fn connect(url: &RtmpUrl, options: &Options) -> Result<Self, PublishError> {
        let (mut place, mut step) = (url.clone(), Step::Connect);
        let established = async {
            let (mut proof, mut told, mut redirected) = (String::new(), Told::default(), false);
            let mut known = Vec::new();
            loop {
                step = Step::Connect;
                let io = dial::dial(&place, options, &mut step).await?;
                // The handshake and the commands take several round trips.
                Streams::of_program().hurry();
                let turned = match Dialogue::open(io, &place, &proof, &mut step).await {
                    Ok(dialogue) => {
                        return Ok(Self { dialogue, stall: options.stall, _known: known });
                    }
                    Err(turned) => turned,
                };
                match turned {
                    Turned::Elsewhere(address, refusal) if !redirected => {
                        let next = place.redirected(&address).ok_or(refusal)?;
                        known.extend(next.secrets().map(learn));
                        let to = shorten(&next.peer());
                        log::info!("RTMP server {}: redirects to {to}", place.peer());
                        (place, redirected) = (next, true);
                        (proof, told) = (String::new(), Told::default());
                    }
                    Turned::Refused(description, refusal) if step == Step::Application => {
                        let credentials = place.login.as_ref();
                        proof = login::answer(&description, &mut told, credentials, &place.app)
                            .ok_or(refusal)?
                            .map_err(|reason| PublishError::Login { peer: place.peer(), reason })?;
                    }
                    turned => return Err(turned.into_error()),
                }
            }
        };
        timeout(options.establish, established)
            .await
            .unwrap_or_else(|_| Err(PublishError::timeout(place.peer(), step, options.establish)))
    }

    /// Publishes over a connection that the caller has made, within `options.establish`. No
    /// redirect is followed and no login answered, since either takes another connection.
    ///
    /// # Errors
    ///
    /// The peer is no RTMP server or refuses, or the time is over.
    pub async fn over(
        io: impl ByteStream + 'static,
        url: &RtmpUrl,
        options: &Options,
    ) -> Result<Self, PublishError> {
        let mut step = Step::Handshake;
        let established = Dialogue::open(Box::new(io), url, "", &mut step);
        let dialogue = timeout(options.establish, established)
            .await
            .map_err(|_| PublishError::timeout(url.peer(), step, options.establish))?
            .map_err(Turned::into_error)?;
        Ok(Self { dialogue, stall: options.stall, _known: Vec::new() })
    }

    /// Host and port of the server.
    pub fn peer(&self) -> &str {
        &self.dialogue.peer
    }

    /// Writes a tag, in one vectored write where the socket has room for it. Waits for a server
    /// that reads slowly, up to the stall limit. The connection is useless after an error, or if
    /// this future is dropped before its end.
    ///
    /// # Errors
    /// The server is gone, stuck or refuses the stream.
    pub async fn send(&mut self, tag: &Tag) -> Result<(), PublishError> {
        self.queue(tag);
        self.flush().await
    }

    /// Adds a tag to those that [`Self::flush`] writes. The caller bounds [`Self::unwritten`].
    pub fn queue(&mut self, tag: &Tag) {
        let channel = match tag.kind {
            TagKind::Audio => channel::AUDIO,
            TagKind::Video => channel::VIDEO,
            TagKind::Script => channel::DATA,
        };
        // `@setDataFrame` before the metadata asks the server to keep it for its players.
        let head = match tag.kind {
            TagKind::Script => b"\x02\0\x0d@setDataFrame",
            _ => tag.head.as_slice(),
        };
        self.dialogue.flows |= tag.kind != TagKind::Script;
        let (kind, stream) = (tag.kind as u8, self.dialogue.stream_id);
        self.dialogue.connection.out.message(
            channel,
            kind,
            stream,
            tag.timestamp_ms,
            head,
            &tag.body,
        );
    }

    /// Bytes of the queued tags that are not written yet.
    pub fn unwritten(&self) -> usize {
        self.dialogue.connection.unwritten()
    }

    /// Writes the queued tags, as [`Self::send`] does.
    ///
    /// # Errors
    /// The server is gone, stuck or refuses the stream.
    pub async fn flush(&mut self) -> Result<(), PublishError> {
        let Self { dialogue, stall, .. } = self;
        while dialogue.connection.unwritten() > 0 {
            match timeout(*stall, dialogue.connection.write(PROGRESS)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(dialogue.lost(error)),
                Err(_) => return Err(PublishError::stalled(&dialogue.peer, *stall)),
            }
        }
        loop {
            match dialogue.connection.received() {
                Ok(Some(message)) => dialogue.judge(&message)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(dialogue.lost(error)),
            }
        }
    }

    /// Waits until the server ends the publish, and says why it did. Cancel safe, so that it can
    /// race the next frame.
    pub async fn ended(&mut self) -> PublishError {
        let dialogue = &mut self.dialogue;
        loop {
            match dialogue.connection.message().await {
                Ok(Some(message)) => {
                    if let Err(error) = dialogue.judge(&message) {
                        return error;
                    }
                }
                Ok(None) => return dialogue.lost(RtmpError::Closed),
                Err(error) => return dialogue.lost(error),
            }
        }
    }

    /// Says goodbye, waiting at most a second for the server to take it.
    pub async fn finish(mut self) {
        self.dialogue.take_leave();
        // Whether the farewell arrives does not matter, since the connection ends.
        let _ = timeout(Duration::from_secs(1), self.dialogue.connection.close()).await;
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
