//! The hosted service: a TLSS server, the agent, and the camera's web server, over loopback.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ivt_agent::Agent;
use ivt_agent::tlss::{Entry, HostedState};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_sim::camera::{CameraSim, Credentials, Scheme, Stream, WebFault, WebFaultRule};
use ivt_sim::family::Family;
use ivt_sim::tlss::{
    Device, Ending, Exchange, Reading, Reply, Script, Stored, TlssFaults, TlssOptions, TlssSim,
    WireFault,
};
use ivt_tests::front::Front;
use ivt_tests::{camera, soon, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

const MAC: &str = "001323A007AD";
const WRITERS: &str = "write = ['datetime', 'timezone', 'vca']";
/// Replies end at a silence, as for deployed servers, but at a short one.
const QUICK: Reading = Reading::Silence(Duration::from_millis(150));

/// A server, a camera where the agent does not emulate one, and the agent.
struct Hosted {
    server: TlssSim,
    camera: Option<CameraSim>,
    agent: Agent,
}

/// The server's behaviour, and the agent's settings beside its address.
#[derive(Default)]
struct Plan {
    script: Option<Script>,
    faults: TlssFaults,
    reading: Option<Reading>,
    settings: &'static str,
    /// Settings of the channel for the camera's web server.
    web: &'static str,
    web_faults: Vec<WebFaultRule>,
    family: Family,
    emulator: bool,
}

impl Plan {
    fn of(commands: &[&str]) -> Self {
        Self { script: Some(Script::of(commands)), ..Self::default() }
    }

    async fn start(self) -> Hosted {
        let options = TlssOptions {
            reading: self.reading.unwrap_or(QUICK),
            script: self.script.unwrap_or_else(Script::typical),
            faults: self.faults,
            ..TlssOptions::default()
        };
        let server = TlssSim::start(options).await.unwrap();
        let (camera, channel) = match self.emulator {
            true => (None, "backend = 'emulator'".to_owned()),
            false => {
                let mut options = camera(ClipOpener::built_in(BuiltIn::Main));
                options.credentials = Some(Credentials { user: "u".into(), password: "pw".into() });
                options.scheme = Scheme::Digest;
                options.family = self.family.into();
                let camera = CameraSim::start(options).await.unwrap();
                camera.set_web_faults(self.web_faults);
                let channel = format!(
                    "backend = 'rtsp'\nmain = '{}'\nweb = 'http://{}'\n\
                     username = 'u'\npassword = 'pw'\n{}",
                    camera.rtsp_url(0, Stream::Main),
                    camera.http_addr(),
                    self.web,
                );
                (Some(camera), channel)
            }
        };
        let agent = agent(&server.addr().to_string(), self.settings, &channel);
        Hosted { server, camera, agent }
    }
}

fn agent(server: &str, settings: &str, channel: &str) -> Agent {
    let (host, port) = server.rsplit_once(':').unwrap();
    let text = format!(
        "[cloud]\nurl = 'ws://127.0.0.1:9/nobody'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         hardware_model = 'NS6202HD'\n{}\n\
         [tlss]\nenable = true\nserver = '{host}'\nport = {port}\nmac = '{MAC}'\nbrand = 'CAP'\n\
         interval_minutes = 1\n{}\n[[channel]]\n{channel}",
        settings.lines().filter(|line| line.starts_with("ca_file")).collect::<String>(),
        settings.lines().filter(|line| !line.starts_with("ca_file")).collect::<Vec<_>>().join("\n"),
    );
    Agent::start(&text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap()
}

/// Starts a web server that answers every request with the same picture; returns the text of its channel.
async fn pictures(picture: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(tcp.read_u8().await.unwrap());
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", picture.len());
            // An agent that has read enough hangs up, which is no failure here.
            tcp.write_all(&[head.as_bytes(), &picture].concat()).await.ok();
        }
    });
    format!("backend = 'rtsp'\nmain = 'rtsp://127.0.0.1:9/'\nweb = 'http://{address}'")
}

/// A picture of `length` bytes.
fn jpeg(length: usize, filler: u8) -> Vec<u8> {
    [&[0xff, 0xd8][..], &vec![filler; length - 2]].concat()
}

/// The exchanges of an agent with these channels and a server that reads by the length.
async fn asked(commands: &[&str], settings: &str, channels: &[String]) -> Vec<Arc<Exchange>> {
    asked_by(Reading::Length, commands, settings, channels).await
}

/// The exchanges of an agent with these channels and a server that finds the end of a reply by `reading`.
async fn asked_by(
    reading: Reading,
    commands: &[&str],
    settings: &str,
    channels: &[String],
) -> Vec<Arc<Exchange>> {
    let options = TlssOptions { reading, script: Script::of(commands), ..TlssOptions::default() };
    let server = TlssSim::start(options).await.unwrap();
    let _agent = agent(&server.addr().to_string(), settings, &channels.join("\n[[channel]]\n"));
    soon("the session is done", server.device(MAC).wait_done(1)).await;
    server.device(MAC).exchanges()
}

impl Hosted {
    fn device(&self) -> Arc<Device> {
        self.server.device(MAC)
    }

    /// The exchanges of the server's first session.
    async fn exchanges(&self) -> Vec<Arc<Exchange>> {
        soon("the session is done", self.device().wait_done(1)).await;
        self.device().exchanges()
    }

    fn targets(&self) -> Vec<String> {
        let answered = |request: &ivt_sim::camera::WebRequest| request.status != 401;
        let requests = self.camera.as_ref().unwrap().web_requests();
        requests.into_iter().filter(answered).map(|request| request.target).collect()
    }
}

fn status(entry: &Entry) -> Option<u16> {
    entry.answered.map(|answered| answered.status)
}

fn reply(exchange: &Exchange) -> &Reply {
    exchange.outcome.as_ref().unwrap_or_else(|e| panic!("{}: {e}", exchange.command))
}

/// The lines of one of the agent's own lists of commands.
fn list(name: &str) -> Vec<String> {
    let file = format!("{}/../agent/src/tlss/policy/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(file).unwrap();
    let said = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    said.map(str::to_owned).collect()
}

fn scripts(commands: &[String]) -> Vec<Script> {
    let parts = commands.chunks(100).map(|part| format!("{}\ndone\n", part.join("\n")));
    parts.map(|part| part.parse().unwrap()).collect()
}

/// The command without the white space and NUL that deployed servers put around it.
fn trimmed(mut command: &str) -> &str {
    let blanks = ["\\t", "\\n", "\\r", "\\x00", "\\x0b", "\\x0c", " "];
    while let Some(blank) = blanks.iter().find(|b| command.ends_with(*b) || command.starts_with(*b))
    {
        command = command.trim_end_matches(blank).trim_start_matches(blank);
    }
    command
}

#[tokio::test]
async fn the_typical_session_of_a_deployed_server_is_served_by_the_camera() {
    let hosted = Plan::default().start().await;
    let exchanges = hosted.exchanges().await;
    let info = hosted.device().info();
    assert_eq!((&*info.brand, &*info.model), ("CAP", "NS6202HD"));
    for exchange in &exchanges {
        let reply = reply(exchange);
        assert_eq!(reply.status(), Some(200), "{}", exchange.command);
        assert!(reply.blank_line && !reply.is_error_page());
        assert_eq!(reply.declared as usize, reply.raw.len());
        assert_eq!(reply.header("content-length"), Some(&*reply.body.len().to_string()));
        assert_eq!(reply.header("transfer-encoding").or(reply.header("connection")), None);
    }
    let with = |text: &str| {
        let found = exchanges.iter().find(|e| e.command.to_string().contains(text));
        reply(found.unwrap_or_else(|| panic!("no {text}"))).clone()
    };
    assert!(
        with("group=VERSION").parameters().iter().any(|(name, _)| name.starts_with("VERSION."))
    );
    assert!(with("snapshot").is_jpeg());
    assert!(with("countreport").text().unwrap().contains("Records:"));
    assert!(with("reporthm").text().is_some());

    let (_, audit) = hosted.agent.view().hosted().unwrap();
    let entries = audit.entries();
    assert_eq!(entries.len(), exchanges.len());
    assert!(entries.iter().all(|entry| entry.refused.is_none() && status(entry) == Some(200)));
}

/// What a deployed server stores of the replies, in their order.
fn stored(exchanges: &[Arc<Exchange>]) -> Vec<Stored> {
    let stored = exchanges.iter().filter_map(|exchange| {
        let stored = exchange.stored()?;
        Some(stored.unwrap_or_else(|e| panic!("{}: {e}: {:?}", exchange.command, exchange.outcome)))
    });
    stored.collect()
}

#[tokio::test]
async fn a_deployed_server_finds_out_each_family_and_stores_its_data() {
    let picture = {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/src/camera/web/snapshot.jpg");
        Stored::Picture(std::fs::read(file).unwrap().len())
    };
    let serve = async |family| {
        let faults = TlssFaults { mortal: true, ..TlssFaults::default() };
        let hosted = Plan { family, faults, ..Plan::default() }.start().await;
        let exchanges = hosted.exchanges().await;
        let headed = |exchange: &&Arc<Exchange>| reply(exchange).raw.starts_with(b"HTTP/1.1 200");
        let probes = Family::ALL.iter().position(|other| *other == family).unwrap();
        let served = &exchanges[probes..];
        let bare = if family == Family::Ipai { served.len() } else { 0 };
        assert_eq!(served.iter().filter(headed).count(), served.len() - bare, "{family}");
        for missing in &exchanges[..probes] {
            assert!(reply(missing).is_error_page(), "{}", missing.command);
        }
        (stored(&exchanges), hosted.device().info().last_end)
    };
    let all = join_all(Family::ALL.map(serve)).await;
    let [(ipn, ipn_end), (ipai, ipai_end), (ipe, ipe_end)] = &all[..] else { panic!("{all:?}") };
    assert_eq!([ipn_end, ipai_end, ipe_end], ["done"; 3]);
    let [Stored::Parameters(52), ipn_picture, Stored::Counts(1..), Stored::Maps(24)] = ipn[..]
    else {
        panic!("{ipn:?}")
    };
    // In the first hours of a week there is nothing to count.
    let [Stored::Parameters(49), ipai_picture, Stored::Counts(_)] = ipai[..] else {
        panic!("{ipai:?}")
    };
    let [Stored::Parameters(52), ipe_picture, Stored::Counts(1..)] = ipe[..] else {
        panic!("{ipe:?}")
    };
    assert_eq!([ipn_picture, ipai_picture, ipe_picture], [picture; 3]);
}

#[tokio::test]
async fn a_deployed_server_stores_what_the_agent_says_of_a_camera_without_a_web_server() {
    let commands = "probe IPN /uapi-cgi/network.cgi\nprobe IPAI /cgi-bin/admin/network.cgi\n\
        IPN /uapi-cgi/param.fcgi?action=list\nIPN /nvc-cgi/operator/snapshot.fcgi\ndone";
    let faults = TlssFaults { mortal: true, ..TlssFaults::default() };
    let plan = Plan { script: Some(commands.parse().unwrap()), faults, ..Plan::default() };
    let hosted = Plan { emulator: true, ..plan }.start().await;
    let exchanges = hosted.exchanges().await;
    let stored = stored(&exchanges);
    assert!(matches!(stored[..], [Stored::Parameters(12), Stored::Picture(_)]), "{stored:?}");
}

#[tokio::test]
async fn every_spelling_of_a_time_reaches_the_camera_and_is_counted_from() {
    let times = [
        "2018/11/12",
        "2018/11/12%2000:00",
        "2018/11/12+00:00",
        "2018/11/12%2000:00:00",
        "2018%2F11%2F12%2000%3A00",
        "2018%2f11%2f12+00%3a00",
        "1970/01/01%2001:00",
        "2018-11-12%2000:00",
        "now-60000",
        "now-12:00",
        "lastweek",
        "last_month",
        "yesterday",
    ];
    let report = "/cgi-bin/operator/countreport.cgi?reportfmt=csv&sampling=600&counter=all";
    let commands = times.map(|time| format!("{report}&from={time}&to=now%2B600"));
    let commands = commands.each_ref().map(String::as_str);
    let plan = Plan { reading: Some(Reading::Length), ..Plan::of(&commands) };
    let hosted = plan.start().await;
    let exchanges = hosted.exchanges().await;
    let counts = stored(&exchanges);
    assert_eq!(counts.len(), times.len());
    assert!(counts.iter().all(|count| matches!(count, Stored::Counts(1..))), "{counts:?}");
    let reached = hosted.targets();
    let same = |(reached, sent): (&String, &&str)| reached.eq_ignore_ascii_case(sent);
    assert!(reached.iter().zip(&commands).all(same), "{reached:#?}");
}

#[tokio::test]
async fn a_picture_arrives_byte_for_byte() {
    let plan = Plan::of(&["/nvc-cgi/operator/snapshot.fcgi"]);
    let hosted = Plan { reading: Some(Reading::Length), ..plan }.start().await;
    let exchanges = hosted.exchanges().await;
    let picture = &reply(&exchanges[0]).body;
    let original = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/src/camera/web/snapshot.jpg");
    assert_eq!(picture[..], std::fs::read(original).unwrap()[..]);
}

#[tokio::test]
async fn a_camera_without_a_web_server_is_spoken_for_by_the_agent() {
    let commands = [
        "/uapi-cgi/param.fcgi?action=list&group=VERSION",
        "/uapi-cgi/param.fcgi?action=list&group=BRAND",
        "/uapi-cgi/param.fcgi?action=list",
        "/nvc-cgi/operator/snapshot.fcgi",
        "/uapi-cgi/reporthm.cgi?reportfmt=csv&from=yesterday&to=today&table=3&individual=no",
    ];
    let hosted = Plan { emulator: true, ..Plan::of(&commands) }.start().await;
    let exchanges = hosted.exchanges().await;
    let [version, brand, all, picture, heat] = &exchanges[..] else { panic!("{exchanges:?}") };
    assert!(reply(version).parameters().iter().all(|(name, _)| name.starts_with("VERSION.")));
    assert!(reply(brand).parameters().iter().any(|(_, value)| *value == "CAP"));
    let names: Vec<_> = reply(all).parameters().iter().map(|(name, _)| name.to_string()).collect();
    for group in ["VERSION.", "BRAND.", "NETWORK.", "SYSTEM.Datetime"] {
        assert!(names.iter().any(|name| name.starts_with(group)), "{group}: {names:?}");
    }
    assert!(reply(picture).is_jpeg());
    assert_eq!(reply(heat).status(), Some(404));
}

#[tokio::test]
async fn a_camera_of_another_family_gives_its_picture_and_the_agent_the_rest() {
    let commands = [
        "/uapi-cgi/param.fcgi?action=list&group=VERSION",
        "/nvc-cgi/admin/param.fcgi?action=list&group=BRAND",
        "/nvc-cgi/operator/snapshot.fcgi",
        "/uapi-cgi/netinfo.cgi",
    ];
    let web = "web_cgi = false\nsnapshot = '/uapi-cgi/snapshot.fcgi'";
    let hosted = Plan { web, ..Plan::of(&commands) }.start().await;
    let exchanges = hosted.exchanges().await;
    let [version, brand, picture, network] = &exchanges[..] else { panic!("{exchanges:?}") };
    let ours = env!("CARGO_PKG_VERSION");
    let expected = format!("VERSION.firmware={ours}\nVERSION.serialno={}\n", &MAC[3..]);
    assert_eq!(reply(version).text().unwrap(), expected);
    assert!(reply(brand).text().unwrap().contains("shortname=NS6202HD\n"), "as in the identity");
    assert!(reply(picture).is_jpeg());
    assert_eq!(reply(network).status(), Some(404));
    assert_eq!(hosted.targets(), ["/uapi-cgi/snapshot.fcgi"], "its other answers are not for TLSS");
}

#[tokio::test]
async fn each_camera_of_an_nvr_shows_its_own_picture_or_none() {
    let cameras = [pictures(jpeg(9, b'0')).await, pictures(jpeg(9, b'1')).await];
    let commands =
        ["", "?id=0", "?id=1", "?id=2"].map(|id| format!("/cgi-bin/operator/snapshot.cgi{id}"));
    let commands = commands.each_ref().map(String::as_str);
    let exchanges = asked(&commands, "[device]\nmodel = 'nvr'", &cameras).await;
    let bodies: Vec<_> = exchanges[..3].iter().map(|exchange| reply(exchange).body[2]).collect();
    assert_eq!(bodies, *b"001");
    assert_eq!(reply(&exchanges[3]).status(), Some(404));
}

#[tokio::test]
async fn a_reply_may_be_as_long_as_it_is_configured() {
    let picture = ["/uapi-cgi/snapshot.fcgi"];
    for (limit, length, status) in [
        (65_536, 65_536, 200),
        (65_536, 65_537, 502),
        (6 << 20, 6 << 20, 200),
        (6 << 20, (6 << 20) + 1, 502),
    ] {
        let camera = pictures(jpeg(length, b'x')).await;
        let limit = format!("reply_limit = {limit}");
        for camera in [format!("{camera}\nweb_cgi = false"), camera] {
            let exchanges = asked(&picture, &limit, &[camera]).await;
            assert_eq!(reply(&exchanges[0]).status(), Some(status), "{length}, {limit}");
        }
    }
}

#[tokio::test]
async fn a_hosted_service_that_cannot_be_set_up_stops_nothing_else() {
    for settings in ["profile = '/nowhere/profile.toml'", "write = ['everything']"] {
        let agent = agent("127.0.0.1:9", settings, "backend = 'emulator'");
        assert!(agent.view().hosted().is_none(), "{settings}");
        assert_eq!(agent.view().channels().len(), 1);
    }
}

#[tokio::test]
async fn four_mebibytes_arrive_whole_at_a_server_that_reads_to_a_silence_of_two_seconds() {
    let camera = pictures(jpeg(4 << 20, b'x')).await;
    let reading = Reading::Silence(Duration::from_secs(2));
    let exchanges = asked_by(reading, &["/uapi-cgi/snapshot.fcgi"], "", &[camera]).await;
    assert_eq!(reply(&exchanges[0]).body.len(), 4 << 20);
}

#[tokio::test]
async fn no_hostile_command_reaches_the_camera() {
    let refused = async |script: Script| {
        let plan = Plan { script: Some(script), reading: Some(Reading::Length), ..Plan::default() };
        let hosted = Plan { settings: WRITERS, ..plan }.start().await;
        let exchanges = hosted.exchanges().await;
        for exchange in &exchanges {
            let status = reply(exchange).status();
            assert!(matches!(status, Some(403 | 404)), "{}: {status:?}", exchange.command);
        }
        let reached = hosted.camera.as_ref().unwrap().web_requests();
        assert!(reached.is_empty(), "{reached:?}");
        assert_eq!(hosted.server.device(MAC).info().sessions, 1, "all in one session");
        exchanges.len()
    };
    let documented = list("documented.txt");
    let mut hostile = list("hostile.txt");
    hostile.retain(|command| !documented.iter().any(|good| good == trimmed(command)));
    let counts = join_all(scripts(&hostile).into_iter().map(refused)).await;
    assert!(counts.iter().sum::<usize>() >= 200, "{counts:?}");
}

#[tokio::test]
async fn every_documented_command_reaches_the_camera() {
    let script = scripts(&list("documented.txt")).remove(0);
    let plan = Plan { script: Some(script), reading: Some(Reading::Length), ..Plan::default() };
    let hosted = Plan { settings: WRITERS, ..plan }.start().await;
    let exchanges = hosted.exchanges().await;
    assert!(exchanges.len() >= 25, "{}", exchanges.len());
    let targets = hosted.targets();
    assert_eq!(targets.len(), exchanges.len(), "{targets:#?}");
    for exchange in &exchanges {
        assert_ne!(reply(exchange).status(), Some(403), "{}", exchange.command);
    }
}

#[tokio::test]
async fn without_their_group_commands_that_write_are_refused() {
    let write =
        "/nvc-cgi/admin/param.fcgi?action=update&group=System.DateTime&datetime=040112002020.30";
    let read = "/uapi-cgi/param.fcgi?action=list&group=BRAND";
    let hosted = Plan::of(&[write, read]).start().await;
    let exchanges = hosted.exchanges().await;
    assert_eq!(reply(&exchanges[0]).status(), Some(403));
    assert_eq!(reply(&exchanges[1]).status(), Some(200), "the session goes on");
    assert_eq!(hosted.targets(), [read]);
    let (_, audit) = hosted.agent.view().hosted().unwrap();
    assert!(audit.entries()[0].refused.is_some());
}

#[tokio::test]
async fn a_camera_that_fails_gives_a_proper_reply_and_the_session_goes_on() {
    let (bad, good) = ("/uapi-cgi/netinfo.cgi", "/uapi-cgi/param.fcgi?action=list&group=BRAND");
    let fails = async |(fault, status): (WebFault, &[u16])| {
        let rule = WebFaultRule { path: bad.into(), fault };
        let plan = Plan {
            web_faults: vec![rule],
            reading: Some(Reading::Length),
            ..Plan::of(&[bad, good])
        };
        let hosted = plan.start().await;
        let exchanges = hosted.exchanges().await;
        let got = reply(&exchanges[0]).status().unwrap();
        assert!(status.contains(&got), "{fault:?}: {got}");
        assert_eq!(reply(&exchanges[1]).status(), Some(200), "{fault:?}");
    };
    let cases: &[(WebFault, &[u16])] = &[
        (WebFault::Hang, &[504]),
        (WebFault::DelayMs(12_000), &[504]),
        (WebFault::Close, &[502]),
        (WebFault::CloseMidBody, &[502]),
        (WebFault::Garbage, &[502]),
        (WebFault::Huge, &[502]),
        (WebFault::Endless, &[502]),
        (WebFault::Status(500), &[500]),
        (WebFault::Chunked, &[200]),
        (WebFault::Gzip, &[200]),
    ];
    join_all(cases.iter().copied().map(fails)).await;
}

#[tokio::test]
async fn odd_spellings_of_deployed_servers_are_understood() {
    let understood = async |faults: TlssFaults| {
        let what = format!("{faults:?}");
        let plan = Plan { faults, ..Plan::of(&["/uapi-cgi/param.fcgi?action=list&group=BRAND"]) };
        let exchanges = plan.start().await.exchanges().await;
        assert_eq!(reply(&exchanges[0]).status(), Some(200), "{what}");
    };
    let plain = TlssFaults::default;
    join_all([
        understood(TlssFaults { no_slash: true, ..plain() }),
        understood(TlssFaults { done_nul: true, ..plain() }),
        understood(TlssFaults { ending: Ending::Nul, ..plain() }),
        understood(TlssFaults { ending: Ending::Newline, ..plain() }),
        understood(TlssFaults { ending: Ending::CrLf, no_slash: true, done_nul: true, ..plain() }),
        understood(TlssFaults { pipelined: true, ..plain() }),
    ])
    .await;
}

#[tokio::test]
async fn a_bad_server_is_left_and_called_again() {
    let left = async |wire: WireFault| {
        let faults = TlssFaults { wire: Some(wire), ..TlssFaults::default() };
        let hosted = Plan { faults, ..Plan::default() }.start().await;
        let device = hosted.device();
        let ended = soon("it hangs up", device.wait_ended(1)).await;
        assert_eq!((ended.done, &*ended.last_end), (0, "closed by the device"), "{wire:?}");
        hosted.server.set_faults(TlssFaults::default());
        soon("it is served at last", device.wait_done(1)).await;
    };
    join_all([
        left(WireFault::Silence),
        left(WireFault::Length(u32::MAX)),
        left(WireFault::DripMs(60_000)),
    ])
    .await;
}

#[tokio::test]
async fn a_server_that_closes_within_a_command_is_called_an_interval_later() {
    let faults = TlssFaults { wire: Some(WireFault::CloseMidCommand), ..TlssFaults::default() };
    let began = Instant::now();
    let hosted = Plan { faults, ..Plan::default() }.start().await;
    soon("the session ends", hosted.device().wait_ended(1)).await;
    let (mut state, _) = hosted.agent.view().hosted().unwrap();
    let waiting = state.wait_for(|state| matches!(state, HostedState::Waiting { .. }));
    let HostedState::Waiting { until, .. } = soon("it waits", waiting).await.unwrap().clone()
    else {
        panic!("it waits")
    };
    // The session ended between `began` and this moment.
    assert!(until - began >= Duration::from_secs(54), "{:?}", until - began);
    let due = until - Instant::now();
    assert!(due <= Duration::from_secs(66), "{due:?}");
}

#[tokio::test]
async fn a_server_behind_tls_is_trusted_by_its_authority() {
    let server = TlssSim::start(TlssOptions { reading: QUICK, ..TlssOptions::default() });
    let server = server.await.unwrap();
    let front = Front::tls(server.addr()).await;
    let address = format!("localhost:{}", front.addr().port());
    let settings = format!("ca_file = '{}'\ntls = true", front.authority());
    let agent = agent(&address, &settings, "backend = 'emulator'");
    soon("the session is done", server.device(MAC).wait_done(1)).await;
    let (state, _) = agent.view().hosted().unwrap();
    let waits = || matches!(*state.borrow(), HostedState::Waiting { .. });
    until("the agent waits for its next turn", waits).await;
}
