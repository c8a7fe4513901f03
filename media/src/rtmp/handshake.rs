//! The plain handshake, specification 5.2: a version byte, then 1536 bytes each way, echoed.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::rtmp::RtmpError;

const VERSION: u8 = 3;
const SIZE: usize = 1536;

/// Does the client's part. The peer's echo is waited for and not compared: deployed servers send
/// other things in its place.
///
/// # Errors
///
/// The peer is not RTMP version 3, or the connection fails.
pub async fn client<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S) -> Result<(), RtmpError> {
    io.write_all(&hello()).await?;
    io.flush().await?;
    let theirs = read_hello(io).await?;
    io.write_all(&theirs).await?;
    io.flush().await?;
    io.read_exact(&mut [0; SIZE]).await?;
    Ok(())
}

/// Does the server's part.
///
/// # Errors
///
/// The peer is not RTMP version 3, or the connection fails.
pub async fn server<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S) -> Result<(), RtmpError> {
    let theirs = read_hello(io).await?;
    let answer = [&hello()[..], &theirs].concat();
    io.write_all(&answer).await?;
    io.flush().await?;
    io.read_exact(&mut [0; SIZE]).await?;
    Ok(())
}

/// The first message of either side: version, time 0, four zeros, and bytes nobody can guess.
fn hello() -> [u8; 1 + SIZE] {
    let mut hello = [0; 1 + SIZE];
    rand::fill(&mut hello[9..]);
    hello[0] = VERSION;
    hello
}

/// Reads the peer's first message. The version is judged before the rest is waited for: an HTTP
/// server says less than a handshake.
async fn read_hello<S: AsyncRead + Unpin>(io: &mut S) -> Result<[u8; SIZE], RtmpError> {
    let version = io.read_u8().await?;
    if version != VERSION {
        return Err(RtmpError::Version { got: version });
    }
    let mut hello = [0; SIZE];
    io.read_exact(&mut hello).await?;
    Ok(hello)
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn both_sides_agree_also_over_a_narrow_pipe() {
        for room in [1600, 8192] {
            let (mut near, mut far) = duplex(room);
            let (a, b) = tokio::join!(client(&mut near), server(&mut far));
            a.unwrap();
            b.unwrap();
        }
    }

    #[tokio::test]
    async fn another_version_is_named() {
        let (mut near, mut far) = duplex(8192);
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let error = client(&mut near).await.unwrap_err();
        assert!(matches!(error, RtmpError::Version { got: b'H' }), "{error}");
    }

    #[tokio::test]
    async fn an_end_inside_is_a_close() {
        let (mut near, mut far) = duplex(8192);
        far.write_all(&[3; 2000]).await.unwrap();
        drop(far);
        assert!(matches!(client(&mut near).await, Err(RtmpError::Closed)));
    }
}
