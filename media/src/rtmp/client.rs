//! The publishing side of RTMP: one connection that carries one stream to one server.

use std::time::Duration;

use ivt_base::byte_stream::ByteStream;
use ivt_base::text::shorten;
use tokio::time::timeout;

use crate::coalesce::Streams;
use crate::flv::{Tag, TagKind};
use crate::rtmp::amf::Value;
use crate::rtmp::chunk::{ChunkLimits, Message, channel};
use crate::rtmp::command::{self, Command};
use crate::rtmp::connection::Connection;
use crate::rtmp::dial;
use crate::rtmp::error::{PublishError, Step};
use crate::rtmp::options::Options;
use crate::rtmp::url::RtmpUrl;
use crate::rtmp::{RtmpError, handshake};

/// Chunk size that we announce, in bytes. Nearly every picture is one chunk, so one header and one
/// slice of the write; servers that allocate a whole chunk at a time still accept it.
const CHUNK_SIZE: u32 = 65_536;
/// Least bytes within the stall limit that count as progress. A server that reads a byte now and
/// then is stuck, too.
const PROGRESS: usize = 4096;

/// Shortest stream key that is taken out of a server's words, in bytes. A shorter one is a word
/// like any other.
const SHORTEST_SECRET: usize = 6;

/// A publish that the server has consented to.
#[derive(Debug)]
pub struct Publisher {
    connection: Connection<dial::Io>,
    /// The server's number for the stream.
    stream_id: u32,
    peer: String,
    key: String,
    stall: Duration,
}

impl Publisher {
    /// Connects to the server and publishes, within `options.establish`.
    ///
    /// # Errors
    ///
    /// There is no connection, the server is not trusted or refuses, or the time is over.
    pub async fn connect(url: &RtmpUrl, options: &Options) -> Result<Self, PublishError> {
        let mut step = Step::Connect;
        let established = async {
            let io = dial::dial(url, options, &mut step).await?;
            // The handshake and the commands take several round trips.
            Streams::of_program().hurry();
            Self::negotiate(io, url, options.stall, &mut step).await
        };
        timeout(options.establish, established)
            .await
            .unwrap_or_else(|_| Err(PublishError::timeout(url.peer(), step, options.establish)))
    }

    /// Publishes over a connection that the caller has made, within `options.establish`.
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
        let established = Self::negotiate(Box::new(io), url, options.stall, &mut step);
        timeout(options.establish, established)
            .await
            .unwrap_or_else(|_| Err(PublishError::timeout(url.peer(), step, options.establish)))
    }

    /// Host and port of the server.
    pub fn peer(&self) -> &str {
        &self.peer
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
        let (kind, stream) = (tag.kind as u8, self.stream_id);
        self.connection.out.message(channel, kind, stream, tag.timestamp_ms, head, &tag.body);
    }

    /// Bytes of the queued tags that are not written yet.
    pub fn unwritten(&self) -> usize {
        self.connection.unwritten()
    }

    /// Writes the queued tags, as [`Self::send`] does.
    ///
    /// # Errors
    /// The server is gone, stuck or refuses the stream.
    pub async fn flush(&mut self) -> Result<(), PublishError> {
        while self.connection.unwritten() > 0 {
            match timeout(self.stall, self.connection.write(PROGRESS)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.lost(error)),
                Err(_) => return Err(PublishError::stalled(&self.peer, self.stall)),
            }
        }
        while let Some(message) = self.connection.received().map_err(|error| self.lost(error))? {
            self.judge(&message)?;
        }
        Ok(())
    }

    /// Waits until the server ends the publish, and says why it did. Cancel safe, so that it can
    /// race the next frame.
    pub async fn ended(&mut self) -> PublishError {
        loop {
            match self.connection.message().await {
                Ok(Some(message)) => {
                    if let Err(error) = self.judge(&message) {
                        return error;
                    }
                }
                Ok(None) => return self.lost(RtmpError::Closed),
                Err(error) => return self.lost(error),
            }
        }
    }

    /// Says goodbye, waiting at most a second for the server to take it.
    pub async fn finish(mut self) {
        let stream = f64::from(self.stream_id);
        let out = &mut self.connection.out;
        command::send(out, 0, "FCUnpublish", 0.0, &[Value::Null, self.key.as_str().into()]);
        command::send(out, 0, "deleteStream", 0.0, &[Value::Null, stream.into()]);
        // Whether the farewell arrives does not matter, since the connection ends.
        let _ = timeout(Duration::from_secs(1), self.connection.close()).await;
    }

    async fn negotiate(
        mut io: dial::Io,
        url: &RtmpUrl,
        stall: Duration,
        step: &mut Step,
    ) -> Result<Self, PublishError> {
        *step = Step::Handshake;
        let peer = url.peer();
        let failed = |error| PublishError::failed(&peer, Step::Handshake, error);
        handshake::client(&mut io).await.map_err(failed)?;
        let connection = Connection::new(io, ChunkLimits::CLIENT);
        let key = url.key.clone();
        let mut publisher = Self { connection, stream_id: 0, peer, key, stall };
        publisher.converse(url, step).await?;
        Ok(publisher)
    }

    /// Sends the commands up to the server's consent. Everything else that the server says is
    /// passed over.
    async fn converse(&mut self, url: &RtmpUrl, step: &mut Step) -> Result<(), PublishError> {
        const CONNECT: f64 = 1.0;
        const CREATE_STREAM: f64 = 4.0;
        const PUBLISH: f64 = 5.0;

        *step = Step::Application;
        let members = [
            ("app", url.app.as_str()),
            ("type", "nonprivate"),
            ("flashVer", "FMLE/3.0 (compatible; ivt)"),
            ("tcUrl", &url.tc_url()),
        ];
        let members = members.map(|(name, value)| (name.to_owned(), value.into()));
        let out = &mut self.connection.out;
        command::send(out, 0, "connect", CONNECT, &[Value::Object(members.into())]);
        self.reply(*step, CONNECT).await?;

        *step = Step::CreateStream;
        let key = Value::from(url.key.as_str());
        let out = &mut self.connection.out;
        // The chunk size is announced before `publish`, so that its long key is not cut. It comes
        // after `connect`, since ffmpeg as a server accepts nothing before that.
        out.set_chunk_size(CHUNK_SIZE);
        command::send(out, 0, "releaseStream", 2.0, &[Value::Null, key.clone()]);
        command::send(out, 0, "FCPublish", 3.0, &[Value::Null, key.clone()]);
        command::send(out, 0, "createStream", CREATE_STREAM, &[Value::Null]);
        let created = self.reply(*step, CREATE_STREAM).await?;
        let id = created.args.iter().rev().find_map(Value::as_number);
        let id = id.filter(|id| id.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(id));
        self.stream_id = id.ok_or_else(|| {
            let got = self.repeated(&format!("{:?}", created.args));
            let expected = "a stream number as the answer to createStream";
            PublishError::failed(&self.peer, *step, RtmpError::Unexpected { expected, got })
        })? as u32;

        *step = Step::Publish;
        let (out, stream) = (&mut self.connection.out, self.stream_id);
        command::send(out, stream, "publish", PUBLISH, &[Value::Null, key, "live".into()]);
        loop {
            let command = self.command(*step).await?;
            match command.name.as_str() {
                "_error" if command.transaction == PUBLISH => return Err(self.refused(&command)),
                "onStatus" if command.info("code") == Some("NetStream.Publish.Start") => {
                    return Ok(());
                }
                _ => self.judge_command(&command)?,
            }
        }
    }

    /// Waits for the answer to the request with this number.
    async fn reply(&mut self, step: Step, transaction: f64) -> Result<Command, PublishError> {
        loop {
            let command = self.command(step).await?;
            match command.name.as_str() {
                "_result" if command.transaction == transaction => return Ok(command),
                "_error" if command.transaction == transaction => {
                    return Err(self.refused(&command));
                }
                _ => self.judge_command(&command)?,
            }
        }
    }

    async fn command(&mut self, step: Step) -> Result<Command, PublishError> {
        loop {
            let failed = |error| PublishError::failed(&self.peer, step, error);
            let message = self.connection.message().await.map_err(failed)?;
            let message = message.ok_or_else(|| failed(RtmpError::Closed))?;
            let command = Command::parse(&message).map_err(|error| failed(error.into()))?;
            if let Some(command) = command {
                return Ok(command);
            }
        }
    }

    fn judge(&self, message: &Message) -> Result<(), PublishError> {
        match Command::parse(message) {
            Ok(Some(command)) => self.judge_command(&command),
            Ok(None) => Ok(()),
            Err(error) => Err(self.lost(error.into())),
        }
    }

    /// An error if the command ends the publish. An `onStatus` without arguments says nothing.
    fn judge_command(&self, command: &Command) -> Result<(), PublishError> {
        match command.name.as_str() {
            "onStatus" if command.info("level") == Some("error") => Err(self.refused(command)),
            "close" => Err(self.lost(RtmpError::Closed)),
            _ => Ok(()),
        }
    }

    fn lost(&self, error: RtmpError) -> PublishError {
        PublishError::failed(&self.peer, Step::Stream, error)
    }

    fn refused(&self, command: &Command) -> PublishError {
        let said = |member| self.repeated(command.info(member).unwrap_or_default());
        let (code, description) = (said("code"), said("description"));
        PublishError::Refused { peer: self.peer.clone(), code, description }
    }

    /// The server's words, fit for a log: without the stream key, which some servers repeat.
    fn repeated(&self, text: &str) -> String {
        let query = self.key.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, v)| v));
        let secrets = [self.key.as_str(), query].into_iter().chain(values);
        let secrets = secrets.filter(|secret| secret.len() >= SHORTEST_SECRET);
        // The key is taken out before the text is cut; otherwise part of a key across the cut would
        // stay.
        let text = secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"));
        shorten(&text)
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
