//! Plays a stream in a page: fragmented MP4 over a WebSocket. A page that is too slow meets a gap in the ring
//! and goes on at the next key frame.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ivt_media::fmp4::{Fragment, Muxer};
use ivt_media::frame::Frame;
use ivt_media::hub::{Item, Start};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::Cloud;
use super::feed::{limit, send};
use super::streams::Stream;

/// Longest stream key, in bytes.
pub(super) const MAX_KEY: usize = 256;

/// `GET /play/{key}`: `{"init": …}` before each initialisation segment, `{"stats": …}` once a
/// second, `{"lost": n}`; binary messages are MP4.
pub(super) async fn open(
    State(cloud): State<Arc<Cloud>>,
    Path(key): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if key.is_empty() || key.len() > MAX_KEY {
        return (StatusCode::BAD_REQUEST, "no stream key, or too long").into_response();
    }
    let (Ok(seat), Some(stream)) =
        (cloud.page_seats.clone().try_acquire_owned(), cloud.streams.open(&key))
    else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages or streams").into_response();
    };
    limit(upgrade).on_upgrade(async move |mut socket| {
        let mut shutdown = cloud.shutdown.subscribe();
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            _ = serve(&stream, &mut socket) => {}
        }
        drop(seat);
    })
}

async fn serve(stream: &Stream, socket: &mut WebSocket) -> Option<()> {
    let mut reader = stream.hub.reader(Start::LastKey);
    let mut player = Player::default();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second.tick().await; // The first tick is due at once.
    say(socket, json!({ "stats": stream.info() })).await?;
    loop {
        tokio::select! {
            item = reader.next() => match item? {
                Item::Gap { lost } => say(socket, json!({ "lost": lost })).await?,
                Item::Frame(frame) => match player.step(stream, frame) {
                    Step::Skip => {}
                    Step::Rewind => reader = stream.hub.reader(Start::LastKey),
                    Step::Send { init, fragment } => {
                        if init {
                            announce(socket, &player).await?;
                        }
                        if let Some(fragment) = fragment {
                            send(socket, Message::Binary(fragment.joined())).await?;
                        }
                    }
                },
            },
            _ = second.tick() => say(socket, json!({ "stats": stream.info() })).await?,
            message = socket.recv() => { message?.ok()?; }
        }
    }
}

async fn announce(socket: &mut WebSocket, player: &Player) -> Option<()> {
    let Some(muxer) = &player.muxer else { return Some(()) };
    let mime = muxer.tracks().mime();
    say(socket, json!({ "init": { "mime": mime } })).await?;
    if mime.is_some() {
        send(socket, Message::Binary(muxer.init())).await?;
    }
    Some(())
}

async fn say(socket: &mut WebSocket, value: Value) -> Option<()> {
    send(socket, Message::Text(value.to_string().into())).await
}

/// The fragments of a stream for one player.
#[derive(Default)]
struct Player {
    muxer: Option<Muxer>,
}

enum Step {
    /// The frame is not for this player.
    Skip,
    /// A track has come that the announcement lacks: the last group of pictures is played again, announced
    /// anew.
    Rewind,
    /// The announcement is sent if it is new, and then the fragment.
    Send { init: bool, fragment: Option<Fragment> },
}

impl Player {
    fn step(&mut self, stream: &Stream, frame: Arc<Frame>) -> Step {
        let covered = self.muxer.as_ref().is_some_and(|muxer| muxer.tracks().covers(&frame.track));
        if covered && !frame.discontinuity {
            let fragment = self.muxer.as_mut().and_then(|muxer| muxer.push(frame));
            return Step::Send { init: false, fragment };
        }
        let mut tracks = stream.tracks.borrow().clone();
        if !frame.is_video() && tracks.video.is_some() {
            // Only new sound counts: the ring may hold older sound.
            let rewind = tracks.covers(&frame.track) && self.muxer.take().is_some();
            return if rewind { Step::Rewind } else { Step::Skip };
        }
        if !frame.key {
            // No rewinding here: a publisher could have the same pictures played for ever.
            self.muxer = None;
            return Step::Skip;
        }
        tracks.learn(&frame.track);
        let mut muxer = Muxer::new(tracks, frame.dts);
        let fragment = muxer.push(frame);
        self.muxer = Some(muxer);
        Step::Send { init: true, fragment }
    }
}
