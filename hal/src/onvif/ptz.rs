//! Pan, tilt and zoom.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::client::{Call, Service};
use super::envelope::Failure;
use super::{Onvif, is_fault, within};
use crate::xml::{Element, escape};
use crate::{Error, Kind, LONGEST_MOVE, Movement, Ptz, Result};

const START: &str = "ptz start";
const STOP: &str = "ptz stop";
/// The end of the name of the space in which -1 to 1 are the slowest and fastest velocities.
const GENERIC: &str = "VelocityGenericSpace";

/// How the camera is moved.
pub(super) struct Moves {
    /// The token of the media profile.
    profile: String,
    /// Pan and tilt; `None` where the camera has neither.
    pan_tilt: Option<Space<2>>,
    /// Zoom; `None` where the camera has none.
    zoom: Option<Space<1>>,
    /// How long a movement may last by the camera's own clock.
    longest: Duration,
    /// Whether the camera refused for once to tell its ranges, so that it has to be asked again.
    is_guess: bool,
    /// The number of the form of movement that the camera took last.
    form: AtomicUsize,
}

/// The velocities of axes that move together.
struct Space<const AXES: usize> {
    /// Its name, which most cameras need not be told.
    uri: String,
    /// The fastest velocity against and along each axis.
    ranges: [(f64, f64); AXES],
}

/// Which axes this program has set in motion and not stopped: pan and tilt, and zoom.
pub(super) type Moving = [bool; 2];

/// The forms of a movement: with a time-out or without, and with the name of the space or without. Some cameras refuse
/// the time-out (Bosch), a few want the name.
const FORMS: [(bool, bool); 4] = [(true, false), (false, false), (true, true), (false, true)];

#[async_trait]
impl Ptz for Onvif {
    async fn start(&self, movement: Movement) -> Result<()> {
        within(START, async {
            let axes = movement.direction.axes();
            let group = usize::from(axes[2] != 0);
            let moves = self.moves(START).await?;
            moves.check(axes)?;
            // A movement of the other axes would go on beside this one.
            if self.is_moving()[1 - group] {
                match self.end(&moves).await {
                    Err(error) if !is_fault(&error) => return Err(error),
                    _ => {}
                }
            }
            // After a refused change, an earlier movement of these axes goes on.
            let has_moved = self.is_moving()[group];
            self.set_moving(group, true);
            let outcome = self.move_on(movement, moves).await;
            if outcome.as_ref().is_err_and(is_fault) {
                self.set_moving(group, has_moved);
            }
            outcome
        })
        .await
    }

    async fn stop(&self) -> Result<()> {
        within(STOP, async {
            let moves = self.moves(STOP).await?;
            match self.end(&moves).await {
                Err(error) if error.kind == Kind::Invalid => {
                    self.moves.forget();
                    self.media.forget();
                    let moves = self.moves(STOP).await?;
                    self.end(&moves).await
                }
                outcome => outcome,
            }
        })
        .await
    }
}

impl Onvif {
    /// Calls the PTZ service for the profile that can move. `body` is what stands behind the profile. When the camera
    /// finds fault with it, it is asked anew for the profile, and called again where that is another one.
    pub(super) async fn ptz_call(
        &self,
        op: &'static str,
        action: &'static str,
        body: &(dyn Fn(&Moves) -> String + Sync),
    ) -> Result<Element> {
        let moves = self.moves(op).await?;
        let error = match self.order(op, action, &moves, &body(&moves)).await {
            Err(error) if error.kind == Kind::Invalid => error,
            outcome => return outcome,
        };
        self.moves.forget();
        self.media.forget();
        let fresh = self.moves(op).await?;
        if fresh.profile == moves.profile {
            return Err(error);
        }
        self.order(op, action, &fresh, &body(&fresh)).await
    }

    /// How the camera is moved.
    ///
    /// # Errors
    /// `Unsupported` from a camera that cannot be moved, `Refused`, `Offline`, `Timeout` or `Other`.
    pub(super) async fn moves(&self, op: &'static str) -> Result<Arc<Moves>> {
        let moves = self.moves.or_ask(self.ask_moves(op)).await?;
        if moves.is_guess {
            self.moves.forget();
        }
        Ok(moves)
    }

    /// Notes that nothing moves that this program set in motion.
    pub(super) fn rests(&self) {
        self.set_moving(0, false);
        self.set_moving(1, false);
    }

    async fn ask_moves(&self, op: &'static str) -> Result<Moves> {
        let unsupported = || Error::new(op, Kind::Unsupported);
        let services = self.services(op).await?;
        let at = services.require(op, Service::Ptz)?;
        let media = self.media(op).await?;
        let profile = media.mover().ok_or_else(unsupported)?;
        let ptz = profile.ptz.as_ref().ok_or_else(unsupported)?;
        let (service, action) = (Service::Ptz, "GetConfigurationOptions");
        let token = escape(&ptz.token);
        let body = format!("<ConfigurationToken>{token}</ConfigurationToken>");
        let mut is_guess = false;
        let told = match self.client.ask(Call { op, at, service, action, body: &body }).await {
            Ok(told) => told,
            Err(Failure::Other(error)) if is_fault(&error) => {
                is_guess = error.kind == Kind::Refused;
                Element::default()
            }
            Err(failure) => return Err(failure.into_error()),
        };
        let options = told.child("PTZConfigurationOptions").unwrap_or(&told);
        let [pan_tilt, zoom] = &ptz.default_spaces;
        let mut moves = Moves {
            profile: profile.token.clone(),
            pan_tilt: Space::read(options, "ContinuousPanTiltVelocitySpace", pan_tilt),
            zoom: Space::read(options, "ContinuousZoomVelocitySpace", zoom),
            longest: LONGEST_MOVE,
            is_guess,
            form: AtomicUsize::new(0),
        };
        let most = duration(options.text_at("PTZTimeout/Max")).filter(|most| !most.is_zero());
        moves.longest = most.map_or(LONGEST_MOVE, |most| most.min(LONGEST_MOVE));
        if moves.pan_tilt.is_none() && moves.zoom.is_none() {
            // A camera that tells of no space may still move in the usual one.
            let usual = "http://www.onvif.org/ver10/tptz/";
            moves.pan_tilt = Some(Space::usual(format!("{usual}PanTiltSpaces/{GENERIC}")));
            moves.zoom = Some(Space::usual(format!("{usual}ZoomSpaces/{GENERIC}")));
        }
        Ok(moves)
    }

    async fn order(
        &self,
        op: &'static str,
        action: &'static str,
        moves: &Moves,
        body: &str,
    ) -> Result<Element> {
        let services = self.services(op).await?;
        let (at, service) = (services.require(op, Service::Ptz)?, Service::Ptz);
        let body = format!("<ProfileToken>{}</ProfileToken>{body}", escape(&moves.profile));
        self.client.call(Call { op, at, service, action, body: &body }).await
    }

    /// Moves in the form that the camera took last, or in the first of the others that it takes.
    async fn move_on(&self, movement: Movement, mut moves: Arc<Moves>) -> Result<()> {
        let mut outcome = Err(Error::new(START, Kind::Unsupported));
        for again in [false, true] {
            if again {
                let before = Arc::clone(&moves);
                self.moves.forget();
                self.media.forget();
                moves = self.moves(START).await?;
                if moves.profile == before.profile {
                    break;
                }
            }
            let first = moves.form.load(Ordering::Relaxed);
            let others = (0..FORMS.len()).filter(|form| *form != first);
            for form in [first].into_iter().chain(others) {
                let body = moves.movement(movement, FORMS[form]);
                let error = match self.order(START, "ContinuousMove", &moves, &body).await {
                    Ok(_) => {
                        moves.form.store(form, Ordering::Relaxed);
                        return Ok(());
                    }
                    Err(error) if is_fault(&error) => error,
                    Err(error) => return Err(error),
                };
                let is_final = error.kind == Kind::Unsupported;
                if outcome.is_err() && form == first {
                    outcome = Err(error);
                }
                if is_final {
                    return outcome;
                }
            }
        }
        outcome
    }

    /// Ends any movement. Where Stop is refused, the axes are told to move at no velocity, each group alone.
    async fn end(&self, moves: &Moves) -> Result<()> {
        let both = "<PanTilt>true</PanTilt><Zoom>true</Zoom>";
        let refusal = match self.order(STOP, "Stop", moves, both).await {
            Ok(_) => {
                self.rests();
                return Ok(());
            }
            Err(error) if is_fault(&error) => error,
            Err(error) => return Err(error),
        };
        let moving = self.is_moving();
        let is_known = moving != [false; 2];
        let (mut has_stopped, mut has_failed) = (false, false);
        for group in [0, 1] {
            // Where nothing is known to move, every axis is told.
            if moving[group] || !is_known {
                let Some(rest) = moves.rest(group) else { continue };
                match self.order(STOP, "ContinuousMove", moves, &rest).await {
                    Ok(_) => has_stopped = true,
                    // Axes that are not known to move may be at rest or missing.
                    Err(error) if is_fault(&error) => {
                        has_failed |= is_known || error.kind == Kind::Refused;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        // Hikvision finds fault with the stop of what does not move.
        let is_at_rest = !is_known && refusal.kind == Kind::Invalid;
        if !has_failed && (has_stopped || is_at_rest) {
            self.rests();
            return Ok(());
        }
        Err(refusal)
    }

    fn is_moving(&self) -> Moving {
        *self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_moving(&self, group: usize, is_moving: bool) {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)[group] = is_moving;
    }
}

impl Moves {
    fn check(&self, axes: [i8; 3]) -> Result<()> {
        let has = if axes[2] == 0 { self.pan_tilt.is_some() } else { self.zoom.is_some() };
        if has { Ok(()) } else { Err(Error::new(START, Kind::Unsupported)) }
    }

    /// A movement as ContinuousMove has it. Only the axes that move are told, as some cameras refuse the others beside
    /// them.
    fn movement(&self, movement: Movement, (has_timeout, has_space): (bool, bool)) -> String {
        let [pan, tilt, zoom] = movement.direction.axes();
        // The slowest speed still moves.
        let speed = f64::from(movement.speed.clamp(1, 100)) / 100.0;
        let inner = match (&self.pan_tilt, &self.zoom) {
            (Some(space), _) if zoom == 0 => {
                let velocity = [space.velocity(0, pan, speed), space.velocity(1, tilt, speed)];
                vector("PanTilt", &velocity, has_space.then_some(&*space.uri))
            }
            (_, Some(space)) => {
                vector("Zoom", &[space.velocity(0, zoom, speed)], has_space.then_some(&*space.uri))
            }
            _ => String::new(),
        };
        let mut body = format!("<Velocity>{inner}</Velocity>");
        if has_timeout {
            body += &format!("<Timeout>PT{}S</Timeout>", self.longest.as_secs().max(1));
        }
        body
    }

    /// The movement of a group of axes at no velocity; `None` where the camera lacks them.
    fn rest(&self, group: usize) -> Option<String> {
        let inner = match group {
            0 => self.pan_tilt.as_ref().map(|_| vector("PanTilt", &[0.0; 2], None)),
            _ => self.zoom.as_ref().map(|_| vector("Zoom", &[0.0], None)),
        };
        inner.map(|inner| format!("<Velocity>{inner}</Velocity>"))
    }
}

impl<const AXES: usize> Space<AXES> {
    fn usual(uri: String) -> Self {
        Self { uri, ranges: [(-1.0, 1.0); AXES] }
    }

    /// The space that is meant where none is named: the default one, else the generic one, else the first.
    fn read(options: &Element, name: &str, default: &str) -> Option<Self> {
        let told =
            || options.find("Spaces").into_iter().flat_map(move |spaces| spaces.children(name));
        let named = |end: &str| told().find(|space| space.text_at("URI").ends_with(end));
        let is_default =
            told().find(|space| !default.is_empty() && space.text_at("URI") == default);
        let space = is_default.or_else(|| named(GENERIC)).or_else(|| told().next())?;
        let mut ranges = [(-1.0, 1.0); AXES];
        for (range, axis) in ranges.iter_mut().zip(["XRange", "YRange"]) {
            let bound = |end: &str| number(space.text_at(&format!("{axis}/{end}")));
            *range = (
                bound("Min").filter(|least| *least < 0.0).unwrap_or(-1.0),
                bound("Max").filter(|most| *most > 0.0).unwrap_or(1.0),
            );
        }
        Some(Self { uri: space.text_at("URI").to_owned(), ranges })
    }

    fn velocity(&self, axis: usize, sign: i8, speed: f64) -> f64 {
        let (least, most) = self.ranges[axis];
        match sign {
            1.. => speed * most,
            0 => 0.0,
            _ => speed * least,
        }
    }
}

/// A vector as ONVIF has it. Velocities are rounded to a ten-thousandth.
fn vector(name: &str, velocity: &[f64], space: Option<&str>) -> String {
    let mut text = format!("<tt:{name}");
    for (axis, value) in ["x", "y"].iter().zip(velocity) {
        // Adding 0 makes a zero of a negative zero.
        text += &format!(" {axis}=\"{}\"", (value * 10_000.0).round() / 10_000.0 + 0.0);
    }
    if let Some(space) = space.filter(|space| !space.is_empty()) {
        text += &format!(" space=\"{}\"", escape(space));
    }
    text + "/>"
}

/// A bound of a range; `None` for what is no number, as INF.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|bound| bound.is_finite() && bound.abs() < 1e6)
}

/// A duration of XML Schema, such as `PT1M0.5S`; years and months are not read.
fn duration(text: &str) -> Option<Duration> {
    let (days, time) = text.strip_prefix('P')?.split_once('T')?;
    let days = if days.is_empty() { 0.0 } else { days.strip_suffix('D')?.parse::<f64>().ok()? };
    let (mut seconds, mut rest) = (days * 86_400.0, time);
    while let Some(at) = rest.find(['H', 'M', 'S']) {
        let unit = match rest.as_bytes()[at] {
            b'H' => 3600.0,
            b'M' => 60.0,
            _ => 1.0,
        };
        seconds += rest[..at].parse::<f64>().ok()? * unit;
        rest = &rest[at + 1..];
    }
    rest.is_empty().then(|| Duration::try_from_secs_f64(seconds).ok())?
}
