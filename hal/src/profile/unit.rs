//! One input of a camera or NVR whose web interface a profile describes.

mod alarms;
mod clock;
mod device;
mod movement;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use regex_lite::Regex;

pub(super) use movement::{moving, word};

use super::Profile;
use super::answer::Row;
use super::error::Answered;
use super::exchange::{Call, DEADLINE};
use super::values::Values;
use crate::http::{Http, Limits};
use crate::{
    Area, Detection, Error, Kind, Motion, Movement, Named, Result, Snapshot, Stream, Tripwire,
};

/// Longest token of a preset or tour, in bytes.
const TOKEN: usize = 64;

/// Serves every ability that its profile describes.
pub(super) struct Unit {
    profile: Arc<Profile>,
    http: Http,
    input: u16,
    state: Mutex<State>,
}

/// What has to be said again when it is ended.
#[derive(Default)]
struct State {
    movement: Option<Movement>,
    tour: Option<String>,
}

impl Unit {
    pub(super) fn new(profile: Arc<Profile>, http: &Http, input: u16) -> Self {
        http.shared::<alarms::Inputs>("profile inputs").add(input);
        let http = http.with_limits(Limits { deadline: DEADLINE, ..Limits::default() });
        Self { profile, http, input, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn values(&self) -> Values<'_> {
        self.profile.values(self.input)
    }

    /// Runs an operation of the profile; `Unsupported` where it describes none.
    async fn run(&self, op: &'static str, values: &Values<'_>) -> Result<Vec<Row>> {
        let steps = self.profile.steps(op);
        let steps = steps.ok_or_else(|| Error::new(op, Kind::Unsupported))?;
        self.call(op).run(steps, values).await
    }

    /// Logs what of a detection that has been set the camera was not told.
    fn tell_what_is_left_out(&self, op: &'static str) {
        let left_out = self.profile.leaves_out(op);
        if !left_out.is_empty() {
            log::info!(
                "{op} of input {} is done without its {}: {} has no place for it",
                self.input,
                left_out.join(" and "),
                self.profile.title(),
            );
        }
    }

    fn call(&self, op: &'static str) -> Call<'_> {
        Call { op, http: &self.http, failures: self.profile.failures() }
    }
}

/// A token from outside that the camera can have.
fn token<'a>(op: &'static str, token: &'a str, pattern: Option<&Regex>) -> Result<&'a str> {
    let fits = match pattern {
        Some(pattern) => token.len() <= TOKEN && pattern.is_match(token),
        None => token.len() <= TOKEN && !token.trim().is_empty(),
    };
    match fits && !token.contains(char::is_control) {
        true => Ok(token),
        false => Err(Error::new(op, Kind::Invalid)),
    }
}

/// The named things of an answer, without those that come twice or that no token of the profile is.
fn named(rows: Vec<Row>, pattern: Option<&Regex>) -> Vec<Named> {
    let mut list: Vec<Named> = Vec::new();
    for mut row in rows {
        let Some(id) = row.remove("token") else { continue };
        let id = id.trim().to_owned();
        let name = row.remove("name").filter(|name| !name.trim().is_empty());
        if token("list", &id, pattern).is_ok() && !list.iter().any(|other| other.token == id) {
            list.push(Named { name: name.unwrap_or_else(|| id.clone()), token: id });
        }
    }
    list
}

#[async_trait]
impl Snapshot for Unit {
    async fn jpeg(&self, stream: Stream) -> Result<Bytes> {
        const OP: &str = "snapshot take";
        let values = self.values().number("stream", stream == Stream::Sub);
        let steps = self.profile.steps(OP).ok_or_else(|| Error::new(OP, Kind::Unsupported))?;
        let answer = tokio::time::timeout(DEADLINE, self.call(OP).answer(steps, &values)).await;
        let answer = answer.map_err(|_| Error::new(OP, Kind::Timeout))??;
        match answer.body.starts_with(&[0xff, 0xd8]) {
            true => Ok(answer.body),
            false => {
                Err(Error::new(OP, Kind::Other).because(Answered("answered no JPEG file".into())))
            }
        }
    }
}

#[async_trait]
impl Motion for Unit {
    async fn configure(&self, detection: Detection) -> Result<()> {
        const OP: &str = "motion set";
        self.run(OP, &self.values().detection(&detection)).await?;
        self.tell_what_is_left_out(OP);
        Ok(())
    }

    fn lacks(&self) -> Vec<&'static str> {
        self.profile.leaves_out("motion set")
    }
}

#[async_trait]
impl Tripwire for Unit {
    async fn configure(&self, detection: Detection, area: Option<Area>) -> Result<()> {
        const OP: &str = "tripwire set";
        let mut values = self.values().detection(&detection);
        if let Some(area) = area {
            values = values.area(area);
            if !self.profile.holds_corners() && !is_upright(area) {
                log::info!(
                    "the tripwire of input {} is set to the rectangle around its four corners, as {} holds no other shape",
                    self.input,
                    self.profile.title(),
                );
            }
        }
        self.run(OP, &values).await?;
        self.tell_what_is_left_out(OP);
        Ok(())
    }

    fn lacks(&self) -> Vec<&'static str> {
        self.profile.leaves_out("tripwire set")
    }
}

/// Whether an area is its own bounding box.
fn is_upright(area: Area) -> bool {
    let [upper, lower] = area.bounds();
    area.0.iter().all(|point| {
        (point.x == upper.x || point.x == lower.x) && (point.y == upper.y || point.y == lower.y)
    })
}
