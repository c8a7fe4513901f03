//! Moves, presets, patrols and patterns of one input.

use ivt_hal::xml::{self, Limits, escape};
use ivt_hal::{Direction, Movement, Named};

use super::{
    NO_XML, NOT_FOUND, Order, Outcome, Refusal, Request, Unit, WRONG_CONTENT, WRONG_METHOD,
    carry_out, done, page,
};

/// Answers what is behind the input's number.
pub async fn act(
    unit: &Unit,
    method: &str,
    rest: &[&str],
    request: &Request,
    path: &str,
) -> Outcome {
    let named = |all: Vec<(u32, Named)>, id: &str| {
        let found = all.into_iter().find(|(number, _)| id.parse() == Ok(*number));
        found.map(|(_, named)| named.token).ok_or(NOT_FOUND)
    };
    let order = match (method, rest) {
        ("GET", ["presets"]) => {
            return Ok(page("PTZPresetList", &rows(&unit.presets().await, "PTZPreset", "preset")));
        }
        ("GET", ["patrols"]) => {
            return Ok(page("PTZPatrolList", &rows(&unit.tours().await, "PTZPatrol", "patrol")));
        }
        ("GET", ["patterns"]) => {
            return Ok(page(
                "PTZPatternList",
                "<PTZPattern><enabled>true</enabled><id>1</id></PTZPattern>",
            ));
        }
        ("PUT", ["continuous"]) => movement(&request.body)?,
        ("PUT", ["presets", id, "goto"]) => Order::Preset(named(unit.presets().await, id)?),
        ("PUT", ["patrols", id, "start"]) => Order::Tour(named(unit.tours().await, id)?),
        ("PUT", ["patrols", id, "stop"]) => Order::EndTour(Some(named(unit.tours().await, id)?)),
        ("PUT", ["patterns", "1", "start"]) => Order::Patrol(true),
        ("PUT", ["patterns", "1", "stop"]) => Order::Patrol(false),
        (_, ["continuous" | "presets" | "patrols" | "patterns", ..]) if method != "PUT" => {
            return Err(WRONG_METHOD);
        }
        _ => return Err(NOT_FOUND),
    };
    carry_out(unit, order).await?;
    Ok(done(path))
}

fn rows(all: &[(u32, Named)], element: &str, kind: &str) -> String {
    let row = |(id, named): &(u32, Named)| {
        format!(
            "<{element}><enabled>true</enabled><id>{id}</id><{kind}Name>{}</{kind}Name></{element}>",
            escape(&named.name)
        )
    };
    all.iter().map(row).collect()
}

/// Reads `PTZData`. The HAL moves along one axis or diagonally, so zoom is left out beside pan and tilt.
fn movement(body: &[u8]) -> Result<Order, Refusal> {
    let data = xml::parse(body, &Limits::default()).map_err(|_| NO_XML)?;
    let axis = |name: &str| {
        let value = data.text_at(name).parse::<i8>().ok();
        value.filter(|value| (-100..=100).contains(value))
    };
    let absent = |name: &str| data.child(name).is_none();
    let pair = match absent("pan") && absent("tilt") {
        true => Some((0, 0)),
        false => axis("pan").zip(axis("tilt")),
    };
    let zoom = if absent("zoom") { Some(0) } else { axis("zoom") };
    let empty = absent("pan") && absent("zoom");
    let (Some((pan, tilt)), Some(zoom), "PTZData", false) = (pair, zoom, data.local_name(), empty)
    else {
        return Err(WRONG_CONTENT);
    };
    Ok(moved(pan, tilt, zoom))
}

/// The order for speeds from −100 to 100 of each axis; zeros stop.
pub fn moved(pan: i8, tilt: i8, zoom: i8) -> Order {
    let rests = pan == 0 && tilt == 0;
    let axes = match rests {
        true => [0, 0, zoom.signum()],
        false => [pan.signum(), tilt.signum(), 0],
    };
    let speed = if rests { zoom } else { pan.saturating_abs().max(tilt.saturating_abs()) };
    let direction = Direction::ALL.into_iter().find(|direction| direction.axes() == axes);
    direction.map_or(Order::Stop, |direction| {
        Order::Move(Movement { direction, speed: speed.unsigned_abs() })
    })
}
