//! How a camera's media travels.

/// How RTP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// By TCP, and by UDP where the camera refuses that.
    #[default]
    Auto,
    /// Interleaved in the RTSP connection.
    Tcp,
    /// In datagrams of its own. Nothing is sent twice: a lost packet costs the rest of its GOP.
    Udp,
}
