//! Answers whose header lines look unusual.

use super::{Quirk, Quirks};

/// The bytes of an answer with the camera's unusual header lines.
pub fn dress(quirks: &Quirks, answer: Vec<u8>) -> Vec<u8> {
    let odd = [
        Quirk::HeadersLower,
        Quirk::HeadersSpaced,
        Quirk::HeadersFolded,
        Quirk::HeadersLf,
        Quirk::HeadersBare,
        Quirk::CseqMissing,
    ];
    if !quirks.has_any(&odd) {
        return answer;
    }
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else { return answer };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap_or_default().to_owned();
    if quirks.has(Quirk::HeadersBare) {
        let words: Vec<_> = status.split(' ').take(2).collect();
        status = words.join(" ") + "\r\nno header at all";
    }
    let mut out = vec![status];
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        if quirks.has(Quirk::CseqMissing) && name == "CSeq" {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let name = if quirks.has(Quirk::HeadersLower) { &lower } else { name };
        let colon = if quirks.has(Quirk::HeadersSpaced) { " :\t  " } else { ": " };
        // A value may go on in a line that begins with a blank (RFC 2326 15, after RFC 2068 4.2).
        let folded = quirks.has(Quirk::HeadersFolded).then(|| value.replacen(';', ";\r\n ", 1));
        let value = folded.as_deref().unwrap_or(value);
        let first =
            if quirks.has(Quirk::HeadersFolded) && !value.contains('\n') { "\r\n\t" } else { "" };
        out.push(format!("{name}{colon}{first}{value}"));
    }
    let mut text = out.join("\r\n") + "\r\n\r\n";
    if quirks.has(Quirk::HeadersLf) {
        text = text.replace("\r\n", "\n");
    }
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(answer.get(end + 4..).unwrap_or_default());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dressed(quirk: Quirk) -> String {
        let answer =
            b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1;timeout=60\r\n\r\nbody\r\n".to_vec();
        String::from_utf8(dress(&quirk.into(), answer)).unwrap()
    }

    #[test]
    fn each_hand_differs_and_leaves_the_body_alone() {
        let rows = [
            (Quirk::HeadersLower, "RTSP/1.0 200 OK\r\ncseq: 3\r\nsession: 1;timeout=60\r\n\r\n"),
            (
                Quirk::HeadersSpaced,
                "RTSP/1.0 200 OK\r\nCSeq :\t  3\r\nSession :\t  1;timeout=60\r\n\r\n",
            ),
            (
                Quirk::HeadersFolded,
                "RTSP/1.0 200 OK\r\nCSeq: \r\n\t3\r\nSession: 1;\r\n timeout=60\r\n\r\n",
            ),
            (Quirk::HeadersLf, "RTSP/1.0 200 OK\nCSeq: 3\nSession: 1;timeout=60\n\n"),
            (Quirk::CseqMissing, "RTSP/1.0 200 OK\r\nSession: 1;timeout=60\r\n\r\n"),
            (Quirk::Busy, "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1;timeout=60\r\n\r\n"),
        ];
        for (quirk, head) in rows {
            assert_eq!(dressed(quirk), head.to_owned() + "body\r\n", "{}", quirk.name());
        }
        assert!(
            dressed(Quirk::HeadersBare).starts_with("RTSP/1.0 200\r\nno header at all\r\nCSeq")
        );
    }
}
