//! The web server of Hikvision cameras and recorders (`camera-families.md`, section 1): XML under `/ISAPI`. With one
//! channel it is a camera; with several a recorder, which moves and shows its cameras by its proxies only.

mod alert;
mod clock;
mod document;
mod ptz;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ivt_hal::xml::{self, Element, Limits, escape};
use ivt_hal::{Interface, Kind, Stream};

use super::events::{AlarmQuirk, Subject};
use super::wire::{Answer, Request};
use crate::camera::address::{self, numbered};
use crate::camera::world::{Order, Unit, World};
use document::Document;

pub use ptz::moved;

const XML: &str = "application/xml; charset=\"UTF-8\"";
const NAMESPACE: &str = "http://www.hikvision.com/ver20/XMLSchema";

/// The documents that clients can change, by their path.
#[derive(Debug, Default)]
pub struct Hikvision {
    kept: Mutex<BTreeMap<String, Element>>,
}

/// Why a request is refused: the status of HTTP, `statusCode` and `subStatusCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal(u16, u8, &'static str);

const NOT_FOUND: Refusal = Refusal(404, 4, "notSupport");
const NOT_SUPPORTED: Refusal = Refusal(403, 4, "notSupport");
const WRONG_METHOD: Refusal = Refusal(405, 4, "methodNotAllowed");
const NO_XML: Refusal = Refusal(400, 5, "badXmlFormat");
const WRONG_CONTENT: Refusal = Refusal(400, 6, "badXmlContent");

type Outcome = Result<Answer, Refusal>;

impl Hikvision {
    /// The answer to a request whose login is right.
    pub async fn answer(&self, subject: Subject, request: &Request) -> Answer {
        let path = request.target.split('?').next().unwrap_or_default();
        if request.method == "GET" && alert::is_here(path, subject.has(AlarmQuirk::OldPath)) {
            return alert::answer(subject);
        }
        self.act(&subject.world, request, path)
            .await
            .unwrap_or_else(|Refusal(status, code, sub)| said(path, status, code, sub))
    }

    async fn act(&self, world: &World, request: &Request, path: &str) -> Outcome {
        let inner = path.strip_prefix("/ISAPI/").ok_or(NOT_FOUND)?;
        let parts: Vec<_> = inner.trim_end_matches('/').split('/').collect();
        let recorder = world.units().len() > 1;
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["System", "deviceInfo"]) => Ok(page("DeviceInfo", &device(recorder))),
            ("GET", ["System", "capabilities"]) => {
                Ok(page("DeviceCap", &capabilities(world.units().len())))
            }
            ("GET", ["System", "time"]) => Ok(clock::document(world)),
            ("PUT", ["System", "time"]) => clock::set(world, &request.body, path),
            ("PUT", ["System", "reboot"]) => {
                for unit in world.units() {
                    carry_out(unit, Order::Reboot).await?;
                }
                Ok(Answer { reboots: true, ..done(path) })
            }
            (_, ["System", "reboot" | "time"]) => Err(WRONG_METHOD),
            ("GET", ["System", "Network", "interfaces"]) => {
                let unit = world.unit(0).ok_or(NOT_FOUND)?;
                Ok(page("NetworkInterfaceList", &interfaces(unit).await?))
            }
            ("GET", ["System", "Network", "interfaces", "2", "wireless", "accessPointList"]) => {
                let wifi = world.unit(0).and_then(|unit| unit.channel.wifi.as_ref());
                let all = wifi.ok_or(NOT_SUPPORTED)?.networks().await.map_err(refused)?;
                Ok(page("accessPointList", &access_points(&all)))
            }
            ("GET", ["ContentMgmt", "InputProxy", "channels"]) if recorder => {
                Ok(page("InputProxyChannelList", &inputs(world.units().len())))
            }
            ("GET", ["Streaming", "channels", id, "picture"]) => match recorder {
                // A recorder says it in a body that HTTP calls a success.
                true => Err(Refusal(200, 6, "badXmlContent")),
                false => picture(world, id).await,
            },
            ("GET", ["ContentMgmt", "StreamingProxy", "channels", id, "picture"]) if recorder => {
                picture(world, id).await
            }
            (method, ["PTZCtrl", "channels", input, rest @ ..]) if !recorder => {
                ptz::act(input_of(world, input)?, method, rest, request, path).await
            }
            (method, ["ContentMgmt", "PTZCtrlProxy", "channels", input, rest @ ..]) if recorder => {
                ptz::act(input_of(world, input)?, method, rest, request, path).await
            }
            (_, ["PTZCtrl" | "ContentMgmt", ..]) => Err(NOT_SUPPORTED),
            (method, parts) => {
                let document = Document::at(parts, recorder).ok_or(NOT_FOUND)?;
                let unit = world.unit(document.input()).ok_or(NOT_FOUND)?;
                match method {
                    "GET" => Ok(answer(self.kept(document, unit).await?.to_document())),
                    "PUT" => self.put(document, unit, &request.body).await.map(|()| done(path)),
                    _ => Err(WRONG_METHOD),
                }
            }
        }
    }

    /// The document as it is now.
    async fn kept(&self, document: Document, unit: &Unit) -> Result<Element, Refusal> {
        let known = self.lock().get(&document.key()).cloned();
        match known {
            Some(known) => Ok(known),
            None => document.factory(unit).await,
        }
    }

    /// Takes the place of a document, if the whole of it comes back.
    async fn put(&self, document: Document, unit: &Unit, body: &[u8]) -> Result<(), Refusal> {
        let new = xml::parse(body, &Limits::default()).map_err(|_| NO_XML)?;
        let old = self.kept(document, unit).await?;
        if new.attribute("xmlns") != old.attribute("xmlns") || !document::is_whole(&old, &new) {
            return Err(WRONG_CONTENT);
        }
        let twin = match document.twin() {
            Some(twin) => Some(self.kept(twin, unit).await?),
            None => None,
        };
        if let Some(order) = document.order(&new, twin.as_ref()).ok_or(WRONG_CONTENT)? {
            carry_out(unit, order).await?;
        }
        self.lock().insert(document.key(), new);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Element>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn input_of<'a>(world: &'a World, input: &str) -> Result<&'a Unit, Refusal> {
    let place = input.parse::<usize>().ok().and_then(|input| input.checked_sub(1));
    place.and_then(|place| world.unit(place)).ok_or(NOT_FOUND)
}

async fn carry_out(unit: &Unit, order: Order) -> Result<(), Refusal> {
    unit.carry_out(order).await.map_err(refused)
}

fn refused(error: ivt_hal::Error) -> Refusal {
    match error.kind {
        Kind::Unsupported => NOT_SUPPORTED,
        Kind::Invalid => WRONG_CONTENT,
        _ => Refusal(500, 3, "deviceError"),
    }
}

async fn picture(world: &World, id: &str) -> Outcome {
    let (channel, stream) = numbered(id).ok_or(NOT_FOUND)?;
    let unit = world.unit(channel).ok_or(NOT_FOUND)?;
    let stream = match stream {
        address::Stream::Main => Stream::Main,
        address::Stream::Sub => Stream::Sub,
    };
    let snapshot = unit.channel.snapshot.as_ref().ok_or(NOT_SUPPORTED)?;
    Ok(Answer::new(200, "image/jpeg", snapshot.jpeg(stream).await.map_err(refused)?))
}

fn device(recorder: bool) -> String {
    let (kind, model) = match recorder {
        true => ("NVR", "DS-7608NI-SIM"),
        false => ("IPCamera", "DS-2DE3304W-SIM"),
    };
    format!(
        "<deviceName>camera-sim</deviceName><deviceID>4711</deviceID><model>{model}</model>\
         <serialNumber>{model}20200401AAWR4711</serialNumber><macAddress>02:00:5e:10:00:01</macAddress>\
         <firmwareVersion>V5.7.3</firmwareVersion><firmwareReleasedDate>build 220112</firmwareReleasedDate>\
         <deviceType>{kind}</deviceType><manufacturer>hikvision</manufacturer>"
    )
}

fn capabilities(inputs: usize) -> String {
    let proxies = if inputs > 1 { inputs } else { 0 };
    format!(
        "<SysCap><VideoCap><videoInputPortNums>{}</videoInputPortNums></VideoCap></SysCap>\
         <RacmCap><inputProxyNums>{proxies}</inputProxyNums></RacmCap>",
        usize::from(inputs == 1)
    )
}

fn inputs(inputs: usize) -> String {
    let row = |id| {
        format!("<InputProxyChannel><id>{id}</id><name>Camera {id}</name></InputProxyChannel>")
    };
    (1..=inputs).map(row).collect()
}

async fn interfaces(unit: &Unit) -> Result<String, Refusal> {
    let mut all = match &unit.channel.network {
        Some(network) => network.interfaces().await.map_err(refused)?,
        None => Vec::new(),
    };
    if let Some(wifi) = &unit.channel.wifi {
        all.push(wifi.status().await.map_err(refused)?.interface);
    }
    Ok(all.iter().enumerate().map(|(place, one)| interface(place + 1, one)).collect())
}

fn interface(id: usize, interface: &Interface) -> String {
    let Interface { ip, gateway, netmask, dns: [first, second], mac, dhcp, .. } = interface;
    let kind = if *dhcp { "dynamic" } else { "static" };
    let address = |name: &str, ip: &str| format!("<{name}><ipAddress>{ip}</ipAddress></{name}>");
    format!(
        "<NetworkInterface><id>{id}</id><IPAddress><ipVersion>v4</ipVersion>\
         <addressingType>{kind}</addressingType><ipAddress>{ip}</ipAddress><subnetMask>{netmask}</subnetMask>\
         {}{}{}</IPAddress><Link><MACAddress>{mac}</MACAddress></Link></NetworkInterface>",
        address("DefaultGateway", gateway),
        address("PrimaryDNS", first),
        address("SecondaryDNS", second),
    )
}

fn access_points(all: &[ivt_hal::WifiNetwork]) -> String {
    let row = |(place, network): (usize, &ivt_hal::WifiNetwork)| {
        format!(
            "<accessPoint><id>{}</id><ssid>{}</ssid><signalStrength>{}</signalStrength>\
             <securityMode>{}</securityMode></accessPoint>",
            place + 1,
            escape(&network.ssid),
            network.signal,
            escape(&network.encrypt)
        )
    };
    all.iter().enumerate().map(row).collect()
}

/// A document with this root and content.
fn page(root: &str, content: &str) -> Answer {
    answer(wrapped(root, content))
}

fn wrapped(root: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <{root} version=\"2.0\" xmlns=\"{NAMESPACE}\">{content}</{root}>\n"
    )
}

fn answer(document: String) -> Answer {
    Answer::new(200, XML, document)
}

fn done(path: &str) -> Answer {
    said(path, 200, 1, "ok")
}

fn said(path: &str, status: u16, code: u8, sub: &str) -> Answer {
    let words = match code {
        1 => "OK",
        3 => "Device Error",
        4 => "Invalid Operation",
        5 => "Invalid XML Format",
        _ => "Invalid XML Content",
    };
    let content = format!(
        "<requestURL>{}</requestURL><statusCode>{code}</statusCode><statusString>{words}</statusString>\
         <subStatusCode>{sub}</subStatusCode>",
        escape(path)
    );
    Answer::new(status, XML, wrapped("ResponseStatus", &content))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use ivt_hal::{Armed, Direction, Movement};

    use super::*;
    use crate::camera::web::events::testutil::subject;
    use crate::camera::web::wire::testutil::request;

    struct Bench(Hikvision, Arc<World>);

    impl Bench {
        fn new(channels: usize) -> Self {
            Self(Hikvision::default(), Arc::new(World::new(channels)))
        }

        async fn say(&self, method: &str, path: &str, body: &str) -> (u16, String) {
            let target = format!("/ISAPI/{path}");
            let answer =
                self.0.answer(subject(&self.1, &[]), &request(method, &target, body)).await;
            (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
        }

        fn orders(&self) -> Vec<Order> {
            self.1.units().last().unwrap().orders()
        }
    }

    #[tokio::test]
    async fn a_camera_moves_by_itself_and_a_recorder_by_its_proxy() {
        let body = "<PTZData><pan>-60</pan><tilt>60</tilt><zoom>0</zoom></PTZData>";
        let moved = Order::Move(Movement { direction: Direction::UpLeft, speed: 60 });
        for (channels, path) in
            [(1, "PTZCtrl/channels/1"), (2, "ContentMgmt/PTZCtrlProxy/channels/2")]
        {
            let bench = Bench::new(channels);
            let put =
                async |rest: &str, body| bench.say("PUT", &format!("{path}/{rest}"), body).await.0;
            assert_eq!(put("continuous", body).await, 200);
            assert_eq!(
                put("continuous", "<PTZData><pan>0</pan><tilt>0</tilt></PTZData>").await,
                200
            );
            assert_eq!(put("presets/2/goto", "").await, 200);
            assert_eq!(put("patrols/1/start", "").await, 200);
            assert_eq!(put("patrols/1/stop", "").await, 200);
            assert_eq!(put("patterns/1/start", "").await, 200);
            assert_eq!(put("patterns/1/stop", "").await, 200);
            let expected = [
                moved.clone(),
                Order::Stop,
                Order::Preset("2".into()),
                Order::Tour("1".into()),
                Order::EndTour(Some("1".into())),
                Order::Patrol(true),
                Order::Patrol(false),
            ];
            assert_eq!(bench.orders(), expected);
            for wrong in [
                "",
                "<PTZData/>",
                "<X><pan>1</pan><tilt>1</tilt></X>",
                "<PTZData><pan>101</pan><tilt>0</tilt></PTZData>",
            ] {
                assert_eq!(put("continuous", wrong).await, 400, "{wrong}");
            }
            assert_eq!(put("presets/99/goto", "").await, 404);
        }
        let (status, text) = Bench::new(2).say("PUT", "PTZCtrl/channels/1/continuous", body).await;
        assert!(status == 403 && text.contains("<statusCode>4<"), "{text}");
    }

    #[tokio::test]
    async fn a_whole_document_comes_back_or_is_refused() {
        let bench = Bench::new(1);
        let path = "System/Video/inputs/channels/1/motionDetection";
        let (_, document) = bench.say("GET", path, "").await;
        let changed = document.replace("<enabled>false<", "<enabled>true<");
        assert_ne!(document, changed);
        assert_eq!(bench.say("PUT", path, &changed).await.0, 200);
        assert!(matches!(bench.orders()[..], [Order::Motion(set)] if set.enable));
        assert_eq!(
            xml::parse(bench.say("GET", path, "").await.1.as_bytes(), &Limits::default()),
            xml::parse(changed.as_bytes(), &Limits::default())
        );
        for (wrong, code) in [
            ("<MotionDetection><enabled>true</enabled></MotionDetection>".to_owned(), 6),
            (changed.replace(NAMESPACE, "urn:other"), 6),
            (changed.replace("<enabled>true<", "<enabled>yes<"), 6),
            (changed.replace("<rowGranularity>18</rowGranularity>", ""), 6),
            (changed.replace("sensitivityLevel>60<", "sensitivityLevel>61<"), 6),
            ("<MotionDetection>".to_owned(), 5),
        ] {
            let (status, text) = bench.say("PUT", path, &wrong).await;
            let says = text.contains(&format!("<statusCode>{code}<"));
            assert!(status == 400 && says, "{wrong}: {status} {text}");
        }
        assert_eq!(bench.orders().len(), 1);
    }

    #[tokio::test]
    async fn an_area_and_its_times_reach_the_camera() {
        let bench = Bench::new(2);
        let path = "Smart/FieldDetection/2";
        let (_, document) = bench.say("GET", path, "").await;
        let point = |x, y| {
            format!(
                "<RegionCoordinates><positionX>{x}</positionX><positionY>{y}</positionY></RegionCoordinates>"
            )
        };
        let corners = [(100, 200), (900, 200), (900, 1000), (0, 800)];
        let corners: String = corners.into_iter().map(|(x, y)| point(x, y)).collect();
        let list = format!(
            "<RegionCoordinatesList>{corners}</RegionCoordinatesList></FieldDetectionRegion>"
        );
        let mut new = xml::parse(document.as_bytes(), &Limits::default()).unwrap();
        new.find_mut("FieldDetectionRegionList/FieldDetectionRegion")
            .unwrap()
            .drop_children("RegionCoordinatesList");
        let new =
            new.to_document().replace("</FieldDetectionRegion>", &list).replace("false", "true");
        assert_eq!(bench.say("PUT", path, &new).await.0, 200);
        let Some(Order::Tripwire(set, Some(area))) = bench.orders().pop() else {
            panic!("{:?}", bench.orders());
        };
        let corners = area.0.map(|point| (point.x, point.y));
        assert_eq!((set.enable, corners), (true, [(10, 20), (90, 20), (90, 100), (0, 80)]));

        let times = "Event/schedules/fieldDetections/fielddetection_video2";
        let (_, schedule) = bench.say("GET", times, "").await;
        let new = schedule.replace("<beginTime>00:00:00<", "<beginTime>06:30:00<");
        assert_eq!(bench.say("PUT", times, &new).await.0, 200);
        let Some(Order::Tripwire(set, _)) = bench.orders().pop() else { panic!("no order") };
        assert_eq!(set.armed, Armed { start: 23_400, end: 86_400 });
        assert!(set.delay < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn the_clock_is_set_by_the_whole_document() {
        let bench = Bench::new(2);
        let (_, document) = bench.say("GET", "System/time", "").await;
        assert!(document.contains("<timeMode>NTP<") && document.contains("<timeZone>CST-8:00:00<"));
        let (before, rest) = document.split_once("<localTime>").unwrap();
        let (_, after) = rest.split_once("</localTime>").unwrap();
        let written = |time: &str| {
            format!("{before}<localTime>{time}</localTime>{after}").replace("NTP", "manual")
        };
        for (time, shown) in [
            ("2024-02-29T23:59:58", "2024-02-29T23:59:5"),
            ("2024-02-29T23:59:50+08:00", "2024-02-29T23:59:5"),
            ("2024-02-29T23:59:50Z", "2024-03-01T07:59:5"),
            ("2024-02-29T23:59:50-01:30", "2024-03-01T09:29:5"),
        ] {
            assert_eq!(bench.say("PUT", "System/time", &written(time)).await.0, 200, "{time}");
            let (_, told) = bench.say("GET", "System/time", "").await;
            let mode = told.contains("<timeMode>manual<");
            assert!(mode && told.contains(&format!("<localTime>{shown}")), "{time}: {told}");
        }
        let set = written("2024-02-29T23:59:50");
        for wrong in [
            written("2023-02-29T00:00:00"),
            written("2024-02-29T00:00:00+8"),
            written("soon"),
            set.replace("CST-8", "CST-9"),
            set.replace("manual", "sometimes"),
            set.replace(NAMESPACE, "urn:other"),
            "<Time><timeMode>manual</timeMode></Time>".to_owned(),
        ] {
            assert_eq!(bench.say("PUT", "System/time", &wrong).await.0, 400, "{wrong}");
        }
        assert_eq!(bench.say("PUT", "System/time", &document).await.0, 200);
        assert!(bench.say("GET", "System/time", "").await.1.contains("<timeMode>NTP<"));
        assert_eq!(bench.say("POST", "System/time", "").await.0, 405);
        assert_eq!(bench.orders().len(), 5);
    }

    #[tokio::test]
    async fn a_network_is_joined_exactly_as_it_came() {
        let bench = Bench::new(1);
        let path = "System/Network/interfaces/2/wireless";
        let (_, document) = bench.say("GET", path, "").await;
        let mut new = xml::parse(document.as_bytes(), &Limits::default()).unwrap();
        let (ssid, password) = (" caf\u{e9} & \"bar\" ", "a<b>&'\" \u{5bc6}\u{7801} ");
        new.find_mut("ssid").unwrap().set_text(ssid);
        new.find_mut("WirelessSecurity/WPA/sharedKey").unwrap().set_text(password);
        assert_eq!(bench.say("PUT", path, &new.to_document()).await.0, 200);
        let join = Order::Join { ssid: Some(ssid.into()), password: Some(password.into()) };
        assert_eq!(bench.orders(), [join]);
        let (_, networks) = bench.say("GET", &format!("{path}/accessPointList"), "").await;
        assert!(networks.contains("<ssid>office</ssid>"), "{networks}");
    }

    #[tokio::test]
    async fn what_it_is_it_tells_and_pictures_come_from_the_right_place() {
        let (camera, recorder) = (Bench::new(1), Bench::new(2));
        for (bench, path, word) in [
            (&camera, "System/deviceInfo", "<deviceType>IPCamera<"),
            (&recorder, "System/deviceInfo", "<deviceType>NVR<"),
            (&recorder, "System/capabilities", "<inputProxyNums>2<"),
            (&recorder, "ContentMgmt/InputProxy/channels", "<id>2<"),
            (&camera, "System/Network/interfaces", "<addressingType>dynamic<"),
            (&camera, "PTZCtrl/channels/1/presets", "<presetName>door<"),
            (&camera, "PTZCtrl/channels/1/patrols", "<PTZPatrol>"),
            (&camera, "PTZCtrl/channels/1/patterns", "<PTZPattern>"),
        ] {
            let (status, text) = bench.say("GET", path, "").await;
            assert!(status == 200 && text.contains(word), "{path}: {status} {text}");
        }
        assert!(camera.say("GET", "Streaming/channels/102/picture", "").await.1.contains("JFIF"));
        let (status, text) = recorder.say("GET", "Streaming/channels/201/picture", "").await;
        assert!(status == 200 && text.contains("<statusCode>6<"), "{text}");
        let proxy = "ContentMgmt/StreamingProxy/channels/201/picture";
        assert_eq!(recorder.say("GET", proxy, "").await.0, 200);
        for (path, status) in [
            ("ContentMgmt/InputProxy/channels", 403),
            ("Streaming/channels/103/picture", 404),
            ("nothing", 404),
            ("System/reboot", 405),
        ] {
            assert_eq!(camera.say("GET", path, "").await.0, status, "{path}");
        }
        let asked = request("PUT", "/ISAPI/System/reboot", "");
        assert!(camera.0.answer(subject(&camera.1, &[]), &asked).await.reboots);
    }
}
