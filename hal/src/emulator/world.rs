//! The state of an emulated camera, which its abilities change and its picture shows.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::secret::Secret;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::drive::{Drive, Position};
use super::networks::KNOWN;
use crate::{Area, Armed, Detection, Error, Kind, Point, Result, Trigger, WallTime};

/// Most presets that a camera remembers.
const MOST_PRESETS: usize = 64;
/// Number of orders that are remembered.
const ORDERS: usize = 32;
/// Longest name of a camera or preset that is kept, in characters.
const LONGEST_NAME: usize = 64;
/// Changes of triggers that a listener may be behind.
const BEHIND: usize = 256;

/// An emulated camera as it is at the moment. Time passes by the clock of tokio.
pub struct World {
    state: Mutex<State>,
    began: Instant,
    reboots: watch::Sender<u64>,
    /// Each change of a trigger, and whether it is active now.
    changes: broadcast::Sender<(Trigger, bool)>,
}

/// A position that a camera remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// How the camera knows it.
    pub token: String,
    /// For people to read.
    pub name: String,
    /// Pan, tilt and zoom as in [`Position`].
    pub at: [f64; 3],
}

/// The triggers that are active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    /// [`Trigger::Motion`].
    pub motion: bool,
    /// [`Trigger::Line`].
    pub line: bool,
    /// [`Trigger::Input`].
    pub input: bool,
}

impl Triggers {
    /// The triggers that are active.
    pub fn active(self) -> impl Iterator<Item = Trigger> {
        Trigger::ALL.into_iter().filter(move |trigger| match trigger {
            Trigger::Motion => self.motion,
            Trigger::Line => self.line,
            Trigger::Input => self.input,
        })
    }
}

/// What runs by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Running {
    #[default]
    Nothing,
    /// The tour with this token.
    Tour(String),
    Patrol,
}

/// The wireless network that the camera was told to join.
pub(super) struct Join {
    pub(super) ssid: String,
    pub(super) password: Secret,
    pub(super) at: Instant,
}

pub(super) struct State {
    pub(super) drive: Drive,
    pub(super) running: Running,
    pub(super) presets: Vec<Preset>,
    pub(super) motion: Detection,
    pub(super) tripwire: (Detection, Area),
    pub(super) join: Join,
    /// What the clock showed at a moment, in seconds after 1970-01-01T00:00:00.
    clock: (u64, Instant),
    title: String,
    triggers: Triggers,
    /// The moment that `drive` stands at.
    now: Instant,
    away_until: Instant,
    orders: VecDeque<String>,
    order_count: u64,
}

impl Default for World {
    fn default() -> Self {
        Self::new("emulator")
    }
}

impl World {
    /// A camera that has just started; its picture shows `title`.
    pub fn new(title: &str) -> Self {
        let now = Instant::now();
        let presets = [
            ("1", "door", [-0.8, -0.2, 0.0]),
            ("2", "gate \u{5927}\u{95e8}", [0.8, 0.1, 0.5]),
            ("3", "caf\u{e9} \"left\"", [-0.3, 0.6, 1.0]),
        ];
        let presets = presets.map(|(token, name, at)| Preset {
            token: token.to_owned(),
            name: name.to_owned(),
            at,
        });
        let detection = Detection {
            enable: false,
            armed: Armed::ALWAYS,
            sensitivity: 50,
            delay: Duration::from_secs(10),
        };
        let corners = [(0, 0), (100, 0), (100, 100), (0, 100)];
        let ssid = KNOWN[0].ssid.to_owned();
        let password = Secret::new(KNOWN[0].password.to_owned());
        let state = State {
            drive: Drive::default(),
            running: Running::Nothing,
            presets: presets.into(),
            motion: detection,
            tripwire: (detection, Area(corners.map(|(x, y)| Point { x, y }))),
            join: Join { ssid, password, at: now },
            clock: (system_seconds(), now),
            title: shortened(title),
            triggers: Triggers::default(),
            now,
            away_until: now,
            orders: VecDeque::new(),
            order_count: 0,
        };
        Self {
            state: Mutex::new(state),
            began: now,
            reboots: watch::Sender::new(0),
            changes: broadcast::Sender::new(BEHIND),
        }
    }

    /// When the camera was made.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The text that the picture shows.
    pub fn title(&self) -> String {
        self.lock().title.clone()
    }

    /// Shows another text in the picture.
    pub fn set_title(&self, title: &str) {
        self.lock().title = shortened(title);
    }

    /// Where the camera looks now.
    pub fn position(&self) -> Position {
        self.lock().drive.position()
    }

    /// Goes to this position, limited to what the camera reaches.
    ///
    /// # Errors
    /// `Offline` while the camera is away.
    pub fn go_to(&self, pan: f64, tilt: f64, zoom: f64) -> Result<()> {
        let order = || format!("go to {pan:.2} {tilt:.2} {zoom:.2}");
        self.act("ptz go_to", order, |state| {
            state.running = Running::Nothing;
            state.drive.go_to([pan, tilt, zoom]);
            Ok(())
        })
    }

    /// Moves pan, tilt and zoom at these shares of their full speed, −1 to 1, in the place of any movement.
    ///
    /// # Errors
    /// `Offline` while the camera is away.
    pub fn drive(&self, velocity: [f64; 3]) -> Result<()> {
        let [pan, tilt, zoom] = velocity;
        let order = || format!("drive {pan:.2} {tilt:.2} {zoom:.2}");
        self.act("ptz drive", order, |state| {
            state.running = Running::Nothing;
            state.drive.run(velocity);
            Ok(())
        })
    }

    /// The presets that are set.
    pub fn presets(&self) -> Vec<Preset> {
        self.lock().presets.clone()
    }

    /// Sets a preset to the present position and returns its token. Without a token a new one is made;
    /// without a name the preset has the name that it had, or its token.
    ///
    /// # Errors
    /// `Offline`; `Invalid` for an empty token; `Refused` where all presets are set.
    pub fn set_preset(&self, token: Option<&str>, name: Option<&str>) -> Result<String> {
        let op = "presets set";
        let order = || format!("set preset {}", token.unwrap_or("anew"));
        self.act(op, order, |state| {
            let used = |token: &str| state.presets.iter().any(|preset| preset.token == token);
            let token = match token {
                Some(token) if token.is_empty() || token.chars().count() > LONGEST_NAME => {
                    return Err(Error::new(op, Kind::Invalid));
                }
                Some(token) => token.to_owned(),
                None => (1..).map(|n: u32| n.to_string()).find(|t| !used(t)).unwrap_or_default(),
            };
            let at = state.drive.at();
            let full = state.presets.len() >= MOST_PRESETS;
            match state.presets.iter_mut().find(|preset| preset.token == token) {
                Some(preset) => {
                    preset.at = at;
                    preset.name = name.map_or_else(|| preset.name.clone(), shortened);
                }
                None if full => return Err(Error::new(op, Kind::Refused)),
                None => {
                    let name = shortened(name.unwrap_or(&token));
                    state.presets.push(Preset { token: token.clone(), name, at });
                }
            }
            Ok(token)
        })
    }

    /// Takes a preset off the list.
    ///
    /// # Errors
    /// `Offline`, or `Invalid` for a token that is not set.
    pub fn remove_preset(&self, token: &str) -> Result<()> {
        let op = "presets remove";
        self.act(
            op,
            || format!("remove preset {token}"),
            |state| {
                let place = state.presets.iter().position(|preset| preset.token == token);
                state.presets.remove(place.ok_or_else(|| Error::new(op, Kind::Invalid))?);
                Ok(())
            },
        )
    }

    /// The token of the tour that runs.
    pub fn touring(&self) -> Option<String> {
        match &self.lock().running {
            Running::Tour(token) => Some(token.clone()),
            _ => None,
        }
    }

    /// Whether the patrol runs.
    pub fn patrolling(&self) -> bool {
        self.lock().running == Running::Patrol
    }

    /// How motion detection is set up.
    pub fn motion(&self) -> Detection {
        self.lock().motion
    }

    /// How the tripwire is set up.
    pub fn tripwire(&self) -> (Detection, Area) {
        self.lock().tripwire
    }

    /// Makes a trigger active or ends it, whether or not the camera is set up to detect it.
    pub fn trigger(&self, trigger: Trigger, active: bool) {
        let mut state = self.lock();
        let was = match trigger {
            Trigger::Motion => &mut state.triggers.motion,
            Trigger::Line => &mut state.triggers.line,
            Trigger::Input => &mut state.triggers.input,
        };
        if std::mem::replace(was, active) != active {
            // An error says that nobody listens.
            let _ = self.changes.send((trigger, active));
        }
    }

    /// Each change of a trigger from now on, and whether it is active then.
    pub fn changes(&self) -> broadcast::Receiver<(Trigger, bool)> {
        self.changes.subscribe()
    }

    /// What the camera's clock shows; in the beginning it is the system's time in UTC.
    pub fn clock(&self) -> Option<WallTime> {
        let (seconds, at) = self.lock().clock;
        let passed = Instant::now().saturating_duration_since(at);
        WallTime::from_seconds(seconds.saturating_add(passed.as_secs()))
    }

    /// Sets the camera's clock.
    ///
    /// # Errors
    /// `Offline` while the camera is away; `Invalid` for a time before 1970.
    pub fn set_clock(&self, time: WallTime) -> Result<()> {
        let op = "clock set";
        let seconds = time.seconds().ok_or_else(|| Error::new(op, Kind::Invalid))?;
        self.act(
            op,
            || format!("set clock {time}"),
            |state| {
                state.clock = (seconds, state.now);
                Ok(())
            },
        )
    }

    /// The triggers that are active now.
    pub fn triggers(&self) -> Triggers {
        self.lock().triggers
    }

    /// Whether the camera restarts at the moment.
    pub fn is_away(&self) -> bool {
        self.lock().is_away()
    }

    /// Restarts the camera: it is away for this time, and then at its home position.
    pub fn go_away(&self, time: Duration) {
        let mut state = self.lock();
        state.drive = Drive::default();
        state.running = Running::Nothing;
        for trigger in state.triggers.active() {
            // An error says that nobody listens.
            let _ = self.changes.send((trigger, false));
        }
        state.triggers = Triggers::default();
        state.away_until = state.now + time;
        state.join.at = state.away_until;
        drop(state);
        self.reboots.send_modify(|count| *count += 1);
    }

    /// How often the camera was restarted; changes at the moment when it goes away.
    pub fn reboots(&self) -> watch::Receiver<u64> {
        self.reboots.subscribe()
    }

    /// The newest orders that were carried out, the last of them at the end; none holds a password.
    pub fn orders(&self) -> Vec<String> {
        self.lock().orders.iter().cloned().collect()
    }

    /// Number of orders that were carried out.
    pub fn order_count(&self) -> u64 {
        self.lock().order_count
    }

    /// Carries out an order that the camera remembers.
    pub(super) fn act<T>(
        &self,
        op: &'static str,
        order: impl FnOnce() -> String,
        act: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.present(op)?;
        let done = act(&mut state)?;
        if state.orders.len() == ORDERS {
            state.orders.pop_front();
        }
        let order = order().chars().take(2 * LONGEST_NAME).collect();
        state.orders.push_back(order);
        state.order_count += 1;
        Ok(done)
    }

    /// The state of a camera that has to be there.
    pub(super) fn present(&self, op: &'static str) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.is_away() { Err(Error::new(op, Kind::Offline)) } else { Ok(state) }
    }

    /// The state at this moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let passed = now.saturating_duration_since(state.now);
        state.drive.advance(passed);
        state.now = state.now.max(now);
        state
    }
}

impl State {
    /// The moment of this state.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    fn is_away(&self) -> bool {
        self.now < self.away_until
    }
}

fn system_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn presets_are_set_renamed_and_removed() {
        let world = World::default();
        world.go_to(0.5, 0.0, 0.0).unwrap();
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(world.set_preset(None, None).unwrap(), "4");
        world.set_preset(Some("1"), Some("yard")).unwrap();
        let presets = world.presets();
        assert_eq!((presets[0].name.as_str(), presets[0].at), ("yard", [0.5, 0.0, 0.0]));
        assert_eq!((presets[3].name.as_str(), presets[3].at), ("4", [0.5, 0.0, 0.0]));
        world.remove_preset("1").unwrap();
        assert_eq!(world.remove_preset("1").unwrap_err().kind, Kind::Invalid);
        assert_eq!(world.set_preset(Some(""), None).unwrap_err().kind, Kind::Invalid);
        while world.presets().len() < MOST_PRESETS {
            world.set_preset(None, Some("full")).unwrap();
        }
        assert_eq!(world.set_preset(None, None).unwrap_err().kind, Kind::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_takes_the_camera_away_and_home() {
        let world = World::default();
        let mut reboots = world.reboots();
        world.drive([1.0, 0.0, 0.0]).unwrap();
        world.trigger(Trigger::Motion, true);
        tokio::time::advance(Duration::from_secs(1)).await;
        world.go_away(Duration::from_secs(5));
        assert!(reboots.has_changed().unwrap() && *reboots.borrow_and_update() == 1);
        assert!(world.is_away());
        assert_eq!(world.drive([1.0, 0.0, 0.0]).unwrap_err().kind, Kind::Offline);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(!world.is_away());
        assert_eq!(world.position(), Position::default());
        assert_eq!(world.triggers(), Triggers::default());
    }

    #[tokio::test]
    async fn only_the_newest_orders_are_kept() {
        let world = World::default();
        for _ in 0..100 {
            world.drive([0.0; 3]).unwrap();
        }
        assert_eq!((world.orders().len(), world.order_count()), (ORDERS, 100));
    }
}
