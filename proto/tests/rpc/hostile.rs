//! Malformed and hostile packets: what comes in, and what must happen.
//!
//! Each row meets a fresh device whose Keepalive (seq 1) waits for its answer.

use ivt_proto::rpc::{MAX_MESSAGE, Peer, RpcError, Violation};
use serde_json::{Value, json};

use crate::origin;

/// What a row may lead to. The text is part of what the error says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    Malformed(&'static str),
    TooLong,
    WrongSeq,
    Unasked,
    /// The device answers this code, for this reason.
    Error(i64, &'static str),
    /// The device accepts the request.
    Served,
    /// The Keepalive is answered with success.
    Reply,
    /// The Keepalive is answered with this code.
    Failed(i64),
    /// The event is understood.
    Event,
    /// The event is not understood, for this reason; nothing is sent.
    Ignored(&'static str),
    /// The message says nothing.
    Nothing,
}
use Outcome::*;

const SECRET: &str = "hunter2";

pub fn rows() -> Vec<(String, Outcome)> {
    let mut rows: Vec<(String, Outcome)> =
        fixed().into_iter().map(|(text, outcome)| (text.to_owned(), outcome)).collect();
    rows.extend(lenient().into_iter().map(|(text, outcome)| (text.to_owned(), outcome)));
    rows.extend(large());
    rows
}

#[rustfmt::skip]
fn fixed() -> Vec<(&'static str, Outcome)> {
    vec![
        // Not JSON.
        ("\0{}", Malformed("not JSON")),
        ("hello", Malformed("not JSON")),
        ("{", Malformed("EOF")),
        (r#"{"req":"GetFirmware","seq":1"#, Malformed("EOF")),
        (r#"{"req":"GetFirmware","seq":1}}"#, Malformed("trailing")),
        (r#"{"req":"GetFirmware","seq":1}{"req":"GetFirmware","seq":2}"#, Malformed("trailing")),
        (r#"{"req":"GetFirmware","seq":1,}"#, Malformed("trailing comma")),
        (r#"{"req":"GetFirmware" "seq":1}"#, Malformed("not JSON")),
        (r#"{'req':'GetFirmware','seq':1}"#, Malformed("not JSON")),
        (r#"{req:"GetFirmware",seq:1}"#, Malformed("not JSON")),
        (r#"{"req":"GetFirmware","seq":NaN}"#, Malformed("not JSON")),
        (r#"{"req":"GetFirmware","seq":Infinity}"#, Malformed("not JSON")),
        (r#"{"req":"GetFirmware","seq":0x10}"#, Malformed("not JSON")),
        (r#"{"req":"GetFirmware","seq":007}"#, Malformed("invalid number")),
        (r#"{"req":"GetFirmware","seq":+1}"#, Malformed("not JSON")),
        (r#"{"req":"Get\xFirmware","seq":1}"#, Malformed("invalid escape")),
        (r#"{"req":"Get\u12","seq":1}"#, Malformed("invalid escape")),
        (r#"{"req":"\ud800","seq":1}"#, Malformed("hex escape")),
        (r#"{"req":"\ud800\ud800","seq":1}"#, Malformed("surrogate")),
        ("{\"req\":\"Get\nFirmware\",\"seq\":1}", Malformed("control character")),
        ("/* hi */{\"req\":\"GetFirmware\",\"seq\":1}", Malformed("not JSON")),
        // JSON, but no packet.
        ("null", Malformed("another type")),
        ("true", Malformed("another type")),
        ("42", Malformed("another type")),
        (r#""hunter2""#, Malformed("another type")),
        ("[]", Malformed("another type")),
        (r#"["GetFirmware",null,null,null,null,1]"#, Malformed("another type")),
        (r#"[{"req":"GetFirmware","seq":1}]"#, Malformed("another type")),
        ("{}", Malformed("received none")),
        (r#"{"jsonrpc":"2.0","method":"GetFirmware","id":1}"#, Malformed("received none")),
        (r#"{"seq":1}"#, Malformed("received none")),
        (r#"{"params":{}}"#, Malformed("received none")),
        (r#"{"REQ":"GetFirmware","seq":1}"#, Malformed("received none")),
        (r#"{"req":"GetFirmware","resp":{},"seq":1}"#, Malformed("received several")),
        (r#"{"resp":{},"err":{"code":1,"msg":""},"seq":1}"#, Malformed("received several")),
        (r#"{"req":"GetFirmware","event":"SyncTime","seq":1}"#, Malformed("received several")),
        (r#"{"req":"a","resp":1,"err":2,"event":3,"seq":1}"#, Malformed("received several")),
        (r#"{"req":"GetFirmware","seq":1,"seq":1}"#, Malformed("twice")),
        (r#"{"req":"GetFirmware","req":"GetFirmware","seq":1}"#, Malformed("twice")),
        (r#"{"req":"GetFirmware","r\u0065q":"GetFirmware","seq":1}"#, Malformed("twice")),
        (r#"{"event":"UpgradeFirmware","params":null,"params":{}}"#, Malformed("twice")),
        // Members of the wrong type, or missing.
        (r#"{"req":null,"seq":1}"#, Malformed("received none")),
        (r#"{"req":5,"seq":1}"#, Malformed("string in req, received an integer")),
        (r#"{"req":["RebootChannel"],"seq":1}"#, Malformed("string in req, received a list")),
        (r#"{"event":null}"#, Malformed("received none")),
        (r#"{"req":null,"err":null,"event":null,"seq":1}"#, Malformed("received none")),
        (r#"{"event":{"hunter2":1}}"#, Malformed("string in event, received an object")),
        (r#"{"req":"GetFirmware"}"#, Malformed("integer in seq, received none")),
        (r#"{"req":"GetFirmware","seq":null}"#, Malformed("integer in seq, received null")),
        (r#"{"req":"GetFirmware","seq":"hunter2"}"#, Malformed("integer in seq, received a string")),
        (r#"{"req":"GetFirmware","seq":true}"#, Malformed("integer in seq, received a boolean")),
        (r#"{"req":"GetFirmware","seq":[1]}"#, Malformed("integer in seq, received a list")),
        (r#"{"req":"GetFirmware","seq":1.5}"#, Malformed("no 64-bit integer")),
        (r#"{"req":"GetFirmware","seq":1e19}"#, Malformed("no 64-bit integer")),
        (r#"{"req":"GetFirmware","seq":"1.5"}"#, Malformed("integer in seq, received a string")),
        (r#"{"req":"GetFirmware","seq":""}"#, Malformed("integer in seq, received a string")),
        (r#"{"req":"GetFirmware","seq":" 1"}"#, Malformed("integer in seq, received a string")),
        (r#"{"req":"GetFirmware","seq":"18446744073709551616"}"#, Malformed("received a string")),
        (r#"{"req":"GetFirmware","seq":18446744073709551616}"#, Malformed("no 64-bit integer")),
        (r#"{"req":"GetFirmware","seq":-9223372036854775809}"#, Malformed("no 64-bit integer")),
        (r#"{"resp":{}}"#, Malformed("integer in seq, received none")),
        (r#"{"resp":true,"seq":1}"#, Malformed("in resp, received a boolean")),
        (r#"{"resp":0,"seq":1}"#, Malformed("in resp, received an integer")),
        (r#"{"resp":"hunter2","seq":1}"#, Malformed("in resp, received a string")),
        (r#"{"err":{"code":1,"msg":"x"}}"#, Malformed("integer in seq, received none")),
        (r#"{"err":null,"seq":1}"#, Malformed("received none")),
        (r#"{"err":"hunter2","seq":1}"#, Malformed("object in err, received a string")),
        (r#"{"err":[1,"x"],"seq":1}"#, Malformed("object in err, received a list")),
        (r#"{"err":{},"seq":1}"#, Malformed("integer in err.code, received none")),
        (r#"{"err":{"code":1},"seq":1}"#, Malformed("string in err.msg, received none")),
        (r#"{"err":{"msg":"x"},"seq":1}"#, Malformed("integer in err.code, received none")),
        (r#"{"err":{"code":"1","msg":"x"},"seq":1}"#, Malformed("err.code, received a string")),
        (r#"{"err":{"code":1.5,"msg":"x"},"seq":1}"#, Malformed("no 64-bit integer")),
        (r#"{"err":{"code":1,"msg":null},"seq":1}"#, Malformed("err.msg, received null")),
        (r#"{"err":{"code":1,"msg":7},"seq":1}"#, Malformed("err.msg, received an integer")),
        // Answers to another request, and odd but good ones.
        (r#"{"resp":{},"seq":0}"#, WrongSeq),
        (r#"{"resp":{},"seq":2}"#, WrongSeq),
        (r#"{"resp":{},"seq":-1}"#, WrongSeq),
        (r#"{"resp":{},"seq":18446744073709551615}"#, WrongSeq),
        (r#"{"err":{"code":1,"msg":"x"},"seq":4294967297}"#, WrongSeq),
        (r#"{"resp":{},"seq":1}"#, Reply),
        (r#"{"resp":"","seq":1}"#, Reply),
        (r#"{"resp":null,"seq":1}"#, Reply),
        (r#"{"resp":[],"seq":1}"#, Reply),
        (r#" { "params" : 3 , "seq" : 1 , "resp" : { "x" : [ ] } , "y" : null } "#, Reply),
        (r#"{"err":{"code":-1,"msg":"","x":1},"seq":1}"#, Failed(-1)),
        (r#"{"err":{"code":9223372036854775807,"msg":"x"},"seq":1}"#, Failed(i64::MAX)),
        // Requests that are answered with an error.
        (r#"{"req":"","seq":1}"#, Error(101, "not supported")),
        (r#"{"req":"getfirmware","seq":1}"#, Error(101, "getfirmware")),
        (r#"{"req":"Get\u0000\u001b[31m","seq":1}"#, Error(101, r"Get\u{0}\u{1b}[31m")),
        (r#"{"req":"RebootChannel","seq":1}"#, Error(1, "params")),
        (r#"{"req":"RebootChannel","params":null,"seq":1}"#, Error(1, "params")),
        (r#"{"req":"RebootChannel","params":"hunter2","seq":1}"#, Error(1, "an object, received a string")),
        (r#"{"req":"RebootChannel","params":7,"seq":1}"#, Error(1, "an object, received an integer")),
        (r#"{"req":"RebootChannel","params":[0],"seq":1}"#, Error(1, "an object, received a list")),
        (r#"{"req":"RebootChannel","params":{},"seq":1}"#, Error(1, "params.channel: is missing")),
        (r#"{"req":"RebootChannel","params":{"channel":null},"seq":1}"#, Error(1, "params.channel")),
        (r#"{"req":"RebootChannel","params":{"channel":"hunter2"},"seq":1}"#, Error(1, "params.channel")),
        (r#"{"req":"RebootChannel","params":{"channel":0.5},"seq":1}"#, Error(1, "params.channel")),
        (r#"{"req":"RebootChannel","params":{"channel":-1},"seq":1}"#, Error(102, "params.channel")),
        (r#"{"req":"RebootChannel","params":{"channel":4294967296},"seq":1}"#, Error(102, "no such channel")),
        (r#"{"req":"RebootChannel","params":{"channel":-9223372036854775808},"seq":1}"#, Error(102, "no such")),
        (r#"{"req":"RebootChannel","params":{"channel":99999999999999999999999},"seq":1}"#, Error(102, "no such")),
        (r#"{"req":"RebootChannel","params":{"channel":-1e300},"seq":1}"#, Error(102, "no such")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hunter2","url":"u","stream_id":"s","max_bitrate":0},"seq":1}"#, Error(1, "params.quality: expected one of ld, sd, hd, fhd")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":{"hd":null},"url":"u","stream_id":"s","max_bitrate":0},"seq":1}"#, Error(1, "params.quality")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":["hunter2"],"stream_id":"s","max_bitrate":0},"seq":1}"#, Error(1, "params.url")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":"u","stream_id":5,"max_bitrate":0},"seq":1}"#, Error(1, "params.stream_id")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":"u","stream_id":"s","max_bitrate":-1},"seq":1}"#, Error(1, "params.max_bitrate")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":"u","max_bitrate":0},"seq":1}"#, Error(1, "params.stream_id: is missing")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":"u","stream_id":"s","max_bitrate":0.5},"seq":1}"#, Error(1, "params.max_bitrate")),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":"u","stream_id":"s","max_bitrate":"0"},"seq":1}"#, Error(1, "params.max_bitrate")),
        (r#"{"req":"SetWifiConfig","params":{"channel":0,"password":{"x":"hunter2"}},"seq":1}"#, Error(1, "params.password")),
        (r#"{"req":"SetRTMPPublishConfig","params":{},"seq":1}"#, Error(1, "a list, received an object")),
        (r#"{"req":"SetRTMPPublishConfig","params":[{"enable":1,"channel":0,"quality":"hd","url":""}],"seq":1}"#, Error(1, "params[0].enable")),
        (r#"{"req":"SetRTMPPublishConfig","params":[{"enable":true,"channel":-1,"quality":"hd","url":""}],"seq":1}"#, Error(102, "params[0].channel")),
        (r#"{"req":"SetRTMPPublishConfig","params":[[true,0,"hd",""]],"seq":1}"#, Error(1, "params[0]")),
        (r#"{"req":"AlarmMoveDetectConfig","params":{"channel":0,"enable":true,"sensitivity":101,"delay":1},"seq":1}"#, Error(1, "params.sensitivity: expected an integer from 0 to 100")),
        (r#"{"req":"AlarmMoveDetectConfig","params":{"channel":0,"enable":true,"start":86401,"sensitivity":1,"delay":1},"seq":1}"#, Error(1, "params.start")),
        (r#"{"req":"AlarmRectIntrusionDetectConfig","params":{"channel":0,"enable":true,"sensitivity":1,"delay":1,"rect":[0,0,1,0,0,1,1,1]},"seq":1}"#, Error(1, "params.rect: expected an object")),
        (r#"{"req":"AlarmRectIntrusionDetectConfig","params":{"channel":0,"enable":true,"sensitivity":1,"delay":1,"rect":{"ulx":0}},"seq":1}"#, Error(1, "params.rect.uly: is missing")),
        (r#"{"req":"Keepalive","params":{"state":9,"channels":[]},"seq":1}"#, Error(1, "params.state: expected one of 1 2 3")),
        (r#"{"req":"Keepalive","params":{"state":1,"channels":[{"channel":0,"state":1},{"channel":1}]},"seq":1}"#, Error(1, "params.channels[1].state: is missing")),
        // Params, answers and events with what no value can hold.
        (r#"{"req":"GetFirmware","params":{"x":1e999},"seq":1}"#, Served),
        (r#"{"req":"GetFirmware","params":{"x":"\udc00"},"seq":1}"#, Served),
        (r#"{"req":"RebootChannel","params":{"channel":0,"fee":1e400},"seq":1}"#, Error(1, "RebootChannel: params: expected JSON that can be read, received number out of range")),
        (r#"{"req":"RebootChannel","params":{"channel":0,"\ud800":{}},"seq":1}"#, Error(1, "hex escape")),
        (r#"{"req":"RebootChannel","params":[[{"x":-1e400}]],"seq":1}"#, Error(1, "out of range")),
        (r#"{"req":"RebootChannel","params":1e400,"seq":1}"#, Error(1, "out of range")),
        (r#"{"resp":{"fee":1e400},"seq":1}"#, Failed(1)),
        (r#"{"resp":["\ud800"],"seq":1}"#, Failed(1)),
        (r#"{"event":"CtrlPTZ","params":{"channel":0,"op":"stop","x":1e400}}"#, Ignored("CtrlPTZ: params: expected JSON that can be read")),
        (r#"{"event":"CtrlPTZ","params":{"channel":0,"op":"\udc00"}}"#, Ignored("surrogate")),
        (r#"{"event":"Explode","params":1e400}"#, Ignored("Explode")),
        // Odd but good requests.
        (r#"{"req":"RebootChannel","params":{"channel":-1,"channel":0},"seq":1}"#, Served),
        (r#"{"req":"RebootChannel","params":{"channel":4294967295,"x":{}},"seq":-9223372036854775808}"#, Served),
        (r#"{"req":"GetFirmware","params":"whatever","seq":18446744073709551615}"#, Served),
        (r#"{"seq":1,"id":"\ud800","req":"GetRTMPPublishConfig"}"#, Served),
        (r#"{"req":"RebootChannel","params":{"channel":1.0},"seq":1}"#, Served),
        (r#"{"req":"RTMPPublish","params":{"channel":0e0,"quality":"hd","url":"u","stream_id":"s"},"seq":1}"#, Served),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":"u","stream_id":"s","max_bitrate":2.5e6},"seq":1}"#, Served),
        (r#"{"req":"RTMPPublish","params":{"channel":0,"quality":"hd","url":"u","stream_id":"s","max_bitrate":null},"seq":1}"#, Served),
        (r#"{"req":"StartCloudRecord","params":{"session_id":"s","channel":0.0,"quality":"hd","seg_duration":5.0,"seg_max_size":8388608.0,"seg_max_count":3.0,"prerecord_seconds":-0.0,"start_ts":-1.0,"cbk_url":"u"},"seq":1}"#, Served),
        (r#"{"req":"RebootChannel","params":{"channel":4294967296.0},"seq":1}"#, Error(102, "no such channel")),
        (r#"{"req":"RebootChannel","params":{"channel":-1.0},"seq":1}"#, Error(102, "no such channel")),
        (r#"{"req":"AlarmMoveDetectConfig","params":{"channel":0,"enable":true,"sensitivity":50.0,"delay":1e1},"seq":1}"#, Served),
        // Events: never answered.
        (r#"{"event":"Explode"}"#, Ignored("Explode")),
        (r#"{"event":"CtrlPTZ"}"#, Ignored("params")),
        (r#"{"event":"CtrlPTZ","params":{"channel":0,"op":"hunter2"}}"#, Ignored("params.op")),
        (r#"{"event":"CtrlPTZ","params":{"channel":-1,"op":"up"}}"#, Ignored("no such channel")),
        (r#"{"event":"SyncTime","params":{"datetime":"2016-13-05T02:15:32","offset":1}}"#, Ignored("params.datetime")),
        (r#"{"event":"SyncTime","params":{"datetime":"hunter2","offset":1}}"#, Ignored("params.datetime")),
        (r#"{"event":"CtrlPTZ","params":{"channel":0,"op":"stop","value":-9}}"#, Event),
        (r#"{"event":"UpgradeFirmware","params":[[]],"seq":"any"}"#, Event),
    ]
}

/// Spellings of deployed clouds that the specification does not have.
#[rustfmt::skip]
fn lenient() -> Vec<(&'static str, Outcome)> {
    vec![
        ("", Nothing),
        (" ", Nothing),
        ("\r\n", Nothing),
        ("\u{feff}", Nothing),
        ("\0", Nothing),
        ("\0\0", Nothing),
        ("\u{feff}\r\n\0", Nothing),
        ("\u{feff}{\"req\":\"GetFirmware\",\"seq\":1}", Served),
        ("\n\u{feff} {\"req\":\"GetFirmware\",\"seq\":1}", Served),
        ("{\"req\":\"GetFirmware\",\"seq\":1}\0", Served),
        ("{\"req\":\"GetFirmware\",\"seq\":1}\0\0\n", Served),
        ("{\"req\":\"GetFirmware\",\"seq\":1}\r\n\0", Served),
        ("{\"req\":\"GetFirmware\",\"seq\":1}\0{", Malformed("trailing")),
        ("\0{\"req\":\"GetFirmware\",\"seq\":1}", Malformed("not JSON")),
        (r#"{"resp":{},"err":null,"seq":1}"#, Reply),
        (r#"{"resp":null,"err":null,"seq":1}"#, Reply),
        (r#"{"resp":null,"err":{"code":7.0,"msg":"x"},"seq":1}"#, Failed(7)),
        (r#"{"req":null,"params":null,"event":null,"err":null,"resp":"","seq":1}"#, Reply),
        (r#"{"req":"GetFirmware","resp":null,"err":null,"event":null,"seq":1}"#, Served),
        (r#"{"event":"UpgradeFirmware","req":null,"resp":null,"err":null,"seq":null}"#, Event),
        (r#"{"resp":{},"seq":1.0}"#, Reply),
        (r#"{"resp":{},"seq":1e0}"#, Reply),
        (r#"{"resp":{},"seq":"1"}"#, Reply),
        (r#"{"resp":{},"seq":"2"}"#, WrongSeq),
        (r#"{"resp":{},"seq":1.5}"#, Malformed("no 64-bit integer")),
        (r#"{"req":"GetFirmware","seq":1.0}"#, Served),
        (r#"{"req":"GetFirmware","seq":1e3}"#, Served),
        (r#"{"req":"GetFirmware","seq":-0}"#, Served),
        (r#"{"req":"GetFirmware","seq":"1"}"#, Served),
        (r#"{"req":"GetFirmware","seq":"-9223372036854775808"}"#, Served),
    ]
}

fn large() -> Vec<(String, Outcome)> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let request = |params: String| format!(r#"{{"req":"GetFirmware","params":{params},"seq":1}}"#);
    let padded = |length: usize| {
        let bare = r#"{"req":"GetFirmware","seq":1}"#;
        format!("{bare}{}", " ".repeat(length - bare.len()))
    };
    vec![
        (padded(MAX_MESSAGE), Served),
        (padded(MAX_MESSAGE + 1), TooLong),
        (" ".repeat(MAX_MESSAGE + 1), TooLong),
        (" ".repeat(MAX_MESSAGE), Nothing),
        (format!(r#"{{"req":"GetFirmware","seq":{}}}"#, "9".repeat(10_000_000)), TooLong),
        (
            format!(r#"{{"req":"GetFirmware","seq":{}}}"#, "9".repeat(60_000)),
            Malformed("out of range"),
        ),
        (
            format!(r#"{{"req":"GetFirmware","seq":0.{}}}"#, "1".repeat(60_000)),
            Malformed("no 64-bit"),
        ),
        (format!(r#"{{"resp":{{}},"seq":1e{}}}"#, "9".repeat(60_000)), Malformed("out of range")),
        (request(nested(100)), Served),
        (request(nested(129)), Served),
        (
            request(nested(129)).replace("GetFirmware", "RebootChannel"),
            Error(
                1,
                "RebootChannel: params: expected JSON that can be read, received recursion limit",
            ),
        ),
        (request(nested(30_000)), Served),
        (
            request(nested(30_000)).replace("GetFirmware", "RebootChannel"),
            Error(1, "RebootChannel: params: expected at most 4096 values"),
        ),
        ("[".repeat(60_000), Malformed("another type")),
        (r#"{"req":"#.repeat(9_000), Malformed("EOF")),
        (format!(r#"{{"req":{},"seq":1}}"#, nested(20_000)), Malformed("expected few values")),
        (format!(r#"{{"err":{},"seq":1}}"#, nested(20_000)), Malformed("expected few values")),
        (format!(r#"{{"req":"a","seq":{}}}"#, nested(20_000)), Malformed("expected few values")),
        (format!(r#"{{"req":{},"seq":1}}"#, nested(129)), Malformed("recursion limit")),
        (format!(r#"{{"resp":{},"seq":1}}"#, nested(129)), Failed(1)),
        (format!(r#"{{"event":"SyncTime","params":{}}}"#, nested(129)), Ignored("recursion limit")),
        (format!(r#"{{"resp":{},"seq":1}}"#, nested(20_000)), Failed(1)),
        (format!(r#"{{"event":"SyncTime","params":{}}}"#, nested(20_000)), Ignored("4096 values")),
        (format!(r#"{{"x":{},"req":"GetFirmware","seq":1}}"#, nested(20_000)), Served),
        (request(format!("[{}0]", "0,".repeat(30_000))), Served),
        (request(format!("[{}0]", r#"{"":0},"#.repeat(9_000))), Served),
        (
            format!(
                r#"{{"req":"RebootChannel","params":{{"channel":0,"x":[{}0]}},"seq":1}}"#,
                "[],".repeat(20_000)
            ),
            Error(1, "expected at most 4096 values"),
        ),
        (
            format!(
                r#"{{"req":"RebootChannel","params":{{{}"channel":0}},"seq":1}}"#,
                r#""channel":1,"#.repeat(5_000)
            ),
            Error(1, "expected at most 4096 values"),
        ),
        (
            format!(
                r#"{{"req":"RebootChannel","params":{{{}"channel":0}},"seq":1}}"#,
                r#""channel":1,"#.repeat(4_000)
            ),
            Served,
        ),
        (format!(r#"{{"req":"{}","seq":1}}"#, "é\u{7f}".repeat(20_000)), Error(101, "…")),
        (format!(r#"{{{}"req":"GetFirmware","seq":1}}"#, r#""a":1,"#.repeat(9_000)), Served),
        (format!(r#"{{"event":"{}"}}"#, "x".repeat(65_000)), Ignored("…")),
    ]
}

/// Feeds one packet to a device that waits for the answer to its Keepalive, and serves it.
/// Returns what happened and the text that says so.
pub fn feed(text: &str) -> (Outcome, String) {
    let now = origin();
    let mut device = Peer::default();
    device.call(now, "Keepalive", None).unwrap();
    device.poll_transmit().unwrap();
    match device.handle_text(now, text) {
        Ok(()) => {}
        Err(violation) => {
            let said = violation.to_string();
            // A packet that violates leaves the peer as it was.
            device.handle_text(now, r#"{"resp":{},"seq":1}"#).unwrap();
            let outcome = match violation {
                Violation::Malformed { .. } => Malformed(""),
                Violation::TooLong { .. } => TooLong,
                Violation::WrongSeq { .. } => WrongSeq,
                Violation::Unasked { .. } => Unasked,
                other => panic!("{other}"),
            };
            return (outcome, said);
        }
    }
    if let Some((_, result)) = device.poll_reply() {
        return match result {
            Ok(_) => (Reply, String::new()),
            Err(error) => (Failed(error.code), error.to_string()),
        };
    }
    if let Some(event) = device.poll_event() {
        return match event.check() {
            Ok(()) => (Event, String::new()),
            Err(error) => (Ignored(""), error.to_string()),
        };
    }
    let Some(request) = device.poll_request() else { return (Nothing, String::new()) };
    device.respond(now, request.ticket, request.call.check().map(|()| json!({})));
    let answer = device.poll_transmit().unwrap();
    let value: Value = serde_json::from_str(&answer).unwrap();
    if let Ok(sent) = serde_json::from_str::<Value>(text) {
        assert_eq!(value["seq"], sent["seq"]);
    }
    match value.get("err") {
        None => (Served, answer),
        Some(err) => {
            let error: RpcError = serde_json::from_value(err.clone()).unwrap();
            (Error(error.code, ""), error.to_string())
        }
    }
}

pub fn head(text: &str) -> String {
    text.chars().take(120).collect()
}

#[test]
fn every_row_has_its_outcome() {
    let rows = rows();
    assert!(rows.len() >= 80, "{} rows", rows.len());
    for (text, expected) in rows {
        let (outcome, said) = feed(&text);
        let (same, part) = match (outcome, expected) {
            (Malformed(_), Malformed(part)) | (Ignored(_), Ignored(part)) => (true, part),
            (Error(code, _), Error(other, part)) => (code == other, part),
            (outcome, expected) => (outcome == expected, ""),
        };
        assert!(same, "{}: {outcome:?} {said}, not {expected:?}", head(&text));
        assert!(said.contains(part), "{}: {said}, without {part}", head(&text));
    }
}

#[test]
fn no_error_repeats_a_password_or_a_huge_text() {
    for (text, _) in rows() {
        let (outcome, said) = feed(&text);
        assert!(!said.contains(SECRET), "{}: {said}", head(&text));
        assert!(said.chars().count() < 300, "{}: {outcome:?} {} long", head(&text), said.len());
    }
}

#[test]
fn an_answer_to_nothing_is_a_violation() {
    let mut peer = Peer::default();
    for text in [r#"{"resp":{},"seq":1}"#, r#"{"err":{"code":1,"msg":""},"seq":0}"#] {
        let violation = peer.handle_text(origin(), text).unwrap_err();
        assert!(matches!(violation, Violation::Unasked { .. }), "{violation}");
    }
}

#[test]
fn a_packet_cut_anywhere_is_malformed() {
    let good = |outcome: &Outcome| matches!(outcome, Served | Reply | Failed(_) | Event);
    for (text, _) in fixed().iter().filter(|(_, outcome)| good(outcome)) {
        for cut in 0..text.trim_end().len() {
            let (outcome, said) = feed(&text[..cut]);
            let blank = outcome == Nothing && text[..cut].trim().is_empty();
            let cut_off = matches!(outcome, Malformed(_)) || blank;
            assert!(cut_off, "{text} cut at {cut}: {outcome:?} {said}");
        }
    }
}
