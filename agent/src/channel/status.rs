//! How a channel is.

/// How a channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The camera has been asked, or has shown itself: until then nothing is known of it.
    pub known: bool,
    /// The camera can be reached.
    pub reachable: bool,
    /// The stream that the server is receiving at this moment.
    pub live: Option<String>,
    /// The session that records.
    pub recording: Option<String>,
    /// One bit per alarm that is raised, as numbered by the Keepalive.
    pub alarm: u32,
}
