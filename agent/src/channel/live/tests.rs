//! What the cloud is told of a camera that is late, with the camera and the server scripted.

use std::time::Duration;

use async_trait::async_trait;
use ivt_base::secret::Secret;
use ivt_hal::Stream;
use ivt_hal::emulator::Emulator;
use ivt_media::frame::Frame;
use ivt_media::hub::Start;
use ivt_media::pull::{Pull, PullConfig, Subscription};
use ivt_media::rtmp::RtmpUrl;
use ivt_media::source::{FrameSource, Opener};
use tokio::time::{advance, timeout};

use super::*;

const RETRY: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// What the camera does from now on.
#[derive(Clone)]
enum Act {
    Dawdles,
    Fails(SourceError),
    /// The camera sends, and can be decoded from a later key frame on.
    Arrives,
}

struct Camera(watch::Receiver<Act>);

#[async_trait]
impl Opener for Camera {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let mut act = self.0.clone();
        loop {
            match act.borrow_and_update().clone() {
                Act::Dawdles => {}
                Act::Fails(error) => return Err(error),
                Act::Arrives => return Ok(Box::new(Distant)),
            }
            if act.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn awaits(&self) -> Option<String> {
        Some("packets come, but no parameter sets (SPS, PPS)".into())
    }
}

struct Distant;

#[async_trait]
impl FrameSource for Distant {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        std::future::pending().await
    }
}

fn request(stream_id: &str) -> PublishRequest {
    PublishRequest {
        stream: Stream::Main,
        url: Secret::untold(RtmpUrl::parse("rtmp://127.0.0.1:9/live/key").unwrap()),
        stream_id: stream_id.into(),
        max_bitrate: None,
    }
}

/// A channel's task that is driven by hand: the test sends the reports of the work.
struct Scene {
    task: LiveTask,
    handle: LiveHandle,
    wanted: watch::Sender<Option<PublishRequest>>,
    act: watch::Sender<Act>,
    /// A reader of the stream, as the work has one.
    _subscription: Subscription,
}

impl Scene {
    fn new(retry: Duration) -> Self {
        let act = watch::Sender::new(Act::Dawdles);
        let pull = || Pull::new(Arc::new(Camera(act.subscribe())), PullConfig::default());
        let streams = Arc::new(Streams::of_pulls(pull(), pull()));
        let subscription = streams.of(Stream::Main).subscribe(Start::LastKey);
        let wanted = watch::Sender::new(None);
        let (task, handle) = LiveTask::new(LiveSetup {
            number: 0,
            encoder: Arc::new(Emulator::default()),
            streams,
            trust: TrustStore::new(None).unwrap(),
            rule: AddressRule::for_cloud("127.0.0.1"),
            retry,
            link: watch::channel(Link::down()).1,
            stop_with_link: true,
            constant: wanted.subscribe(),
        });
        Self { task, handle, wanted, act, _subscription: subscription }
    }

    /// The cloud asks for a stream.
    fn ask(&mut self, stream_id: &str) -> oneshot::Receiver<Result<(), Refusal>> {
        let (answer, outcome) = oneshot::channel();
        self.task.publish(request(stream_id), answer);
        outcome
    }

    /// Advances the time, and the task does what falls due.
    async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(due) = self.task.due().filter(|due| *due <= until) {
            advance(due.saturating_duration_since(Instant::now())).await;
            self.task.expire();
        }
        advance(until.saturating_duration_since(Instant::now())).await;
    }

    async fn camera(&mut self, act: Act, want: impl FnMut(&PullState) -> bool) {
        self.act.send_replace(act);
        let mut state = self.task.setup.streams.of(Stream::Main).state();
        timeout(600 * SECOND, state.wait_for(want)).await.expect("it does").unwrap();
    }
}

fn text(outcome: &mut oneshot::Receiver<Result<(), Refusal>>) -> Option<String> {
    match outcome.try_recv().ok()? {
        Ok(()) => Some("live".into()),
        Err(Refusal::Camera { kind: Kind::Timeout | Kind::Offline, reason }) => Some(reason),
        Err(other) => Some(format!("{other:?}")),
    }
}

const NOTHING: &str = "the camera sent nothing decodable in time: packets come, but no parameter sets \
                       (SPS, PPS); it goes on being tried";

#[tokio::test(start_paused = true)]
async fn a_late_camera_is_told_with_what_it_is_waited_for_and_its_stream_goes_on() {
    let mut scene = Scene::new(RETRY);
    let mut first = scene.ask("a");
    scene.pass(9 * SECOND).await;
    assert_eq!(text(&mut first), None);
    scene.pass(SECOND).await;
    assert_eq!(text(&mut first).as_deref(), Some(NOTHING));
    assert_eq!((scene.task.lifecycle.current(), scene.task.lifecycle.live()), (Some("a"), None));
    assert!(scene.task.running.is_some());

    // A repeated request is waited for as long as the first one was.
    scene.pass(5 * SECOND).await;
    let mut second = scene.ask("a");
    scene.pass(5 * SECOND).await;
    let mut third = scene.ask("a");
    scene.pass(4 * SECOND).await;
    assert_eq!((text(&mut second), text(&mut third)), (None, None), "no false success");
    scene.pass(SECOND).await;
    assert_eq!(text(&mut second).as_deref(), Some(NOTHING));
    scene.task.note(Progress::Flowing);
    assert_eq!(text(&mut third).as_deref(), Some("live"));
    assert_eq!(scene.task.lifecycle.live(), Some("a"));
    let mut fourth = scene.ask("a");
    assert_eq!(text(&mut fourth).as_deref(), Some("live"), "it runs");
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_stays_late_is_given_up_as_a_lost_stream_is() {
    let mut scene = Scene::new(RETRY);
    let _first = scene.ask("a");
    scene.pass(65 * SECOND).await;
    let mut second = scene.ask("a");
    scene.pass(6 * SECOND).await;
    assert_eq!(scene.task.lifecycle.current(), None);
    let told = text(&mut second).unwrap();
    assert_eq!(format!("{told}; it goes on being tried"), NOTHING);

    let mut scene = Scene::new(Duration::ZERO);
    let mut first = scene.ask("a");
    scene.pass(10 * SECOND).await;
    assert_eq!(scene.task.lifecycle.current(), None, "nothing is retried");
    assert_eq!(format!("{}; it goes on being tried", text(&mut first).unwrap()), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn another_stream_takes_the_place_of_a_late_one() {
    let mut scene = Scene::new(RETRY);
    let _first = scene.ask("a");
    scene.pass(10 * SECOND).await;
    let mut again = scene.ask("a");
    let mut other = scene.ask("b");
    assert_eq!(text(&mut again).as_deref(), Some("Stopped"));
    assert_eq!(scene.task.lifecycle.current(), Some("b"));
    scene.task.note(Progress::Flowing);
    assert_eq!(text(&mut other).as_deref(), Some("live"));
}

#[tokio::test(start_paused = true)]
async fn a_late_stream_outlives_who_asked_and_ends_when_it_is_stopped() {
    let mut scene = Scene::new(RETRY);
    let _first = scene.ask("a");
    scene.pass(10 * SECOND).await;
    drop(scene.ask("a"));
    scene.task.waiting.abandoned().await;
    scene.task.abandon();
    assert_eq!(scene.task.lifecycle.current(), Some("a"));
    let mut again = scene.ask("a");
    let (done, stopped) = oneshot::channel();
    scene.task.obey(Request::Stop("a".into(), done));
    stopped.await.unwrap();
    assert_eq!(text(&mut again).as_deref(), Some("Stopped"));
    assert!(scene.task.lifecycle.current().is_none() && scene.task.running.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_late_camera_that_fails_is_tried_on_unless_that_is_in_vain() {
    let peer = || "camera".to_owned();
    let lost = SourceError::Silent { peer: peer(), seconds: 20 };
    let refused = SourceError::Unauthorized { peer: peer() };
    let failed = |state: &PullState| matches!(state, PullState::Failed(_));
    let broken = async |scene: &mut Scene| {
        let refusal = Refusal::of_camera(&scene.task.camera()).expect("it has failed");
        scene.task.note(Progress::Broken(refusal));
    };

    let mut scene = Scene::new(RETRY);
    let _first = scene.ask("a");
    scene.pass(10 * SECOND).await;
    let mut again = scene.ask("a");
    scene.camera(Act::Fails(lost.clone()), failed).await;
    broken(&mut scene).await;
    assert_eq!(text(&mut again), None);
    scene.pass(10 * SECOND).await;
    let told = text(&mut again).unwrap();
    assert_eq!(told, "camera camera: no frame for 20 s; it goes on being tried");

    let mut again = scene.ask("a");
    let hopeless =
        |state: &PullState| matches!(state, PullState::Failed(SourceError::Unauthorized { .. }));
    scene.camera(Act::Fails(refused), hopeless).await;
    broken(&mut scene).await;
    assert!(
        text(&mut again).unwrap().ends_with("refused the login: check its user name and password")
    );
    assert_eq!(scene.task.lifecycle.current(), None);

    // A first attempt that fails is refused at once.
    let mut scene = Scene::new(RETRY);
    let mut first = scene.ask("a");
    scene.camera(Act::Fails(lost), failed).await;
    broken(&mut scene).await;
    assert_eq!(text(&mut first).as_deref(), Some("camera camera: no frame for 20 s"));
    assert_eq!(scene.task.lifecycle.current(), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_late_is_given_up_as_ever() {
    let mut scene = Scene::new(RETRY);
    let mut first = scene.ask("a");
    scene.camera(Act::Arrives, |state| matches!(state, PullState::Live)).await;
    scene.pass(10 * SECOND).await;
    let told = text(&mut first).unwrap();
    assert!(told.contains("the server did not accept the stream in time"), "{told}");
    assert_eq!(scene.task.lifecycle.current(), None);
}

#[tokio::test(start_paused = true)]
async fn each_publish_counts_for_itself() {
    let mut scene = Scene::new(RETRY);
    let _first = scene.ask("a");
    let first = scene.task.publish.borrow().clone();
    scene.task.end("another one follows");
    let _second = scene.ask("b");
    let second = scene.task.publish.borrow().clone();
    assert!(!first.same_channel(&second), "the work on a is taking leave, and still counts");
    assert_eq!(scene.handle.stats(), PublishStats::default());
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_shown_as_live_while_frames_flow_and_watchers_are_woken_for_that_only() {
    let mut scene = Scene::new(RETRY);
    let mut live = scene.handle.live();
    let mut first = scene.ask("a");
    scene.task.show();
    assert!(!live.has_changed().unwrap(), "it only starts");
    scene.task.note(Progress::Flowing);
    scene.task.show();
    assert_eq!(text(&mut first).as_deref(), Some("live"));
    assert_eq!(live.borrow_and_update().as_deref(), Some("a"));
    scene.task.note(Progress::Flowing);
    scene.task.show();
    assert!(!live.has_changed().unwrap(), "it is live as before");
    scene
        .task
        .note(Progress::Broken(Refusal::Server { told: "gone".into(), reason: "gone".into() }));
    scene.task.show();
    assert_eq!(*live.borrow_and_update(), None, "it is being retried");
    scene.task.note(Progress::Flowing);
    scene.task.show();
    assert_eq!(live.borrow_and_update().as_deref(), Some("a"));
    scene.task.end("a test ends it");
    scene.task.show();
    assert_eq!(*live.borrow_and_update(), None);
}

fn refused() -> News {
    let refusal = Refusal::Server { told: "no".into(), reason: "no".into() };
    News::Progress(Some(Progress::Refused(refusal)))
}

fn lost() -> Progress {
    Progress::Broken(Refusal::Server { told: "gone".into(), reason: "gone".into() })
}

#[tokio::test(start_paused = true)]
async fn a_constant_publish_and_one_of_the_cloud_do_not_run_at_once() {
    let mut scene = Scene::new(RETRY);
    scene.task.push();
    assert!(!scene.task.constant.holds(), "nothing is wanted");
    scene.wanted.send_replace(Some(request("")));
    scene.task.push();
    assert!(scene.task.constant.holds());
    assert_eq!(scene.ask("a").try_recv(), Ok(Err(Refusal::Constant)));
    scene.task.note_constant(News::Progress(Some(Progress::Flowing)));
    scene.task.show();
    assert_eq!(scene.handle.live().borrow().as_deref(), Some(""));
    assert_eq!(scene.ask("a").try_recv(), Ok(Err(Refusal::Constant)));

    scene.task.note_constant(News::Progress(Some(lost())));
    scene.task.show();
    assert_eq!(*scene.handle.live().borrow(), None);
    let mut outcome = scene.ask("a");
    assert!(!scene.task.constant.holds(), "a publish that lost its server gives way");
    scene.task.note(Progress::Flowing);
    assert_eq!(outcome.try_recv(), Ok(Ok(())));
    scene.task.push();
    assert!(!scene.task.constant.holds(), "it waits");
    let (done, _outcome) = oneshot::channel();
    scene.task.obey(Request::Stop("a".into(), done));
    scene.task.push();
    assert!(scene.task.constant.holds(), "and goes on");
}

#[tokio::test(start_paused = true)]
async fn a_constant_publish_that_is_refused_is_tried_for_ever_and_ever_more_rarely() {
    let mut scene = Scene::new(RETRY);
    scene.wanted.send_replace(Some(request("")));
    let mut pauses = Vec::new();
    for _ in 0..12 {
        scene.task.push();
        assert!(scene.task.constant.holds());
        scene.task.note_constant(refused());
        scene.task.push();
        assert!(!scene.task.constant.holds(), "it rests");
        let again = scene.task.constant.poll_timeout().expect("it is tried again");
        let pause = again.saturating_duration_since(Instant::now());
        pauses.push(pause);
        advance(pause).await;
    }
    assert!(
        pauses.iter().all(|pause| *pause >= 5 * SECOND && *pause <= 600 * SECOND),
        "{pauses:?}"
    );
    assert!(pauses[..1].iter().all(|pause| *pause <= 30 * SECOND), "{pauses:?}");

    scene.task.note_constant(refused());
    scene.wanted.send_replace(Some(request("")));
    scene.task.note_constant(News::Changed);
    scene.task.push();
    assert!(scene.task.constant.holds(), "a new list is tried at once");
    scene.wanted.send_replace(None);
    scene.task.note_constant(News::Changed);
    scene.task.push();
    assert!(!scene.task.constant.holds() && scene.task.constant.poll_timeout().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_constant_publish_that_was_wanted_before_begins_once() {
    let mut scene = Scene::new(RETRY);
    scene.wanted.send_replace(Some(request("")));
    scene.task.push();
    assert!(scene.task.constant.holds());
    let news = timeout(SECOND, scene.task.constant.next()).await;
    assert!(!matches!(news, Ok(News::Changed)), "it is not begun anew");
}
