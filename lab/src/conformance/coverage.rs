//! The specifications beside the cases: nothing that they say may be without one, and no case without its place.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{Call, Event};

use super::choice::Choice;
use super::{ivc, tlss};

/// What a specification says, and the patterns of the cases that try it, or why none can.
type Row = (&'static str, Result<&'static [&'static str], &'static str>);

const HEAD: &str = "# What of the specifications is tried

Written by the test `nothing_that_is_specified_is_without_a_case` with `UPDATE_TABLES=1`. [conformance.md](../conformance.md) tells how a device is tried.
";

const IVC: [Row; 40] = [
    ("A camera has one channel, and its number is 0 (名词解释)", Ok(&["keepalive.channels"])),
    ("Login by a URL with four members (协议特性)", Ok(&["login.comes", "login.models"])),
    ("Requests are answered in their order (协议特性, 1)", Ok(&["packet.order"])),
    (
        "Each direction counts for itself and waits for no other (协议特性, 1)",
        Ok(&["packet.independent", "packet.own_seq"]),
    ),
    ("Events have no answer (协议特性, 2)", Ok(&["packet.event_silent"])),
    (
        "A Keepalive every 10 s, the first one at once (流程, 3)",
        Ok(&["keepalive.period", "login.first_request"]),
    ),
    (
        "An answer with another seq ends the connection (异常处理, 1)",
        Ok(&["close.wrong_seq", "close.unasked"]),
    ),
    (
        "So does an answer that does not come within 20 s (异常处理, 2)",
        Ok(&["close.silence", "packet.answer", "publish.no_server"]),
    ),
    ("So does a malformed packet (异常处理, 3)", Ok(&["close.malformed.*"])),
    (
        "A device that was disconnected tries again (最小实现, 2)",
        Ok(&["login.again", "login.refused", "login.duplicate"]),
    ),
    (
        "Login name and password can be set (最小实现, 7)",
        Err("whoever runs the cases has set them"),
    ),
    (
        "Packets are JSON in messages of a WebSocket (应用层协议数据包格式)",
        Ok(&["packet.pieces", "packet.binary", "packet.large", "close.too_large", "login.pong"]),
    ),
    (
        "Request: req, params, seq (RPC request)",
        Ok(&["packet.unknown_member", "method.*.params", "firmware.params"]),
    ),
    (
        "Success: the seq of the request, and resp (RPC调用成功的response)",
        Ok(&["packet.seq", "packet.empty"]),
    ),
    ("A method that is none is refused (通用的error code, 101)", Ok(&["packet.unknown_method"])),
    ("Refusal: code and msg (RPC调用失败的response)", Ok(&["packet.refusal"])),
    ("Event: event and params (事件通知)", Ok(&["packet.unknown_event", "event.*.params"])),
    (
        "Keepalive: states, stream_id, record_session, alarm",
        Ok(&[
            "keepalive.content",
            "publish.keepalive",
            "publish.told_end",
            "record.keepalive",
            "record.told_end",
            "alarm.bits",
            "channel.offline",
        ]),
    ),
    (
        "Keepalive: state 2 while firmware is installed",
        Err("a run offers no firmware, which would be installed"),
    ),
    (
        "AlarmNotify: start, end, picture",
        Ok(&["alarm.start", "alarm.end", "alarm.picture", "alarm.form"]),
    ),
    ("preview_server: the picture", Ok(&["preview.picture"])),
    (
        "RTMPPublish: the stream, its quality, and max_bitrate",
        Ok(&["publish.arrives", "publish.pace", "publish.quality", "publish.bitrate"]),
    ),
    (
        "RTMPPublish: one stream at a time; the one that runs is a success",
        Ok(&["publish.duplicate", "publish.same"]),
    ),
    (
        "RTMPStopPublish: also of a stream that does not exist",
        Ok(&["publish.stop", "publish.stop_none"]),
    ),
    (
        "StartCloudRecord: session, quality, max_bitrate, cbk_url",
        Ok(&["record.starts", "record.bitrate", "record.long_url"]),
    ),
    (
        "StartCloudRecord: seg_duration, seg_max_size, start_ts",
        Ok(&["segments.duration", "segments.size", "segments.start_ts", "segments.own_time"]),
    ),
    ("StartCloudRecord: prerecord_seconds", Ok(&["segments.prerecord"])),
    (
        "StartCloudRecord: seg_max_count",
        Err("what a device holds in memory is not seen from outside, and a card may hold more"),
    ),
    (
        "StopCloudRecord: also of a session that does not exist",
        Ok(&["record.stop", "record.stop_none"]),
    ),
    (
        "Recording service: create, PUT, fail, save (field notes)",
        Ok(&[
            "segments.form",
            "segments.sequence",
            "segments.confirmed",
            "segments.pacing",
            "segments.retry",
            "segments.reset",
            "segments.give_up",
            "segments.service_error",
        ]),
    ),
    (
        "Recording service: stat, getcurrenttime (field notes)",
        Err("newer services alone know them, and a device need not ask"),
    ),
    (
        "Detection: enable, start, end, rect",
        Ok(&["settings.motion", "settings.line", "settings.off", "settings.hours"]),
    ),
    (
        "Detection: sensitivity, delay, the effect of rect",
        Err("whoever raises the alarms alone knows what there was to detect, and when"),
    ),
    ("SetRTMPPublishConfig: the list is published and kept", Ok(&["settings.publish_list"])),
    ("SetWifiConfig", Ok(&["settings.wifi"])),
    ("RebootChannel", Ok(&["settings.reboot"])),
    ("UpgradeFirmware makes the device ask by GetFirmware", Ok(&["firmware.asks"])),
    (
        "SyncTime, CtrlPTZ and the presets: the effect",
        Err("no method tells the clock or the position; a picture of the stream shows it"),
    ),
    ("The form of each answer", Ok(&["method.*"])),
    ("Each event is taken", Ok(&["event.*"])),
];

const CODES: [(i64, &[&str]); 6] = [
    (RpcError::INTERNAL, &["method.*.params"]),
    (RpcError::BITRATE, &["publish.bitrate", "record.bitrate"]),
    (RpcError::DUPLICATE, &["publish.duplicate"]),
    (RpcError::UNSUPPORTED, &["packet.unknown_method"]),
    (RpcError::NO_CHANNEL, &["method.*.channel"]),
    (RpcError::OFFLINE, &["channel.offline"]),
];

const TLSS: [Row; 15] = [
    ("The device calls the server (how it works, 1)", Ok(&["call.arrives", "call.quiet"])),
    ("It begins with its identity (communication API)", Ok(&["identity.form"])),
    (
        "Each message has its length before it, 4 bytes (packet format)",
        Ok(&["identity.length", "reply.length", "length.*", "command.split", "command.coalesced"]),
    ),
    (
        "The server sends a CGI command (how it works, 2)",
        Ok(&["command.slashless", "command.endings"]),
    ),
    ("The device answers it (how it works, 3)", Ok(&["reply.form", "reply.whole"])),
    ("The server may send another (how it works, 4)", Ok(&["command.several"])),
    ("done ends the session (how it works, 5)", Ok(&["done.*"])),
    ("7 s after the identity (Socket Connection Timeout)", Ok(&["timer.identity"])),
    ("7 s after a reply (Socket Connection Timeout)", Ok(&["timer.reply", "call.again"])),
    ("The update interval (device setup)", Ok(&["call.interval"])),
    (
        "Enable, server and port can be set (device setup)",
        Err("whoever runs the cases has set them"),
    ),
    (
        "All parameters, and those of a group (CGI commands)",
        Ok(&["command.all", "command.parameters"]),
    ),
    ("Counting report and heat map (CGI commands)", Ok(&["report.*"])),
    ("Pictures (field notes)", Ok(&["picture"])),
    ("What no server should be able to do (reliability)", Ok(&["refuse.*"])),
];

/// The ids that the patterns match; each has to match one.
fn matched(what: &str, patterns: &[&str], ids: &[String]) -> BTreeSet<String> {
    let of = |pattern: &&str| {
        let choice = Choice::only(&[*pattern]);
        let found: Vec<_> = ids.iter().filter(|id| choice.takes(id, true)).cloned().collect();
        assert!(!found.is_empty(), "{what}: no case is named {pattern}");
        found
    };
    patterns.iter().flat_map(of).collect()
}

/// Checks a table against the cases in both directions, and writes it down.
fn table(text: &mut String, title: &str, rows: &[Row], ids: &[String]) {
    writeln!(text, "\n## {title}\n\n| what is specified | cases |\n|---|---|").unwrap();
    let mut known = BTreeSet::new();
    for (what, cases) in rows {
        let cases = match cases {
            Ok(patterns) => {
                known.extend(matched(what, patterns, ids));
                let names: Vec<_> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
                names.join(", ")
            }
            Err(why) => format!("none: {why}"),
        };
        writeln!(text, "| {what} | {cases} |").unwrap();
    }
    let lost: Vec<_> = ids.iter().filter(|id| !known.contains(*id)).collect();
    assert!(lost.is_empty(), "{lost:?} have no place");
}

#[test]
fn nothing_that_is_specified_is_without_a_case() {
    let rules = ivc::all();
    let named = |name: &str| {
        rules.iter().any(|rule| rule.section.split([' ', ',']).any(|word| word == name))
    };
    for name in Call::NAMES.iter().chain(Event::NAMES) {
        assert!(named(name), "{name} has no case");
    }
    let of_rules = rules.iter().map(|rule| rule.id.clone());
    let ids: Vec<String> = ["login.comes".to_owned()].into_iter().chain(of_rules).collect();
    let mut text = HEAD.to_owned();
    table(&mut text, "IVR RPC", &IVC, &ids);
    text.push_str("\n| error code | cases |\n|---|---|\n");
    for (code, patterns) in CODES {
        matched(&code.to_string(), patterns, &ids);
        writeln!(text, "| {code} | `{}` |", patterns.join("`, `")).unwrap();
    }
    let ids: Vec<String> = tlss::Check::ALL.iter().map(|check| check.id().to_owned()).collect();
    table(&mut text, "The hosted service (TLSS)", &TLSS, &ids);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance/specification.md");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/conformance/specification.md is another one; UPDATE_TABLES=1 writes it:\n{text}"
    );
}
