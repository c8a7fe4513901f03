//! Tests of the services, by requests as clients send them.

mod events;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use ivt_hal::xml::{self, Element, Limits};
use ivt_hal::{Direction, Movement};
use sha1::{Digest as _, Sha1};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::clock::utc_text;
use super::*;
use crate::camera::web::calendar::Date;
use crate::camera::world::{Order, World};
use crate::camera::{CameraOptions, CameraSim, ChannelOptions, OnvifOptions};

const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const PTZ: &str = "http://www.onvif.org/ver20/ptz/wsdl";
const EVENTS: &str = "http://www.onvif.org/ver10/events/wsdl";
const WSN: &str = "http://docs.oasis-open.org/wsn/b-2";
const MAIN: &str = "<ProfileToken>profile_0_main</ProfileToken>";

/// The services of a camera with two channels.
struct Camera {
    onvif: Onvif,
    open: bool,
}

impl Camera {
    fn new(open: bool, quirks: &[Quirk]) -> Self {
        let channels = vec![ChannelOptions::built_in(); 2];
        let world = Arc::new(World::new(channels.len()));
        let quirks = Arc::new(Switches::of(quirks));
        let site = Arc::new(Site::new(world, &channels, quirks, [554, 80, 8080]));
        let credentials = Credentials { user: "admin".into(), password: "pw".into() };
        Self { onvif: Onvif::new(site, (!open).then_some(credentials)), open }
    }

    fn open(quirks: &[Quirk]) -> Self {
        Self::new(true, quirks)
    }

    async fn send(&self, target: &str, header: &str, body: &str) -> Answer {
        let envelope = format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"#
        );
        let request = Request {
            host: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
            method: "POST".into(),
            target: target.into(),
            authorization: None,
            kind: None,
            body: Bytes::from(envelope),
            last: false,
        };
        self.onvif.answer(&request).await
    }

    /// Calls an operation and returns status, and the first element of the answer's body.
    async fn call(&self, namespace: &str, name: &str, arguments: &str) -> (u16, Element) {
        let header = if self.open { String::new() } else { token("pw", 0) };
        let body = format!(r#"<{name} xmlns="{namespace}">{arguments}</{name}>"#);
        read(&self.send("/onvif/any", &header, &body).await)
    }

    async fn ok(&self, namespace: &str, name: &str, arguments: &str) -> Element {
        let (status, answer) = self.call(namespace, name, arguments).await;
        assert_eq!((status, answer.local_name()), (200, &*format!("{name}Response")), "{answer:?}");
        answer
    }

    async fn refused(&self, namespace: &str, name: &str, arguments: &str) -> (u16, String) {
        let (status, answer) = self.call(namespace, name, arguments).await;
        assert_eq!(answer.local_name(), "Fault", "{name}");
        (status, innermost(&answer))
    }

    fn orders(&self) -> Vec<Order> {
        self.onvif.site.world.unit(0).unwrap().orders()
    }

    fn position(&self) -> ivt_hal::emulator::Position {
        self.onvif.site.world.unit(0).unwrap().emulator.world.position()
    }
}

fn read(answer: &Answer) -> (u16, Element) {
    let root = xml::parse(&answer.body, &Limits::default()).unwrap();
    (answer.status, root.child("Body").unwrap().elements().next().unwrap().clone())
}

/// The innermost subcode of a fault, without its prefix.
fn innermost(fault: &Element) -> String {
    let mut code = fault.child("Code").unwrap();
    while let Some(inner) = code.child("Subcode") {
        code = inner;
    }
    code.text_at("Value").rsplit(':').next().unwrap().to_owned()
}

/// The header of a request by `admin`, made so many seconds from now.
fn token(password: &str, ahead: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let created = utc_text(Date::from_unix(i64::try_from(now.as_secs()).unwrap() + ahead));
    let nonce: [u8; 16] = rand::random();
    let digest = Sha1::new().chain_update(nonce).chain_update(&created).chain_update(password);
    format!(
        r#"<Security><UsernameToken><Username>admin</Username><Password Type="x#PasswordDigest">{}</Password><Nonce>{}</Nonce><Created>{created}</Created></UsernameToken></Security>"#,
        BASE64.encode(digest.finalize()),
        BASE64.encode(nonce),
    )
}

fn moving(pan: &str, tilt: &str, zoom: Option<&str>, timeout: Option<&str>) -> String {
    let zoom = zoom.map(|zoom| format!(r#"<Zoom x="{zoom}"/>"#)).unwrap_or_default();
    let timeout = timeout.map(|time| format!("<Timeout>{time}</Timeout>")).unwrap_or_default();
    format!(r#"{MAIN}<Velocity><PanTilt x="{pan}" y="{tilt}"/>{zoom}</Velocity>{timeout}"#)
}

#[tokio::test]
async fn every_operation_is_answered() {
    let camera = Camera::open(&[]);
    let setup = "<StreamSetup><Stream>RTP-Unicast</Stream><Transport><Protocol>RTSP</Protocol></Transport></StreamSetup>";
    for (namespace, name, arguments) in [
        (DEVICE, "GetSystemDateAndTime", ""),
        (DEVICE, "GetDeviceInformation", ""),
        (DEVICE, "GetCapabilities", "<Category>All</Category>"),
        (DEVICE, "GetServices", "<IncludeCapability>true</IncludeCapability>"),
        (DEVICE, "GetServiceCapabilities", ""),
        (DEVICE, "GetScopes", ""),
        (DEVICE, "GetHostname", ""),
        (DEVICE, "GetNetworkInterfaces", ""),
        (DEVICE, "GetDNS", ""),
        (DEVICE, "GetNetworkDefaultGateway", ""),
        (DEVICE, "GetNetworkProtocols", ""),
        (DEVICE, "GetUsers", ""),
        (MEDIA, "GetServiceCapabilities", ""),
        (MEDIA, "GetProfile", MAIN),
        (MEDIA, "GetStreamUri", &format!("{setup}{MAIN}")),
        (MEDIA, "GetSnapshotUri", MAIN),
        (MEDIA, "GetVideoSources", ""),
        (MEDIA, "GetVideoSourceConfigurations", ""),
        (MEDIA, "GetVideoEncoderConfigurations", ""),
        (MEDIA, "GetVideoEncoderConfigurationOptions", MAIN),
        (PTZ, "GetServiceCapabilities", ""),
        (PTZ, "GetNodes", ""),
        (PTZ, "GetNode", "<NodeToken>node_1</NodeToken>"),
        (PTZ, "GetConfigurations", ""),
        (PTZ, "GetConfigurationOptions", "<ConfigurationToken>ptz_0</ConfigurationToken>"),
        (PTZ, "GetStatus", MAIN),
        (PTZ, "GetPresets", MAIN),
        (PTZ, "GetPresetTours", MAIN),
        (EVENTS, "GetServiceCapabilities", ""),
        (EVENTS, "GetEventProperties", ""),
    ] {
        let answer = camera.ok(namespace, name, arguments).await;
        assert!(name == "GetUsers" || answer.elements().next().is_some(), "{name} says nothing");
    }
    let profiles = camera.ok(MEDIA, "GetProfiles", "").await;
    let sizes: Vec<_> = profiles
        .children("Profiles")
        .map(|profile| {
            let width = profile.text_at("VideoEncoderConfiguration/Resolution/Width").to_owned();
            (profile.attribute("token").unwrap().to_owned(), width)
        })
        .collect();
    let expected = [
        ("profile_0_main", "640"),
        ("profile_0_sub", "320"),
        ("profile_1_main", "640"),
        ("profile_1_sub", "320"),
    ];
    assert_eq!(sizes, expected.map(|(token, width)| (token.to_owned(), width.to_owned())));
    let stream = camera
        .ok(MEDIA, "GetStreamUri", &format!("{setup}<ProfileToken>profile_1_sub</ProfileToken>"))
        .await;
    assert_eq!(stream.text_at("MediaUri/Uri"), "rtsp://10.0.0.9:554/ch1/sub");
}

#[tokio::test]
async fn what_the_camera_does_not_have_is_a_fault_with_its_subcode() {
    let camera = Camera::open(&[]);
    let other = "<ProfileToken>other</ProfileToken>";
    for (namespace, name, arguments, expected) in [
        (DEVICE, "UpgradeFirmware", "", (500, "ActionNotSupported")),
        (DEVICE, "GetServices", "", (400, "InvalidArgs")),
        (DEVICE, "GetCapabilities", "<Category>Imaging</Category>", (500, "NoSuchService")),
        (MEDIA, "GetProfile", other, (400, "NoProfile")),
        (MEDIA, "GetSnapshotUri", "", (400, "InvalidArgs")),
        (PTZ, "GetPresets", other, (400, "NoProfile")),
        (PTZ, "GotoPreset", &format!("{MAIN}<PresetToken>99</PresetToken>"), (400, "NoToken")),
        (PTZ, "ContinuousMove", MAIN, (400, "InvalidArgs")),
        (PTZ, "ContinuousMove", &moving("2", "0", None, None), (400, "InvalidVelocity")),
        (PTZ, "ContinuousMove", &moving("x", "0", None, None), (400, "InvalidArgs")),
        (
            PTZ,
            "ContinuousMove",
            &moving("1", "0", None, Some("soon")),
            (400, "TimeoutNotSupported"),
        ),
        (
            PTZ,
            "ContinuousMove",
            &moving("1", "0", None, Some("PT1H")),
            (400, "TimeoutNotSupported"),
        ),
        (PTZ, "GotoHomePosition", MAIN, (500, "ActionNotSupported")),
        (WSN, "Renew", "", (400, "ResourceUnknownFault")),
        ("urn:other", "Stop", "", (400, "Namespace")),
    ] {
        let (status, subcode) = camera.refused(namespace, name, arguments).await;
        assert_eq!((status, &*subcode), expected, "{name} {arguments}");
    }
    assert_eq!(camera.orders(), [Order::Preset("99".into())]);
}

#[tokio::test]
async fn the_time_and_the_services_are_told_without_a_login_and_nothing_else_is() {
    let camera = Camera::new(false, &[]);
    let bare = async |name: &str, arguments: &str, header: &str| {
        let body = format!(r#"<{name} xmlns="{DEVICE}">{arguments}</{name}>"#);
        camera.send("/onvif/device_service", header, &body).await
    };
    for name in ["GetSystemDateAndTime", "GetCapabilities", "GetHostname"] {
        assert_eq!(bare(name, "", "").await.status, 200, "{name}");
    }
    let asked = bare("GetDeviceInformation", "", "").await;
    assert!(asked.status == 401 && asked.challenge.unwrap().starts_with("Digest "));
    let right = token("pw", 0);
    assert_eq!(bare("GetDeviceInformation", "", &right).await.status, 200);
    for wrong in [right, token("wrong", 0), token("pw", -60), token("pw", 60)] {
        let answer = bare("GetDeviceInformation", "", &wrong).await;
        let (status, fault) = read(&answer);
        assert_eq!((status, &*innermost(&fault)), (400, "NotAuthorized"), "{wrong}");
    }
}

#[tokio::test]
async fn quirks_of_the_login_and_the_clock_show() {
    let device = async |quirk: Quirk, header: &str, name: &str| {
        let camera = Camera::new(false, &[quirk]);
        let body = format!(r#"<{name} xmlns="{DEVICE}"/>"#);
        camera.send("/onvif/device_service", header, &body).await
    };
    let (name, right) = ("GetDeviceInformation", token("pw", 0));
    assert_eq!(device(Quirk::ClockLocked, "", "GetSystemDateAndTime").await.status, 401);
    assert_eq!(device(Quirk::DigestOnly, &right, name).await.status, 401);
    let answer = device(Quirk::WsseOnly, "", name).await;
    assert!(answer.status == 400 && answer.challenge.is_none());
    assert_eq!(device(Quirk::Fault200, &token("wrong", 0), name).await.status, 200);
    assert_eq!(device(Quirk::OtherYear, &right, name).await.status, 400);
    assert_eq!(device(Quirk::OtherYear, &token("pw", -20 * 365 * 86_400), name).await.status, 200);
    assert_eq!(device(Quirk::LocalTime, &right, name).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_move_goes_on_until_its_timeout_or_a_stop() {
    let camera = Camera::open(&[]);
    let begin = camera.position().pan;
    camera.ok(PTZ, "ContinuousMove", &moving("0.5", "0", None, Some("PT2S"))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(camera.position().moving && camera.position().pan > begin);
    let status = camera.ok(PTZ, "GetStatus", MAIN).await;
    assert_eq!(status.text_at("PTZStatus/MoveStatus/PanTilt"), "MOVING");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!camera.position().moving);
    camera.ok(PTZ, "ContinuousMove", &moving("0", "-0.3", None, Some("PT60S"))).await;
    camera.ok(PTZ, "Stop", MAIN).await;
    assert!(!camera.position().moving);
    let order = |direction, speed| Order::Move(Movement { direction, speed });
    let expected = [order(Direction::Right, 50), order(Direction::Down, 30), Order::Stop];
    assert_eq!(camera.orders(), expected);
}

#[tokio::test(start_paused = true)]
async fn quirks_of_moves_show() {
    let long = moving("1", "0", None, Some("PT1S"));
    let stop = format!("{MAIN}<PanTilt>true</PanTilt>");
    let refused = async |quirk, name, arguments: &str| {
        Camera::open(&[quirk]).refused(PTZ, name, arguments).await.1
    };
    assert_eq!(
        refused(Quirk::TimeoutRefused, "ContinuousMove", &long).await,
        "TimeoutNotSupported"
    );
    let both = moving("1", "0", Some("0"), None);
    assert_eq!(refused(Quirk::OneAxis, "ContinuousMove", &both).await, "InvalidVelocity");
    assert_eq!(refused(Quirk::StopFaults, "Stop", &stop).await, "ActionNotSupported");
    assert_eq!(refused(Quirk::StopBoth, "Stop", &stop).await, "InvalidArgVal");
    assert_eq!(refused(Quirk::PtzElsewhere, "Stop", &stop).await, "NoPTZProfile");
    assert_eq!(refused(Quirk::NoPtz, "Stop", &stop).await, "ActionNotSupported");
    let camera = Camera::open(&[Quirk::TimeoutIgnored]);
    camera.ok(PTZ, "ContinuousMove", &moving("0", "0", Some("0.01"), Some("PT1S"))).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(camera.position().moving, "the timeout is ignored");
    let camera = Camera::open(&[Quirk::WideVelocity]);
    camera.ok(PTZ, "ContinuousMove", &moving("50", "0", None, None)).await;
    let half = Movement { direction: Direction::Right, speed: 50 };
    assert_eq!(camera.orders(), [Order::Move(half)]);
    let stop = format!(r#"<Stop xmlns="{PTZ}">{MAIN}</Stop>"#);
    let camera = Camera::open(&[Quirk::ActionRefused]);
    let answer = camera.send("/onvif/ptz_service", "<Action>urn:Stop</Action>", &stop).await;
    assert_eq!(innermost(&read(&answer).1), "UnknownAction");
    assert_eq!(camera.send("/onvif/ptz_service", "", &stop).await.status, 200);
}

#[tokio::test]
async fn presets_and_tours_are_kept() {
    let camera = Camera::open(&[]);
    let count = async || camera.ok(PTZ, "GetPresets", MAIN).await.children("Preset").count();
    let before = count().await;
    let set =
        camera.ok(PTZ, "SetPreset", &format!("{MAIN}<PresetName>a &amp; b</PresetName>")).await;
    let token = set.text_at("PresetToken");
    let list = camera.ok(PTZ, "GetPresets", MAIN).await;
    let own = list.children("Preset").find(|preset| preset.attribute("token") == Some(token));
    assert_eq!(own.unwrap().text_at("Name"), "a & b");
    let preset = format!("{MAIN}<PresetToken>{token}</PresetToken>");
    camera.ok(PTZ, "GotoPreset", &preset).await;
    camera.ok(PTZ, "RemovePreset", &preset).await;
    assert_eq!(count().await, before);
    let tours = camera.ok(PTZ, "GetPresetTours", MAIN).await;
    let tour = tours.child("PresetTour").unwrap().attribute("token").unwrap().to_owned();
    let operate = |word| {
        format!("{MAIN}<PresetTourToken>{tour}</PresetTourToken><Operation>{word}</Operation>")
    };
    camera.ok(PTZ, "OperatePresetTour", &operate("Start")).await;
    let tours = camera.ok(PTZ, "GetPresetTours", MAIN).await;
    assert_eq!(tours.text_at("PresetTour/Status/State"), "Touring");
    camera.ok(PTZ, "OperatePresetTour", &operate("Stop")).await;
    let expected = [
        Order::Preset(token.to_owned()),
        Order::Tour(tour.clone()),
        Order::EndTour(Some(tour.clone())),
    ];
    assert_eq!(camera.orders(), expected);
}

#[tokio::test]
async fn quirks_of_addresses_and_profiles_show() {
    let services = async |quirk| {
        let camera = Camera::open(&[quirk]);
        let all = "<IncludeCapability>false</IncludeCapability>";
        let answer = camera.ok(DEVICE, "GetServices", all).await;
        answer
            .find_all("Service/XAddr")
            .iter()
            .map(|address| address.text().to_owned())
            .collect::<Vec<_>>()
    };
    let other = services(Quirk::OtherPort).await;
    assert_eq!(other[0], "http://10.0.0.9:80/onvif/device_service");
    assert!(other[1..].iter().all(|address| address.starts_with("http://10.0.0.9:8080/")));
    assert!(
        services(Quirk::Unreachable).await.iter().all(|a| a.starts_with("http://192.0.2.1:80/"))
    );
    assert!(!services(Quirk::NoPtz).await.iter().any(|address| address.contains("ptz")));
    let profiles = Camera::open(&[Quirk::PtzElsewhere]).ok(MEDIA, "GetProfiles", "").await;
    let with: Vec<_> =
        profiles.children("Profiles").map(|one| one.child("PTZConfiguration").is_some()).collect();
    assert_eq!(with, [false, true, false, true]);
    let snapshot = Camera::open(&[Quirk::NoSnapshot]).ok(MEDIA, "GetSnapshotUri", MAIN).await;
    assert_eq!(snapshot.text_at("MediaUri/Uri"), "");
    let camera = Camera::open(&[Quirk::SnapshotFaults]);
    assert_eq!(camera.refused(MEDIA, "GetSnapshotUri", MAIN).await.1, "ActionNotSupported");
    let camera = Camera::open(&[Quirk::NoServices]);
    assert_eq!(camera.refused(DEVICE, "GetServices", "").await.1, "ActionNotSupported");
}

#[tokio::test]
async fn every_spelling_of_namespaces_is_the_same_answer() {
    for quirk in [Quirk::Letters, Quirk::Bare] {
        let camera = Camera::open(&[quirk]);
        let profiles = camera.ok(MEDIA, "GetProfiles", "").await;
        assert_eq!(profiles.children("Profiles").count(), 4, "{quirk:?}");
        assert_eq!(
            camera.refused(MEDIA, "GetProfile", MAIN.replace("main", "x").as_str()).await.1,
            "NoProfile"
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_set_is_told() {
    let camera = Camera::open(&[]);
    let date = "<UTCDateTime><Time><Hour>3</Hour><Minute>4</Minute><Second>5</Second></Time>\
                <Date><Year>2030</Year><Month>2</Month><Day>1</Day></Date></UTCDateTime>";
    let set = |kind, date: &str| {
        format!("<DateTimeType>{kind}</DateTimeType><DaylightSavings>false</DaylightSavings>{date}")
    };
    camera.ok(DEVICE, "SetSystemDateAndTime", &set("Manual", date)).await;
    let told = camera.ok(DEVICE, "GetSystemDateAndTime", "").await;
    let told = told.child("SystemDateAndTime").unwrap();
    assert_eq!(
        (told.text_at("DateTimeType"), told.text_at("UTCDateTime/Date/Year")),
        ("Manual", "2030")
    );
    let none = date.replace("<Month>2", "<Month>13");
    let (_, subcode) = camera.refused(DEVICE, "SetSystemDateAndTime", &set("Manual", &none)).await;
    assert_eq!(subcode, "InvalidDateTime");
}

#[tokio::test]
async fn a_restart_is_answered_first() {
    let camera = Camera::open(&[]);
    let answer = camera
        .send("/onvif/device_service", "", &format!(r#"<SystemReboot xmlns="{DEVICE}"/>"#))
        .await;
    assert!(answer.status == 200 && answer.reboots);
    assert_eq!(camera.orders(), [Order::Reboot]);
}

#[tokio::test]
async fn a_probe_is_answered_with_the_address_of_the_device_service() {
    let discovery = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let onvif = OnvifOptions { discovery, ..OnvifOptions::default() };
    let camera =
        CameraSim::start(CameraOptions { onvif, ..CameraOptions::default() }).await.unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = camera.discovery_addr().unwrap();
    let probe = |id: &str, types: &str, scopes: &str| {
        format!(
            r#"<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Header><MessageID>{id}</MessageID></e:Header>
            <e:Body><Probe><Types>{types}</Types><Scopes>{scopes}</Scopes></Probe></e:Body></e:Envelope>"#
        )
    };
    // Only the last one is answered, and those before it would be answered first.
    for (id, types, scopes) in [
        ("urn:1", "x:Printer", ""),
        ("urn:2", "", "onvif://www.onvif.org/location/there"),
        ("urn:3", "dn:NetworkVideoTransmitter", "onvif://www.onvif.org/type"),
    ] {
        socket.send_to(probe(id, types, scopes).as_bytes(), to).await.unwrap();
    }
    socket.send_to(b"<no", to).await.unwrap();
    let mut buffer = vec![0; 8192];
    let received = timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await;
    let answer = xml::parse(&buffer[..received.unwrap().unwrap()], &Limits::default()).unwrap();
    assert_eq!(answer.text_at("Header/RelatesTo"), "urn:3");
    let one = answer.find("Body/ProbeMatches/ProbeMatch").unwrap();
    assert_eq!(one.text_at("XAddrs"), camera.onvif_url());
    assert!(one.text_at("Scopes").contains("onvif://www.onvif.org/hardware/emulator"));
    assert!(one.text_at("EndpointReference/Address").starts_with("urn:uuid:"));
}
