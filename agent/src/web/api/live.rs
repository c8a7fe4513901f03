//! What the cameras show: their streams as fragmented MP4, read from the hub that all readers of a stream share, and
//! their single pictures.

use std::future::ready;
use std::time::Duration;

use bytes::Buf as _;
use futures::{FutureExt as _, StreamExt as _, stream};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use ivt_hal::{Kind, Stream};
use ivt_media::fmp4::Tracks;
use ivt_media::frame::{AudioCodec, VideoCodec};
use ivt_media::hub::Start;
use ivt_media::pull::{Pull, PullState};
use ivt_media::source::SourceError;
use ivt_media::viewer::Viewer;
use serde_json::{Value, json};
use tokio::time::{interval, sleep, timeout};

use crate::web::call::Call;
use crate::web::camera;
use crate::web::reply::{Refusal, Reply, whole};
use crate::web::route::Route;
use crate::web::seats::VIEWERS;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/live", |call| channels(call).boxed()),
    Route::get("/api/v1/channels/{channel}/live", |call| facts(call).boxed()),
    Route::get("/api/v1/channels/{channel}/live/events", |call| events(call).boxed()).endless(),
    Route::get("/api/v1/channels/{channel}/live.mp4", |call| video(call).boxed()),
    Route::get("/api/v1/channels/{channel}/snapshot.jpg", |call| snapshot(call).boxed()),
];

/// How long a camera may take for its first picture, or for a snapshot.
const PICTURE: Duration = Duration::from_secs(10);
/// Time between two events.
const EVERY: Duration = Duration::from_secs(2);
/// How long a camera may take to say where a stream is.
const DESCRIBING: Duration = Duration::from_secs(2);

async fn channels(call: Call) -> Result<Reply, Refusal> {
    let device = call.site.console()?.device.now();
    let channels = device.channels.iter().enumerate();
    let channels = channels.map(|(number, camera)| described(number, camera));
    Ok(Reply::json(&json!({ "channels": channels.collect::<Vec<_>>() })))
}

fn described(number: usize, camera: &ivt_hal::Channel) -> Value {
    json!({
        "number": number,
        "abilities": {
            "snapshot": camera.snapshot.is_some(),
            "ptz": camera.ptz.is_some(),
            "presets": camera.presets.is_some(),
            "tours": camera.tours.is_some(),
            "patrol": camera.patrol.is_some(),
        },
    })
}

async fn facts(call: Call) -> Result<Reply, Refusal> {
    Ok(Reply::json(&state(&call).await?))
}

/// Tells the facts again and again, for as long as there is the channel.
async fn events(call: Call) -> Result<Reply, Refusal> {
    camera::channel(&call)?;
    let events = stream::unfold((call, interval(EVERY)), async |(call, mut ticks)| {
        ticks.tick().await;
        let state = state(&call).await.ok()?;
        Some((("state", state), (call, ticks)))
    });
    Ok(Reply::events(events))
}

/// The streams of a channel's camera, and how many people look at the device.
async fn state(call: &Call) -> Result<Value, Refusal> {
    let (handle, camera) = camera::channel(call)?;
    let mut streams = Vec::new();
    for stream in [Stream::Main, Stream::Sub] {
        let source = timeout(DESCRIBING, camera.encoder.source(stream)).await;
        // A camera that says nothing now may have the stream.
        let lacks = matches!(&source, Ok(Err(error)) if error.kind == Kind::Unsupported);
        if !lacks {
            streams.push(shown(stream, &handle.pull(stream)));
        }
    }
    Ok(json!({
        "streams": streams,
        "viewers": call.site.seats.taken(),
        "most_viewers": VIEWERS,
    }))
}

/// What a stream is and does at the moment; its parameters are known while somebody reads it.
fn shown(stream: Stream, pull: &Pull) -> Value {
    let (state, reason) = match &*pull.state().borrow() {
        PullState::Idle => ("idle", None),
        PullState::Opening => ("opening", pull.awaits()),
        PullState::Live => ("live", pull.awaits()),
        PullState::Failed(error) => ("failed", Some(error.to_string())),
    };
    let stats = pull.stats();
    let mut tracks = Tracks::default();
    for track in &pull.tracks() {
        tracks.learn(track);
    }
    let video = tracks.video.as_ref().map(|video| {
        let codec = match video.codec {
            VideoCodec::H264 => "H.264",
            VideoCodec::H265 => "H.265",
        };
        json!({ "codec": codec, "width": video.dimensions.0, "height": video.dimensions.1 })
    });
    let audio = tracks.audio.as_ref().map(|audio| {
        let codec = match audio.codec {
            AudioCodec::Aac => "AAC",
            AudioCodec::Pcma => "G.711 A-law",
            AudioCodec::Pcmu => "G.711 µ-law",
        };
        json!({
            "codec": codec,
            "sample_rate": audio.sample_rate,
            "channels": audio.channels,
            "playable": audio.codec == AudioCodec::Aac,
        })
    });
    json!({
        "stream": stream.to_string(),
        "state": state,
        "reason": reason,
        "video": video,
        "audio": audio,
        "type": tracks.mime(),
        "fps": stats.fps,
        "bitrate": stats.bitrate,
        "drops": stats.drops,
    })
}

async fn video(call: Call) -> Result<Reply, Refusal> {
    let stream = camera::stream(&call)?;
    let with_sound = match call.query("sound").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::invalid("sound", "either true or false")),
    };
    let (handle, _) = camera::channel(&call)?;
    let seat = call.site.seats.viewer()?;
    let pull = handle.pull(stream);
    let reader = pull.subscribe(Start::LastKey);
    let viewer = tokio::select! {
        biased;
        viewer = Viewer::begin(reader, with_sound) => viewer.ok_or_else(stopped)?,
        refusal = failure(&pull) => return Err(refusal),
        () = sleep(PICTURE) => return Err(no_picture(&pull)),
    };
    let kind = viewer.tracks().mime().and_then(|kind| HeaderValue::try_from(kind).ok());
    let kind = kind.ok_or_else(|| Refusal::unsupported("this stream is G.711 sound only"))?;
    let init = viewer.init();
    let fragments = stream::unfold((viewer, seat), async |(mut viewer, seat)| {
        Some((viewer.next().await?, (viewer, seat)))
    });
    let pieces = fragments.map(|fragment| fragment.head.chain(fragment.data));
    let reply = Reply::parts("video/mp4", stream::once(ready(whole(init))).chain(pieces));
    Ok(reply.with_header(CONTENT_TYPE, kind))
}

async fn snapshot(call: Call) -> Result<Reply, Refusal> {
    let stream = camera::stream(&call)?;
    let (_, camera) = camera::channel(&call)?;
    let pictures = camera::slot(&camera.snapshot, "single pictures")?;
    let _seat = call.site.seats.snapshot()?;
    let jpeg = camera::told_within(PICTURE, pictures.jpeg(stream)).await?;
    Ok(Reply::bytes("image/jpeg", jpeg))
}

/// Returns why the camera gives no stream, once it does not.
async fn failure(pull: &Pull) -> Refusal {
    let mut state = pull.state();
    let failed = state.wait_for(|state| matches!(state, PullState::Failed(_))).await;
    let Ok(PullState::Failed(error)) = failed.as_deref() else { return stopped() };
    let code = match error {
        SourceError::Unauthorized { .. } => "camera_login",
        SourceError::Unsupported { .. } => "camera_codec",
        _ => "camera_offline",
    };
    Refusal::failed(code, error.to_string())
}

fn no_picture(pull: &Pull) -> Refusal {
    let awaits = pull.awaits().unwrap_or_else(|| "no key frame came".into());
    let message = format!(
        "no picture within {} s: {awaits}; check the camera's codec and the interval of its key \
         frames (I frames)",
        PICTURE.as_secs()
    );
    Refusal::failed("no_picture", message)
}

fn stopped() -> Refusal {
    Refusal::unavailable("agent_stopped", "the agent ends, or is started anew")
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
