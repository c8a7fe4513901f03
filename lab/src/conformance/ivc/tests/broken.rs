//! One way of being wrong for each rule.

use crate::report::Verdict;

/// What a device does wrong. Names of methods, events and packets say where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    NeverLogsIn,
    Floods,
    NoModels,
    AsksForFirmwareFirst,
    PreviewFirst,
    NoPong,
    LeavesAtPing,
    PublicSdk,
    StaysAway,
    KnocksOnAndOn,
    StateNine,
    OnlyChannelFive,
    SlowKeepalive,
    Answerless,
    ShortSeq,
    AnswersBackwards,
    AnswersWhenAnswered,
    RepeatsSeq,
    SuccessIsOne,
    SuccessIsText,
    KnowsEveryMethod,
    ErrorIsText,
    RefusesUnknownMembers,
    PassesOverLargePackets,
    OddForm(&'static str),
    TakesAnyParams(&'static str),
    TakesAnyChannel(&'static str),
    LeavesAt(&'static str),
    LeavesAtOdd(&'static str),
    NothingPublished,
    SlowStream,
    StateStaysOnline,
    SecondStream,
    RefusesItsOwnStream,
    NoFullQuality,
    NoBitrateLimit,
    PublishedByItsWord,
    StreamGoesOn,
    StopOfNoneFails,
    NothingUploaded,
    NoRecordSession,
    NoRecordLimit,
    RecordsOn,
    StopRecordOfNoneFails,
    NoTransportStream,
    LongSegments,
    LargeSegments,
    OwnTime,
    Gaps,
    NeverSaves,
    Rushes,
    KeepsEverything,
    KeepsNothing,
    NoSecondTry,
    EndsAtFailedPut,
    EndsAtFailedCreate,
    EndWithoutStart,
    NoAlarmBit,
    LowAlarmBit,
    AlarmNeverEnds,
    PictureIsText,
    AlarmOfTypeNine,
    PreviewIsText,
    NoHoursOverMidnight,
    NoRect,
    ForgetsItsList,
    JoinsAnother,
    RebootsBeforeItAnswers,
    StaysAfterWrongSeq,
    StaysAfterUnasked,
    WaitsForEver,
    StaysAfter(&'static str),
    StaysAfterNoText,
    PassesOverPieces,
    DeafAfterBinary,
    PassesOverBinary,
    FightsForItsLogin,
    OfflineIsInternal,
    OfflineStaysOnline,
    LiveForEver,
    AnotherSession,
    StaleSession,
    ShortUrls,
    BeforeTime,
    EndsAndTells,
    ReportsWhenOff,
    ReportsAtAnyHour,
    AnswersEvents,
    FirmwareWithParams,
}

/// The fault that the check of this rule has to find, and as what; `None` where no device is broken for a rule.
pub fn of(id: &str) -> Option<(Fault, Verdict)> {
    use Fault::*;
    let fail = |fault| Some((fault, Verdict::Fail));
    if id == "close.malformed.binary" {
        return fail(StaysAfterNoText);
    }
    if let Some(kind) = id.strip_prefix("close.malformed.") {
        let (_, _, text) = crate::conformance::ivc::rules::close::MALFORMED
            .iter()
            .find(|(name, ..)| *name == kind)?;
        return fail(StaysAfter(text));
    }
    if let Some(event) = id.strip_prefix("event.") {
        return fail(match event.strip_suffix(".params") {
            Some(event) => LeavesAtOdd(String::leak(event.to_owned())),
            None => LeavesAt(String::leak(event.to_owned())),
        });
    }
    if let Some(method) = id.strip_prefix("method.") {
        let (name, part) = method.split_once('.').unwrap_or((method, ""));
        let name = String::leak(name.to_owned());
        return fail(match part {
            "params" => TakesAnyParams(name),
            "channel" => TakesAnyChannel(name),
            _ => OddForm(name),
        });
    }
    fail(match id {
        "login.comes" => NeverLogsIn,
        "run.end" => Floods,
        "login.models" => NoModels,
        "login.first_request" => AsksForFirmwareFirst,
        "login.pong" => LeavesAtPing,
        "login.again" => StaysAway,
        "login.refused" => KnocksOnAndOn,
        "login.duplicate" => FightsForItsLogin,
        "keepalive.content" => StateNine,
        "keepalive.channels" => OnlyChannelFive,
        "keepalive.period" => SlowKeepalive,
        "packet.answer" => Answerless,
        "packet.seq" => ShortSeq,
        "packet.order" => AnswersBackwards,
        "packet.independent" => AnswersWhenAnswered,
        "packet.own_seq" => RepeatsSeq,
        "packet.empty" => SuccessIsOne,
        "packet.unknown_method" => KnowsEveryMethod,
        "packet.refusal" => ErrorIsText,
        "packet.unknown_event" => LeavesAt("NoSuchEvent"),
        "packet.event_silent" => AnswersEvents,
        "packet.unknown_member" => RefusesUnknownMembers,
        "packet.large" => PassesOverLargePackets,
        "packet.pieces" => PassesOverPieces,
        "packet.binary" => DeafAfterBinary,
        "publish.arrives" => NothingPublished,
        "publish.pace" => SlowStream,
        "publish.keepalive" => StateStaysOnline,
        "publish.duplicate" => SecondStream,
        "publish.same" => RefusesItsOwnStream,
        "publish.quality" => NoFullQuality,
        "publish.bitrate" => NoBitrateLimit,
        "publish.no_server" => PublishedByItsWord,
        "publish.stop" => StreamGoesOn,
        "publish.told_end" => LiveForEver,
        "publish.stop_none" => StopOfNoneFails,
        "record.starts" => NothingUploaded,
        "record.keepalive" => NoRecordSession,
        "record.bitrate" => NoRecordLimit,
        "record.stop" => RecordsOn,
        "record.told_end" => AnotherSession,
        "record.long_url" => ShortUrls,
        "record.stop_none" => StopRecordOfNoneFails,
        "segments.form" => NoTransportStream,
        "segments.duration" => LongSegments,
        "segments.size" => LargeSegments,
        "segments.start_ts" => OwnTime,
        "segments.own_time" => BeforeTime,
        "segments.sequence" => Gaps,
        "segments.confirmed" => NeverSaves,
        "segments.service_error" => EndsAtFailedCreate,
        "segments.prerecord" => KeepsEverything,
        "segments.retry" | "segments.reset" => NoSecondTry,
        "segments.give_up" => EndsAtFailedPut,
        "alarm.start" => EndWithoutStart,
        "alarm.bits" => NoAlarmBit,
        "alarm.end" => AlarmNeverEnds,
        "alarm.picture" => PictureIsText,
        "alarm.form" => AlarmOfTypeNine,
        "channel.offline" => OfflineIsInternal,
        "preview.picture" => PreviewIsText,
        "firmware.asks" => LeavesAt("UpgradeFirmware"),
        "firmware.params" => FirmwareWithParams,
        "settings.motion" => NoHoursOverMidnight,
        "settings.line" => NoRect,
        "settings.publish_list" => ForgetsItsList,
        "settings.off" => ReportsWhenOff,
        "settings.hours" => ReportsAtAnyHour,
        "settings.wifi" => JoinsAnother,
        "settings.reboot" => RebootsBeforeItAnswers,
        "close.wrong_seq" => StaysAfterWrongSeq,
        "close.unasked" => StaysAfterUnasked,
        "close.silence" => WaitsForEver,
        // No rule of the specification: what deployed devices do for the sake of a thin uplink.
        "segments.pacing" => return Some((Rushes, Verdict::Deviation)),
        _ => return None,
    })
}

/// What a device like the public SDK does all at once.
pub const PUBLIC_SDK: [Fault; 4] =
    [Fault::PreviewFirst, Fault::NoPong, Fault::SuccessIsText, Fault::LowAlarmBit];

/// The ways of the public SDK, and others that a rule tells apart from those of [`of`].
pub const OTHERS: &[(&str, Fault, Verdict)] = &[
    ("segments.prerecord", Fault::KeepsNothing, Verdict::Fail),
    ("segments.service_error", Fault::EndsAndTells, Verdict::Deviation),
    ("record.told_end", Fault::StaleSession, Verdict::Deviation),
    ("packet.binary", Fault::PassesOverBinary, Verdict::Deviation),
    ("channel.offline", Fault::OfflineStaysOnline, Verdict::Fail),
    ("login.duplicate", Fault::StaysAway, Verdict::Fail),
    ("login.pong", Fault::NoPong, Verdict::Deviation),
    ("login.first_request", Fault::PreviewFirst, Verdict::Deviation),
    ("packet.empty", Fault::SuccessIsText, Verdict::Deviation),
    ("alarm.bits", Fault::LowAlarmBit, Verdict::Deviation),
];
