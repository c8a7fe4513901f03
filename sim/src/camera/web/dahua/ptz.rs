//! Movements, presets, tours and patterns: `ptz.cgi`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ivt_hal::{Direction, Movement, Named};

use super::{BAD_REQUEST, Outcome, Query, Refusal, carry_out, done, refused, text};
use crate::camera::world::{Order, Unit};

/// The codes of movements.
const CODES: [(&str, Direction); 10] = [
    ("Up", Direction::Up),
    ("Down", Direction::Down),
    ("Left", Direction::Left),
    ("Right", Direction::Right),
    ("LeftUp", Direction::UpLeft),
    ("RightUp", Direction::UpRight),
    ("LeftDown", Direction::DownLeft),
    ("RightDown", Direction::DownRight),
    ("ZoomTele", Direction::ZoomIn),
    ("ZoomWide", Direction::ZoomOut),
];

/// The code with which each input moves; only its own stop ends it.
#[derive(Debug, Default)]
pub struct Moves(Mutex<BTreeMap<usize, String>>);

impl Moves {
    fn begin(&self, channel: usize, code: &str) {
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.insert(channel, code.to_owned());
    }

    /// Whether the input moved with this code; from now on it does not.
    fn end(&self, channel: usize, code: &str) -> bool {
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = moves.get(&channel).is_some_and(|moving| moving == code);
        if own {
            moves.remove(&channel);
        }
        own
    }
}

/// Carries out a request for an input.
pub(super) async fn act(moves: &Moves, (channel, unit): (usize, &Unit), query: &Query) -> Outcome {
    match query.value("action") {
        Some("getPresets") => return Ok(text(presets(unit).await)),
        Some("getStatus") => return Ok(text(status(unit))),
        Some("start" | "stop") => {}
        _ => return Err(BAD_REQUEST),
    }
    let starts = query.value("action") == Some("start");
    let code = query.value("code").ok_or(BAD_REQUEST)?;
    let movement = CODES.iter().find(|(known, _)| *known == code).map(|(_, direction)| *direction);
    let order = match (movement, code, starts) {
        (Some(direction), _, true) => {
            let order = Order::Move(Movement { direction, speed: speed(direction, query)? });
            moves.begin(channel, code);
            order
        }
        (Some(_), _, false) if moves.end(channel, code) => Order::Stop,
        // The stop of another movement is answered OK and does nothing.
        (Some(_), _, false) => return Ok(done()),
        (None, "GotoPreset", true) => Order::Preset(named(unit.presets().await, query, "arg2")?),
        (None, "SetPreset", true) => {
            let token = query.number("arg2").ok_or(BAD_REQUEST)?.to_string();
            unit.emulator.world.set_preset(Some(&token), None).map_err(refused)?;
            return Ok(done());
        }
        (None, "ClearPreset", true) => {
            let token = query.value("arg2").ok_or(BAD_REQUEST)?;
            unit.emulator.world.remove_preset(token).map_err(refused)?;
            return Ok(done());
        }
        (None, "StartTour", true) => Order::Tour(named(unit.tours().await, query, "arg1")?),
        (None, "StopTour", true) => Order::EndTour(Some(named(unit.tours().await, query, "arg1")?)),
        (None, "StartPattern", true) if query.value("arg1") == Some("1") => Order::Patrol(true),
        (None, "StopPattern", true) if query.value("arg1") == Some("1") => Order::Patrol(false),
        _ => return Err(BAD_REQUEST),
    };
    carry_out(unit, order).await?;
    Ok(done())
}

/// The speed of a movement, in percent: straight ones tell it in `arg2`, diagonal ones the vertical one in `arg1` and the
/// horizontal one in `arg2`.
fn speed(direction: Direction, query: &Query) -> Result<u8, Refusal> {
    let step = |name| query.number(name).filter(|step| (1..=8).contains(step)).ok_or(BAD_REQUEST);
    let [pan, tilt, _] = direction.axes();
    let step = match pan != 0 && tilt != 0 {
        true => step("arg1")?.max(step("arg2")?),
        false => step("arg2")?,
    };
    Ok(u8::try_from((step - 1) * 100 / 7).unwrap_or(100))
}

fn named(all: Vec<(u32, Named)>, query: &Query, argument: &str) -> Result<String, Refusal> {
    let number = query.number(argument).ok_or(BAD_REQUEST)?;
    let found = all.into_iter().find(|(id, _)| usize::try_from(*id) == Ok(number));
    found.map(|(_, named)| named.token).ok_or(BAD_REQUEST)
}

async fn presets(unit: &Unit) -> String {
    let all = unit.presets().await;
    let row = |(i, (id, named)): (usize, &(u32, Named))| {
        format!(
            "presets[{i}].Index={id}\r\npresets[{i}].Name={}\r\npresets[{i}].Type=0\r\n",
            named.name
        )
    };
    all.iter().enumerate().map(row).collect()
}

fn status(unit: &Unit) -> String {
    let position = unit.emulator.world.position();
    let word = if position.moving { "Moving" } else { "Idle" };
    format!(
        "status.MoveStatus={word}\r\nstatus.Postion[0]={:.1}\r\nstatus.Postion[1]={:.1}\r\n\
         status.Postion[2]={:.1}\r\n",
        (position.pan + 1.0) * 180.0,
        position.tilt * 90.0,
        position.zoom * 100.0,
    )
}
