//! What a SETUP asks for, and what the camera's answer settles (RFC 2326 10.4, 12.39).

use super::header;

/// How media is to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lower {
    /// By TCP, within the RTSP connection.
    Tcp,
    /// By UDP to these ports, one for the data of each track in turn; reports go to the next port.
    Udp([u16; 2]),
}

/// A track to be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Control of the track, as described.
    pub control: Option<String>,
    /// Whether the session is worth nothing without the track.
    pub needed: bool,
}

/// How a track's packets are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Interleaved channels of data and reports.
    Channels(u8, u8),
    /// Ports of the camera for data and reports, where it names them.
    Ports(Option<(u16, u16)>),
}

impl Lower {
    /// The Transport header that asks for the track of this number.
    pub(super) fn transport(self, track: usize) -> String {
        match self {
            Self::Tcp => {
                format!("RTP/AVP/TCP;unicast;interleaved={}-{}", 2 * track, 2 * track + 1)
            }
            Self::Udp(ports) => {
                let port = ports.get(track).copied().unwrap_or_default();
                format!("RTP/AVP;unicast;client_port={port}-{}", port.saturating_add(1))
            }
        }
    }

    /// How the camera will send the track of this number, by the Transport header of its answer.
    /// Fails with what the camera means to do instead.
    pub(super) fn path(self, track: usize, transport: &str) -> Result<Path, &'static str> {
        let said = header::transport(transport);
        match self {
            Self::Tcp if said.datagrams => Err("it was asked for TCP and means to send by UDP"),
            Self::Tcp => {
                let ours = u8::try_from(2 * track).unwrap_or(u8::MAX - 1);
                let (data, reports) = said.channels.unwrap_or((ours, ours + 1));
                Ok(Path::Channels(data, reports))
            }
            Self::Udp(_) if said.channels.is_some() => {
                Err("it was asked for UDP and means to send by TCP")
            }
            Self::Udp(_) => Ok(Path::Ports(said.server_ports)),
        }
    }
}
