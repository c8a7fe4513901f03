use async_trait::async_trait;
use ivt_hal::emulator::Emulator;
use ivt_hal::{Device, Direction, Model, Movement, Named, Presets, Tours};
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
}

impl Camera {
    async fn note(&self, order: impl Into<String>) -> Result<()> {
        self.told.send((Instant::now(), order.into())).unwrap();
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
        self.note(format!("{:?} {}", movement.direction, movement.speed)).await
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
    link: watch::Sender<Link>,
    stop: Stopper,
    task: JoinHandle<()>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    outcome: mpsc::UnboundedSender<Outcome>,
}

fn scene(delay: Duration, failing: u32) -> Scene {
    let (sender, told) = mpsc::unbounded_channel();
    let camera = Arc::new(Camera { told: sender, delay, failing: Mutex::new(failing) });
    let mut channel = Channel::new(Arc::new(Emulator::default()));
    channel.ptz = Some(camera.clone());
    channel.presets = Some(camera.clone());
    channel.tours = Some(camera);
    let device = Device { model: Model::Camera, channels: vec![channel], cgi: None };
    let link = watch::Sender::new(Link::down());
    let (stop, stopping) = stopper();
    let (task, remote) = PtzTask::new(CurrentDevice::new(device), 0, link.subscribe());
    let task = tokio::spawn(task.run(stopping));
    let (outcome, outcomes) = mpsc::unbounded_channel();
    Scene { remote, told, link, stop, task, outcomes, outcome }
}

impl Scene {
    fn give(&self, order: Order) {
        let outcome = self.outcome.clone();
        self.remote.give(order, Box::new(move |what| drop(outcome.send(what))));
    }

    async fn told(&mut self) -> (Instant, String) {
        self.told.recv().await.unwrap()
    }

    /// Fails if the camera is told anything within ten minutes.
    async fn told_no_more(&mut self) {
        let more = timeout(Duration::from_secs(600), self.told.recv()).await;
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
async fn a_stop_that_fails_is_tried_again_but_not_for_ever() {
    let mut camera = scene(Duration::ZERO, 2);
    camera.give(Order::Stop);
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(camera.told().await.0);
    }
    assert_eq!([times[1] - times[0], times[2] - times[1]], [AGAIN[0], AGAIN[1]]);
    camera.told_no_more().await;

    let mut dead = scene(Duration::ZERO, u32::MAX);
    dead.give(Order::Stop);
    for _ in 0..=AGAIN.len() {
        assert_eq!(dead.told().await.1, "stop");
    }
    dead.told_no_more().await;
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
async fn a_preset_takes_the_place_of_a_movement_unless_it_fails() {
    let mut scene = scene(Duration::ZERO, 0);
    scene.give(up(10));
    scene.told().await;
    scene.give(Order::Preset("3".into()));
    assert_eq!(scene.told().await.1, "preset 3");
    scene.told_no_more().await;

    scene.give(up(10));
    scene.told().await;
    scene.give(Order::Preset("97".into()));
    let refused = Order::Move(Movement { direction: Direction::ZoomIn, speed: 1 });
    sleep(Duration::from_secs(1)).await;
    scene.give(refused);
    assert_eq!(scene.told().await.1, "stop");
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
