//! What moves a camera.

use async_trait::async_trait;

use super::{Unit, named, token};
use crate::profile::values::Values;
use crate::{Direction, Error, Kind, Movement, Named, Patrol, Presets, Ptz, Result, Tours};

/// Most tours that are stopped one by one when nobody knows which runs.
const MOST_STOPPED: usize = 16;

impl Unit {
    /// Stops what runs where the camera needs that, and begins a movement.
    async fn turn(&self, movement: Movement) -> Result<()> {
        let before = self.state().movement;
        let turns = before.is_some_and(|before| before.direction != movement.direction);
        if turns && self.profile.stops_between() {
            Ptz::stop(self).await?;
        }
        // A start that fails may have reached the camera, and a stop has to name it.
        self.state().movement = Some(movement);
        let started = self.run("ptz start", &moving(self.values(), movement)).await.map(drop);
        if let Err(Error { kind: Kind::Unsupported | Kind::Invalid | Kind::Refused, .. }) = started
        {
            self.state().movement = before;
        }
        started
    }
}

#[async_trait]
impl Ptz for Unit {
    async fn start(&self, movement: Movement) -> Result<()> {
        let turned = tokio::time::timeout(crate::profile::exchange::DEADLINE, self.turn(movement));
        turned.await.unwrap_or_else(|_| Err(Error::new("ptz start", Kind::Timeout)))
    }

    async fn stop(&self) -> Result<()> {
        // A camera that has to be told what to stop is told of a movement that does not run.
        let nothing = Movement { direction: Direction::Up, speed: 0 };
        let movement = self.state().movement.unwrap_or(nothing);
        self.run("ptz stop", &moving(self.values(), movement)).await?;
        Ok(())
    }
}

#[async_trait]
impl Presets for Unit {
    async fn list(&self) -> Result<Vec<Named>> {
        Ok(named(self.run("presets list", &self.values()).await?, self.profile.preset()))
    }

    async fn go_to(&self, preset: &str) -> Result<()> {
        const OP: &str = "presets go_to";
        let preset = token(OP, preset, self.profile.preset())?;
        let gone = self.run(OP, &self.values().text("token", preset)).await;
        gone.map(drop).map_err(unknown)
    }
}

#[async_trait]
impl Tours for Unit {
    async fn list(&self) -> Result<Vec<Named>> {
        Ok(named(self.run("tours list", &self.values()).await?, self.profile.tour()))
    }

    async fn start(&self, tour: &str) -> Result<()> {
        const OP: &str = "tours start";
        let tour = token(OP, tour, self.profile.tour())?;
        // A start without an answer may have reached the camera, and a stop has to name it.
        let before = self.state().tour.replace(tour.to_owned());
        let started = self.run(OP, &self.values().text("token", tour)).await.map_err(unknown);
        if started.as_ref().is_err_and(|e| !matches!(e.kind, Kind::Timeout | Kind::Offline)) {
            self.state().tour = before;
        }
        started.map(drop)
    }

    async fn stop(&self, tour: Option<&str>) -> Result<()> {
        const OP: &str = "tours stop";
        let stop = async |tour: &str| self.run(OP, &self.values().text("token", tour)).await;
        let known = self.state().tour.clone();
        if let Some(tour) = tour {
            stop(token(OP, tour, self.profile.tour())?).await?;
        } else if let Some(tour) = known.as_deref().or(self.profile.any_tour()) {
            stop(tour).await?;
        } else if self.profile.steps("tours list").is_some() {
            let every = async {
                for tour in Tours::list(self).await?.iter().take(MOST_STOPPED) {
                    stop(&tour.token).await?;
                }
                Ok(())
            };
            let stopped = tokio::time::timeout(crate::profile::exchange::DEADLINE, every).await;
            stopped.map_err(|_| Error::new(OP, Kind::Timeout))??;
        } else {
            return Err(Error::new(OP, Kind::Invalid));
        }
        let mut state = self.state();
        if tour.is_none() || tour == state.tour.as_deref() {
            state.tour = None;
        }
        Ok(())
    }
}

#[async_trait]
impl Patrol for Unit {
    async fn start(&self) -> Result<()> {
        self.run("patrol start", &self.values()).await.map(drop)
    }

    async fn stop(&self) -> Result<()> {
        self.run("patrol stop", &self.values()).await.map(drop)
    }
}

/// What an answer such as 404 to a request with a token means: it is the token that the camera lacks.
fn unknown(error: Error) -> Error {
    match error.kind {
        Kind::Unsupported => Error { kind: Kind::Invalid, ..error },
        _ => error,
    }
}

/// The values of a movement: the direction in words, the speed from 0 to 100, and pan, tilt and zoom from -100 to 100.
pub(in crate::profile) fn moving(values: Values<'_>, movement: Movement) -> Values<'_> {
    let speed = i64::from(movement.scaled(1, 100));
    let [pan, tilt, zoom] = movement.direction.axes().map(|sign| i64::from(sign) * speed);
    values
        .text("direction", word(movement.direction))
        .number("speed", movement.speed.min(100))
        .number("pan", pan)
        .number("tilt", tilt)
        .number("zoom", zoom)
}

/// A direction as profiles name it.
pub(in crate::profile) fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
        Direction::Left => "left",
        Direction::Right => "right",
        Direction::UpLeft => "up-left",
        Direction::UpRight => "up-right",
        Direction::DownLeft => "down-left",
        Direction::DownRight => "down-right",
        Direction::ZoomIn => "zoom-in",
        Direction::ZoomOut => "zoom-out",
    }
}
