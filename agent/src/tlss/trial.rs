//! Tries a server of the hosted service: reaches it, introduces the device, and waits for a command, which is not
//! carried out.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use ivt_base::byte_stream::ByteStream;
use ivt_base::task::spawn_blocking;
use ivt_proto::tlss::{Identity, IdentityError, Session, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::audit::printable;
use super::{session, setup};
use crate::config;

/// How long a server may take to give its first command: as long as it may take in a session.
const PATIENCE: Duration = Duration::from_secs(7);

/// What a server does once it knows the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// It gives a command, which is shown here.
    Command(String),
    /// It has nothing to do for the device.
    Done,
    /// It keeps the connection, and says nothing.
    Silent,
    /// It closes the connection.
    Closed,
    /// What it says is no command.
    Unreadable,
}

/// The identity by which a server would know the device.
///
/// # Errors
/// Brand or model cannot be sent.
pub(crate) async fn identity(config: &config::Tlss) -> Result<Identity, IdentityError> {
    let found = || setup::hardware_address(setup::INTERFACES.as_ref());
    let mac = match config.mac {
        Some(mac) => Some(mac),
        None => spawn_blocking(found).await.ok().flatten(),
    };
    Identity::new(mac.unwrap_or_default(), &config.brand, &config.model)
}

/// Introduces the device, and waits for what the server says. Takes 10 s at most.
pub(crate) async fn greet(mut stream: Box<dyn ByteStream>, identity: &Identity) -> Greeting {
    let said = timeout(PATIENCE, listen(&mut stream, identity)).await;
    timeout(session::CLOSE_TIMEOUT, stream.shutdown()).await.ok();
    said.unwrap_or(Greeting::Silent)
}

async fn listen(stream: &mut Box<dyn ByteStream>, identity: &Identity) -> Greeting {
    let introduction = frame(identity.to_string().as_bytes());
    if stream.write_all(&introduction).await.is_err() || stream.flush().await.is_err() {
        return Greeting::Closed;
    }
    let (mut session, mut buffer) = (Session::default(), BytesMut::new());
    session.handle_sent(session::now());
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return Greeting::Closed,
            Ok(_) => {}
        }
        let Ok(taken) = session.handle_bytes(session::now(), &buffer) else {
            return Greeting::Unreadable;
        };
        buffer.advance(taken);
        if session.finished() {
            return Greeting::Done;
        }
        if let Some(command) = session.poll_command() {
            return Greeting::Command(printable(&command, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    async fn greeted(says: Option<&[u8]>) -> (Greeting, Vec<u8>) {
        let (ours, mut theirs) = duplex(4096);
        let identity = Identity::new([0, 1, 2, 3, 4, 5], "ivt", "box").unwrap();
        let server = async move {
            let mut heard = vec![0; 1024];
            let length = theirs.read(&mut heard).await.unwrap();
            heard.truncate(length);
            match says {
                Some(says) => theirs.write_all(says).await.unwrap(),
                None => tokio::time::sleep(Duration::from_secs(60)).await,
            }
            heard
        };
        let stream: Box<dyn ByteStream> = Box::new(ours);
        tokio::join!(greet(stream, &identity), server)
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_does_is_told_and_no_command_is_answered() {
        let command = frame(b"/uapi-cgi/param.fcgi?action=list");
        let (greeting, heard) = greeted(Some(&command)).await;
        assert_eq!(greeting, Greeting::Command("/uapi-cgi/param.fcgi?action=list".into()));
        assert!(heard.windows(4).any(|part| part == b"0001"), "{heard:?}");
        assert_eq!(greeted(Some(&frame(b"done"))).await.0, Greeting::Done);
        assert_eq!(greeted(Some(b"")).await.0, Greeting::Closed);
        assert_eq!(greeted(Some(&[0xff; 64])).await.0, Greeting::Unreadable);
        assert_eq!(greeted(None).await.0, Greeting::Silent);
    }
}
