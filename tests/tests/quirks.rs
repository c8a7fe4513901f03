//! Each quirk of `camera-sim`: what a camera of the field does, and what must come of it. The table says what is
//! right; where a row is refused, it is refused with a reason that helps.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::frame::{AudioCodec, CLOCK_HZ, Frame, Track, duration_to_ticks};
use ivt_media::hub::{Item, Start};
use ivt_media::pull::{Pull, PullConfig, PullState};
use ivt_media::rtsp::{Credentials, Options, Patience, RtspOpener, Transport};
use ivt_sim::camera::quirk::Kind;
use ivt_sim::camera::{CameraOptions, CameraSim, Quirk, Quirks, Stream};
use ivt_tests::{Plan, camera, soon};
use tokio::time::timeout;

/// Rows that our client does not yet pass are left out unless this is set.
const DEMAND_ALL: bool = false;
/// A row takes no longer.
const DEADLINE: Duration = Duration::from_secs(30);
const LOSSY: usize = usize::MAX;

/// What must come of a camera.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Pictures, all of them.
    Flows,
    /// The pull fails, and the reason has one of these words.
    Refused(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug)]
struct Row {
    quirk: &'static str,
    over: Transport,
    outcome: Outcome,
    /// The sound that comes with the pictures.
    sound: Option<(AudioCodec, u32)>,
    /// Pictures to wait for.
    pictures: usize,
    /// From one key picture to the next; [`LOSSY`] where pictures are lost on the way.
    gop: usize,
    /// From one picture to the next, ticks.
    step: i64,
    /// Sets of parameters that are seen.
    sets: usize,
    /// Connections it takes.
    connections: u64,
    /// The times must follow the arrival, from the sixth second on.
    clocked: bool,
    passes_today: bool,
}

const fn flows(quirk: &'static str) -> Row {
    Row {
        quirk,
        over: Transport::Tcp,
        outcome: Outcome::Flows,
        sound: Some((AudioCodec::Aac, 16_000)),
        pictures: 50,
        gop: 15,
        step: CLOCK_HZ / 15,
        sets: 1,
        connections: 1,
        clocked: false,
        passes_today: true,
    }
}

const fn refused(quirk: &'static str, words: &'static [&'static str]) -> Row {
    Row { outcome: Outcome::Refused(words), ..flows(quirk) }
}

impl Row {
    const fn not_yet(self) -> Self {
        Self { passes_today: false, ..self }
    }

    const fn over(self, over: Transport) -> Self {
        Self { over, ..self }
    }

    const fn mute(self) -> Self {
        Self { sound: None, ..self }
    }

    const fn with(self, codec: AudioCodec, rate: u32) -> Self {
        Self { sound: Some((codec, rate)), ..self }
    }

    const fn lossy(self) -> Self {
        Self { gop: LOSSY, ..self }
    }

    /// So many connections are needed.
    const fn dials(self, connections: u64) -> Self {
        Self { connections, ..self }
    }

    /// Long enough for two keepalives of a session of three seconds.
    const fn long(self) -> Self {
        Self { pictures: 120, ..self }
    }

    /// A clip of 25 pictures a second with a key picture every 20.
    const fn fast(self) -> Self {
        Self { gop: 20, step: CLOCK_HZ / 25, pictures: 80, ..self }
    }

    const fn clocked(self) -> Self {
        Self { pictures: 200, clocked: true, ..self }
    }
}

const SDP: &[Row] = &[
    flows("sprop_semi").not_yet(),
    flows("sprop_annexb"),
    flows("sprop_bad"),
    flows("sprop_only"),
    flows("sdp_bare").mute().not_yet(),
    flows("sdp_cin").mute().not_yet(),
    flows("sdp_oaddr").not_yet(),
    flows("sdp_null").mute(),
    flows("sdp_macro").mute(),
    flows("sdp_nul"),
    flows("sdp_cr").not_yet(),
    flows("sdp_spaces").not_yet(),
    flows("sdp_latin").not_yet(),
    flows("sdp_upper"),
    flows("sdp_order"),
    flows("sdp_two_formats").not_yet(),
    flows("sdp_no_control").mute(),
    flows("ctype_charset").not_yet(),
    flows("ctype_missing"),
    flows("clock30000").not_yet(),
    flows("sdp_no_equals").not_yet(),
    refused("mjpeg", &["JPEG", "jpeg"]),
    refused("sdp_no_format", &["no stream", "offers"]).not_yet(),
    refused("sdp_empty", &["no stream", "offers", "SDP", "description"]),
];

const RTSP: &[Row] = &[
    flows("session_late").not_yet(),
    flows("session_never").not_yet(),
    flows("session_empty").not_yet(),
    flows("no_transport").not_yet(),
    flows("no_interleaved").not_yet(),
    flows("other_channels"),
    flows("same_channel").not_yet(),
    flows("ssrc_first"),
    flows("ssrc_wrong").not_yet(),
    flows("redirect").dials(2).not_yet(),
    flows("redirect_chain").dials(4).not_yet(),
    flows("redirect_host").dials(2).not_yet(),
    flows("busy").dials(3),
    flows("slow_describe=6").not_yet(),
    flows("late_first=11").not_yet(),
    flows("rtpinfo_rel"),
    flows("rtpinfo_empty").not_yet(),
    flows("rtpinfo_wrong").not_yet(),
    flows("base_noscheme"),
    flows("base_wrong"),
    flows("cam_request=1").not_yet(),
    flows("cam_announce=1").not_yet(),
    flows("cseq_zero").not_yet(),
    flows("cseq_missing").not_yet(),
    flows("headers_lower"),
    flows("headers_spaced").not_yet(),
    flows("headers_folded").not_yet(),
    flows("headers_lf").not_yet(),
    flows("headers_bare").not_yet(),
    flows("packets_early"),
    refused("redirect_loop", &["redirect"]).not_yet(),
    refused("redirect_http", &["redirect", "http"]).not_yet(),
    refused("web_server", &["web server", "HTTP"]).not_yet(),
];

const KEEPALIVE: &[Row] = &[
    flows("timeout10=3").long(),
    flows("ka_off_by_one=3").long(),
    flows("ka_set_only=3").long().not_yet(),
    flows("ka_never=3").long().not_yet(),
    flows("ka_454=3").long(),
    flows("ka_get_mute=3").long().not_yet(),
    flows("ka_mid_burst=3").long(),
    flows("public_absent=3").long(),
    flows("nonce_keepalive=3").long(),
    // Each keepalive ends the connection: it is opened anew at once.
    flows("ka_454_close=3").long().lossy().dials(8),
];

const LOGIN: &[Row] = &[
    flows("nonce_setup").not_yet(),
    flows("auth_both"),
    flows("auth_basic_first"),
    flows("auth_basic_realm"),
    flows("auth_sha256"),
    flows("auth_dual").not_yet(),
    flows("auth_dual_md5first"),
    flows("auth_dual_md5only").not_yet(),
    flows("auth_qop").not_yet(),
    flows("auth_qop_sha256"),
    flows("auth_sess"),
    flows("auth_lower"),
    flows("auth_options"),
];

const RTP: &[Row] = &[
    flows("ssrc_gop").not_yet(),
    flows("midframe").not_yet(),
    flows("zero_payload=0.5").not_yet(),
    flows("padding_only=0.5").not_yet(),
    flows("padding_bad=0.5").not_yet(),
    flows("rtcp_on_data=0.5").not_yet(),
    flows("rtcp_short=0.5").not_yet(),
    flows("foreign_type=0.5").not_yet(),
    flows("seq_reset=1").not_yet(),
    flows("seq_dup"),
    flows("seq_frozen").not_yet(),
    flows("tcp_loss").lossy(),
    flows("rtp_ext"),
    flows("rtp_short=0.5").not_yet(),
    flows("stray_channels=0.5"),
    flows("empty_packets=0.5").not_yet(),
    flows("no_reports"),
];

const UDP: &[Row] = &[
    flows("udp_noport").over(Transport::Udp).not_yet(),
    flows("udp_otherport").over(Transport::Udp).not_yet(),
    flows("udp_reorder").over(Transport::Udp).long().not_yet(),
    flows("udp_reorder_rare").over(Transport::Udp).clocked(),
    flows("udp_dup").over(Transport::Udp),
    flows("ssrc_gop").over(Transport::Udp).not_yet(),
    flows("padding_only=0.5").over(Transport::Udp).not_yet(),
    flows("no_reports").over(Transport::Auto),
    flows("udp_461").over(Transport::Auto),
    flows("tcp_461").over(Transport::Auto).dials(2).not_yet(),
    refused("udp_461", &["tcp"]).over(Transport::Udp).not_yet(),
    refused("tcp_461", &["udp"]).over(Transport::Tcp).not_yet(),
];

const VIDEO: &[Row] = &[
    flows("sei_mark"),
    flows("aud_mark").not_yet(),
    flows("filler_mark"),
    flows("marker_slices").mute().not_yet(),
    flows("marker_never"),
    flows("slices_ok").mute(),
    flows("fua_empty"),
    flows("fua_both"),
    flows("fua_mark_early").not_yet(),
    flows("fua_no_start").not_yet(),
    flows("annexb_start").not_yet(),
    flows("annexb_whole").not_yet(),
    flows("stap_a"),
    flows("stap_bad").not_yet(),
    flows("nal_unknown").not_yet(),
    flows("two_pps").not_yet(),
    flows("no_idr").mute().not_yet(),
    flows("bframes").fast(),
    Row { pictures: 150, sets: 2, ..flows("sps_change") },
    flows("hevc_ap").fast(),
    // The first group of pictures lacks its leading pictures.
    flows("hevc_cra").fast().not_yet(),
    flows("hevc_mark").fast().not_yet(),
    flows("bigkey"),
];

const TIME: &[Row] = &[
    flows("ts_hours").clocked(),
    flows("ts_future").clocked(),
    flows("ts_frozen").clocked().not_yet(),
    flows("ts_frozen_nomark").clocked().not_yet(),
    flows("ts_millis").clocked().not_yet(),
    flows("ts_fast").clocked().not_yet(),
    flows("fps_lies").clocked().not_yet(),
    flows("ts_jump").clocked(),
    flows("ts_back").clocked().not_yet(),
    flows("ts_wrap").clocked(),
    flows("aac_half").clocked().not_yet(),
    flows("aac_clock90k").clocked().not_yet(),
    flows("reports_wrong").clocked(),
];

const SOUND: &[Row] = &[
    flows("aac_fmtp_pt").not_yet(),
    flows("aac_rate").not_yet(),
    flows("aac_nomark").not_yet(),
    flows("aac_fragments"),
    flows("aac_packed"),
    flows("aac_interleaved").not_yet(),
    flows("aac_bad_headers").not_yet(),
    flows("aac_latm").not_yet(),
    flows("pcma").with(AudioCodec::Pcma, 8000),
    flows("g711_16k").with(AudioCodec::Pcmu, 16_000),
    flows("g726").mute(),
    flows("mp2").mute(),
    flows("backchannel").not_yet(),
    flows("sound_refused").mute(),
    flows("sound_late=2"),
];

const HOSTILE: &[Row] = &[
    refused("sdp_huge", &[""]).not_yet(),
    refused("sdp_many_media", &[""]),
    refused("header_endless", &[""]).not_yet(),
    refused("headers_many", &[""]),
    refused("length_huge", &[""]).not_yet(),
    refused("unit_endless", &[""]).not_yet(),
    refused("sprop_none", &[""]).not_yet(),
];

/// What a row gave, once it is over.
struct Seen {
    pictures: Vec<Arc<Frame>>,
    sound: Vec<Arc<Frame>>,
    lost: u64,
}

async fn run(row: &Row, camera: &CameraSim) -> Result<(), String> {
    let url = camera.rtsp_url(0, Stream::Main).parse().unwrap();
    let quirk = Quirk::from_name(row.quirk.split('=').next().unwrap()).unwrap();
    let login = quirk.kind() == Kind::Login;
    let credentials = Credentials { username: "admin".into(), password: "pw".into() };
    let seconds = Duration::from_secs;
    let mut patience = Patience::default();
    if matches!(row.outcome, Outcome::Refused(_)) {
        patience = Patience { describe: seconds(8), first_packet: seconds(8), silence: seconds(8) };
    }
    let options = Options {
        credentials: login.then_some(credentials),
        transport: row.over,
        patience,
        ..Options::default()
    };
    let opener = RtspOpener::new(url, options).map_err(|error| error.to_string())?;
    let config = PullConfig { name: row.quirk.into(), ..PullConfig::default() };
    let pull = Pull::new(Arc::new(opener), config);
    let mut reader = pull.subscribe(Start::Live);
    match row.outcome {
        Outcome::Refused(words) => {
            let mut state = pull.state();
            let failed = state.wait_for(|state| matches!(state, PullState::Failed(_)));
            let failed = timeout(DEADLINE, failed).await.map_err(|_| "it is not refused")?;
            let PullState::Failed(error) = &*failed.unwrap() else { unreachable!() };
            let text = error.to_string();
            let told = words.iter().any(|word| text.contains(word));
            if told && text.len() < 1024 { Ok(()) } else { Err(format!("the reason is: {text}")) }
        }
        Outcome::Flows => {
            let mut seen = Seen { pictures: Vec::new(), sound: Vec::new(), lost: 0 };
            let all = async {
                while seen.pictures.len() < row.pictures
                    || row.sound.is_some() && seen.sound.is_empty()
                {
                    match reader.next().await.unwrap() {
                        Item::Frame(frame) if frame.is_video() => seen.pictures.push(frame),
                        Item::Frame(frame) => seen.sound.push(frame),
                        Item::Gap { lost, .. } => seen.lost += lost,
                    }
                }
            };
            let late = timeout(DEADLINE, all).await.is_err();
            let (stats, connections) = (pull.stats(), camera.counters().connections);
            if late {
                let (pictures, sound) = (seen.pictures.len(), seen.sound.len());
                let error = stats.last_error;
                return Err(format!("{pictures} pictures, {sound} of sound; last error {error:?}"));
            }
            judge(row, &seen)?;
            match connections <= row.connections {
                true => Ok(()),
                false => Err(format!("{connections} connections; {:?}", stats.last_error)),
            }
        }
    }
}

/// Whether what came is what the camera showed.
fn judge(row: &Row, seen: &Seen) -> Result<(), String> {
    let pictures = &seen.pictures;
    let wrong = |what: String| if what.is_empty() { Ok(()) } else { Err(what) };
    if !pictures[0].key {
        return wrong("it does not begin with a key picture".into());
    }
    if pictures.windows(2).any(|pair| pair[1].dts <= pair[0].dts) {
        return wrong("decode times do not increase".into());
    }
    let sets: HashSet<_> = pictures.iter().map(|frame| params(frame)).collect();
    if sets.len() != row.sets {
        return wrong(format!("{} sets of parameters", sets.len()));
    }
    let keys = pictures.iter().filter(|frame| frame.key).count();
    if row.gop != LOSSY && row.sets == 1 {
        let expected = pictures.len().div_ceil(row.gop);
        if keys.abs_diff(expected) > 1 || seen.lost > 0 {
            let (pictures, lost) = (pictures.len(), seen.lost);
            return wrong(format!("{keys} keys in {pictures} pictures, {lost} lost"));
        }
        let settled = if row.clocked { &pictures[pictures.len() / 2..] } else { pictures };
        let span = settled[settled.len() - 1].dts - settled[0].dts;
        let step = span / (settled.len() as i64 - 1);
        if (step - row.step).abs() > row.step / 5 {
            return wrong(format!("{step} ticks from picture to picture"));
        }
    }
    let step = |pair: &[Arc<Frame>]| pair[1].dts - pair[0].dts;
    let longest = pictures.windows(2).map(step).max().unwrap_or_default();
    if row.gop != LOSSY && !row.clocked && longest > 4 * row.step {
        return wrong(format!("a hole of {longest} ticks"));
    }
    if row.quirk == "bigkey" && pictures[0].data.len() < 1_200_000 {
        return wrong(format!("{} bytes of a key picture", pictures[0].data.len()));
    }
    let sound = seen.sound.first().map(|frame| match &frame.track {
        Track::Audio(params) => (params.codec, params.sample_rate),
        Track::Video(_) => unreachable!(),
    });
    if sound != row.sound {
        return wrong(format!("the sound is {sound:?}"));
    }
    let took = pictures[pictures.len() - 1].received - pictures[0].received;
    let media = pictures[pictures.len() - 1].dts - pictures[0].dts;
    if !row.clocked && duration_to_ticks(took) > media + 3 * CLOCK_HZ {
        return wrong(format!("{media} ticks took {took:?}"));
    }
    if row.clocked { clocks(seen) } else { Ok(()) }
}

fn params(frame: &Frame) -> &[u8] {
    match &frame.track {
        Track::Video(params) => &params.record,
        Track::Audio(_) => unreachable!(),
    }
}

/// Whether media time and arrival go together after six seconds, and sound and picture with each other.
fn clocks(seen: &Seen) -> Result<(), String> {
    let start = seen.pictures[0].received + Duration::from_secs(6);
    // How much later than its time each frame arrived: the least over a second, which jitter cannot change.
    let least = |frames: &[Arc<Frame>], from: u64| {
        let from = start + Duration::from_secs(from);
        let within =
            |f: &&Arc<Frame>| f.received >= from && f.received < from + Duration::from_secs(2);
        let late =
            |f: &Arc<Frame>| duration_to_ticks(f.received - seen.pictures[0].received) - f.dts;
        frames.iter().filter(within).map(late).min()
    };
    let ms = |ticks: i64| ticks / (CLOCK_HZ / 1000);
    let [Some(early), Some(late)] = [0, 4].map(|from| least(&seen.pictures, from)) else {
        return Err("the pictures do not last".into());
    };
    if ms(late - early).abs() > 200 {
        return Err(format!("the pictures drift by {} ms in 4 s", ms(late - early)));
    }
    let Some(sound) = least(&seen.sound, 4) else { return Err("the sound does not last".into()) };
    if ms(sound - late).abs() > 250 {
        return Err(format!("sound and picture are {} ms apart", ms(sound - late)));
    }
    Ok(())
}

/// A camera of the built-in clip with a quirk, served by a thread of its own: what it costs to misbehave is not the
/// client's burden.
async fn elsewhere(quirk: &'static str) -> CameraSim {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let quirks: Quirks = quirk.parse().unwrap();
            let options = CameraOptions { quirks, ..CameraOptions::default() };
            let (camera, stopped) = (CameraSim::start(options).await.unwrap(), sender);
            if stopped.send(camera).is_ok() {
                std::future::pending::<()>().await;
            }
        });
    });
    receiver.await.unwrap()
}

/// Runs the rows side by side and tells of all that are wrong.
async fn all(rows: &[Row]) {
    let demanded = rows.iter().filter(|row| DEMAND_ALL || row.passes_today);
    let results = join_all(demanded.map(async |row| {
        let camera = elsewhere(row.quirk).await;
        run(row, &camera).await.err().map(|why| format!("{} over {:?}: {why}", row.quirk, row.over))
    }));
    let wrong: Vec<_> = results.await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn descriptions_are_read_leniently() {
    all(SDP).await;
}

#[tokio::test]
async fn answers_are_read_leniently() {
    all(RTSP).await;
}

#[tokio::test]
async fn sessions_last_whatever_becomes_of_the_keepalive() {
    all(KEEPALIVE).await;
}

#[tokio::test]
async fn every_login_is_answered() {
    all(LOGIN).await;
}

#[tokio::test]
async fn odd_packets_cost_nothing() {
    all(RTP).await;
}

#[tokio::test]
async fn datagrams_are_put_in_order_and_transports_tried() {
    all(UDP).await;
}

#[tokio::test]
async fn pictures_are_cut_where_they_begin() {
    all(VIDEO).await;
}

#[tokio::test]
async fn clocks_that_lie_are_found_out() {
    all(TIME).await;
}

#[tokio::test]
async fn sound_is_taken_where_it_can_be_and_never_costs_the_picture() {
    all(SOUND).await;
}

#[tokio::test]
async fn hostile_cameras_cost_their_own_channel_only() {
    let good = elsewhere("no_reports").await;
    let url = good.rtsp_url(0, Stream::Main).parse().unwrap();
    let opener = RtspOpener::new(url, Options::default()).unwrap();
    let pull = Pull::new(Arc::new(opener), PullConfig::default());
    let mut reader = pull.subscribe(Start::Live);
    let beside = async {
        let mut last: Option<Arc<Frame>> = None;
        let mut longest = Duration::ZERO;
        loop {
            if let Item::Frame(frame) = reader.next().await.unwrap()
                && frame.is_video()
            {
                let gap = last.map_or(Duration::ZERO, |last| frame.received - last.received);
                longest = longest.max(gap);
                assert!(longest < Duration::from_secs(1), "{longest:?} without a picture");
                last = Some(frame);
            }
        }
    };
    tokio::select! {
        () = beside => {}
        () = all(HOSTILE) => {}
    }
}

/// What the cloud is told of cameras that cannot be shown.
#[tokio::test]
async fn the_cloud_is_told_why_there_is_no_picture() {
    // Name, code, words, and whether our client passes it today.
    type Reason = (&'static str, i64, &'static [&'static str], bool);
    const REASONS: &[Reason] = &[
        ("sprop_none", 103, &["parameter sets"], false),
        ("mjpeg", 1, &["JPEG", "jpeg"], true),
        ("web_server", 103, &["web server", "HTTP"], false),
        ("redirect_loop", 103, &["redirect"], false),
        ("busy", 103, &["453"], true),
    ];
    let told = async |(quirk, code, words, _): &Reason| {
        let mut options = camera(ClipOpener::built_in(BuiltIn::Main));
        options.quirks = quirk.parse().unwrap();
        let stage = Plan { cameras: vec![options], ..Plan::default() }.start().await;
        let error = match stage.publish(0, "s").await {
            Ok(_) => return Some(format!("{quirk}: it is accepted")),
            Err(error) => error,
        };
        let right = error.code == *code && words.iter().any(|word| error.msg.contains(word));
        (!right).then(|| format!("{quirk}: {error}"))
    };
    let demanded = REASONS.iter().filter(|(.., today)| DEMAND_ALL || *today);
    let wrong: Vec<_> = join_all(demanded.map(told)).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Cameras that take their time are published all the same.
#[tokio::test]
async fn quirky_cameras_reach_the_cloud() {
    const NAMES: &[(&str, bool)] = &[
        ("sprop_semi", false),
        ("no_idr", false),
        ("aud_mark", false),
        ("cam_request=1", false),
        ("sdp_nul", true),
    ];
    let flows = async |(quirk, _): &(&str, bool)| {
        let mut options = camera(ClipOpener::built_in(BuiltIn::Main));
        options.quirks = quirk.parse().unwrap();
        let stage = Plan { cameras: vec![options], ..Plan::default() }.start().await;
        stage.publish(0, "s").await.unwrap();
        let stream = stage.cloud.stream("s");
        let info = soon(quirk, stream.wait_for(|s| s.video_frames >= 40)).await;
        assert_eq!((info.dts_violations, info.malformed), (0, 0), "{quirk}: {info:?}");
        let keys = info.key_frames;
        assert!((2..=6).contains(&keys), "{quirk}: {keys} keys of {} pictures", info.video_frames);
    };
    join_all(NAMES.iter().filter(|(_, today)| DEMAND_ALL || *today).map(flows)).await;
}

#[test]
fn every_quirk_has_a_row() {
    let tables = [SDP, RTSP, KEEPALIVE, LOGIN, RTP, UDP, VIDEO, TIME, SOUND, HOSTILE];
    let rows: HashSet<_> =
        tables.iter().copied().flatten().map(|row| row.quirk.split('=').next().unwrap()).collect();
    let missing: Vec<_> =
        Quirk::ALL.iter().map(|q| q.name()).filter(|n| !rows.contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
