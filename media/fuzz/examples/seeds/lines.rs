//! Seeds that are text: messages, descriptions, logins.

use std::io;

use crate::{Input, Seeds};

/// Parameter sets of H.264 in base64.
pub const SETS: &str = "Z2QADKyyAoM/PgIgAAADACAAAAZB4oVJ,aOvDyyLA";

/// Writes seeds of messages and noise.
pub fn messages(seeds: &Seeds) -> io::Result<()> {
    let answer = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 12345678;timeout=60\r\n\
        Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1A2B3C4D\r\n\r\n";
    let described = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\n\
        Content-Length: 24\r\n\r\nv=0\r\nm=video 0 RTP/AVP 96";
    let rtp = b"$\0\0\x10\x80\x60\0\x01\0\0\0\0\0\0\0\x01\x65\x88\x84x";
    let whole = |bytes: &[u8]| Input::new(1, bytes).0;
    seeds.write("answer", &whole(answer))?;
    seeds.write("body", &whole(described))?;
    let split = Input::new(1, &described[..20]).then(1, 0, &described[20..70]);
    seeds.write("split", &split.then(1, 0, &described[70..]).0)?;
    seeds.write("packets", &whole(&[answer, &rtp[..], rtp, answer, rtp].concat()))?;
    let noise = Input::new(1, rtp).then(9, 0, b"\xaa\xbb noise $ RTS").then(1, 0, answer);
    seeds.write("noise", &noise.0)?;
    let lines = Input::new(1, &[rtp, &b"\xaa"[..]].concat()).then(150, 0, &[b'\n'; 400]);
    seeds.write("line_feeds", &lines.then(1, 0, answer).0)?;
    seeds.write("request", &whole(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n\r\n\r\n"))?;
    seeds.write(
        "lines",
        &whole(b"RTSP/1.0 401\nWWW-Authenticate: Digest\n realm=x,\n\tnonce=y\n\n"),
    )?;
    seeds.write("http", &whole(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n<html>"))?;
    seeds.write("length", &whole(b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n"))?;
    let endless = Input::new(1, b"RTSP/1.0 200 OK\r\nX: ").then(200, 0, &[b'a'; 400]);
    seeds.write("endless_line", &endless.0)?;
    let lines = Input::new(1, b"RTSP/1.0 200 OK\r\n").then(140, 0, b"A: b\r\n");
    seeds.write("many_lines", &lines.then(1, 0, b"\r\n").0)?;
    seeds.write("large_packet", &Input::new(1, b"$\0\x4e\x20").then(200, 0, &[0x80; 100]).0)?;
    let broken = b"RTSP/1.0 xyz\r\nContent-Length: 3\r\n\r\nabc";
    seeds.write("status", &whole(&[&rtp[..], broken, answer].concat()))
}

/// Descriptions of cameras, by what is odd about them.
pub const DESCRIPTIONS: [(&str, &str); 12] = [
    (
        "plain",
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\n\
         m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
         a=fmtp:96 packetization-mode=1;profile-level-id=64000c;\
         sprop-parameter-sets=Z2QADKyyAoM/PgIgAAADACAAAAZB4oVJ,aOvDyyLA\r\na=control:track0\r\n\
         m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:track1\r\n",
    ),
    (
        "hevc_aac",
        "v=0\na=control:rtsp://camera/live/\nm=video 0 RTP/AVP 98\na=rtpmap:98 H265/90000\n\
         a=fmtp:98 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwA8lZgJ;\
         sprop-sps=QgEBAWAAAAMAkAAAAwAAAwA8oAoIC595ZKkkyvAWgIAAAAMAgAAADIQ=;sprop-pps=RAHBcrRiQA==\n\
         a=control:trackID=1\nm=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/16000/1\n\
         a=fmtp:97 streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408;\n\
         a=control:trackID=2\n",
    ),
    (
        "latm",
        "v=0\r\nm=audio 0 RTP/AVP 96\r\na=rtpmap:96 MP4A-LATM/16000\r\n\
         a=fmtp:96 cpresent=0;config=400028103fc0\r\na=recvonly\r\n",
    ),
    (
        "talk_back",
        "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=recvonly\r\n\
         m=audio 0 RTP/AVP 0\r\na=recvonly\r\na=control:t1\r\nm=audio 0 RTP/AVP 0\r\na=sendonly\r\na=control:t2\r\n",
    ),
    (
        "camera_view",
        "v=0\r\na=sendonly\r\nm=video 0 RTP/AVP 26 96\r\na=rtpmap:96 H264/90000\r\n\
         m=audio 0 RTP/AVP 8\r\na=sendrecv\r\nm=audio 0 RTP/AVP 0\r\na=recvonly\r\n",
    ),
    (
        "no_equals",
        "v=0\r\nmedia\r\nm=video 0 RTP/AVP 96\r\nhello world\r\na=rtpmap:96 H264/90000\r\n",
    ),
    ("no_format", "v=0\r\nm=video 0 RTP/AVP \r\na=rtpmap:96 H264/90000\r\na=control:x y\r\n"),
    (
        "cut_short",
        "v=0\r\no=- 1 1 IN\r\nc=IN\r\nm=video 0 RTP/AVP 105\r\na=rtpmap:105 H264/30000\r\na=fmtp:105\r\n\
         m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n",
    ),
    (
        "other_numbers",
        "m=video 0 RTP/AVP 96\r\na=rtpmap:97 AVC/0\r\na=fmtp:98 packetization-mode=1\r\n\
         a=fmtp:98 sprop-parameter-sets=\"Z2QADKyy\"\r\nm=audio 0 RTP/AVP (null)\r\na=rtpmap\r\n",
    ),
    ("mjpeg", "v=0\r\nm=video 0 RTP/AVP 26\r\nm=audio 0 RTP/AVP 2\r\n"),
    ("page", "<html><head><title>404</title></head></html>"),
    ("text", "Not found: rtsp://admin:12345@camera/live?x=1\r\n"),
];

/// Writes seeds of session descriptions.
pub fn descriptions(seeds: &Seeds) -> io::Result<()> {
    for (name, text) in DESCRIPTIONS {
        seeds.write(name, text.as_bytes())?;
    }
    Ok(())
}

/// Writes seeds of challenges to a login.
pub fn logins(seeds: &Seeds) -> io::Result<()> {
    let table: [(&str, &[(u8, &str)]); 8] = [
        ("basic", &[(1, "Basic realm=\"IP Camera\"")]),
        (
            "digest",
            &[(1, "Digest realm=\"x\", nonce=\"abc\""), (1, "Digest realm=\"x\", nonce=\"d\"")],
        ),
        (
            "sha256",
            &[
                (
                    0,
                    "Digest realm=\"x\",nonce=\"a\",algorithm=SHA-256,qop=\"auth,auth-int\",opaque=\"o\"\n\
                   Digest realm=\"x\",nonce=\"a\",algorithm=MD5\nBasic realm=\"x\"",
                ),
                (0, "Digest realm=\"x\",nonce=\"a\",algorithm=MD5\nBasic realm=\"x\""),
                (0, "Basic realm=\"x\""),
            ],
        ),
        (
            "stale",
            &[
                (0, "Digest realm=\"x\",nonce=\"1\""),
                (1, "Digest realm=\"x\",nonce=\"2\",stale=TRUE"),
                (0, "Digest realm=\"x\",nonce=\"3\",stale=true"),
                (0, "Digest realm=\"x\",nonce=\"3\""),
            ],
        ),
        (
            "session",
            &[(1, "Digest algorithm=MD5-sess,qop=auth,nonce=n,realm=\"a\\\\b \\\"c\\\"\"")],
        ),
        ("one_line", &[(1, "Basic realm=\"a, b\", Digest realm=\"c\", nonce=\"d=\", Negotiate")]),
        ("foreign", &[(1, "NTLM"), (1, "Negotiate dGVzdA==, Bearer x=y")]),
        ("silent", &[(1, "Digest realm=\"x\",nonce=\"1\""), (0, ""), (0, ""), (1, "")]),
    ];
    for (name, answers) in table {
        let mut input = Input::new(0, b"admin:pass\"word:\\x");
        for (how, lines) in answers {
            input = input.then(*how, 0, lines.as_bytes());
        }
        seeds.write(name, &input.0)?;
    }
    Ok(())
}
