//! The addresses of the camera's streams and tracks.

use super::make::Make;

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

/// Channel, stream and track of the path of a URI: `/ch0/main`, with `/trackID=1` behind it for a track. Each make
/// has addresses of its own beside these: `/ufirststream` and `/usecondstream` are the streams of channel 0,
/// `/Streaming/Channels/201` and `/cam/realmonitor?channel=2&subtype=0` are the main stream of the second channel.
pub fn resolve(make: Make, path: &str) -> Option<(usize, Stream, Option<usize>)> {
    let (stream, track) = match path.trim_end_matches('/').rsplit_once("/trackID=") {
        Some((stream, track)) => (stream, Some(track.parse().ok()?)),
        None => (path, None),
    };
    let (stream, query) = stream.split_once('?').unwrap_or((stream, ""));
    let parts: Vec<_> = stream.trim_matches('/').split('/').collect();
    let (channel, stream) = match (make, parts.as_slice()) {
        (_, [channel, "main"]) => (own(channel)?, Stream::Main),
        (_, [channel, "sub"]) => (own(channel)?, Stream::Sub),
        (Make::Line(_) | Make::Merlin, ["ufirststream"]) => (0, Stream::Main),
        (Make::Line(_) | Make::Merlin, ["usecondstream"]) => (0, Stream::Sub),
        (Make::Hikvision, [root @ .., streaming, channels, id])
            if matches!(root, [] | ["ISAPI"])
                && streaming.eq_ignore_ascii_case("streaming")
                && channels.eq_ignore_ascii_case("channels") =>
        {
            numbered(id)?
        }
        (Make::Dahua, ["cam", "realmonitor"]) => monitored(query.trim_end_matches('/'))?,
        _ => return None,
    };
    Some((channel, stream, track))
}

/// Channel and stream of a query such as `channel=1&subtype=0`: the input from 1, and 0 for the main or 1 for the sub stream.
fn monitored(query: &str) -> Option<(usize, Stream)> {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let stream = match value("subtype")? {
        "0" => Stream::Main,
        "1" => Stream::Sub,
        _ => return None,
    };
    Some((value("channel")?.parse::<usize>().ok()?.checked_sub(1)?, stream))
}

fn own(channel: &str) -> Option<usize> {
    channel.strip_prefix("ch")?.parse().ok()
}

/// Channel and stream of a number such as 201: the input from 1, and 1 for the main or 2 for the sub stream.
pub fn numbered(id: &str) -> Option<(usize, Stream)> {
    let (input, stream) = id.split_at_checked(id.len().checked_sub(2)?)?;
    let stream = match stream {
        "01" => Stream::Main,
        "02" => Stream::Sub,
        _ => return None,
    };
    Some((input.parse::<usize>().ok()?.checked_sub(1)?, stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Family;

    #[test]
    fn addresses_lead_to_streams_and_tracks() {
        let resolve = |path| super::resolve(Family::Ipn.into(), path);
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

    #[test]
    fn each_make_has_its_own_addresses() {
        let hikvision = |path| resolve(Make::Hikvision, path);
        assert_eq!(hikvision("/Streaming/Channels/101"), Some((0, Stream::Main, None)));
        assert_eq!(hikvision("/streaming/channels/202/trackID=1"), Some((1, Stream::Sub, Some(1))));
        let long = "/ISAPI/Streaming/channels/1602/?transportmode=unicast";
        assert_eq!(hikvision(long), Some((15, Stream::Sub, None)));
        for path in ["/Streaming/Channels/103", "/Streaming/Channels/001", "/Streaming/Channels/1"]
            .into_iter()
            .chain(["/Streaming/Channels/1é1", "/x/Streaming/Channels/101", "/ufirststream"])
        {
            assert_eq!(hikvision(path), None, "{path}");
        }
        assert_eq!(resolve(Make::Merlin, "/Streaming/Channels/101"), None);
        let dahua = |query| resolve(Make::Dahua, &format!("/cam/realmonitor{query}"));
        assert_eq!(dahua("?channel=1&subtype=0"), Some((0, Stream::Main, None)));
        let more = "?channel=3&subtype=1&unicast=true&proto=Onvif/trackID=1";
        assert_eq!(dahua(more), Some((2, Stream::Sub, Some(1))));
        for query in ["", "?channel=1", "?channel=0&subtype=0", "?channel=1&subtype=2"] {
            assert_eq!(dahua(query), None, "{query}");
        }
        assert_eq!(resolve(Make::Hikvision, "/cam/realmonitor?channel=1&subtype=0"), None);
    }
}
