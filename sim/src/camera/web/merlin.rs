//! The web server of the device SDK's own cameras (`camera-cgi.md`, "The device SDK's camera family"): JSON under
//! `/merlin`. What clients set is kept as they sent it, and told again.

mod alarm;
mod book;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ivt_base::wall_time::WallTime;
use ivt_hal::{Direction, Interface, Kind, Movement};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::events::Subject;
use super::wire::{Answer, Request};
use crate::camera::world::{Order, Unit, World};

const JSON: &str = "application/json";
/// Operations of `PtzCtrl.cgi` that move, by their numbers from 1 on.
const MOVES: [Direction; 10] = [
    Direction::UpLeft,
    Direction::Up,
    Direction::UpRight,
    Direction::Left,
    Direction::Right,
    Direction::DownLeft,
    Direction::Down,
    Direction::DownRight,
    Direction::ZoomOut,
    Direction::ZoomIn,
];

/// The configuration that clients sent, by its CGI and channel.
#[derive(Debug)]
pub struct Merlin {
    /// The port on which alarms are booked.
    port: u16,
    kept: Mutex<BTreeMap<(&'static str, usize), Value>>,
}

/// Why a request is refused.
struct Refusal(u16, &'static str);

type Outcome = Result<Value, Refusal>;

impl Merlin {
    /// A camera that tells its alarms on this port.
    pub fn new(port: u16) -> Self {
        Self { port, kept: Mutex::default() }
    }

    /// The answer to a request whose login is right.
    pub async fn answer(&self, subject: Subject, request: &Request) -> Answer {
        let world = &*subject.world;
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let Some(cgi) = path.strip_prefix("/merlin/") else { return not_found() };
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if cgi == "BookAlarm.cgi" {
            return book::answer(subject.clone());
        }
        let sets = cgi.starts_with("Set");
        let outcome = match (request.method.as_str(), sets) {
            ("POST", true) => self.set(world, cgi, &request.body).await,
            ("GET" | "POST", false) => self.tell(world, cgi, &query).await,
            _ => Err(Refusal(405, "the method is wrong")),
        };
        match outcome {
            Ok(value) => {
                let reboots = cgi == "Reboot.cgi";
                Answer { reboots, ..Answer::new(200, JSON, value.to_string()) }
            }
            Err(Refusal(404, "")) => not_found(),
            Err(Refusal(status, why)) => {
                Answer::new(status, JSON, json!({ "result": -1, "error": why }).to_string())
            }
        }
    }

    async fn set(&self, world: &World, cgi: &str, body: &[u8]) -> Outcome {
        let set: Value =
            serde_json::from_slice(body).map_err(|_| Refusal(400, "the body is no JSON"))?;
        if cgi == "SetTimeCfg.cgi" {
            let time = time(&set["TimeCfg"]).ok_or(Refusal(400, "TimeCfg is no time"))?;
            world.set_clock(time).map_err(|_| Refusal(500, "the camera failed"))?;
            return Ok(done());
        }
        let (kind, alarm) = match cgi {
            "SetAlarmCfg.cgi" => ("Alarm", alarm::motion(&set)),
            "SetIntDetectCfg.cgi" => ("IntDetect", alarm::intrusion(&set)),
            _ => return Err(Refusal(404, "")),
        };
        let alarm = alarm.map_err(|why| Refusal(400, why))?;
        let unit = world.unit(alarm.channel).ok_or(Refusal(400, "no such channel"))?;
        carry_out(unit, alarm.order).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert((kind, alarm.channel), set);
        Ok(done())
    }

    async fn tell(&self, world: &World, cgi: &str, query: &BTreeMap<String, String>) -> Outcome {
        let number = |name| query.get(name).and_then(|text| text.parse::<usize>().ok());
        let unit = |name| number(name).and_then(|channel| world.unit(channel));
        let of = || unit("Ch").ok_or(Refusal(400, "Ch is not one of the channels"));
        Ok(match cgi {
            "GetVersion.cgi" => json!({ "Version": {
                "Model": "ML-IPC-200", "Firmware": "2.4.1", "SerialNumber": "ML2004711",
            }}),
            "GetListenPort.cgi" => json!({ "TCPPort": self.port }),
            "GetTimeCfg.cgi" => {
                let time = world.clock().ok_or(Refusal(500, "the camera failed"))?;
                let ((year, month, day), (hour, minute, second)) = (time.date(), time.time());
                json!({ "TimeCfg": {
                    "year": year, "month": month, "day": day,
                    "hour": hour, "minute": minute, "second": second,
                }})
            }
            "GetPtzPresetCfg.cgi" => {
                let presets = of()?.presets().await;
                let row = |(id, preset): &(u32, ivt_hal::Named)| json!({ "PresetId": id, "PresetName": preset.name });
                list("ptz_preset", presets.iter().map(row).collect())
            }
            "GetPtzTourCfg.cgi" => {
                let tours = of()?.tours().await;
                list("PtzTour", tours.iter().map(|(id, _)| json!({ "TourIndex": id })).collect())
            }
            "GetGeneralNetCfg.cgi" => {
                let Some(network) = &of()?.channel.network else { return Ok(json!({})) };
                let all = network.interfaces().await;
                let all = all.map_err(|_| Refusal(500, "the network cannot be read"))?;
                list("NetCommon", all.iter().map(interface).collect())
            }
            "GetAlarmCfg.cgi" => self.kept("Alarm", number("Ch").unwrap_or(0)),
            "GetIntDetectCfg.cgi" => self.kept("IntDetect", number("Ch").unwrap_or(0)),
            "PtzCtrl.cgi" => {
                let unit = unit("channelno").ok_or(Refusal(400, "no such channelno"))?;
                let speed = number("speed").filter(|speed| (1..=8).contains(speed));
                let speed = speed.ok_or(Refusal(400, "speed is 1 to 8"))?;
                let operation = number("operation").ok_or(Refusal(400, "operation is a number"))?;
                let value = number("value").and_then(|value| u32::try_from(value).ok());
                carry_out(unit, order(unit, operation, speed, value).await?).await?;
                done()
            }
            "Reboot.cgi" => {
                for unit in world.units() {
                    carry_out(unit, Order::Reboot).await?;
                }
                done()
            }
            _ => return Err(Refusal(404, "")),
        })
    }

    fn kept(&self, kind: &'static str, channel: usize) -> Value {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(kind, channel)).cloned().unwrap_or_else(|| json!({}))
    }
}

async fn order(
    unit: &Unit,
    operation: usize,
    speed: usize,
    value: Option<u32>,
) -> Result<Order, Refusal> {
    let named = |all: Vec<(u32, ivt_hal::Named)>| {
        let found = all.into_iter().find(|(id, _)| Some(*id) == value);
        found.map(|(_, named)| named.token).ok_or(Refusal(400, "no such value"))
    };
    Ok(match operation {
        0 => Order::Stop,
        1..=10 => {
            // Eight steps on a scale to 100.
            let speed = u8::try_from((speed - 1) * 100 / 7).unwrap_or(100);
            Order::Move(Movement { direction: MOVES[operation - 1], speed })
        }
        20 => Order::Preset(named(unit.presets().await)?),
        29 => Order::Tour(named(unit.tours().await)?),
        30 => Order::EndTour(Some(named(unit.tours().await)?)),
        33 => Order::Patrol(true),
        34 => Order::Patrol(false),
        _ => return Err(Refusal(400, "operation is not one of those that there are")),
    })
}

async fn carry_out(unit: &Unit, order: Order) -> Result<(), Refusal> {
    unit.carry_out(order).await.map_err(|error| match error.kind {
        Kind::Unsupported => Refusal(404, ""),
        Kind::Invalid => Refusal(400, "the camera cannot have this value"),
        _ => Refusal(500, "the camera failed"),
    })
}

fn time(set: &Value) -> Option<WallTime> {
    let part = |name: &str| u8::try_from(set[name].as_u64()?).ok();
    let year = u16::try_from(set["year"].as_u64()?).ok()?;
    WallTime::new(
        year,
        part("month")?,
        part("day")?,
        part("hour")?,
        part("minute")?,
        part("second")?,
    )
}

fn done() -> Value {
    json!({ "result": 0 })
}

/// A list; the family leaves out the member of an empty one.
fn list(name: &str, rows: Vec<Value>) -> Value {
    if rows.is_empty() { json!({}) } else { json!({ name: rows }) }
}

fn interface(interface: &Interface) -> Value {
    let Interface { name, ip, gateway, netmask, dns: [first, second], mac, dhcp } = interface;
    json!({
        "EthName": name, "HostIP": ip, "GateWay": gateway, "SubMask": netmask, "Dns1": first,
        "Dns2": second, "MAC": mac, "Dhcp": i32::from(*dhcp),
    })
}

fn not_found() -> Answer {
    Answer::new(404, "text/html", "<html><body><h1>404 Not Found</h1></body></html>\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::camera::web::events::testutil::subject;
    use crate::camera::web::wire::testutil::request;

    async fn say(method: &str, target: &str, body: &str) -> (u16, String, Vec<Order>) {
        let world = Arc::new(World::new(2));
        let subject = subject(&world, &[]);
        let answer = Merlin::new(9000).answer(subject, &request(method, target, body)).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        (answer.status, text, world.unit(1).unwrap().orders())
    }

    #[tokio::test]
    async fn every_operation_of_ptz_is_an_order() {
        let ptz = "/merlin/PtzCtrl.cgi?channelno=1&speed=8&operation=";
        let moved = |direction, speed| Order::Move(Movement { direction, speed });
        for (operation, order) in [
            ("0", Order::Stop),
            ("1", moved(Direction::UpLeft, 100)),
            ("5&speed=1", moved(Direction::Right, 0)),
            ("9", moved(Direction::ZoomOut, 100)),
            ("10", moved(Direction::ZoomIn, 100)),
            ("20&value=2", Order::Preset("2".into())),
            ("29&value=1", Order::Tour("1".into())),
            ("30&value=1", Order::EndTour(Some("1".into()))),
            ("33&value=0", Order::Patrol(true)),
            ("34&value=0", Order::Patrol(false)),
        ] {
            let (status, _, orders) = say("POST", &format!("{ptz}{operation}"), "").await;
            assert_eq!((status, orders), (200, vec![order]), "{operation}");
        }
    }

    #[tokio::test]
    async fn what_a_camera_does_not_understand_is_refused() {
        for (method, target, body, expected) in [
            ("GET", "/merlin/PtzCtrl.cgi?operation=1&speed=9&channelno=1", "", 400),
            ("GET", "/merlin/PtzCtrl.cgi?operation=11&speed=1&channelno=1", "", 400),
            ("GET", "/merlin/PtzCtrl.cgi?operation=1&speed=1&channelno=2", "", 400),
            ("GET", "/merlin/PtzCtrl.cgi?operation=20&speed=1&channelno=1&value=99", "", 400),
            ("GET", "/merlin/GetPtzPresetCfg.cgi", "", 400),
            ("GET", "/merlin/SetAlarmCfg.cgi", "", 405),
            ("PUT", "/merlin/GetVersion.cgi", "", 405),
            ("POST", "/merlin/SetAlarmCfg.cgi", "{", 400),
            ("POST", "/merlin/SetAlarmCfg.cgi", "{}", 400),
            ("POST", "/merlin/SetWifiCfg.cgi", "{}", 404),
            ("GET", "/merlin/Nothing.cgi", "", 404),
            ("GET", "/uapi-cgi/param.fcgi", "", 404),
        ] {
            let (status, text, orders) = say(method, target, body).await;
            assert_eq!((status, orders), (expected, Vec::new()), "{method} {target}: {text}");
        }
    }

    #[tokio::test]
    async fn lists_are_told_in_the_familys_words() {
        let (_, presets, _) = say("GET", "/merlin/GetPtzPresetCfg.cgi?Ch=1", "").await;
        let presets: Value = serde_json::from_str(&presets).unwrap();
        assert!(presets["ptz_preset"][0]["PresetId"].is_u64(), "{presets}");
        let (_, tours, _) = say("POST", "/merlin/GetPtzTourCfg.cgi?Ch=0", "").await;
        let tours: Value = serde_json::from_str(&tours).unwrap();
        assert!(tours["PtzTour"][0]["TourIndex"].is_u64(), "{tours}");
        let (_, net, _) = say("GET", "/merlin/GetGeneralNetCfg.cgi?Ch=0", "").await;
        let net: Value = serde_json::from_str(&net).unwrap();
        assert_eq!(net["NetCommon"][0]["EthName"], "eth0", "{net}");
        let (_, version, _) = say("GET", "/merlin/GetVersion.cgi", "").await;
        assert!(version.contains("Firmware"));
    }

    #[tokio::test]
    async fn the_clock_is_set_and_told() {
        let world = Arc::new(World::new(1));
        let merlin = Merlin::new(9000);
        let say = async |target: &str, body: &str| {
            let asked = request("POST", &format!("/merlin/{target}"), body);
            let answer = merlin.answer(subject(&world, &[]), &asked).await;
            (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap())
        };
        let set = r#"{"TimeCfg":{"year":2024,"month":2,"day":29,"hour":23,"minute":4,"second":5}}"#;
        assert_eq!(say("SetTimeCfg.cgi", set).await, (200, done()));
        let (_, told) = say("GetTimeCfg.cgi", "").await;
        assert_eq!((&told["TimeCfg"]["day"], &told["TimeCfg"]["hour"]), (&json!(29), &json!(23)));
        for wrong in [set.replace("2024", "2023"), set.replace(":23", ":\"23\""), "{}".to_owned()] {
            assert_eq!(say("SetTimeCfg.cgi", &wrong).await.0, 400, "{wrong}");
        }
        assert!(world.clock().unwrap().to_string().starts_with("2024-02-29T23:04:0"));
    }

    #[tokio::test]
    async fn a_reboot_is_answered_first() {
        let world = Arc::new(World::new(1));
        let asked = request("POST", "/merlin/Reboot.cgi", "");
        let answer = Merlin::new(9000).answer(subject(&world, &[]), &asked).await;
        assert!(answer.reboots && answer.status == 200);
        assert_eq!(world.unit(0).unwrap().orders(), [Order::Reboot]);
    }
}
