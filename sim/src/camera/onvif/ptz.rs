//! The PTZ service (`http://www.onvif.org/ver20/ptz/wsdl`).

use std::time::Duration;

use ivt_hal::xml::Element;
use ivt_hal::{Direction, Movement};

use super::clock::utc_text;
use super::device::failed;
use super::envelope::Call;
use super::fault::Fault;
use super::moves::Moves;
use super::node::{Node, leaf, node};
use super::quirk::Quirk;
use super::site::{Profile, Site};
use crate::camera::world::{Order, Unit};

/// Time after which a move without a `Timeout` stops.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_TIMEOUT: Duration = Duration::from_secs(120);
const SPACES: &str = "http://www.onvif.org/ver10/tptz/";
/// Most presets of a camera.
const MAX_PRESETS: u32 = 64;
/// Most tours of a camera.
const MAX_TOURS: u32 = 8;

/// The answer to a call.
///
/// # Errors
/// What the operation refuses.
pub async fn answer(site: &Site, moves: &Moves, call: &Call) -> Result<Node, Fault> {
    if site.quirks.has(Quirk::NoPtz) {
        return Err(Fault::receiver("ter:ActionNotSupported", "the device has no PTZ"));
    }
    Ok(match call.name() {
        "GetServiceCapabilities" => node("tptz:GetServiceCapabilitiesResponse", [own()]),
        "GetNodes" => {
            let all = channels(site).into_iter().map(|channel| head(site, channel));
            node("tptz:GetNodesResponse", all)
        }
        "GetNode" => {
            let channel = numbered(site, "node_", call.argument("NodeToken")?)?;
            node("tptz:GetNodeResponse", [head(site, channel)])
        }
        "GetConfigurations" => {
            let all = channels(site).into_iter();
            let all = all.map(|channel| configuration("tptz:PTZConfiguration", site, channel));
            node("tptz:GetConfigurationsResponse", all)
        }
        "GetConfiguration" => {
            let token = call.argument("PTZConfigurationToken")?;
            let channel = numbered(site, "ptz_", token)?;
            let one = configuration("tptz:PTZConfiguration", site, channel);
            node("tptz:GetConfigurationResponse", [one])
        }
        "GetConfigurationOptions" => {
            numbered(site, "ptz_", call.argument("ConfigurationToken")?)?;
            let range = [leaf("tt:Min", "PT0.1S"), leaf("tt:Max", "PT120S")];
            let spaces = node("tt:Spaces", spaces(site));
            let options = [spaces, node("tt:PTZTimeout", range)];
            let options = node("tptz:PTZConfigurationOptions", options);
            node("tptz:GetConfigurationOptionsResponse", [options])
        }
        "GetStatus" => node("tptz:GetStatusResponse", [status(site, called(site, call)?)]),
        "ContinuousMove" => {
            let (channel, unit) = addressed(site, call)?;
            let velocity = velocity(site, call)?;
            let time = match call.optional("Timeout") {
                Some(_) if site.quirks.has(Quirk::TimeoutRefused) => {
                    let reason = "a Timeout is not supported";
                    return Err(Fault::argument("ter:TimeoutNotSupported", reason));
                }
                Some(text) => duration(text)?,
                None => DEFAULT_TIMEOUT,
            };
            start(unit, velocity)?;
            let moves_on = velocity.iter().any(|axis| *axis != 0.0);
            let ends = moves_on && !site.quirks.has(Quirk::TimeoutIgnored);
            moves.until(channel, ends.then_some(time), unit.emulator.world.clone());
            node("tptz:ContinuousMoveResponse", [])
        }
        "Stop" => {
            let (channel, unit) = addressed(site, call)?;
            stop(site, call, unit)?;
            moves.until(channel, None, unit.emulator.world.clone());
            node("tptz:StopResponse", [])
        }
        "AbsoluteMove" | "RelativeMove" => {
            let (channel, unit) = addressed(site, call)?;
            go(call, unit)?;
            moves.until(channel, None, unit.emulator.world.clone());
            match call.name() {
                "AbsoluteMove" => node("tptz:AbsoluteMoveResponse", []),
                _ => node("tptz:RelativeMoveResponse", []),
            }
        }
        "GetPresets" => {
            let presets = called(site, call)?.emulator.world.presets();
            let one = |preset: ivt_hal::emulator::Preset| {
                let content =
                    [leaf("tt:Name", &preset.name), position("tt:PTZPosition", preset.at)];
                node("tptz:Preset", content).with("token", &preset.token)
            };
            node("tptz:GetPresetsResponse", presets.into_iter().map(one))
        }
        "GotoPreset" => {
            let (channel, unit) = addressed(site, call)?;
            let token = call.argument("PresetToken")?;
            let presets = unit.channel.presets.as_ref();
            let presets = presets.ok_or_else(|| Fault::unsupported("GotoPreset"))?;
            presets.go_to(token).await.map_err(failed)?;
            unit.note(Order::Preset(token.to_owned()));
            moves.until(channel, None, unit.emulator.world.clone());
            node("tptz:GotoPresetResponse", [])
        }
        "SetPreset" => {
            let unit = called(site, call)?;
            let (token, name) = (call.optional("PresetToken"), call.optional("PresetName"));
            let token = unit.emulator.world.set_preset(token, name).map_err(failed)?;
            node("tptz:SetPresetResponse", [leaf("tptz:PresetToken", token)])
        }
        "RemovePreset" => {
            let unit = called(site, call)?;
            let token = call.argument("PresetToken")?;
            unit.emulator.world.remove_preset(token).map_err(failed)?;
            node("tptz:RemovePresetResponse", [])
        }
        "GetPresetTours" => {
            let unit = called(site, call)?;
            let list = unit.channel.tours.as_ref();
            let list = list.ok_or_else(|| Fault::unsupported("GetPresetTours"))?;
            let (list, running) =
                (list.list().await.map_err(failed)?, unit.emulator.world.touring());
            let one = |tour: ivt_hal::Named| {
                let state = if running.as_ref() == Some(&tour.token) { "Touring" } else { "Idle" };
                let content = [
                    leaf("tt:Name", &tour.name),
                    node("tt:Status", [leaf("tt:State", state)]),
                    leaf("tt:AutoStart", false),
                    node("tt:StartingCondition", []),
                ];
                node("tptz:PresetTour", content).with("token", tour.token)
            };
            node("tptz:GetPresetToursResponse", list.into_iter().map(one))
        }
        "OperatePresetTour" => {
            let (channel, unit) = addressed(site, call)?;
            let token = call.argument("PresetTourToken")?;
            let tours = unit.channel.tours.as_ref();
            let tours = tours.ok_or_else(|| Fault::unsupported("OperatePresetTour"))?;
            match call.argument("Operation")? {
                "Start" => {
                    tours.start(token).await.map_err(failed)?;
                    unit.note(Order::Tour(token.to_owned()));
                }
                "Stop" => {
                    tours.stop(Some(token)).await.map_err(failed)?;
                    unit.note(Order::EndTour(Some(token.to_owned())));
                }
                _ => return Err(Fault::argument("ter:InvalidPresetTour", "Start or Stop")),
            }
            moves.until(channel, None, unit.emulator.world.clone());
            node("tptz:OperatePresetTourResponse", [])
        }
        name => return Err(Fault::unsupported(name)),
    })
}

/// The capabilities of this service.
pub fn own() -> Node {
    node("tptz:Capabilities", [])
        .with("EFlip", false)
        .with("Reverse", false)
        .with("MoveStatus", true)
}

/// The PTZ configuration of a channel.
pub fn configuration(name: &'static str, site: &Site, channel: usize) -> Node {
    let space = |name, space: &str| leaf(name, format!("{SPACES}{space}"));
    let uses =
        site.profiles().into_iter().filter(|one| one.channel == channel && site.has_ptz(*one));
    let content = [
        leaf("tt:Name", format!("PTZ {channel}")),
        leaf("tt:UseCount", uses.count()),
        leaf("tt:NodeToken", format!("node_{channel}")),
        space("tt:DefaultAbsolutePantTiltPositionSpace", "PanTiltSpaces/PositionGenericSpace"),
        space("tt:DefaultAbsoluteZoomPositionSpace", "ZoomSpaces/PositionGenericSpace"),
        space("tt:DefaultRelativePanTiltTranslationSpace", "PanTiltSpaces/TranslationGenericSpace"),
        space("tt:DefaultRelativeZoomTranslationSpace", "ZoomSpaces/TranslationGenericSpace"),
        space("tt:DefaultContinuousPanTiltVelocitySpace", "PanTiltSpaces/VelocityGenericSpace"),
        space("tt:DefaultContinuousZoomVelocitySpace", "ZoomSpaces/VelocityGenericSpace"),
        leaf("tt:DefaultPTZTimeout", format!("PT{}S", DEFAULT_TIMEOUT.as_secs())),
    ];
    node(name, content).with("token", format!("ptz_{channel}"))
}

/// The channels that have PTZ.
fn channels(site: &Site) -> Vec<usize> {
    let mut all: Vec<_> = site.profiles().into_iter().filter(|one| site.has_ptz(*one)).collect();
    all.dedup_by_key(|profile| profile.channel);
    all.into_iter().map(|profile| profile.channel).collect()
}

/// The channel with PTZ whose token is `prefix` and its number.
fn numbered(site: &Site, prefix: &str, token: &str) -> Result<usize, Fault> {
    let found = channels(site).into_iter().find(|channel| token == format!("{prefix}{channel}"));
    found.ok_or_else(|| Fault::argument("ter:NoEntity", format!("there is no {token}")))
}

/// Number and camera of the channel that `ProfileToken` names.
fn addressed<'a>(site: &'a Site, call: &Call) -> Result<(usize, &'a Unit), Fault> {
    let profile @ Profile { channel, .. } = site.profile(call.argument("ProfileToken")?)?;
    if !site.has_ptz(profile) {
        return Err(Fault::argument("ter:NoPTZProfile", "the profile has no PTZ configuration"));
    }
    Ok((channel, site.unit(channel)?))
}

fn called<'a>(site: &'a Site, call: &Call) -> Result<&'a Unit, Fault> {
    addressed(site, call).map(|(_, unit)| unit)
}

/// Greatest velocity of each axis, which stands for full speed.
fn fastest(site: &Site) -> f64 {
    if site.quirks.has(Quirk::WideVelocity) { 100.0 } else { 1.0 }
}

/// The velocity of pan, tilt and zoom that is asked for, 1 for full speed; an axis that is not named rests.
fn velocity(site: &Site, call: &Call) -> Result<[f64; 3], Fault> {
    let missing = || Fault::arguments("ContinuousMove needs Velocity");
    let velocity = call.operation().child("Velocity").ok_or_else(missing)?;
    let (pan_tilt, zoom) = (velocity.child("PanTilt"), velocity.child("Zoom"));
    if site.quirks.has(Quirk::OneAxis) && pan_tilt.is_some() && zoom.is_some() {
        let reason = "PanTilt and Zoom cannot move together";
        return Err(Fault::argument("ter:InvalidVelocity", reason));
    }
    let fastest = fastest(site);
    let axis = |element: Option<&Element>, name| {
        let Some(element) = element else { return Ok(0.0) };
        let value = number(element, name)?;
        let fault = || {
            let reason = format!("a velocity of {value} is not from -{fastest} to {fastest}");
            Fault::argument("ter:InvalidVelocity", reason)
        };
        if value.abs() <= fastest { Ok(value / fastest) } else { Err(fault()) }
    };
    Ok([axis(pan_tilt, "x")?, axis(pan_tilt, "y")?, axis(zoom, "x")?])
}

fn number(element: &Element, name: &str) -> Result<f64, Fault> {
    let text = element.attribute(name).unwrap_or_default();
    let value = text.trim().parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| Fault::arguments(format!("{} needs a number {name}", element.local_name())))
}

fn start(unit: &Unit, velocity: [f64; 3]) -> Result<(), Fault> {
    unit.emulator.world.drive(velocity).map_err(failed)?;
    unit.note(match movement(velocity) {
        Some(movement) => Order::Move(movement),
        None => Order::Stop,
    });
    Ok(())
}

/// The movement that is nearest to a velocity; `None` where nothing moves. Zoom counts where pan and tilt rest.
fn movement(velocity: [f64; 3]) -> Option<Movement> {
    let sign = |axis: f64| {
        if axis == 0.0 {
            0
        } else if axis > 0.0 {
            1
        } else {
            -1
        }
    };
    let [pan, tilt, zoom] = velocity;
    let (axes, speed) = match (sign(pan), sign(tilt)) {
        (0, 0) => ([0, 0, sign(zoom)], zoom.abs()),
        (x, y) => ([x, y, 0], pan.abs().max(tilt.abs())),
    };
    let direction = Direction::ALL.into_iter().find(|direction| direction.axes() == axes)?;
    Some(Movement { direction, speed: (speed * 100.0).round() as u8 })
}

fn stop(site: &Site, call: &Call, unit: &Unit) -> Result<(), Fault> {
    if site.quirks.has(Quirk::StopFaults) {
        return Err(Fault::unsupported("Stop"));
    }
    if site.quirks.has(Quirk::ActionRefused) && call.header("Action").is_some() {
        return Err(Fault::sender("ter:UnknownAction", "an Action in the header is not supported"));
    }
    let flag = |name| call.optional(name).map(|text| matches!(text, "true" | "1"));
    let flags = [flag("PanTilt"), flag("Zoom")];
    if site.quirks.has(Quirk::StopBoth) && flags != [Some(true), Some(true)] {
        let reason = "Stop needs PanTilt and Zoom, both true";
        return Err(Fault::sender("ter:InvalidArgVal", reason));
    }
    // Without flags everything stops. One axis that goes on cannot be told from here: all axes stop, as in most
    // cameras, unless no flag is true.
    if flags == [None, None] || flags.contains(&Some(true)) {
        let ptz = unit.channel.ptz.as_ref();
        ptz.ok_or_else(|| Fault::unsupported("Stop"))?;
        unit.emulator.world.drive([0.0; 3]).map_err(failed)?;
        unit.note(Order::Stop);
    }
    Ok(())
}

/// Goes to a position, or by a translation from the present one; an axis that is not named stays.
fn go(call: &Call, unit: &Unit) -> Result<(), Fault> {
    let relative = call.name() == "RelativeMove";
    let name = if relative { "Translation" } else { "Position" };
    let missing = || Fault::arguments(format!("{} needs {name}", call.name()));
    let target = call.operation().child(name).ok_or_else(missing)?;
    let now = unit.emulator.world.position();
    let axis = |element: &str, attribute, now: f64, least: f64| {
        let Some(element) = target.child(element) else { return Ok(now) };
        let value = number(element, attribute)?;
        let (subcode, value) = match relative {
            true => ("ter:InvalidTranslation", (now + value).clamp(least, 1.0)),
            false => ("ter:InvalidPosition", value),
        };
        let fault = || Fault::argument(subcode, format!("{value} is out of range"));
        if (least..=1.0).contains(&value) { Ok(value) } else { Err(fault()) }
    };
    let pan = axis("PanTilt", "x", now.pan, -1.0)?;
    let tilt = axis("PanTilt", "y", now.tilt, -1.0)?;
    let zoom = axis("Zoom", "x", now.zoom, 0.0)?;
    unit.emulator.world.go_to(pan, tilt, zoom).map_err(failed)
}

fn status(site: &Site, unit: &Unit) -> Node {
    let now = unit.emulator.world.position();
    let state = if now.moving { "MOVING" } else { "IDLE" };
    let content = [
        position("tt:Position", [now.pan, now.tilt, now.zoom]),
        node("tt:MoveStatus", [leaf("tt:PanTilt", state), leaf("tt:Zoom", state)]),
        leaf("tt:UtcTime", utc_text(site.clock.told(&site.quirks))),
    ];
    node("tptz:PTZStatus", content)
}

fn position(name: &'static str, [pan, tilt, zoom]: [f64; 3]) -> Node {
    let pan_tilt = node("tt:PanTilt", [])
        .with("x", format!("{pan:.4}"))
        .with("y", format!("{tilt:.4}"))
        .with("space", format!("{SPACES}PanTiltSpaces/PositionGenericSpace"));
    let zoom = node("tt:Zoom", [])
        .with("x", format!("{zoom:.4}"))
        .with("space", format!("{SPACES}ZoomSpaces/PositionGenericSpace"));
    node(name, [pan_tilt, zoom])
}

fn head(site: &Site, channel: usize) -> Node {
    let operations = ["Start", "Stop"].map(|word| leaf("tt:PTZPresetTourOperation", word));
    let tours = [leaf("tt:MaximumNumberOfPresetTours", MAX_TOURS)].into_iter().chain(operations);
    let content = [
        leaf("tt:Name", format!("head {channel}")),
        node("tt:SupportedPTZSpaces", spaces(site)),
        leaf("tt:MaximumNumberOfPresets", MAX_PRESETS),
        leaf("tt:HomeSupported", false),
        node("tt:Extension", [node("tt:SupportedPresetTour", tours)]),
    ];
    node("tptz:PTZNode", content).with("token", format!("node_{channel}"))
}

/// The spaces in which moves are told.
fn spaces(site: &Site) -> Vec<Node> {
    let fastest = match site.quirks.has(Quirk::InfiniteVelocity) {
        true => "INF".to_owned(),
        false => fastest(site).to_string(),
    };
    let range =
        |name, low: &str, high: &str| node(name, [leaf("tt:Min", low), leaf("tt:Max", high)]);
    let space = |name, uri: &str, low: &str, high: &str, plane: bool| {
        let mut content =
            vec![leaf("tt:URI", format!("{SPACES}{uri}")), range("tt:XRange", low, high)];
        content.extend(plane.then(|| range("tt:YRange", low, high)));
        node(name, content)
    };
    let slowest = format!("-{fastest}");
    let (pan, zoom) = ("PanTiltSpaces/", "ZoomSpaces/");
    vec![
        space(
            "tt:AbsolutePanTiltPositionSpace",
            &format!("{pan}PositionGenericSpace"),
            "-1",
            "1",
            true,
        ),
        space(
            "tt:AbsoluteZoomPositionSpace",
            &format!("{zoom}PositionGenericSpace"),
            "0",
            "1",
            false,
        ),
        space(
            "tt:RelativePanTiltTranslationSpace",
            &format!("{pan}TranslationGenericSpace"),
            "-1",
            "1",
            true,
        ),
        space(
            "tt:RelativeZoomTranslationSpace",
            &format!("{zoom}TranslationGenericSpace"),
            "-1",
            "1",
            false,
        ),
        space(
            "tt:ContinuousPanTiltVelocitySpace",
            &format!("{pan}VelocityGenericSpace"),
            &slowest,
            &fastest,
            true,
        ),
        space(
            "tt:ContinuousZoomVelocitySpace",
            &format!("{zoom}VelocityGenericSpace"),
            &slowest,
            &fastest,
            false,
        ),
        space("tt:PanTiltSpeedSpace", &format!("{pan}GenericSpeedSpace"), "0", "1", false),
        space("tt:ZoomSpeedSpace", &format!("{zoom}ZoomGenericSpeedSpace"), "0", "1", false),
    ]
}

/// A duration of XML Schema such as `PT1M30.5S`, without years and months.
fn duration(text: &str) -> Result<Duration, Fault> {
    let time = super::span::parse(text);
    let fault = |reason| Fault::argument("ter:TimeoutNotSupported", reason);
    let time = time.ok_or_else(|| fault("Timeout is no duration"))?;
    if time.is_zero() || time > MAX_TIMEOUT {
        return Err(fault("Timeout is not from PT0.1S to PT120S"));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_velocity_is_the_nearest_movement() {
        for (velocity, expected) in [
            ([0.5, 0.0, 0.0], Some((Direction::Right, 50))),
            ([-1.0, 0.25, 0.9], Some((Direction::UpLeft, 100))),
            ([0.0, 0.0, -0.1], Some((Direction::ZoomOut, 10))),
            ([0.0, 0.0, 0.0], None),
        ] {
            let expected = expected.map(|(direction, speed)| Movement { direction, speed });
            assert_eq!(movement(velocity), expected, "{velocity:?}");
        }
    }
}
