//! The web server of Dahua cameras and recorders (`camera-families.md`, section 2): lines of `key=value` under `/cgi-bin`.
//! Inputs count from 1 in requests and from 0 in events and in the configuration.

mod attach;
mod config;
mod ptz;

use std::sync::{Arc, Mutex, PoisonError};

use ivt_base::wall_time::WallTime;
use ivt_hal::{Kind, Stream};
use url::form_urlencoded;

use super::events::Subject;
use super::wire::{Answer, Request};
use crate::camera::world::{Order, Unit, World};
use config::Config;
use ptz::Moves;

const TEXT: &str = "text/plain;charset=utf-8";

/// What clients set up, and what moves.
pub struct Dahua {
    config: Arc<Mutex<Config>>,
    moves: Moves,
}

/// Why a request is refused: the status of HTTP, and the line behind `Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal(u16, &'static str);

const BAD_REQUEST: Refusal = Refusal(400, "Bad Request!");
const FAILED: Refusal = Refusal(500, "Internal Server Error!");

type Outcome = Result<Answer, Refusal>;

/// The pairs of a query, in the order in which they came.
struct Query(Vec<(String, String)>);

impl Query {
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.value(name)?.parse().ok()
    }
}

impl Dahua {
    /// The web server of so many inputs.
    pub fn new(inputs: usize) -> Self {
        Self { config: Arc::new(Mutex::new(Config::factory(inputs))), moves: Moves::default() }
    }

    /// The answer to a request whose login is right.
    pub async fn answer(&self, subject: Subject, request: &Request) -> Answer {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let Some(cgi) = path.strip_prefix("/cgi-bin/") else { return not_found() };
        if request.method != "GET" {
            return Answer::new(405, "text/html", "<h1>405 Method Not Allowed</h1>\r\n");
        }
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        let pairs = Query(pairs.collect());
        let outcome = match (cgi, pairs.value("action")) {
            // The brackets have to come as they are (row "authentication").
            ("eventManager.cgi", Some("attach")) => {
                attach::answer(subject, self.config.clone(), query).ok_or(BAD_REQUEST)
            }
            _ => self.act(&subject.world, cgi, &pairs).await,
        };
        outcome.unwrap_or_else(|Refusal(status, words)| match status {
            404 => not_found(),
            _ => Answer::new(status, TEXT, format!("Error\r\n{words}\r\n")),
        })
    }

    async fn act(&self, world: &World, cgi: &str, query: &Query) -> Outcome {
        let action = query.value("action").unwrap_or_default();
        Ok(match (cgi, action) {
            ("magicBox.cgi", "reboot") => {
                for unit in world.units() {
                    carry_out(unit, Order::Reboot).await?;
                }
                Answer { reboots: true, ..done() }
            }
            ("magicBox.cgi", action) => text(identity(world, action, query).ok_or(BAD_REQUEST)?),
            ("snapshot.cgi", _) => picture(world, query).await?,
            ("ptz.cgi", _) => ptz::act(&self.moves, input(world, query, "channel")?, query).await?,
            ("global.cgi", "getCurrentTime") => {
                let time = world.clock().ok_or(FAILED)?.to_string().replace('T', " ");
                text(format!("result={time}\r\n"))
            }
            ("global.cgi", "setCurrentTime") => {
                world.set_clock(time(query).ok_or(BAD_REQUEST)?).map_err(refused)?;
                done()
            }
            ("configManager.cgi", "getConfig") => {
                let name = query.value("name").ok_or(BAD_REQUEST)?;
                let unit = world.unit(0).ok_or(FAILED)?;
                let own = match name {
                    "Network" => Some(network(unit).await?),
                    "WLan" => Some(wireless(unit).await?),
                    _ => None,
                };
                let kept = || self.lock().list(name);
                text(own.or_else(kept).ok_or(BAD_REQUEST)?)
            }
            ("configManager.cgi", "setConfig") => {
                let orders = self.lock().set(world, &query.0);
                for (channel, order) in orders {
                    if let Some(unit) = world.unit(channel) {
                        carry_out(unit, order).await?;
                    }
                }
                done()
            }
            ("wlan.cgi", "scanWlanDevices") => text(access_points(world).await?),
            ("alarm.cgi", "getInSlots") => text(format!("result={}\r\n", world.units().len())),
            ("alarm.cgi", "getOutSlots") => text("result=0\r\n".to_owned()),
            ("eventManager.cgi", "getEventIndexes") => {
                text(active(world, query.value("code").ok_or(BAD_REQUEST)?).ok_or(BAD_REQUEST)?)
            }
            (
                "configManager.cgi" | "global.cgi" | "wlan.cgi" | "alarm.cgi" | "eventManager.cgi",
                _,
            ) => return Err(BAD_REQUEST),
            _ => return Err(Refusal(404, "")),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(text: String) -> Answer {
    Answer::new(200, TEXT, text)
}

fn done() -> Answer {
    text("OK\r\n".to_owned())
}

fn not_found() -> Answer {
    Answer::new(404, "text/html", "<h1>404 Not Found</h1>\r\n")
}

fn refused(error: ivt_hal::Error) -> Refusal {
    match error.kind {
        Kind::Unsupported => Refusal(501, "Not Implemented!"),
        Kind::Invalid => BAD_REQUEST,
        _ => FAILED,
    }
}

async fn carry_out(unit: &Unit, order: Order) -> Result<(), Refusal> {
    unit.carry_out(order).await.map_err(refused)
}

/// The camera of an input that a parameter numbers from 1; the first one without the parameter.
fn input<'a>(world: &'a World, query: &Query, name: &str) -> Result<(usize, &'a Unit), Refusal> {
    let number = match query.value(name) {
        Some(text) => text.parse::<usize>().ok().and_then(|number| number.checked_sub(1)),
        None => Some(0),
    };
    let found = number.and_then(|number| Some((number, world.unit(number)?)));
    found.ok_or(BAD_REQUEST)
}

fn identity(world: &World, action: &str, query: &Query) -> Option<String> {
    let recorder = world.units().len() > 1;
    let (kind, update) = match recorder {
        true => ("31", "DHI-NVR4208-SIM"),
        false => ("IP Camera", "IPC-SD2A200-SIM"),
    };
    Some(match action {
        "getSystemInfo" => format!(
            "deviceType={kind}\r\nprocessor=ST7108\r\nserialNumber=4B0711SIM\r\nupdateSerial={update}\r\n"
        ),
        "getDeviceType" => format!("type={kind}\r\n"),
        "getSoftwareVersion" => "version=2.800.0000000.16.R,build:2021-12-28\r\n".to_owned(),
        "getMachineName" => "name=camera-sim\r\n".to_owned(),
        "getSerialNo" => "sn=4B0711SIM\r\n".to_owned(),
        "getVendor" => "vendor=Dahua\r\n".to_owned(),
        "getHardwareVersion" => "version=1.00\r\n".to_owned(),
        "getProductDefinition" if query.value("name") == Some("MaxExtraStream") => {
            "table.MaxExtraStream=1\r\n".to_owned()
        }
        _ => return None,
    })
}

async fn picture(world: &World, query: &Query) -> Outcome {
    let (_, unit) = input(world, query, "channel")?;
    let snapshot = unit.channel.snapshot.as_ref().ok_or(FAILED)?;
    Ok(Answer::new(200, "image/jpeg", snapshot.jpeg(Stream::Main).await.map_err(refused)?))
}

/// The time that `setCurrentTime` sets, `2026-11-30 01:02:03`.
fn time(query: &Query) -> Option<WallTime> {
    let text = query.value("time")?;
    let (date, time) = text.split_once(' ')?;
    format!("{date}T{time}").parse().ok()
}

/// The inputs at which a code is active now; `None` where there is none, or no such code.
fn active(world: &World, code: &str) -> Option<String> {
    let is_active = |triggers: ivt_hal::emulator::Triggers| match code {
        "VideoMotion" => triggers.motion,
        "CrossLineDetection" => triggers.line,
        "AlarmLocal" => triggers.input,
        _ => false,
    };
    let units = world.units().iter().enumerate();
    let active = units.filter(|(_, unit)| is_active(unit.emulator.world.triggers()));
    let lines = active.enumerate().map(|(k, (input, _))| format!("channels[{k}]={input}\r\n"));
    Some(lines.collect::<String>()).filter(|lines| !lines.is_empty())
}

async fn network(unit: &Unit) -> Result<String, Refusal> {
    let all = match &unit.channel.network {
        Some(network) => network.interfaces().await.map_err(refused)?,
        None => Vec::new(),
    };
    let mut lines =
        "table.Network.DefaultInterface=eth0\r\ntable.Network.Hostname=camera-sim\r\n".to_owned();
    for interface in all {
        let [first, second] = interface.dns;
        for (key, value) in [
            ("DhcpEnable", interface.dhcp.to_string()),
            ("IPAddress", interface.ip),
            ("SubnetMask", interface.netmask),
            ("DefaultGateway", interface.gateway),
            ("DnsServers[0]", first),
            ("DnsServers[1]", second),
            ("MTU", "1500".to_owned()),
            ("PhysicalAddress", interface.mac),
        ] {
            lines += &format!("table.Network.{}.{key}={value}\r\n", interface.name);
        }
    }
    Ok(lines)
}

async fn wireless(unit: &Unit) -> Result<String, Refusal> {
    let wifi = unit.channel.wifi.as_ref().ok_or(BAD_REQUEST)?;
    let status = wifi.status().await.map_err(refused)?;
    let key = status.password.map(|word| word.into_exposed()).unwrap_or_default();
    Ok([
        ("Enable", status.enable.to_string()),
        ("SSID", status.ssid),
        ("Encryption", if key.is_empty() { "Off" } else { "On" }.to_owned()),
        ("KeyID", "0".to_owned()),
        ("Keys[0]", key),
        ("LinkMode", "Auto".to_owned()),
    ]
    .map(|(key, value)| format!("table.WLan.eth2.{key}={value}\r\n"))
    .concat())
}

async fn access_points(world: &World) -> Result<String, Refusal> {
    let wifi = world.unit(0).and_then(|unit| unit.channel.wifi.as_ref()).ok_or(BAD_REQUEST)?;
    let all = wifi.networks().await.map_err(refused)?;
    let mut lines = format!("found={}\r\n", all.len());
    for (i, network) in all.iter().enumerate() {
        for (key, value) in [
            ("SSID", network.ssid.clone()),
            ("AuthMode", network.encrypt.clone()),
            ("LinkQuality", network.signal.to_string()),
        ] {
            lines += &format!("wlanDevice[{i}].{key}={value}\r\n");
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
