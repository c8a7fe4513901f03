//! How a camera's media travels.

/// How RTP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP, and UDP where the camera refuses TCP.
    #[default]
    Auto,
    /// Interleaved in the RTSP connection.
    Tcp,
    /// UDP datagrams. Nothing is sent twice: a lost packet costs the rest of its GOP.
    Udp,
}
