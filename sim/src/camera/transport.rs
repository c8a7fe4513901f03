//! The `Transport` header (RFC 2326 12.39), and where it sends the packets.

use std::io;
use std::net::IpAddr;

use tokio::net::UdpSocket;

use super::rtp::{Kind, default_channel};

/// The transports that the camera offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    /// Whether packets may be interleaved in the RTSP connection.
    pub tcp: bool,
    /// Whether packets may be unicast datagrams.
    pub udp: bool,
}

impl Default for Transports {
    fn default() -> Self {
        Self { tcp: true, udp: true }
    }
}

/// The transport that a client asked for and the camera offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Channels of RTP and RTCP in the RTSP connection; `None` leaves the choice to the camera.
    Interleaved(Option<(u8, u8)>),
    /// Ports of the client for RTP and RTCP.
    Udp(u16, u16),
}

/// Where the packets of one track go.
#[derive(Debug)]
pub enum Outlet {
    /// Channels of RTP and RTCP in the RTSP connection.
    Interleaved(u8, u8),
    /// Sockets of RTP and RTCP, connected to the client.
    Udp(UdpSocket, UdpSocket),
}

impl Wish {
    /// The first alternative of a `Transport` header that the camera offers.
    pub fn choose(header: &str, offered: Transports) -> Option<Self> {
        header.split(',').find_map(|alternative| Self::parse(alternative, offered))
    }

    fn parse(alternative: &str, offered: Transports) -> Option<Self> {
        let mut parameters = alternative.split(';').map(str::trim);
        let protocol = parameters.next()?.to_ascii_uppercase();
        let mut pair = None;
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_lowercase().as_str() {
                "multicast" => return None,
                "interleaved" | "client_port" => pair = Some(parse_pair(value)?),
                _ => {}
            }
        }
        match protocol.as_str() {
            "RTP/AVP/TCP" if offered.tcp => Some(Self::Interleaved(match pair {
                Some((a, b)) => Some((u8::try_from(a).ok()?, u8::try_from(b).ok()?)),
                None => None,
            })),
            "RTP/AVP" | "RTP/AVP/UDP" if offered.udp => pair.map(|(a, b)| Self::Udp(a, b)),
            _ => None,
        }
    }

    /// Opens the transport of a track. Datagrams go to `peer` only, wherever the header points.
    ///
    /// # Errors
    /// When no pair of ports is free.
    pub async fn open(self, track: usize, local: IpAddr, peer: IpAddr) -> io::Result<Outlet> {
        match self {
            Self::Interleaved(channels) => {
                let default = |kind| default_channel(track, kind);
                let (rtp, rtcp) = channels.unwrap_or((default(Kind::Rtp), default(Kind::Rtcp)));
                Ok(Outlet::Interleaved(rtp, rtcp))
            }
            Self::Udp(rtp, rtcp) => {
                let (ours, theirs) = bind_pair(local).await?;
                ours.connect((peer, rtp)).await?;
                theirs.connect((peer, rtcp)).await?;
                Ok(Outlet::Udp(ours, theirs))
            }
        }
    }
}

impl Outlet {
    /// The `Transport` header of the answer to `SETUP`.
    ///
    /// # Errors
    /// When the local ports are not known.
    pub fn header(&self, wish: Wish, ssrc: u32) -> io::Result<String> {
        Ok(match (self, wish) {
            (Self::Udp(ours, theirs), Wish::Udp(rtp, rtcp)) => format!(
                "RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={}-{};ssrc={ssrc:08X}",
                ours.local_addr()?.port(),
                theirs.local_addr()?.port(),
            ),
            (Self::Interleaved(rtp, rtcp), _) => {
                format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X}")
            }
            (Self::Udp(..), Wish::Interleaved(_)) => return Err(io::ErrorKind::InvalidInput.into()),
        })
    }
}

/// Reads `n-m`, or `n` for n and n + 1.
fn parse_pair(value: &str) -> Option<(u16, u16)> {
    let (first, second) = value.split_once('-').unwrap_or((value, ""));
    let first: u16 = first.parse().ok()?;
    let second = if second.is_empty() { first.checked_add(1)? } else { second.parse().ok()? };
    Some((first, second))
}

/// Sockets at an even port for RTP and at the next odd port for RTCP (RFC 3550 11).
async fn bind_pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let mut held = Vec::new(); // Kept so that the kernel chooses another port each time.
    for _ in 0..64 {
        let first = UdpSocket::bind((address, 0)).await?;
        let port = first.local_addr()?.port();
        if port % 2 == 0
            && let Ok(second) = UdpSocket::bind((address, port + 1)).await
        {
            return Ok((first, second));
        }
        held.push(first);
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const BOTH: Transports = Transports { tcp: true, udp: true };
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_first_alternative_on_offer_is_taken() {
        let header = "RTP/AVP;multicast,RTP/AVP/UDP;unicast;client_port=5000-5001,\
                      RTP/AVP/TCP;interleaved=4-5";
        assert_eq!(Wish::choose(header, BOTH), Some(Wish::Udp(5000, 5001)));
        let tcp = Transports { udp: false, ..BOTH };
        assert_eq!(Wish::choose(header, tcp), Some(Wish::Interleaved(Some((4, 5)))));
        assert_eq!(Wish::choose(header, Transports { tcp: false, udp: false }), None);
        let bare = "rtp/avp/tcp;unicast";
        assert_eq!(Wish::choose(bare, BOTH), Some(Wish::Interleaved(None)));
        assert_eq!(Wish::choose("RTP/AVP;client_port=7", BOTH), Some(Wish::Udp(7, 8)));
    }

    #[test]
    fn nonsense_is_refused() {
        for header in [
            "",
            "RTP/AVP",
            "RTP/AVP;client_port=65535",
            "RTP/AVP;client_port=a-b",
            "RTP/AVP/TCP;interleaved=255-256",
            "RAW/RAW/UDP;client_port=1-2",
        ] {
            assert_eq!(Wish::choose(header, BOTH), None, "{header}");
        }
    }

    #[tokio::test]
    async fn udp_uses_an_even_port_and_the_next() {
        let wish = Wish::Udp(9, 10);
        let outlet = wish.open(0, LOOPBACK, LOOPBACK).await.unwrap();
        let Outlet::Udp(rtp, rtcp) = &outlet else { panic!("expected UDP") };
        let port = rtp.local_addr().unwrap().port();
        assert_eq!((port % 2, rtcp.local_addr().unwrap().port()), (0, port + 1));
        let header = outlet.header(wish, 0xab).unwrap();
        let expected = format!(
            "RTP/AVP;unicast;client_port=9-10;server_port={port}-{};ssrc=000000AB",
            port + 1
        );
        assert_eq!(header, expected);
    }
}
