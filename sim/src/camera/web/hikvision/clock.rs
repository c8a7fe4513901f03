//! The clock of Hikvision devices (`camera-families.md`, row "time"): `/ISAPI/System/time`.

use std::time::{SystemTime, UNIX_EPOCH};

use ivt_base::wall_time::WallTime;
use ivt_hal::xml::{self, Limits};

use super::document::is_whole;
use super::{NO_XML, Outcome, WRONG_CONTENT, done, page, refused};
use crate::camera::web::wire::Answer;
use crate::camera::world::World;

/// The zone in which the clock is, by POSIX: eight hours ahead of UTC. A time server does not know it: the clock then
/// shows UTC, as in the beginning.
const ZONE: &str = "CST-8:00:00";
/// The same zone behind a time, and in seconds.
const OFFSET: (&str, i64) = ("+08:00", 8 * 3600);

/// The time with its zone.
pub fn told(world: &World) -> String {
    let time = world.clock().map(|time| time.to_string()).unwrap_or_default();
    format!("{time}{}", OFFSET.0)
}

/// The document that tells the time.
pub fn document(world: &World) -> Answer {
    let mode = if world.is_clock_manual() { "manual" } else { "NTP" };
    page(
        "Time",
        &format!(
            "<timeMode>{mode}</timeMode><localTime>{}</localTime><timeZone>{ZONE}</timeZone>",
            told(world)
        ),
    )
}

/// Sets the clock by the whole document.
pub fn set(world: &World, body: &[u8], path: &str) -> Outcome {
    let time = xml::parse(body, &Limits::default()).map_err(|_| NO_XML)?;
    let own = xml::parse(&document(world).body, &Limits::default()).map_err(|_| NO_XML)?;
    let same = |path| own.text_at(path) == time.text_at(path);
    let namespace = own.attribute("xmlns") == time.attribute("xmlns");
    if !namespace || !is_whole(&own, &time) || !same("timeZone") {
        return Err(WRONG_CONTENT);
    }
    let manual = match time.text_at("timeMode") {
        "manual" => true,
        "NTP" => false,
        _ => return Err(WRONG_CONTENT),
    };
    let local = local(time.text_at("localTime")).ok_or(WRONG_CONTENT)?;
    match manual {
        true => world.set_clock(local).map_err(refused)?,
        false => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let right = WallTime::from_seconds(since.as_secs()).ok_or(WRONG_CONTENT)?;
            world.follow_server(right).map_err(refused)?
        }
    }
    Ok(done(path))
}

/// A local time; one with an offset is brought to the device's zone.
fn local(text: &str) -> Option<WallTime> {
    let (time, zone) = text.split_at_checked(19)?;
    let time: WallTime = time.parse().ok()?;
    let ahead = match zone {
        "" => return Some(time),
        "Z" => 0,
        zone => offset(zone)?,
    };
    WallTime::from_seconds(time.seconds()?.checked_add_signed(OFFSET.1 - ahead)?)
}

/// Seconds of an offset such as `+08:00`.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let pair = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok())?
    };
    Some(sign * (pair(hours)? * 3600 + pair(minutes)? * 60))
}
