//! What network cameras (IPN) and encoders (IPE) do beside telling parameters: they move, restart, scan for networks,
//! and act upon parameters that clients set (`camera-cgi.md`, first table).

mod meta;

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ivt_base::wall_time::WallTime;
use ivt_hal::xml::escape;
use ivt_hal::{Area, Kind, Named, Point};
use url::form_urlencoded;

use super::cgi;
use super::events::Subject;
use super::hikvision::moved;
use super::parameters::{Parameters, Refusal};
use super::wire::Answer;
use crate::camera::world::{Order, Unit, World};
use crate::family::Family;

const TEXT: &str = "text/plain";
/// Last column and row of the grid of the analytics' coordinates.
const GRID: u32 = 65_535;
const KEY: &str = "Connect.key=";

/// The answer to a GET of `target`; `now` is what the camera's clock shows, in seconds since 1970.
pub async fn answer(
    subject: Subject,
    parameters: &Mutex<Parameters>,
    family: Family,
    target: &str,
    now: i64,
) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let world = subject.world.clone();
    let Some(unit) = world.unit(0).filter(|_| family != Family::Ipai) else {
        return cgi::answer(parameters, family, target, now);
    };
    match (family, path) {
        (_, "/nvc-cgi/admin/avstream.cgi" | "/nvc-cgi/viewer/avstream.cgi") => {
            meta::answer(subject, &pairs).unwrap_or_else(|| said(Err(Refusal::BadRequest)))
        }
        (_, "/nvc-cgi/ptz/ptz2.fcgi") => said(ptz(unit, &pairs).await),
        (_, "/nvc-cgi/admin/reboot.cgi") | (Family::Ipn, "/uapi-cgi/reboot.cgi") => {
            let done = carry_out(unit, Order::Reboot).await;
            Answer { reboots: done.is_ok(), ..said(done) }
        }
        (Family::Ipn, "/uapi-cgi/status.cgi") => scan(unit, &pairs).await,
        _ => {
            refresh(unit, parameters).await;
            let value = |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
            let group = value("group").filter(|_| value("action").is_some_and(|it| it == "update"));
            if group.is_some_and(|group| !pairs.iter().all(|pair| is_readable(group, pair))) {
                return said(Err(Refusal::BadRequest));
            }
            let answer = cgi::answer(parameters, family, target, now);
            if let Err(refusal) = set_clock(&world, parameters, now) {
                return said(Err(refusal));
            }
            match group {
                Some(group) if answer.body.starts_with(b"#200") => {
                    match applied(unit, parameters, group, &pairs, now) {
                        Some(order) => said(carry_out(unit, order).await),
                        None => answer,
                    }
                }
                _ => answer,
            }
        }
    }
}

/// Brings the cameras' clock to where a client has just moved that of the parameters.
fn set_clock(world: &World, parameters: &Mutex<Parameters>, now: i64) -> Result<(), Refusal> {
    let mut parameters = parameters.lock().unwrap_or_else(PoisonError::into_inner);
    match parameters.moved() {
        0 => Ok(()),
        by => {
            let time = u64::try_from(now + by).ok().and_then(WallTime::from_seconds);
            let time = time.ok_or(Refusal::BadRequest)?;
            world.set_clock(time).map_err(|_| Refusal::BadRequest)
        }
    }
}

/// The target without the password of a wireless network, for the log and the page.
pub fn without_key(target: &str) -> Cow<'_, str> {
    match target.split_once(KEY) {
        Some((before, after)) => {
            let rest = after.find('&').map_or("", |end| &after[end..]);
            format!("{before}{KEY}***{rest}").into()
        }
        None => target.into(),
    }
}

fn said(outcome: Result<String, Refusal>) -> Answer {
    Answer::new(200, TEXT, outcome.unwrap_or_else(|refusal| format!("{refusal}\n")))
}

async fn carry_out(unit: &Unit, order: Order) -> Result<String, Refusal> {
    let done = unit.carry_out(order).await;
    done.map(|()| "#200|OK\n".to_owned()).map_err(|error| match error.kind {
        Kind::Unsupported => Refusal::NotFound,
        _ => Refusal::BadRequest,
    })
}

async fn ptz(unit: &Unit, pairs: &[(String, String)]) -> Result<String, Refusal> {
    let [(name, value)] = pairs else { return Err(Refusal::BadRequest) };
    let named = |all: Vec<(u32, Named)>| {
        let number: u32 = value.parse().map_err(|_| Refusal::BadRequest)?;
        let found = all.into_iter().find(|(id, _)| *id == number);
        found.map(|(_, named)| named.token).ok_or(Refusal::NotFound)
    };
    let order = match name.as_str() {
        "cpantiltzoommove" => {
            let axis = |text: &str| text.parse::<i8>().ok().filter(|v| (-100..=100).contains(v));
            let axes: Option<Vec<_>> = value.split(',').map(axis).collect();
            let Some([pan, tilt, zoom]) = axes.as_deref() else { return Err(Refusal::BadRequest) };
            moved(*pan, *tilt, *zoom)
        }
        "query" if value == "presetlist" => {
            let presets = unit.presets().await;
            let ids: Vec<_> = presets.iter().map(|(id, _)| id.to_string()).collect();
            return Ok(format!("count={}\nlist={}\n", ids.len(), ids.join(",")));
        }
        "gotodevicepreset" => Order::Preset(named(unit.presets().await)?),
        "gettour" => {
            named(unit.tours().await)?;
            return Ok(format!("tour={value}\n"));
        }
        "calltour" => Order::Tour(named(unit.tours().await)?),
        "canceltour" => Order::EndTour(Some(named(unit.tours().await)?)),
        _ => return Err(Refusal::BadRequest),
    };
    carry_out(unit, order).await
}

/// The networks in reach. The form of the answer is a guess: no public text shows it.
async fn scan(unit: &Unit, pairs: &[(String, String)]) -> Answer {
    let asked = |name| pairs.iter().any(|(key, _)| key == name);
    let Some(wifi) = unit.channel.wifi.as_ref().filter(|_| asked("network") && asked("xmlschema"))
    else {
        return said(Err(Refusal::BadRequest));
    };
    let networks = wifi.networks().await.unwrap_or_default();
    let row = |network: &ivt_hal::WifiNetwork| {
        format!(
            "<ap><essid>{}</essid><signal>{}</signal><encrypttype>{}</encrypttype></ap>",
            escape(&network.ssid),
            network.signal,
            escape(&network.encrypt)
        )
    };
    let rows: String = networks.iter().map(row).collect();
    let text = format!(
        "<?xml version=\"1.0\"?>\n<status><network><wlan0>{rows}</wlan0></network></status>\n"
    );
    Answer::new(200, "text/xml", text)
}

/// Brings what the camera tells of itself up to date.
async fn refresh(unit: &Unit, parameters: &Mutex<Parameters>) {
    let presets = unit.presets().await;
    let wifi = match &unit.channel.wifi {
        Some(wifi) => wifi.status().await.ok(),
        None => None,
    };
    let mut parameters = parameters.lock().unwrap_or_else(PoisonError::into_inner);
    for (id, preset) in presets {
        parameters.tell(&format!("PTZ.Ch0.Preset.P{id}.name"), preset.name);
    }
    if let Some(wifi) = wifi {
        let key = wifi.password.map(|word| word.into_exposed()).unwrap_or_default();
        parameters.tell("NETWORK.Wlan0.ipaddress", wifi.interface.ip);
        parameters.tell("NETWORK.Wlan0.Connect.essid", wifi.ssid);
        parameters.tell("NETWORK.Wlan0.Connect.key", key);
    }
}

/// Whether the value of a parameter that acts upon the camera can be read.
fn is_readable(group: &str, (key, value): &(String, String)) -> bool {
    let name = format!("{group}.{key}").to_ascii_lowercase();
    let number = |most: u32| value.parse::<u32>().is_ok_and(|number| number <= most);
    match name.rsplit_once('.') {
        Some(("vca.ch0", "enable")) => matches!(value.as_str(), "yes" | "no"),
        _ if !(name.starts_with("md.") || name.starts_with("vca.ch0.z0.")) => true,
        Some((_, "enable")) => matches!(value.as_str(), "yes" | "no"),
        Some((_, "sensitivity")) => number(255),
        Some((_, "duration")) => number(u32::MAX),
        Some((_, "point")) => value
            .split(',')
            .map(corner)
            .collect::<Option<Vec<_>>>()
            .is_some_and(|all| all.len() == 4),
        _ => true,
    }
}

/// What parameters that a client has just set mean to the camera.
fn applied(
    unit: &Unit,
    parameters: &Mutex<Parameters>,
    group: &str,
    pairs: &[(String, String)],
    now: i64,
) -> Option<Order> {
    let parameters = parameters.lock().unwrap_or_else(PoisonError::into_inner);
    let is_within = |root: &str| {
        let head = group.get(..root.len()).is_some_and(|head| head.eq_ignore_ascii_case(root));
        head && (group.len() == root.len() || group.as_bytes()[root.len()] == b'.')
    };
    let on = |name| parameters.find(name, now).as_deref() == Some("yes");
    let number = |name| parameters.find(name, now).and_then(|text| text.parse::<u32>().ok());
    if is_within("NETWORK.Wlan0") {
        let set = |end: &str| {
            let name = |key: &str| format!("{group}.{key}").to_ascii_lowercase().ends_with(end);
            pairs.iter().find(|(key, _)| name(key)).map(|(_, value)| value.clone())
        };
        let (ssid, password) = (set("connect.essid"), set("connect.key"));
        return (ssid.is_some() || password.is_some()).then_some(Order::Join { ssid, password });
    }
    if is_within("MD") {
        let mut detection = unit.emulator.world.motion();
        detection.enable = on("MD.enable") && on("MD.Ch0.enable") && on("MD.Ch0.Z0.enable");
        let level = number("MD.Ch0.Z0.sensitivity").filter(|level| *level <= 255)?;
        detection.sensitivity = u8::try_from((level * 100 + 127) / 255).ok()?;
        detection.delay = Duration::from_secs(number("MD.Ch0.Z0.duration")?.into());
        return Some(Order::Motion(detection));
    }
    if group.eq_ignore_ascii_case("VCA.Ch0") || is_within("VCA.Ch0.Z0") {
        let (mut detection, _) = unit.emulator.world.tripwire();
        detection.enable = on("VCA.Ch0.enable") && on("VCA.Ch0.Z0.enable");
        let points = parameters.find("VCA.Ch0.Z0.point", now)?;
        let corners: Option<Vec<_>> = points.split(',').map(corner).collect();
        let area = match corners.as_deref() {
            Some([a, b, c, d]) => Some(Area([*a, *b, *c, *d])),
            _ => None,
        };
        return Some(Order::Tripwire(detection, area));
    }
    None
}

fn corner(text: &str) -> Option<Point> {
    let percent = |text: &str| {
        let place = text.parse::<u32>().ok().filter(|place| *place <= GRID)?;
        u8::try_from((place * 100 + GRID / 2) / GRID).ok()
    };
    let (x, y) = text.split_once(':')?;
    percent(x).zip(percent(y)).map(|(x, y)| Point { x, y })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ivt_hal::{Direction, Movement};

    use super::*;
    use crate::camera::web::events::testutil::subject;

    struct Bench(Arc<World>, Mutex<Parameters>);

    impl Bench {
        fn new() -> Self {
            Self(Arc::new(World::new(1)), Mutex::new(Parameters::factory()))
        }

        async fn get(&self, target: &str) -> String {
            let now = self.0.clock().and_then(WallTime::seconds).unwrap();
            let now = i64::try_from(now).unwrap();
            let answer = answer(subject(&self.0, &[]), &self.1, Family::Ipn, target, now).await;
            String::from_utf8_lossy(&answer.body).into_owned()
        }

        fn orders(&self) -> Vec<Order> {
            self.0.units()[0].orders()
        }
    }

    #[tokio::test]
    async fn a_camera_moves_goes_to_presets_and_tours() {
        let moved = |direction, speed| Order::Move(Movement { direction, speed });
        for (query, order) in [
            ("cpantiltzoommove=0,70,0", moved(Direction::Up, 70)),
            ("cpantiltzoommove=-100,-100,0", moved(Direction::DownLeft, 100)),
            ("cpantiltzoommove=0,0,-1", moved(Direction::ZoomOut, 1)),
            ("cpantiltzoommove=0,0,0", Order::Stop),
            ("gotodevicepreset=2", Order::Preset("2".into())),
            ("calltour=1", Order::Tour("1".into())),
            ("canceltour=1", Order::EndTour(Some("1".into()))),
        ] {
            let bench = Bench::new();
            let said = bench.get(&format!("/nvc-cgi/ptz/ptz2.fcgi?{query}")).await;
            assert_eq!((said.as_str(), bench.orders()), ("#200|OK\n", vec![order]), "{query}");
        }
        let bench = Bench::new();
        let list = bench.get("/nvc-cgi/ptz/ptz2.fcgi?query=presetlist").await;
        assert_eq!(list, "count=3\nlist=1,2,3\n");
        let names = bench.get("/uapi-cgi/param.fcgi?action=list&group=PTZ").await;
        assert!(names.contains("PTZ.Ch0.Preset.P1.name=door\n"), "{names}");
        for (query, words) in [
            ("cpantiltzoommove=0,101,0", "#400|BAD REQUEST\n"),
            ("cpantiltzoommove=0,1", "#400|BAD REQUEST\n"),
            ("gotodevicepreset=99", "#404|NOT FOUND\n"),
            ("gotodevicepreset=x", "#400|BAD REQUEST\n"),
            ("calltour=99", "#404|NOT FOUND\n"),
            ("", "#400|BAD REQUEST\n"),
        ] {
            assert_eq!(bench.get(&format!("/nvc-cgi/ptz/ptz2.fcgi?{query}")).await, words);
        }
        assert!(bench.orders().is_empty());
    }

    #[tokio::test]
    async fn parameters_set_the_camera_up() {
        const LIST: &str = "/uapi-cgi/param.fcgi?action=list&group=MD,VCA";
        let bench = Bench::new();
        let set = async |query: &str| {
            bench.get(&format!("/uapi-cgi/param.fcgi?action=update&group={query}")).await
        };
        assert_eq!(set("MD.Ch0.Z0&enable=yes&sensitivity=255&duration=30").await, "#200|OK\n");
        let Some(Order::Motion(motion)) = bench.orders().pop() else { panic!("no order") };
        let seconds = motion.delay.as_secs();
        assert_eq!((motion.enable, motion.sensitivity, seconds), (true, 100, 30));

        set("VCA.Ch0.Z0&enable=yes&point=0:0,65535:0,65535:32768,0:65535").await;
        let Some(Order::Tripwire(set_up, Some(area))) = bench.orders().pop() else {
            panic!("no area")
        };
        let corners = area.0.map(|point| (point.x, point.y));
        assert_eq!((set_up.enable, corners), (true, [(0, 0), (100, 0), (100, 50), (0, 100)]));

        set("VCA.Ch0&enable=no").await;
        let Some(Order::Tripwire(set_up, _)) = bench.orders().pop() else { panic!("no order") };
        assert!(!set_up.enable, "a switch of the channel is one of its zones");

        for wrong in [
            "VCA.Ch0.Z0&enable=yes&point=0:0,65535:0,65535:32768",
            "VCA.Ch0.Z0&point=0:0,65535:0,65535:32768,0:65536",
            "vca.ch0&Z0.point=nowhere",
            "VCA.Ch0.Z0&enable=1",
            "VCA.Ch0&enable=off",
            "MD&enable=true",
            "MD.Ch0.Z0&sensitivity=256&duration=30",
            "MD&Ch0.Z0.duration=-1",
        ] {
            let (before, orders) = (bench.get(LIST).await, bench.orders().len());
            assert_eq!(set(wrong).await, "#400|BAD REQUEST\n", "{wrong}");
            assert_eq!((bench.get(LIST).await, bench.orders().len()), (before, orders), "{wrong}");
        }

        let word = "Connect.essid=a%20%26%C3%A9&Connect.key=%22p%20%27%E5%AF%86%26%2B";
        set(&format!("NETWORK.Wlan0&{word}")).await;
        let (ssid, password) = (Some("a &\u{e9}".into()), Some("\"p '\u{5bc6}&+".into()));
        assert_eq!(bench.orders().pop(), Some(Order::Join { ssid, password }));
        let scan = bench.get("/uapi-cgi/status.cgi?network&xmlschema").await;
        assert!(scan.contains("<essid>office</essid>"), "{scan}");
    }

    #[tokio::test]
    async fn the_clock_of_the_cameras_is_told_and_set() {
        let bench = Bench::new();
        let shown = || bench.0.clock().unwrap().to_string();
        let cgi = "/uapi-cgi/datetime.cgi?action=get&mode=js";
        let set =
            "/uapi-cgi/datetime.fcgi?action=set&year=2024&month=2&day=29&hour=23&minute=4&second=5";
        assert_eq!(bench.get(set).await, "#200|OK\n");
        assert!(shown().starts_with("2024-02-29T23:04:0"), "{}", shown());
        let told = bench.get(cgi).await;
        assert!(
            told.contains("DATETIME_DATE_YEAR = 2024;\n") && told.contains("DATE_MONTH = 2;"),
            "{told}"
        );
        let update = "/nvc-cgi/admin/param.fcgi?action=update&group=System.DateTime&datetime=113007082031.09";
        assert_eq!(bench.get(update).await, "#200|OK\n");
        assert!(shown().starts_with("2031-11-30T07:08:"), "{}", shown());
        let list = "/nvc-cgi/admin/param.fcgi?action=list&group=SYSTEM.Datetime";
        assert!(bench.get(list).await.contains("SYSTEM.Datetime.datetime=113007082031."));
        let wrong = set.replace("month=2", "month=13");
        assert_eq!(bench.get(&wrong).await, "#400|BAD REQUEST\n");
        assert!(bench.orders().iter().all(|order| matches!(order, Order::Clock(_))));
        assert_eq!(bench.orders().len(), 2);
    }

    #[tokio::test]
    async fn a_camera_restarts_after_its_answer() {
        let Bench(world, parameters) = Bench::new();
        let path = "/nvc-cgi/admin/reboot.cgi";
        let said = answer(subject(&world, &[]), &parameters, Family::Ipe, path, 0).await;
        assert!(said.reboots && said.body.starts_with(b"#200"));
        let path = "/uapi-cgi/reboot.cgi";
        let none = answer(subject(&world, &[]), &parameters, Family::Ipe, path, 0).await;
        assert_eq!((none.status, none.reboots), (404, false));
    }

    #[test]
    fn a_key_is_not_shown() {
        let target = "/p?group=N&Connect.key=geheim&x=1";
        assert_eq!(without_key(target), "/p?group=N&Connect.key=***&x=1");
        assert_eq!(without_key("/p?Connect.key=geheim"), "/p?Connect.key=***");
    }
}
