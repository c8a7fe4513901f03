//! The addresses of the camera's streams and tracks.

/// One of a channel's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The stream of full size.
    Main,
    /// The small stream.
    Sub,
}

impl Stream {
    /// The name in the stream's address: `main` or `sub`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
        }
    }
}

/// Channel, stream and track of the path of a URI: `/ch0/main`, with `/trackID=1` behind it for a track.
/// `/ufirststream` and `/usecondstream` are the streams of channel 0.
pub fn resolve(path: &str) -> Option<(usize, Stream, Option<usize>)> {
    let mut parts = path.trim_matches('/').split('/');
    let (channel, stream) = match parts.next()? {
        "ufirststream" => (0, Stream::Main),
        "usecondstream" => (0, Stream::Sub),
        name => {
            let channel = name.strip_prefix("ch")?.parse().ok()?;
            let stream = match parts.next()? {
                "main" => Stream::Main,
                "sub" => Stream::Sub,
                _ => return None,
            };
            (channel, stream)
        }
    };
    let track = match parts.next() {
        Some(track) => Some(track.strip_prefix("trackID=")?.parse().ok()?),
        None => None,
    };
    parts.next().is_none().then_some((channel, stream, track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_streams_and_tracks() {
        assert_eq!(resolve("/ch0/main"), Some((0, Stream::Main, None)));
        assert_eq!(resolve("/ch12/sub/"), Some((12, Stream::Sub, None)));
        assert_eq!(resolve("/ch0/main/trackID=1"), Some((0, Stream::Main, Some(1))));
        assert_eq!(resolve("/ufirststream/trackID=0"), Some((0, Stream::Main, Some(0))));
        assert_eq!(resolve("/usecondstream"), Some((0, Stream::Sub, None)));
        let wrong =
            ["", "/", "/ch0", "/chx/main", "/ch0/other", "/ch0/main/track1", "*", "/ch-1/main"];
        for path in wrong.into_iter().chain(["/ch0/main/trackID=1/more"]) {
            assert_eq!(resolve(path), None, "{path}");
        }
    }
}
