//! Sends packets to one client: in the RTSP connection, or as datagrams.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::rtp::{Kind, Unit};
use super::transport::Outlet;

/// A client that takes no bytes for this time is cut off.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Sends a unit, in one write or each packet in a write of its own.
///
/// # Errors
/// When the connection is lost, or the client takes nothing for 10 s.
pub async fn deliver(
    outlet: &Outlet,
    unit: &Unit,
    packet_at_a_time: bool,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    match way(outlet, unit.kind) {
        Way::Channel(channel) => {
            let bytes = unit.interleaved(channel);
            if !packet_at_a_time {
                return write(writer, &bytes).await;
            }
            for packet in unit.packets(&bytes) {
                write(writer, packet).await?;
            }
        }
        Way::Socket(socket) => {
            for datagram in unit.datagrams() {
                send(socket, datagram).await;
            }
        }
    }
    Ok(())
}

/// Sends some packets of a unit, with `between` behind the first: bytes of the RTSP connection that
/// belong to no packet.
///
/// # Errors
/// When the connection is lost, or the client takes nothing for 10 s.
pub async fn deliver_interrupted(
    outlet: &Outlet,
    kind: Kind,
    packets: &[&[u8]],
    between: &[u8],
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    match way(outlet, kind) {
        Way::Channel(channel) => {
            let mut bytes = Vec::new();
            for (i, packet) in packets.iter().enumerate() {
                if i == 1 {
                    bytes.extend_from_slice(between);
                }
                bytes.extend_from_slice(&[b'$', channel]);
                bytes.extend_from_slice(&(packet.len() as u16).to_be_bytes());
                bytes.extend_from_slice(packet);
            }
            write(writer, &bytes).await
        }
        Way::Socket(socket) => {
            write(writer, between).await?;
            for datagram in packets {
                send(socket, datagram).await;
            }
            Ok(())
        }
    }
}

/// Writes to the RTSP connection.
///
/// # Errors
/// When the connection is lost, or the client takes nothing for 10 s.
pub async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    timeout(WRITE_LIMIT, writer.write_all(bytes)).await?
}

/// Where the packets of one kind go.
enum Way<'a> {
    Channel(u8),
    Socket(&'a UdpSocket),
}

fn way(outlet: &Outlet, kind: Kind) -> Way<'_> {
    match (outlet, kind) {
        (Outlet::Interleaved(channel, _), Kind::Rtp)
        | (Outlet::Interleaved(_, channel), Kind::Rtcp) => Way::Channel(*channel),
        (Outlet::Udp(socket, _), Kind::Rtp) | (Outlet::Udp(_, socket), Kind::Rtcp) => {
            Way::Socket(socket)
        }
    }
}

/// Sends a datagram. One that the client does not take is lost, as datagrams are.
async fn send(socket: &UdpSocket, datagram: &[u8]) {
    let _ = timeout(WRITE_LIMIT, socket.send(datagram)).await;
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_for_ten_seconds_is_cut() {
        let (mut writer, _peer) = tokio::io::duplex(16);
        let started = Instant::now();
        let error = write(&mut writer, &[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), WRITE_LIMIT);
    }
}
