//! The commands of a publish: what is said before the server consents, and what the server says
//! afterwards.

use ivt_base::text::shorten;

use crate::rtmp::amf::Value;
use crate::rtmp::chunk::{ChunkLimits, Message};
use crate::rtmp::command::{self, Command};
use crate::rtmp::connection::Connection;
use crate::rtmp::dial;
use crate::rtmp::error::{PublishError, Step};
use crate::rtmp::url::RtmpUrl;
use crate::rtmp::{RtmpError, handshake};

/// Chunk size that we announce, in bytes. Nearly every picture is one chunk, so one header and one
/// slice of the write; servers that allocate a whole chunk at a time still accept it.
const CHUNK_SIZE: u32 = 65_536;

/// Shortest secret that is taken out of a server's words, in bytes. A shorter one is a word like
/// any other.
const SHORTEST_SECRET: usize = 6;

/// One connection to a server after its handshake.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) connection: Connection<dial::Io>,
    /// The server's number for the stream.
    pub(super) stream_id: u32,
    /// Host and port of the server.
    pub(super) peer: String,
    /// Whether pictures or sound were sent.
    pub(super) flows: bool,
    url: RtmpUrl,
}

/// Why a server does not take the publish over this connection.
#[derive(Debug)]
pub(super) enum Turned {
    /// It takes the publish over no connection.
    Away(PublishError),
    /// It names another server, whose address is the first value.
    Elsewhere(String, PublishError),
    /// It refuses `connect` with the description that is the first value, which may ask for a
    /// login.
    Refused(String, PublishError),
}

impl From<PublishError> for Turned {
    fn from(error: PublishError) -> Self {
        Self::Away(error)
    }
}

impl Turned {
    /// What the refusal is for one who does not follow it.
    pub(super) fn into_error(self) -> PublishError {
        match self {
            Self::Away(error) | Self::Elsewhere(_, error) | Self::Refused(_, error) => error,
        }
    }
}

impl Dialogue {
    /// Does the handshake and the commands, up to the server's consent. Everything else that the
    /// server says is passed over. `login` is the query that proves the login, or empty.
    pub(super) async fn open(
        mut io: dial::Io,
        url: &RtmpUrl,
        login: &str,
        step: &mut Step,
    ) -> Result<Self, Turned> {
        *step = Step::Handshake;
        let (peer, url) = (url.peer(), url.clone());
        let failed = |error| PublishError::failed(&peer, Step::Handshake, error);
        handshake::client(&mut io).await.map_err(failed)?;
        let connection = Connection::new(io, ChunkLimits::CLIENT);
        let mut dialogue = Self { connection, stream_id: 0, peer, flows: false, url };
        *step = Step::Application;
        dialogue.connect(login).await?;
        *step = Step::CreateStream;
        dialogue.create_stream().await?;
        *step = Step::Publish;
        dialogue.publish().await?;
        Ok(dialogue)
    }

    /// Judges what the server says during the stream.
    pub(super) fn judge(&mut self, message: &Message) -> Result<(), PublishError> {
        match Command::parse(message) {
            Ok(Some(command)) => self.judge_command(&command).map_err(Turned::into_error),
            Ok(None) => Ok(()),
            Err(error) => Err(self.lost(error.into())),
        }
    }

    /// What an error of the connection means during the stream.
    pub(super) fn lost(&self, error: RtmpError) -> PublishError {
        PublishError::failed(&self.peer, Step::Stream, error)
    }

    /// Adds the farewell to what is to be written.
    pub(super) fn take_leave(&mut self) {
        let (key, stream) = (self.url.key.as_str().into(), f64::from(self.stream_id));
        let out = &mut self.connection.out;
        command::send(out, 0, "FCUnpublish", 0.0, &[Value::Null, key]);
        command::send(out, 0, "deleteStream", 0.0, &[Value::Null, stream.into()]);
    }

    async fn connect(&mut self, login: &str) -> Result<(), Turned> {
        const CONNECT: f64 = 1.0;
        let (mut app, mut tc_url) = (self.url.app.clone(), self.url.tc_url());
        if !login.is_empty() {
            let sign = if app.contains('?') { '&' } else { '?' };
            for text in [&mut app, &mut tc_url] {
                text.push(sign);
                text.push_str(login);
            }
        }
        let members = [
            ("app", app.as_str()),
            ("type", "nonprivate"),
            ("flashVer", "FMLE/3.0 (compatible; ivt)"),
            ("tcUrl", &tc_url),
        ];
        let members = members.map(|(name, value)| (name.to_owned(), value.into()));
        let out = &mut self.connection.out;
        command::send(out, 0, "connect", CONNECT, &[Value::Object(members.into())]);
        let accepted = self.reply(Step::Application, CONNECT).await?;
        let code = accepted.info("code").unwrap_or_default();
        if is_refusal(code) { Err(self.refused(&accepted)) } else { Ok(()) }
    }

    async fn create_stream(&mut self) -> Result<(), Turned> {
        const CREATE_STREAM: f64 = 4.0;
        let key = Value::from(self.url.key.as_str());
        let out = &mut self.connection.out;
        // The chunk size is announced before `publish`, so that its long key is not cut. It comes
        // after `connect`, since ffmpeg as a server accepts nothing before that.
        out.set_chunk_size(CHUNK_SIZE);
        command::send(out, 0, "releaseStream", 2.0, &[Value::Null, key.clone()]);
        command::send(out, 0, "FCPublish", 3.0, &[Value::Null, key]);
        command::send(out, 0, "createStream", CREATE_STREAM, &[Value::Null]);
        let created = self.reply(Step::CreateStream, CREATE_STREAM).await?;
        let id = created.args.iter().rev().find_map(Value::as_number);
        let id = id.filter(|id| id.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(id));
        self.stream_id = id.ok_or_else(|| {
            let got = self.repeated(&format!("{:?}", created.args));
            let expected = "a stream number as the answer to createStream";
            let error = RtmpError::Unexpected { expected, got };
            PublishError::failed(&self.peer, Step::CreateStream, error)
        })? as u32;
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), Turned> {
        const PUBLISH: f64 = 5.0;
        let key = Value::from(self.url.key.as_str());
        let (out, stream) = (&mut self.connection.out, self.stream_id);
        command::send(out, stream, "publish", PUBLISH, &[Value::Null, key, "live".into()]);
        loop {
            let command = self.command(Step::Publish).await?;
            let code = command.info("code").unwrap_or_default();
            match command.name.as_str() {
                "_error" if command.transaction == PUBLISH => return Err(self.refused(&command)),
                "onStatus" if code.eq_ignore_ascii_case(START) => return Ok(()),
                _ => self.judge_command(&command)?,
            }
        }
    }

    /// Waits for the answer to the request with this number.
    async fn reply(&mut self, step: Step, transaction: f64) -> Result<Command, Turned> {
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

    /// An error if the command ends the publish. A status without arguments says nothing. Some
    /// servers refuse in their answer to `FCPublish` alone.
    fn judge_command(&mut self, command: &Command) -> Result<(), Turned> {
        match command.name.as_str() {
            "onStatus" | "onFCPublish" => {
                let is_error = command.info("level") == Some("error");
                let code = command.info("code").unwrap_or_default();
                // Some servers give a refusal the level of a status.
                if is_error || !self.flows && is_refusal(code) {
                    return Err(self.refused(command));
                }
            }
            "close" => return Err(self.lost(RtmpError::Closed).into()),
            // Servers that measure the bandwidth wait for the answer before they go on.
            "_onbwcheck" | "onBWCheck"
                if command.transaction != 0.0 && self.connection.may_reply() =>
            {
                let args = [Value::Null, 0.0.into()];
                let out = &mut self.connection.out;
                command::send(out, 0, "_result", command.transaction, &args);
            }
            _ => {}
        }
        Ok(())
    }

    fn refused(&self, command: &Command) -> Turned {
        let said = |member| command.info(member).unwrap_or_default();
        let refusal = PublishError::Refused {
            peer: self.peer.clone(),
            code: self.repeated(said("code")),
            description: self.repeated(said("description")),
        };
        let redirect =
            |value: &Value| Some(value.member("ex")?.member("redirect")?.as_str()?.to_owned());
        match command.args.iter().find_map(redirect) {
            Some(place) => Turned::Elsewhere(place, refusal),
            None => Turned::Refused(said("description").to_owned(), refusal),
        }
    }

    /// The server's words, fit for a log: without the secrets of the address, which some servers
    /// repeat.
    fn repeated(&self, text: &str) -> String {
        let secrets = self.url.secrets().filter(|secret| secret.len() >= SHORTEST_SECRET);
        // The secrets are taken out before the text is cut; otherwise part of one across the cut
        // would stay.
        let text = secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"));
        shorten(&text)
    }
}

/// The code of consent to a publish.
const START: &str = "NetStream.Publish.Start";

/// Whether a code that comes before the first picture refuses the publish.
fn is_refusal(code: &str) -> bool {
    let begins =
        |with: &str| code.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    begins("NetStream.Publish.") && !code.eq_ignore_ascii_case(START)
        || begins("NetConnection.Connect.") && !begins("NetConnection.Connect.Success")
}
