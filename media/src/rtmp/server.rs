//! The ingest side: takes one published stream from one connection.

use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::flv::{Head, Tag, TagKind};
use crate::rtmp::amf::Value;
use crate::rtmp::chunk::{ChunkLimits, Message, channel, kind};
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

/// A publisher that asks to connect to an application, to be answered by [`Caller::accept`] or
/// [`Caller::refuse`].
#[derive(Debug)]
pub struct Caller<S> {
    connection: Connection<S>,
    limits: ServerLimits,
    app: String,
    /// Number of the request, which the answer repeats.
    transaction: f64,
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
    /// Application; with its query where the address has that before the stream key.
    pub app: String,
    /// Stream key with its query; empty where the address has none.
    pub key: String,
}

/// Bytes after which either side acknowledges what it received.
const WINDOW: u32 = 2_500_000;
/// The only message stream of a session.
const STREAM: u32 = 1;

/// Does the handshake and answers `connect` with consent.
///
/// # Errors
///
/// The peer speaks no RTMP, asks for something else, is too slow, or is gone.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    limits: ServerLimits,
) -> Result<IngestSession<S>, RtmpError> {
    meet(io, limits).await?.accept().await
}

/// Does the handshake and waits for `connect`.
///
/// # Errors
///
/// The peer speaks no RTMP, asks for something else, is too slow, or is gone.
pub async fn meet<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    limits: ServerLimits,
) -> Result<Caller<S>, RtmpError> {
    let negotiation = async {
        handshake::server(&mut io).await?;
        let mut connection = Connection::new(io, limits.chunks);
        let (app, transaction) = await_connect(&mut connection).await?;
        Ok(Caller { connection, limits, app, transaction })
    };
    timeout(limits.negotiation, negotiation).await.unwrap_or(Err(RtmpError::Silent))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<S> {
    /// The application asked for, with its query.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Lets the publisher connect.
    ///
    /// # Errors
    ///
    /// The connection fails, or the publisher reads too slowly.
    pub async fn accept(self) -> Result<IngestSession<S>, RtmpError> {
        const DYNAMIC: u8 = 2;
        let Self { mut connection, limits, app, transaction } = self;
        let [a, b, c, d] = WINDOW.to_be_bytes();
        connection.out.control(kind::WINDOW_ACK_SIZE, &[a, b, c, d]);
        connection.out.control(kind::SET_PEER_BANDWIDTH, &[a, b, c, d, DYNAMIC]);
        let server = vec![
            ("fmsVer".to_owned(), "FMS/3,0,1,123".into()),
            ("capabilities".to_owned(), 31.0.into()),
        ];
        let info = info("status", "NetConnection.Connect.Success", "Connection succeeded.");
        let args = [Value::Object(server), info];
        command::send(&mut connection.out, 0, "_result", transaction, &args);
        let mut session = IngestSession { connection, limits, app, publishing: true };
        session.flush().await?;
        Ok(session)
    }

    /// Turns the publisher away, to the address `redirect` where there is one.
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn refuse(
        mut self,
        description: &str,
        redirect: Option<&str>,
    ) -> Result<(), RtmpError> {
        let mut info = info("error", "NetConnection.Connect.Rejected", description);
        if let (Value::Object(members), Some(place)) = (&mut info, redirect) {
            let place = [("code", 302.0.into()), ("redirect", place.into())];
            let place = place.map(|(name, value)| (name.to_owned(), value));
            members.push(("ex".to_owned(), Value::Object(place.into())));
        }
        let out = &mut self.connection.out;
        command::send(out, 0, "_error", self.transaction, &[Value::Null, info]);
        let closed = timeout(self.limits.negotiation, self.connection.close());
        closed.await.unwrap_or(Err(RtmpError::Silent))
    }
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

    /// Answers the request to publish with another status than consent, and goes on.
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn status(&mut self, level: &str, code: &str, text: &str) -> Result<(), RtmpError> {
        let args = [Value::Null, info(level, code, text)];
        command::send(&mut self.connection.out, STREAM, "onStatus", 0.0, &args);
        self.flush().await
    }

    /// Sends a message of the type `kind`, see [`crate::rtmp::chunk::kind`].
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn say(&mut self, kind: u8, payload: &Bytes) -> Result<(), RtmpError> {
        self.connection.out.message(channel::COMMAND, kind, 0, 0, &[], payload);
        self.flush().await
    }

    /// Calls `name` at the publisher and waits for its answer. Tags that come meanwhile are lost.
    ///
    /// # Errors
    ///
    /// There is no answer in time, or the connection fails.
    pub async fn call(&mut self, name: &str) -> Result<(), RtmpError> {
        const CALL: f64 = 77.0;
        let limit = self.limits.negotiation;
        command::send(&mut self.connection.out, 0, name, CALL, &[Value::Null]);
        let answered = async {
            loop {
                let message = self.connection.message().await?.ok_or(RtmpError::Closed)?;
                match Command::parse(&message)? {
                    Some(said) if said.name == "_result" && said.transaction == CALL => {
                        return Ok(());
                    }
                    Some(command) => self.answer(&command),
                    None => {}
                }
            }
        };
        timeout(limit, answered).await.unwrap_or(Err(RtmpError::Silent))
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
                    let key = key.ok_or_else(|| {
                        let expected = "publish with a stream key, which may be empty";
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

    async fn flush(&mut self) -> Result<(), RtmpError> {
        let written = timeout(self.limits.negotiation, self.connection.write(usize::MAX));
        written.await.unwrap_or(Err(RtmpError::Silent))
    }
}

/// Waits for `connect`, and returns the application and the number of the request.
async fn await_connect<S: AsyncRead + AsyncWrite>(
    connection: &mut Connection<S>,
) -> Result<(String, f64), RtmpError> {
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
    Ok((app.trim_matches('/').to_owned(), command.transaction))
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
