//! Streams, pictures, services and the network.

use tokio::task::JoinSet;

use super::*;
use crate::http::Limits;
use crate::{
    Encoder, Interface, Network, Power, Presets, Ptz, Snapshot, Source, Stream, Tours, conformance,
};

async fn address(onvif: &Onvif, stream: Stream) -> String {
    match onvif.source(stream).await.unwrap() {
        Source::Rtsp(source) => {
            assert_eq!(source.credentials.unwrap().username, "root");
            source.url
        }
        _ => panic!("an address of RTSP"),
    }
}

#[tokio::test]
async fn passes_conformance() {
    let camera = Camera::usual().await;
    let onvif = camera.onvif();
    conformance::encoder(&*onvif).await;
    conformance::ptz(&*onvif, &[]).await;
    conformance::presets(&*onvif, conformance::Unknown::Unnoticed).await;
    conformance::tours(&*onvif, conformance::Unknown::Unnoticed).await;
    conformance::network(&*onvif).await;
    conformance::power(&*onvif).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let http = Http::new("127.0.0.1", port, None, crate::http::Limits::default());
    let onvif = Onvif::new(http, DEVICE_PATH, None, Options::default());
    conformance::offline_encoder(&*onvif).await;
    conformance::offline_snapshot(&*onvif).await;
    conformance::offline_ptz(&*onvif).await;
    conformance::offline_presets(&*onvif).await;
    conformance::offline_tours(&*onvif).await;
    conformance::offline_network(&*onvif).await;
    conformance::offline_power(&*onvif).await;
}

#[tokio::test]
async fn a_stream_is_where_it_was_dialled_whatever_host_the_camera_names() {
    for (told, expected) in [
        ("rtsp://10.255.255.1:8554/live/1?a=1&amp;b=2", "rtsp://127.0.0.1:8554/live/1?a=1&b=2"),
        ("rtsp://u:secret@0.0.0.0/live?a=1&amp;amp;b=2", "rtsp://127.0.0.1/live?a=1&b=2"),
        ("rtsps://cam.local:322/a", "rtsps://127.0.0.1:322/a"),
        ("/live", "rtsp://127.0.0.1/live"),
    ] {
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetStreamUri" => (200, uri("GetStreamUri", told)),
            _ => (0, String::new()),
        })
        .await;
        assert_eq!(address(&camera.onvif(), Stream::Main).await, expected);
    }
    for told in ["", "http://10.0.0.1/", "not an address "] {
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetStreamUri" => (200, uri("GetStreamUri", told)),
            _ => (0, String::new()),
        })
        .await;
        let outcome = camera.onvif().source(Stream::Main).await;
        assert_eq!(outcome.is_err(), !told.starts_with("not"), "{told}");
    }
}

#[tokio::test]
async fn streams_are_told_by_resolution_and_asked_for_once() {
    let camera = Camera::usual().await;
    let onvif = camera.onvif();
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let onvif = Arc::clone(&onvif);
        tasks.spawn(async move {
            let stream = if n % 2 == 0 { Stream::Main } else { Stream::Sub };
            onvif.source(stream).await.unwrap();
            assert_eq!(onvif.bitrate(stream).await.unwrap(), Some(512_000));
            Presets::list(&*onvif).await.unwrap();
        });
    }
    tasks.join_all().await;
    let asked = camera.calls("GetStreamUri");
    let mut tokens: Vec<_> = asked.iter().map(|asked| asked.body.text_at("ProfileToken")).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, ["main", "sub"]);
    let actions = camera.actions();
    for once in ["GetSystemDateAndTime", "GetServices", "GetProfiles", "GetConfigurationOptions"] {
        assert_eq!(actions.iter().filter(|action| *action == once).count(), 1, "{once}");
    }
    assert_eq!(asked[0].body.text_at("StreamSetup/Transport/Protocol"), "RTSP");
    assert_eq!(
        asked[0].path, "/onvif/media",
        "the dialled host and port, with the path that was told"
    );
    assert!(
        asked[0]
            .content_type
            .contains("action=\"http://www.onvif.org/ver10/media/wsdl/GetStreamUri\"")
    );
}

#[tokio::test]
async fn an_address_is_asked_for_again_when_it_is_old_or_good_for_once() {
    let camera = Camera::usual().await;
    let onvif = camera.onvif();
    address(&onvif, Stream::Main).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(601)).await;
    tokio::time::resume();
    address(&onvif, Stream::Main).await;
    assert_eq!(camera.calls("GetStreamUri").len(), 2);
    let camera = Camera::start(|asked| match &*asked.action {
        "GetStreamUri" => {
            let more = "<t:InvalidAfterConnect>true</t:InvalidAfterConnect></m:MediaUri>";
            (200, uri("GetStreamUri", "rtsp://h/a").replace("</m:MediaUri>", more))
        }
        _ => (0, String::new()),
    })
    .await;
    let onvif = camera.onvif();
    address(&onvif, Stream::Main).await;
    address(&onvif, Stream::Main).await;
    assert_eq!(camera.calls("GetStreamUri").len(), 2);
}

/// A camera whose H.265 profiles stand in the later edition of the media service alone.
fn later(asked: &Asked, has_uri: bool) -> (u16, String) {
    let is_later = asked.path == "/m2";
    match &*asked.action {
        "GetServices" => (200, "<GetServicesResponse><Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace>\
            <XAddr>/m1</XAddr></Service><Service><Namespace>http://www.onvif.org/ver20/media/wsdl</Namespace><XAddr>/m2\
            </XAddr></Service><Service><Namespace>http://www.onvif.org/ver20/ptz/wsdl</Namespace><XAddr>/p</XAddr></Service>\
            </GetServicesResponse>".into()),
        "GetProfiles" if is_later => (200, "<x:GetProfilesResponse><x:Profiles token='h265'><x:Name>4K</x:Name><x:Configurations>\
            <x:VideoSource token='v'><t:SourceToken>s</t:SourceToken></x:VideoSource><x:VideoEncoder token='e'>\
            <t:Encoding>H265</t:Encoding><t:Resolution><t:Width>3840</t:Width><t:Height>2160</t:Height></t:Resolution>\
            <t:RateControl ConstantBitRate='true'><t:BitrateLimit>4096</t:BitrateLimit></t:RateControl></x:VideoEncoder>\
            </x:Configurations></x:Profiles></x:GetProfilesResponse>".into()),
        "GetProfiles" => (200, format!("<GetProfilesResponse>{}</GetProfilesResponse>",
            profile("h265", 0, 0, "<PTZConfiguration token='p'/>"))),
        "GetStreamUri" if is_later && has_uri => (200, "<GetStreamUriResponse><Uri>rtsp://h/265</Uri></GetStreamUriResponse>".into()),
        "GetStreamUri" if is_later => (400, fault("ter:ActionNotSupported", "")),
        _ => (0, String::new()),
    }
}

#[tokio::test]
async fn h265_is_found_in_the_later_media_service() {
    for has_uri in [true, false] {
        let camera = Camera::start(move |asked| later(asked, has_uri)).await;
        let onvif = camera.onvif();
        let expected =
            if has_uri { "rtsp://127.0.0.1/265" } else { "rtsp://127.0.0.1:8554/live/1?a=1&b=2" };
        assert_eq!(address(&onvif, Stream::Main).await, expected);
        assert_eq!(onvif.bitrate(Stream::Sub).await.unwrap(), Some(4_096_000));
        Ptz::stop(&*onvif).await.unwrap();
        assert_eq!(
            camera.calls("Stop")[0].body.text_at("ProfileToken"),
            "h265",
            "PTZ is told of in the earlier one"
        );
    }
}

#[tokio::test]
async fn older_cameras_tell_their_services_by_their_capabilities() {
    for status in [200, 400, 500] {
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetServices" => (status, fault("ter:ActionNotSupported", "Optional Action Not Implemented")),
            "GetCapabilities" => (200, "<GetCapabilitiesResponse><Capabilities><Media><XAddr>http://0.0.0.0/old/media</XAddr>\
                </Media><PTZ><XAddr>http://0.0.0.0/old/ptz</XAddr></PTZ></Capabilities></GetCapabilitiesResponse>".into()),
            _ => (0, String::new()),
        })
        .await;
        let onvif = camera.onvif();
        Ptz::stop(&*onvif).await.unwrap();
        assert_eq!(camera.calls("GetProfiles")[0].path, "/old/media");
        assert_eq!(camera.calls("Stop")[0].path, "/old/ptz");
    }
    let camera = Camera::start(|asked| match &*asked.action {
        "GetServices" | "GetCapabilities" => (404, String::new()),
        _ => (0, String::new()),
    })
    .await;
    Ptz::stop(&*camera.onvif()).await.unwrap();
    assert_eq!(camera.calls("Stop")[0].path, DEVICE_PATH);
}

#[tokio::test]
async fn a_service_may_have_another_port() {
    let ptz = Camera::usual().await;
    let port = ptz.fake.port;
    for host in ["127.0.0.1", "10.255.255.1"] {
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetServices" => (200, format!("<GetServicesResponse><Service><Namespace>http://www.onvif.org/ver20/ptz/wsdl\
                </Namespace><XAddr>http://{host}:{port}/ptz</XAddr></Service><Service><Namespace>\
                http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr>/m</XAddr></Service></GetServicesResponse>")),
            _ if asked.path == "/ptz" => (404, String::new()),
            _ => (0, String::new()),
        })
        .await;
        let before = ptz.calls("Stop").len();
        let onvif = camera.onvif();
        Ptz::stop(&*onvif).await.unwrap();
        Ptz::stop(&*onvif).await.unwrap();
        assert_eq!(ptz.calls("Stop").len(), before + 2, "{host}");
        let other = camera.asked().iter().filter(|asked| asked.path == "/ptz").count();
        assert!(other <= 1, "the port that answered is kept");
    }
}

#[tokio::test]
async fn a_picture_is_fetched_with_the_login_of_http() {
    let camera = fake::Camera::start(|request| {
        if request.starts_with("GET /snap.jpg?c=1 ") {
            return match header(request, "Authorization") {
                Some(said) if said.starts_with("Digest ") => {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9".to_vec()
                }
                _ => b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"c\", qop=\"auth\", nonce=\"n\"\r\n\
                       Content-Length: 0\r\n\r\n"
                    .to_vec(),
            };
        }
        usual_answer(request)
    })
    .await;
    let onvif = Onvif::new(camera.http_as("root", "right"), DEVICE_PATH, None, Options::default());
    conformance::snapshot(&*onvif).await;
    let uris = camera.requests().iter().filter(|asked| asked.contains("<GetSnapshotUri")).count();
    assert_eq!(uris, 2, "one for each stream");
}

#[tokio::test]
async fn a_picture_above_the_limit_of_the_client_is_not_kept() {
    let camera = fake::Camera::start(|request| {
        if request.starts_with("GET /snap.jpg") {
            return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9".to_vec();
        }
        usual_answer(request)
    })
    .await;
    for (body, fits) in [(3, false), (4, true)] {
        let http = camera.http().with_limits(Limits { body, ..Limits::default() });
        let onvif = Onvif::new(http, DEVICE_PATH, None, Options::default());
        assert_eq!(onvif.jpeg(Stream::Main).await.is_ok(), fits, "{body}");
    }
}

#[tokio::test]
async fn a_camera_without_pictures_says_so() {
    for (status, text) in [
        (200, uri("GetSnapshotUri", "")),
        (200, "<GetSnapshotUriResponse/>".into()),
        (500, fault("ter:ActionNotSupported", "")),
    ] {
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetSnapshotUri" => (status, text.clone()),
            _ => (0, String::new()),
        })
        .await;
        assert_eq!(kind(camera.onvif().jpeg(Stream::Main).await), Kind::Unsupported);
    }
}

#[tokio::test]
async fn interfaces_are_read_with_gateway_and_name_servers() {
    let interface = |token: &str, config: &str| {
        format!(
            "<d:NetworkInterfaces token='{token}'><t:Enabled>true</t:Enabled><t:Info><t:Name>{token}</t:Name>\
             <t:HwAddress>00-13-23-A0-07-AD</t:HwAddress></t:Info><t:IPv4><t:Enabled>true</t:Enabled><t:Config>{config}\
             </t:Config></t:IPv4></d:NetworkInterfaces>"
        )
    };
    let set = |kind: &str, ip: &str, prefix: u32| {
        format!(
            "<t:{kind}><t:Address>{ip}</t:Address><t:PrefixLength>{prefix}</t:PrefixLength></t:{kind}>"
        )
    };
    let one = interface(
        "eth0",
        &format!(
            "{}{}<t:DHCP>true</t:DHCP>",
            set("Manual", "10.0.0.2", 8),
            set("FromDHCP", "192.168.1.64", 24)
        ),
    );
    let other =
        interface("eth1", &format!("{}<t:DHCP>false</t:DHCP>", set("Manual", "172.16.0.9", 16)));
    let camera = Camera::start(move |asked| match &*asked.action {
        "GetNetworkInterfaces" => (200, format!("<d:GetNetworkInterfacesResponse>{other}{one}</d:GetNetworkInterfacesResponse>")),
        "GetNetworkDefaultGateway" => (200, "<d:GetNetworkDefaultGatewayResponse><d:NetworkGateway><t:IPv4Address>192.168.1.1\
            </t:IPv4Address></d:NetworkGateway></d:GetNetworkDefaultGatewayResponse>".into()),
        "GetDNS" => (200, "<d:GetDNSResponse><d:DNSInformation><t:FromDHCP>true</t:FromDHCP><t:DNSFromDHCP><t:Type>IPv4</t:Type>\
            <t:IPv4Address>8.8.8.8</t:IPv4Address></t:DNSFromDHCP><t:DNSManual><t:Type>IPv4</t:Type><t:IPv4Address>1.1.1.1\
            </t:IPv4Address></t:DNSManual></d:DNSInformation></d:GetDNSResponse>".into()),
        _ => (0, String::new()),
    })
    .await;
    let interfaces = camera.onvif().interfaces().await.unwrap();
    let dns = ["8.8.8.8".to_owned(), "1.1.1.1".to_owned()];
    let mac = "00:13:23:a0:07:ad".to_owned();
    assert_eq!(
        interfaces[1],
        Interface {
            name: "eth0".into(),
            ip: "192.168.1.64".into(),
            gateway: "192.168.1.1".into(),
            netmask: "255.255.255.0".into(),
            dns: dns.clone(),
            mac: mac.clone(),
            dhcp: true,
        }
    );
    assert_eq!(
        interfaces[0],
        Interface {
            name: "eth1".into(),
            ip: "172.16.0.9".into(),
            netmask: "255.255.0.0".into(),
            dns,
            mac,
            ..Interface::default()
        }
    );
    let camera = Camera::start(|asked| match &*asked.action {
        "GetDNS" | "GetNetworkDefaultGateway" => (400, fault("ter:ActionNotSupported", "")),
        "GetNetworkInterfaces" => (200, "<a:GetNetworkInterfacesResponse><a:NetworkInterfaces token='e'/></a:GetNetworkInterfacesResponse>".into()),
        _ => (0, String::new()),
    })
    .await;
    let interfaces = camera.onvif().interfaces().await.unwrap();
    assert_eq!(interfaces, [Interface { name: "e".into(), ..Interface::default() }]);
}

#[tokio::test]
async fn a_camera_that_hangs_up_has_been_restarted() {
    let camera = Camera::usual().await;
    camera.onvif().reboot().await.unwrap();
    let camera = Camera::start(|asked| match &*asked.action {
        "SystemReboot" => (999, String::new()),
        _ => (0, String::new()),
    })
    .await;
    let onvif = camera.onvif();
    onvif.reboot().await.unwrap();
    address(&onvif, Stream::Main).await;
    let camera = Camera::start(|asked| match &*asked.action {
        "SystemReboot" => (200, "garbage".into()),
        _ => (0, String::new()),
    })
    .await;
    assert_eq!(kind(camera.onvif().reboot().await), Kind::Other);
}

#[tokio::test]
async fn a_camera_is_described() {
    let camera = Camera::start(|asked| match &*asked.action {
        "GetDeviceInformation" => (200, "<d:GetDeviceInformationResponse><d:Manufacturer>Acme</d:Manufacturer><d:Model>X\u{fffd}\
            </d:Model><d:FirmwareVersion>1.0</d:FirmwareVersion></d:GetDeviceInformationResponse>".into()),
        "GetPresetTours" => (500, fault("", "Optional Action Not Implemented")),
        _ => (0, String::new()),
    })
    .await;
    let onvif = camera.onvif();
    let told = onvif.describe().await.unwrap();
    assert_eq!((&*told.manufacturer, &*told.model, &*told.firmware), ("Acme", "X\u{fffd}", "1.0"));
    assert_eq!(told.streams, [Some("main".into()), Some("sub".into())]);
    assert!(told.snapshot && told.ptz && told.presets && !told.tours && told.network);
    assert!(told.profiles[1].has_ptz() && told.profiles[0].width == 320);
    assert!(told.clock_ahead.unwrap().abs() <= 2);
    assert_eq!(kind(Tours::list(&*onvif).await), Kind::Unsupported);
    let channel = onvif.channel();
    assert!(channel.ptz.is_some() && channel.patrol.is_none() && channel.wifi.is_none());
    assert!(channel.motion.is_none() && channel.tripwire.is_none() && channel.power.is_some());
}

#[tokio::test]
async fn an_input_of_an_nvr_has_its_own_streams() {
    let camera = Camera::start(|asked| match &*asked.action {
        "GetProfiles" => {
            let source = |token| {
                format!("<t:VideoSourceConfiguration><t:SourceToken>{token}</t:SourceToken></t:VideoSourceConfiguration>")
            };
            let rows = [
                profile("a", 640, 360, &source("s1")),
                profile("b", 1920, 1080, &(source("s2") + "<t:PTZConfiguration token='p'/>")),
            ];
            (200, format!("<r:GetProfilesResponse>{}</r:GetProfilesResponse>", rows.concat()))
        }
        _ => (0, String::new()),
    })
    .await;
    for (input, token) in [(1, Some("a")), (2, Some("b")), (3, None)] {
        let options = Options { input, ..Options::default() };
        let onvif = Onvif::new(camera.fake.http(), DEVICE_PATH, None, options);
        let before = camera.calls("GetStreamUri").len();
        let outcome = onvif.source(Stream::Main).await;
        assert_eq!(
            outcome.err().map(|error| error.kind),
            token.is_none().then_some(Kind::Unsupported)
        );
        let asked = camera.calls("GetStreamUri");
        let asked = asked.get(before).map(|asked| asked.body.text_at("ProfileToken").to_owned());
        assert_eq!(asked.as_deref(), token);
        assert_eq!(
            Ptz::stop(&*onvif).await.is_ok(),
            input == 2,
            "only the second input can be moved"
        );
    }
}
