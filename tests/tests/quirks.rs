//! Each quirk of `camera-sim`, and what must come of it. The table tells the expected outcome; a refusal has to
//! give a reason that helps.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

mod table;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ivt_base::auth::Credentials;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::frame::{CLOCK_HZ, Frame, Track, duration_to_ticks};
use ivt_media::hub::{Item, Start};
use ivt_media::pull::{Pull, PullConfig, PullState};
use ivt_media::rtsp::{Options, Patience, RtspOpener};
use ivt_media::source::Opener as _;
use ivt_sim::camera::quirk::Kind;
use ivt_sim::camera::{CameraOptions, CameraSim, Quirk, Quirks, Stream};
use ivt_tests::{Plan, camera, soon};
use tokio::time::{interval, timeout};

use table::{
    HOSTILE, KEEPALIVE, LOGIN, LOSSY, Outcome, RTP, RTSP, Row, SDP, SOUND, TIME, UDP, VIDEO,
};

/// Longest time of a row.
const DEADLINE: Duration = Duration::from_secs(30);

/// What was seen of a row, once it is over.
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
    let opener = Arc::new(opener);
    let config = PullConfig { name: row.quirk.into(), ..PullConfig::default() };
    let pull = Pull::new(opener.clone(), config);
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
        Outcome::Awaits(words) => {
            let mut look = interval(Duration::from_millis(50));
            let told = async {
                while !opener.awaits().is_some_and(|text| text.contains(words)) {
                    look.tick().await;
                }
            };
            let told = timeout(DEADLINE, told).await;
            told.map_err(|_| format!("it awaits {:?}", opener.awaits()))?;
            if reader.try_next().is_some() { Err("a frame comes".into()) } else { Ok(()) }
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

/// Fails unless the frames are those that the camera showed.
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

/// Fails unless media time goes as the frames arrive after six seconds, and sound as the picture.
fn clocks(seen: &Seen) -> Result<(), String> {
    let start = seen.pictures[0].received + Duration::from_secs(6);
    // The least lateness of a frame in two seconds, which jitter cannot change.
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

/// A camera of the built-in clip with a quirk, served by a thread of its own, so that its cost is not the
/// client's.
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

/// Runs the rows side by side, and fails with all that are wrong. A row that is wrong is run once more by itself: time is
/// told by when frames arrive, which on a busy machine may be late.
async fn all(rows: &[Row]) {
    let found = join_all(rows.iter().map(async |row| (row, tried(row).await))).await;
    let mut wrong = Vec::new();
    for (row, why) in found {
        let Some(first) = why else { continue };
        wrong.extend(tried(row).await.map(|again| format!("{first}, and then: {again}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with a row.
async fn tried(row: &Row) -> Option<String> {
    let camera = elsewhere(row.quirk).await;
    run(row, &camera).await.err().map(|why| format!("{} over {:?}: {why}", row.quirk, row.over))
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
        loop {
            if let Item::Frame(frame) = reader.next().await.unwrap()
                && frame.is_video()
            {
                if let Some(last) = last {
                    let (gap, ticks) = (frame.received - last.received, frame.dts - last.dts);
                    assert!(gap < Duration::from_secs(5), "{gap:?} without a picture");
                    assert!(ticks <= CLOCK_HZ / 10, "pictures are missing in {ticks} ticks");
                }
                last = Some(frame);
            }
        }
    };
    tokio::select! {
        () = beside => {}
        () = all(HOSTILE) => {}
    }
}

/// The cloud is told why a camera cannot be shown.
#[tokio::test]
async fn the_cloud_is_told_why_there_is_no_picture() {
    // Name of the quirk, code and words of the answer.
    type Reason = (&'static str, i64, &'static [&'static str]);
    const REASONS: &[Reason] = &[
        ("sprop_none", 103, &["parameter sets"]),
        ("mjpeg", 1, &["JPEG", "jpeg"]),
        ("web_server", 103, &["web server", "HTTP"]),
        ("redirect_loop", 103, &["redirect"]),
        ("busy", 103, &["453"]),
    ];
    let told = async |(quirk, code, words): &Reason| {
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
    let wrong: Vec<_> = join_all(REASONS.iter().map(told)).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Cameras that are slow are published all the same.
#[tokio::test]
async fn quirky_cameras_reach_the_cloud() {
    const NAMES: [&str; 5] = ["sprop_semi", "no_idr", "aud_mark", "cam_request=1", "sdp_nul"];
    let flows = async |quirk: &'static str| {
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
    join_all(NAMES.into_iter().map(flows)).await;
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
