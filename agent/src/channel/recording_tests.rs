use std::num::NonZeroU64;
use std::time::Duration;

use ivt_base::address_rule::AddressRule;
use ivt_hal::Stream;
use ivt_hal::emulator::Emulator;
use ivt_media::pull::PullConfig;
use ivt_media::segment::Limits;
use tokio::time::timeout;

use super::super::opener::Terms;
use super::super::recordings::RecordingStatus;
use super::*;
use crate::backend::Backend;
use crate::config::Config;
use crate::http::{Deadlines, Http};
use crate::record::service::callback_url;
use crate::record::session::RecordingOrder;
use crate::shutdown::{Stopper, stopper};
use crate::tls::TrustStore;

/// Longer than any upload is retried.
const LONG: Duration = Duration::from_secs(3600);

struct Channel {
    handle: RecordingHandle,
    recordings: watch::Receiver<Recordings>,
    _link: watch::Sender<Link>,
    stopper: Stopper,
    tasks: JoinSet<()>,
}

/// The recording of an emulated camera.
fn channel() -> Channel {
    let text = "[cloud]\nurl = 'ws://h/'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
                [[channel]]\nbackend = 'emulator'";
    let config: Config = text.parse().unwrap();
    let trust = TrustStore::new(None).unwrap();
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/../media/clips/main.flv");
    let emulator = Emulator { main: Some(clip.into()), ..Emulator::default() };
    let encoder: Arc<dyn Encoder> = Arc::new(emulator);
    let terms = Terms::new(&Backend::unknown(), trust.clone());
    let link = watch::Sender::new(Link { down_since: None, losses: 0 });
    let spool = watch::channel(None).1;
    let (task, handle) = RecordingTask::new(RecordingSetup {
        number: 0,
        streams: Arc::new(Streams::new(&encoder, &terms, |_| PullConfig::default())),
        encoder,
        context: RecordingContext::new(
            &config.record,
            config.budget.recordings,
            Http::new(trust, AddressRule::for_cloud("127.0.0.1"), Deadlines::default()),
            spool,
        ),
        link: link.subscribe(),
    });
    let (stopper, stop) = stopper();
    let mut tasks = JoinSet::new();
    tasks.spawn(task.run(stop));
    Channel { recordings: handle.recordings(), handle, _link: link, stopper, tasks }
}

/// A recording in segments of a second whose service does not answer.
fn ask(session_id: &str) -> RecordRequest {
    let order = RecordingOrder {
        session_id: session_id.into(),
        limits: Limits { duration: Duration::from_secs(1), max_bytes: 1 << 20 },
        max_segments: 3,
        prerecord: Duration::ZERO,
        start: None,
        callback: callback_url("http://127.0.0.1:9/").unwrap().into(),
    };
    RecordRequest { stream: Stream::Main, max_bitrate: None, order }
}

impl Channel {
    /// Waits until the session `want` records, or none does.
    async fn records(&mut self, want: Option<&str>) {
        let shown = self.recordings.wait_for(|shown| shown.current() == want);
        timeout(LONG, shown).await.unwrap_or_else(|_| panic!("never: {want:?} records")).unwrap();
    }

    /// Waits until `found` is true of the sessions.
    async fn until(&self, what: &str, mut found: impl FnMut(&[RecordingStatus]) -> bool) {
        let search = async {
            while !found(&self.recordings.borrow().sessions()) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(LONG, search).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    fn names(&self) -> Vec<String> {
        let sessions = self.recordings.borrow().sessions();
        sessions.into_iter().map(|session| session.session_id).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_nobody_waits_for_any_more_does_not_begin() {
    let mut channel = channel();
    // The bit rate of the camera is measured for three seconds.
    let slow =
        |session_id| RecordRequest { max_bitrate: NonZeroU64::new(5_000_000), ..ask(session_id) };
    let asked = channel.handle.record(slow("a"));
    assert!(timeout(Duration::from_secs(1), asked).await.is_err(), "it is being measured");
    let begun = channel.recordings.wait_for(|shown| shown.current().is_some());
    assert!(timeout(LONG, begun).await.is_err(), "nobody was told that it records");
    assert!(channel.names().is_empty());

    channel.handle.record(slow("b")).await.unwrap();
    channel.records(Some("b")).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_shown_with_what_it_counts_until_its_uploads_have_ended_and_after() {
    let mut channel = channel();
    channel.handle.record(ask("a")).await.unwrap();
    channel.records(Some("a")).await;
    channel
        .until("segments wait, and some are lost", |sessions| {
            let [RecordingStatus { counts, ended: false, .. }] = sessions else {
                panic!("{sessions:?}");
            };
            counts.waiting > 1 && counts.bytes > 0 && counts.dropped.number > 2
        })
        .await;
    channel.until("the failure is told", |sessions| sessions[0].counts.last_error.is_some()).await;

    channel.handle.stop("a".into()).await.unwrap();
    channel.records(None).await;
    channel.until("it is given up", |sessions| sessions[0].ended).await;
    let sessions = channel.recordings.borrow().sessions();
    assert_eq!(sessions.len(), 1, "the newest one stays");
    let counts = &sessions[0].counts;
    assert_eq!((counts.waiting, counts.uploaded), (0, 0), "{counts:?}");
    assert!(counts.dropped.number > 3, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn each_session_has_counts_of_its_own_and_goes_when_it_has_ended() {
    let mut channel = channel();
    channel.handle.record(ask("a")).await.unwrap();
    channel.until("some of a are lost", |sessions| sessions[0].counts.dropped.number > 5).await;
    channel.handle.record(ask("b")).await.unwrap();
    channel.records(Some("b")).await;
    assert_eq!(channel.names(), ["a", "b"]);
    let sessions = channel.recordings.borrow().sessions();
    assert!(sessions[0].counts.dropped.number > sessions[1].counts.dropped.number, "{sessions:?}");
    channel.until("b alone is left", |sessions| sessions.len() == 1).await;
    assert_eq!(channel.names(), ["b"]);
    assert_eq!(channel.recordings.borrow().current(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_goes_on_is_shown_beside_what_it_left() {
    let channel = channel();
    for _ in 0..2 {
        channel.handle.record(ask("a")).await.unwrap();
        let waits = |sessions: &[RecordingStatus]| {
            sessions.last().is_some_and(|session| session.counts.waiting > 0)
        };
        channel.until("a segment waits", waits).await;
        channel.handle.stop("a".into()).await.unwrap();
    }
    assert_eq!(channel.names(), ["a", "a"]);
    // The second run of a session uploads nothing before the first one has ended.
    channel.until("the first has ended", |sessions| sessions.len() == 1).await;
    assert!(!channel.recordings.borrow().sessions()[0].ended);
    channel.until("so has the second", |sessions| sessions[0].ended).await;
}

#[tokio::test(start_paused = true)]
async fn watchers_are_woken_for_sessions_that_begin_and_end_only() {
    let mut channel = channel();
    channel.handle.record(ask("a")).await.unwrap();
    channel.records(Some("a")).await;
    channel.recordings.borrow_and_update();
    channel.handle.record(ask("a")).await.unwrap();
    channel.handle.stop("b".into()).await.unwrap();
    channel.until("segments are cut", |sessions| sessions[0].counts.waiting > 1).await;
    assert!(!channel.recordings.has_changed().unwrap(), "it records as before");
}

#[tokio::test(start_paused = true)]
async fn when_the_agent_stops_nothing_records() {
    let mut channel = channel();
    channel.handle.record(ask("a")).await.unwrap();
    channel.stopper.stop();
    timeout(LONG, channel.tasks.join_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(channel.recordings.borrow().current(), None);
    assert!(channel.recordings.borrow().sessions()[0].ended);
    assert_eq!(channel.handle.record(ask("b")).await, Err(Refusal::Stopped));
}
