//! The ingest side: takes one published stream from one connection.

use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::flv::{Head, Tag, TagKind};
use crate::rtmp::amf::Value;
use crate::rtmp::chunk::{ChunkLimits, Message, kind};
use crate::rtmp::command::{self, Command};
use crate::rtmp::connection::Connection;
use crate::rtmp::{RtmpError, handshake};

/// Bounds on what one publisher may cost.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Message size and number of chunk streams.
    pub chunks: ChunkLimits,
    /// Longest time from the accepted connection to `publish`.
    pub negotiation: Duration,
    /// Longest silence between messages of a stream.
    pub silence: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        let (negotiation, silence) = (Duration::from_secs(10), Duration::from_secs(30));
        Self { chunks: ChunkLimits::SERVER, negotiation, silence }
    }
}

/// A publisher that has connected to an application.
#[derive(Debug)]
pub struct IngestSession<S> {
    connection: Connection<S>,
    limits: ServerLimits,
    app: String,
    /// Whether the publisher has not said yet that it is done.
    publishing: bool,
}

/// What a publisher asks for, to be answered by [`IngestSession::accept`] or [`IngestSession::refuse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// Application.
    pub app: String,
    /// Stream key with its query.
    pub key: String,
}

/// Bytes after which either side acknowledges what it received.
const WINDOW: u32 = 2_500_000;
/// The only message stream of a session.
const STREAM: u32 = 1;

/// Does the handshake and answers `connect`.
///
/// # Errors
///
/// The peer speaks no RTMP, asks for something else, is too slow, or is gone.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    limits: ServerLimits,
) -> Result<IngestSession<S>, RtmpError> {
    let negotiation = async {
        handshake::server(&mut io).await?;
        let mut connection = Connection::new(io, limits.chunks);
        let app = answer_connect(&mut connection).await?;
        Ok(IngestSession { connection, limits, app, publishing: true })
    };
    timeout(limits.negotiation, negotiation).await.unwrap_or(Err(RtmpError::Silent))
}

impl<S: AsyncRead + AsyncWrite + Unpin> IngestSession<S> {
    /// Waits for `publish`, answering what publishers ask before it.
    ///
    /// # Errors
    ///
    /// The publisher speaks no RTMP, is too slow, or is gone.
    pub async fn publish(&mut self) -> Result<PublishRequest, RtmpError> {
        let limit = self.limits.negotiation;
        timeout(limit, self.negotiate()).await.unwrap_or(Err(RtmpError::Silent))
    }

    /// Lets the publisher begin.
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn accept(&mut self) -> Result<(), RtmpError> {
        self.status("status", "NetStream.Publish.Start", "Publishing").await
    }

    /// Turns the publisher away, with a code such as `NetStream.Publish.BadName`.
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn refuse(mut self, code: &str, description: &str) -> Result<(), RtmpError> {
        self.status("error", code, description).await?;
        self.connection.close().await
    }

    /// The next tag; `None` when the publisher has finished or closed. Cancel safe.
    ///
    /// # Errors
    ///
    /// The publisher speaks no RTMP, is silent for too long, or its connection fails.
    pub async fn next_tag(&mut self) -> Result<Option<Tag>, RtmpError> {
        while self.publishing {
            let message = timeout(self.limits.silence, self.connection.message()).await;
            let Some(message) = message.unwrap_or(Err(RtmpError::Silent))? else { break };
            if let Some(command) = Command::parse(&message)? {
                match command.name.as_str() {
                    "FCUnpublish" | "deleteStream" | "closeStream" => self.publishing = false,
                    _ => self.answer(&command),
                }
            } else if let Some(tag) = tag(message) {
                return Ok(Some(tag));
            }
        }
        self.publishing = false;
        Ok(None)
    }

    /// Bytes of messages that are not complete yet.
    pub fn held_bytes(&self) -> usize {
        self.connection.held()
    }

    async fn negotiate(&mut self) -> Result<PublishRequest, RtmpError> {
        loop {
            let message = self.connection.message().await?.ok_or(RtmpError::Closed)?;
            let Some(command) = Command::parse(&message)? else { continue };
            match command.name.as_str() {
                "publish" => {
                    let key = command.args.iter().find_map(Value::as_str);
                    let key = key.filter(|key| !key.is_empty()).ok_or_else(|| {
                        let expected = "publish with a stream key";
                        RtmpError::Unexpected { expected, got: "publish without".to_owned() }
                    })?;
                    return Ok(PublishRequest { app: self.app.clone(), key: key.to_owned() });
                }
                "play" => {
                    let got = "play".to_owned();
                    return Err(RtmpError::Unexpected { expected: "publish", got });
                }
                _ => self.answer(&command),
            }
        }
    }

    /// Answers requests other than `publish`. A request that wants no answer has transaction 0.
    fn answer(&mut self, command: &Command) {
        if command.transaction == 0.0 || matches!(&*command.name, "_result" | "_error") {
            return;
        }
        let out = &mut self.connection.out;
        let result = match command.name.as_str() {
            "createStream" => f64::from(STREAM).into(),
            "getStreamLength" => 0.0.into(),
            "releaseStream" | "FCPublish" | "_checkbw" => Value::Undefined,
            _ => {
                let info = info("error", "NetConnection.Call.Failed", "Unknown command");
                command::send(out, 0, "_error", command.transaction, &[Value::Null, info]);
                return;
            }
        };
        command::send(out, 0, "_result", command.transaction, &[Value::Null, result]);
    }

    async fn status(&mut self, level: &str, code: &str, text: &str) -> Result<(), RtmpError> {
        let args = [Value::Null, info(level, code, text)];
        command::send(&mut self.connection.out, STREAM, "onStatus", 0.0, &args);
        let written = timeout(self.limits.negotiation, self.connection.write(usize::MAX));
        written.await.unwrap_or(Err(RtmpError::Silent))
    }
}

async fn answer_connect<S: AsyncRead + AsyncWrite>(
    connection: &mut Connection<S>,
) -> Result<String, RtmpError> {
    let message = loop {
        let message = connection.message().await?.ok_or(RtmpError::Closed)?;
        if message.kind == kind::COMMAND || message.kind == kind::COMMAND_AMF3 {
            break message;
        }
    };
    let unexpected = |got: &str| {
        let expected = "the command connect with an application";
        RtmpError::Unexpected { expected, got: ivt_base::text::shorten(got) }
    };
    let command = Command::parse(&message)?.ok_or_else(|| unexpected("no command"))?;
    if command.name != "connect" {
        return Err(unexpected(&command.name));
    }
    let app = command.info("app").ok_or_else(|| unexpected("connect without app"))?;
    let app = app.trim_matches('/').to_owned();

    const DYNAMIC: u8 = 2;
    let [a, b, c, d] = WINDOW.to_be_bytes();
    connection.out.control(kind::WINDOW_ACK_SIZE, &[a, b, c, d]);
    connection.out.control(kind::SET_PEER_BANDWIDTH, &[a, b, c, d, DYNAMIC]);
    let server = vec![
        ("fmsVer".to_owned(), "FMS/3,0,1,123".into()),
        ("capabilities".to_owned(), 31.0.into()),
    ];
    let info = info("status", "NetConnection.Connect.Success", "Connection succeeded.");
    let args = [Value::Object(server), info];
    command::send(&mut connection.out, 0, "_result", command.transaction, &args);
    connection.write(usize::MAX).await?;
    Ok(app)
}

fn info(level: &str, code: &str, description: &str) -> Value {
    let members = [("level", level), ("code", code), ("description", description)];
    Value::Object(members.map(|(name, value)| (name.to_owned(), value.into())).into())
}

fn tag(message: Message) -> Option<Tag> {
    let mut body = message.payload;
    let kind = match message.kind {
        kind::DATA_AMF3 => {
            body.advance(body.len().min(1));
            TagKind::Script
        }
        kind => TagKind::from_number(kind)?,
    };
    const SET_DATA_FRAME: &[u8] = b"\x02\0\x0d@setDataFrame";
    if kind == TagKind::Script && body.starts_with(SET_DATA_FRAME) {
        body.advance(SET_DATA_FRAME.len());
    }
    Some(Tag { kind, timestamp_ms: message.timestamp, head: Head::default(), body })
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
