use async_trait::async_trait;
use ivt_hal::emulator::Emulator;
use ivt_hal::{Channel, Device, Direction, Model, Movement, Named, Presets, Tours};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::shutdown::{Stopper, stopper};

/// A camera that writes down what it is told, and answers late.
struct Camera {
    told: mpsc::UnboundedSender<(Instant, String)>,
    delay: Duration,
    /// How many more stops fail.
    failing: Mutex<u32>,
    /// Written before each order, to tell cameras apart.
    name: &'static str,
}

impl Camera {
    async fn note(&self, order: impl Into<String>) -> Result<()> {
        self.told.send((Instant::now(), format!("{}{}", self.name, order.into()))).unwrap();
        sleep(self.delay).await;
        Ok(())
    }
}

#[async_trait]
impl Ptz for Camera {
    async fn start(&self, movement: Movement) -> Result<()> {
        if movement.direction == Direction::ZoomIn {
            return Err(Error::new("ptz start", Kind::Unsupported));
        }
        self.note(format!("{:?} {}", movement.direction, movement.speed)).await?;
        match movement.direction {
            Direction::ZoomOut => Err(Error::new("ptz start", Kind::Timeout)),
            _ => Ok(()),
        }
    }

    async fn stop(&self) -> Result<()> {
        self.note("stop").await?;
        let mut failing = self.failing.lock().unwrap();
        if *failing == 0 {
            return Ok(());
        }
        *failing -= 1;
        Err(Error::new("ptz stop", Kind::Offline))
    }
}

#[async_trait]
impl Presets for Camera {
    async fn list(&self) -> Result<Vec<Named>> {
        Ok(Vec::new())
    }

    async fn go_to(&self, token: &str) -> Result<()> {
        if token == "97" {
            return Err(Error::new("presets go to", Kind::Invalid));
        }
        self.note(format!("preset {token}")).await
    }
}

#[async_trait]
impl Tours for Camera {
    async fn list(&self) -> Result<Vec<Named>> {
        Ok(Vec::new())
    }

    async fn start(&self, token: &str) -> Result<()> {
        self.note(format!("tour {token}")).await
    }

    async fn stop(&self, token: Option<&str>) -> Result<()> {
        self.note(format!("end tour {token:?}")).await
    }
}

struct Scene {
    remote: Remote,
    told: mpsc::UnboundedReceiver<(Instant, String)>,
    sender: mpsc::UnboundedSender<(Instant, String)>,
    device: CurrentDevice,
    link: watch::Sender<Link>,
    stop: Stopper,
    task: JoinHandle<()>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    outcome: mpsc::UnboundedSender<Outcome>,
}

/// A device with one camera that can move and has presets and tours.
fn device(camera: Camera) -> Device {
    let camera = Arc::new(camera);
    let mut channel = Channel::new(Arc::new(Emulator::default()));
    channel.ptz = Some(camera.clone());
    channel.presets = Some(camera.clone());
    channel.tours = Some(camera);
    Device { model: Model::Camera, channels: vec![channel], cgi: None }
}

fn scene(delay: Duration, failing: u32) -> Scene {
    let (sender, told) = mpsc::unbounded_channel();
    let camera = Camera { told: sender.clone(), delay, failing: Mutex::new(failing), name: "" };
    let device = CurrentDevice::new(device(camera));
    let link = watch::Sender::new(Link::down());
    let (stop, stopping) = stopper();
    let (task, remote) = PtzTask::new(device.clone(), 0, link.subscribe());
    let task = tokio::spawn(task.run(stopping));
    let (outcome, outcomes) = mpsc::unbounded_channel();
    Scene { remote, told, sender, device, link, stop, task, outcomes, outcome }
}

impl Scene {
    fn give(&self, order: Order) {
        let outcome = self.outcome.clone();
        self.remote.give(order, Box::new(move |what| drop(outcome.send(what))));
    }

    async fn told(&mut self) -> (Instant, String) {
        let told = timeout(Duration::from_secs(7200), self.told.recv()).await;
        told.expect("no word within two hours").unwrap()
    }

    /// Fails unless these are the next words to cameras.
    async fn hears(&mut self, words: &[&str]) {
        for word in words {
            assert_eq!(self.told().await.1, *word);
        }
    }

    /// Configures the channel anew, with another camera.
    fn exchange(&self) {
        let camera = Camera {
            told: self.sender.clone(),
            delay: Duration::ZERO,
            failing: Mutex::new(0),
            name: "other: ",
        };
        self.device.exchange(device(camera));
    }

    /// Fails if the camera is told anything within an hour.
    async fn told_no_more(&mut self) {
        let more = timeout(Duration::from_secs(3600), self.told.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

fn up(speed: u8) -> Order {
    Order::Move(Movement { direction: Direction::Up, speed })
}

#[tokio::test(start_paused = true)]
async fn a_movement_ends_thirty_seconds_after_its_newest_order() {
    let mut scene = scene(Duration::ZERO, 0);
    scene.give(up(10));
    assert_eq!(scene.told().await.1, "Up 10");
    sleep(Duration::from_secs(20)).await;
    scene.give(up(20));
    let (newest, _) = scene.told().await;
    let (stopped, order) = scene.told().await;
    assert_eq!((order.as_str(), stopped - newest), ("stop", LONGEST_MOVE));
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_stops_a_movement_once() {
    let mut scene = scene(Duration::ZERO, 0);
    scene.give(up(10));
    let (start, _) = scene.told().await;
    sleep(Duration::from_secs(1)).await;
    scene.link.send_modify(|link| link.losses += 1);
    let (stopped, order) = scene.told().await;
    assert_eq!((order.as_str(), stopped - start), ("stop", Duration::from_secs(1)));
    scene.link.send_modify(|link| link.losses += 1);
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_while_the_camera_is_being_told_stops_it_too() {
    let mut scene = scene(Duration::from_secs(5), 0);
    scene.give(up(10));
    assert_eq!(scene.told().await.1, "Up 10");
    scene.give(up(20));
    scene.link.send_modify(|link| link.losses += 1);
    assert_eq!(scene.told().await.1, "stop", "and the order that waited is dropped");
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_agent_stops_a_camera_in_the_middle_of_an_order() {
    let mut scene = scene(Duration::from_secs(1), 0);
    scene.give(up(10));
    let (start, _) = scene.told().await;
    scene.stop.stop();
    let (stopped, order) = scene.told().await;
    assert_eq!((order.as_str(), stopped - start), ("stop", Duration::ZERO));
    scene.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_explicit_stop_is_sent_and_ends_the_watch() {
    let mut scene = scene(Duration::ZERO, 0);
    scene.give(Order::Stop);
    assert_eq!(scene.told().await.1, "stop", "also where nothing moves");
    scene.give(up(10));
    assert_eq!(scene.told().await.1, "Up 10");
    scene.give(Order::Stop);
    assert_eq!(scene.told().await.1, "stop");
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_fails_is_tried_again_until_the_camera_takes_it() {
    let mut camera = scene(Duration::ZERO, 7);
    camera.give(Order::Stop);
    let mut times = Vec::new();
    for _ in 0..8 {
        times.push(camera.told().await.0);
    }
    let pauses: Vec<_> = times.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 30_000, 30_000, 30_000]);
    camera.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_took_no_stop_for_ten_minutes_is_told_again_when_something_happens() {
    let mut dead = scene(Duration::ZERO, u32::MAX);
    dead.give(up(10));
    assert_eq!(dead.told().await.1, "Up 10");
    dead.give(Order::Stop);
    let (first, _) = dead.told().await;
    let mut last = first;
    while let Ok(Some((time, word))) = timeout(Duration::from_secs(3600), dead.told.recv()).await {
        assert_eq!(word, "stop");
        last = time;
    }
    let tried = last - first;
    assert!(tried > Duration::from_secs(570) && tried < Duration::from_secs(660), "{tried:?}");
    dead.link.send_modify(|link| link.losses += 1);
    dead.hears(&["stop"]).await;
    dead.told_no_more().await;
    dead.give(Order::Stop);
    dead.hears(&["stop", "stop", "stop"]).await;
    dead.stop.stop();
    dead.task.await.unwrap();
    dead.told.close();
    assert_eq!(dead.told.recv().await.unwrap().1, "stop", "when the agent ends");
}

#[tokio::test(start_paused = true)]
async fn a_new_stop_begins_the_tries_anew() {
    let mut scene = scene(Duration::ZERO, 4);
    scene.give(Order::Stop);
    scene.hears(&["stop"; 3]).await;
    scene.give(Order::Stop);
    let (fourth, _) = scene.told().await;
    let (fifth, _) = scene.told().await;
    assert_eq!(fifth - fourth, AGAIN[0]);
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_may_have_reached_the_camera_is_stopped_at_once() {
    let mut scene = scene(Duration::ZERO, 0);
    scene.give(Order::Move(Movement { direction: Direction::ZoomOut, speed: 1 }));
    let (start, _) = scene.told().await;
    let (stopped, word) = scene.told().await;
    assert_eq!((word.as_str(), stopped - start), ("stop", Duration::ZERO));
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn the_stop_after_a_lost_connection_goes_before_the_orders_that_wait() {
    let mut scene = scene(Duration::from_secs(5), 0);
    scene.give(up(10));
    scene.hears(&["Up 10"]).await;
    scene.give(Order::EndTour(None));
    scene.link.send_modify(|link| link.losses += 1);
    scene.hears(&["stop", "end tour None"]).await;
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_was_exchanged_while_it_moved_is_stopped_by_any_order() {
    for (order, words) in [
        (Order::Stop, &["other: stop", "stop"][..]),
        (Order::Preset("3".into()), &["stop", "other: preset 3"]),
        (Order::Tour("4".into()), &["stop", "other: tour 4"]),
        (Order::EndTour(None), &["stop", "other: end tour None"]),
        (up(20), &["stop", "other: Up 20", "other: stop"]),
    ] {
        let mut scene = scene(Duration::ZERO, 0);
        scene.give(up(10));
        scene.hears(&["Up 10"]).await;
        scene.exchange();
        scene.give(order);
        scene.hears(words).await;
        scene.told_no_more().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchanged_camera_keeps_its_own_tries_beside_the_new_movement() {
    let mut scene = scene(Duration::ZERO, 2);
    scene.give(up(10));
    scene.hears(&["Up 10"]).await;
    scene.exchange();
    scene.give(up(20));
    scene.hears(&["stop", "other: Up 20", "stop", "stop", "other: stop"]).await;
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_few_requests_and_the_newest_wins() {
    let mut scene = scene(Duration::from_secs(1), 0);
    for n in 0..10_000_u32 {
        scene.give(up((n % 100) as u8));
        if n == 0 {
            assert_eq!(scene.told().await.1, "Up 0");
        }
    }
    assert_eq!(scene.told().await.1, "Up 99");
    let (mut done, mut replaced) = (0, 0);
    for _ in 0..10_000 {
        match scene.outcomes.recv().await.unwrap() {
            Outcome::Done(Ok(())) => done += 1,
            Outcome::Replaced => replaced += 1,
            Outcome::Done(Err(e)) => panic!("{e}"),
        }
    }
    assert_eq!((done, replaced), (2, 9_998));
    assert_eq!(scene.told().await.1, "stop");
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_movement_is_stopped_before_a_preset_or_a_tour() {
    let mut scene = scene(Duration::ZERO, 0);
    for (order, word) in
        [(Order::Preset("3".into()), "preset 3"), (Order::Tour("4".into()), "tour 4")]
    {
        scene.give(up(10));
        scene.hears(&["Up 10"]).await;
        scene.give(order.clone());
        scene.hears(&["stop", word]).await;
        scene.told_no_more().await;
        scene.give(order);
        scene.hears(&[word]).await;
        scene.told_no_more().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_preset_that_fails_leaves_no_movement_unattended() {
    let mut scene = scene(Duration::ZERO, 1);
    scene.give(up(10));
    let (start, _) = scene.told().await;
    scene.give(Order::Preset("97".into()));
    scene.hears(&["stop"]).await;
    let (stopped, word) = scene.told().await;
    assert_eq!((word.as_str(), stopped - start), ("stop", AGAIN[0]));
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_movement_leaves_the_one_before_under_watch() {
    let mut scene = scene(Duration::ZERO, 0);
    scene.give(up(10));
    let (start, _) = scene.told().await;
    sleep(Duration::from_secs(1)).await;
    scene.give(Order::Move(Movement { direction: Direction::ZoomIn, speed: 1 }));
    let (stopped, word) = scene.told().await;
    assert_eq!((word.as_str(), stopped - start), ("stop", LONGEST_MOVE));
    scene.told_no_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_a_token_ends_the_tour_that_was_started() {
    let mut scene = scene(Duration::ZERO, 0);
    for (order, told) in [
        (Order::Tour("7".into()), "tour 7"),
        (Order::EndTour(None), "end tour Some(\"7\")"),
        (Order::EndTour(None), "end tour None"),
        (Order::EndTour(Some("4".into())), "end tour Some(\"4\")"),
    ] {
        scene.give(order);
        assert_eq!(scene.told().await.1, told);
    }
}

#[cfg(feature = "ui")]
#[tokio::test(start_paused = true)]
async fn a_movement_by_the_page_ends_within_two_seconds_of_its_newest_order() {
    let mut scene = scene(Duration::ZERO, 0);
    let left = Order::Hold(Movement { direction: Direction::Left, speed: 30 });
    scene.give(left.clone());
    scene.hears(&["Left 30"]).await;
    for _ in 0..5 {
        sleep(Duration::from_secs(1)).await;
        scene.give(left.clone());
    }
    let newest = Instant::now();
    let (at, word) = scene.told().await;
    assert_eq!(word, "stop", "the camera is not told again of a movement that goes on");
    assert!(at - newest < Duration::from_secs(2), "{:?}", at - newest);

    // Another direction, or another speed, is told at once, and a movement that goes on for long now and then.
    scene.give(left);
    scene.give(Order::Hold(Movement { direction: Direction::Left, speed: 60 }));
    let up = Order::Hold(Movement { direction: Direction::Up, speed: 60 });
    sleep(Duration::from_secs(1)).await;
    scene.give(up.clone());
    scene.hears(&["Left 60", "Up 60"]).await;
    for _ in 0..12 {
        sleep(Duration::from_secs(1)).await;
        scene.give(up.clone());
    }
    scene.give(Order::Stop);
    scene.hears(&["Up 60", "stop"]).await;

    // A movement by the cloud that follows is not cut short.
    scene.give(up);
    scene.hears(&["Up 60"]).await;
    let moved = Instant::now();
    scene.give(Order::Move(Movement { direction: Direction::Up, speed: 60 }));
    scene.hears(&["Up 60", "stop"]).await;
    assert!(moved.elapsed() >= LONGEST_MOVE);
}
