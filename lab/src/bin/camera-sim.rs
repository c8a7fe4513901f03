//! camera-sim: an emulated camera on the network.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::source::Opener;
use tokio::net::TcpListener;

use ivt_base::say::say;
use ivt_lab::start::picture::Picture;
use ivt_sim::args::{Args, ArgsError};
use ivt_sim::camera::{
    CameraOptions, CameraSim, ChannelOptions, Credentials, Scheme, Stream, alarm_quirks, control,
    onvif, quirk,
};
use ivt_sim::{port, program};

const HELP: &str = "\
camera-sim: an emulated camera. Serves looping clips by RTSP, over TCP and UDP, and CGIs by HTTP.

  --bind ADDR          where to listen (127.0.0.1:8554)
  --http ADDR          where its own web server listens (127.0.0.1, a free port)
  --channels N         how many channels (1)
  --user NAME          ask for this login ...
  --password WORD      ... and this password
  --basic              by Basic instead of Digest
  --family NAME        be a camera of this family: uapi, nvc, ipai, merlin, hikvision or dahua
                       (uapi)
  --main FILE.flv      the main stream of every channel (a built-in clip)
  --sub FILE.flv       the sub stream of every channel (a built-in clip)
  --pattern            show the emulated camera live, with its position, not clips
  --picture WHAT       pattern, clips, rpicam (a Pi's own camera), v4l2[:/dev/videoN], a video file,
                       or \"command PROGRAM ARGUMENTS\" that writes H.264 in real time
  --no-audio           send pictures only
  --no-tcp, --no-udp   refuse that transport
  --packet-at-a-time   one write for each RTP packet, not for each frame
  --join-mid-gop       send what comes, not from the next key frame on
  --quirk NAME         misbehave as a camera of the field does; may be repeated
  --quirks             list the quirks and leave
  --onvif-quirk NAME   misbehave as an ONVIF camera of the field does; may be repeated
  --onvif-quirks       list the quirks of ONVIF and leave
  --alarm WHAT         raise an alarm by itself, such as motion:every=30s,for=5s or
                       input:at=10s,for=2s,channel=1; may be repeated
  --alarm-quirk NAME   an event stream as odd as one of the field; may be repeated
  --alarm-quirks       list the quirks of event streams and leave
  --discovery ADDR     answer WS-Discovery at this UDP address; 239.255.255.250:3702 for everyone
  --control ADDR       a web page with the picture, the position, and a button for every fault
  --host NAME          a further name of the control page; may be repeated
  --help               this text

Addresses: rtsp://HOST:PORT/ch0/main, /ch0/sub, /ch1/main, ...; for uapi and nvc also
/ufirststream and /usecondstream (channel 0), for hikvision /Streaming/Channels/101, /102,
/201, ..., for dahua /cam/realmonitor?channel=1&subtype=0, ... With several channels a
hikvision or a dahua camera is a recorder.
";

/// The command line.
struct Command {
    options: CameraOptions,
    channels: NonZeroU8,
    main: ClipOpener,
    sub: ClipOpener,
    picture: Option<Picture>,
    control: Option<SocketAddr>,
    /// Further names of the control page.
    hosts: Vec<String>,
    /// The list that is wanted in the place of a camera.
    list: Option<fn() -> String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = parse(Args::new(std::env::args().skip(1)));
    program::main("camera-sim", HELP, command, run).await
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let Command { mut options, channels, main, sub, picture, control, hosts, list } = command;
    if let Some(list) = list {
        return Ok(say(list().trim_end())?);
    }
    for clip in [&main, &sub] {
        clip.open().await?; // A wrong file is reported at the start and not to the first client.
    }
    let channel = ChannelOptions { main: Arc::new(main), sub: Arc::new(sub) };
    options.channels = vec![channel; channels.get().into()];
    if let Some(picture) = picture {
        let source = picture.show(&mut options).await;
        if let Some(shared) = source.map_err(|error| format!("--picture: {error}"))? {
            tokio::spawn(picture.watch(shared));
        }
    }
    let listens = [(options.bind, "--bind"), (options.http, "--http")];
    let page = control.map(|address| (address, "--control"));
    port::apart(&listens.into_iter().chain(page).collect::<Vec<_>>())?;
    for (address, option) in listens {
        port::check(address, option)?;
    }
    let family = options.family;
    let camera = CameraSim::start(options).await;
    let camera = Arc::new(camera.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => format!("--alarm: {error}"),
        _ => error.to_string(),
    })?);
    for channel in 0..channels.get().into() {
        for stream in [Stream::Main, Stream::Sub] {
            say(camera.rtsp_url(channel, stream))?;
        }
    }
    say(format_args!("http://{}{}", camera.http_addr(), family.page()))?;
    say(camera.onvif_url())?;
    if let Some(address) = camera.discovery_addr() {
        say(format_args!("WS-Discovery: {address}"))?;
    }
    if let Some(address) = control {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| port::refusal(address, "--control", &error))?;
        say(format_args!("http://{}/", listener.local_addr()?))?;
        tokio::spawn(
            axum::serve(listener, control::router_for(camera.clone(), &hosts)).into_future(),
        );
    }
    Ok(program::stopped().await?)
}

/// Reads the command line; `None` when help is asked for.
fn parse(mut args: Args<impl Iterator<Item = String>>) -> Result<Option<Command>, ArgsError> {
    let mut options = CameraOptions::new(Vec::new());
    options.bind = SocketAddr::from(([127, 0, 0, 1], 8554));
    let mut credentials = Credentials { user: String::new(), password: String::new() };
    let mut login = false;
    let mut channels = NonZeroU8::MIN;
    let mut main = ClipOpener::built_in(BuiltIn::Main);
    let mut sub = ClipOpener::built_in(BuiltIn::Sub);
    let mut picture = None;
    let mut control = None;
    let mut hosts = Vec::new();
    let mut list: Option<fn() -> String> = None;
    while let Some(flag) = args.flag()? {
        match flag.as_str() {
            "--bind" => options.bind = args.value()?,
            "--http" => options.http = args.value()?,
            "--channels" => channels = args.value()?,
            "--user" => (credentials.user, login) = (args.value()?, true),
            "--password" => (credentials.password, login) = (args.value()?, true),
            "--basic" => options.scheme = Scheme::Basic,
            "--family" => options.family = args.value()?,
            "--main" => main = ClipOpener::file(args.value::<PathBuf>()?),
            "--sub" => sub = ClipOpener::file(args.value::<PathBuf>()?),
            "--pattern" => options.pattern = true,
            "--picture" => picture = Some(args.value()?),
            "--no-audio" => options.audio = false,
            "--no-tcp" => options.transports.tcp = false,
            "--no-udp" => options.transports.udp = false,
            "--packet-at-a-time" => options.packet_at_a_time = true,
            "--join-mid-gop" => options.join_mid_gop = true,
            "--quirk" => options.quirks.extend(args.value()?),
            "--quirks" => list = Some(quirk::listing),
            "--onvif-quirk" => options.onvif.quirks.push(args.value()?),
            "--onvif-quirks" => list = Some(onvif::listing),
            "--alarm" => options.schedule.push(args.value()?),
            "--alarm-quirk" => options.alarm_quirks.push(args.value()?),
            "--alarm-quirks" => list = Some(alarm_quirks),
            "--discovery" => options.onvif.discovery = Some(args.value()?),
            "--control" => control = Some(args.value()?),
            "--host" => hosts.push(args.value()?),
            "--help" | "-h" => return Ok(None),
            _ => return Err(args.unknown()),
        }
    }
    options.credentials = login.then_some(credentials);
    Ok(Some(Command { options, channels, main, sub, picture, control, hosts, list }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ivt_sim::camera::{AlarmQuirk, Quirk};
    use ivt_sim::family::Family;

    use super::*;

    fn command(line: &str) -> Result<Option<Command>, ArgsError> {
        parse(Args::new(line.split_whitespace().map(str::to_owned)))
    }

    #[test]
    fn every_option_reaches_its_place() {
        let line = "--bind 127.0.0.1:1 --http 127.0.0.1:3 --channels 3 --user a --password b --basic --family ipai --no-audio \
                    --no-udp --packet-at-a-time --join-mid-gop --control=127.0.0.1:2 --quirk busy --quirk slow_describe=2 \
                    --onvif-quirk bare --discovery 127.0.0.1:4 --alarm input:at=10s,for=2s --alarm-quirk pulse \
                    --picture v4l2:/dev/video3";
        let Command { options, channels, control, picture, .. } = command(line).unwrap().unwrap();
        assert_eq!(picture, Some(Picture::V4l2("/dev/video3".into())));
        assert_eq!((options.bind.port(), options.http.port(), channels.get()), (1, 3, 3));
        let login = options.credentials.map(|c| (c.user, c.password));
        assert_eq!(login, Some(("a".to_owned(), "b".to_owned())));
        assert_eq!((options.scheme, options.family), (Scheme::Basic, Family::Ipai.into()));
        assert!(options.transports.tcp && !options.transports.udp);
        assert!(options.packet_at_a_time && options.join_mid_gop && !options.audio);
        assert_eq!(control.map(|address| address.port()), Some(2));
        let busy = options.quirks.has(Quirk::Busy);
        let delay = options.quirks.time(Quirk::SlowDescribe);
        assert_eq!((busy, delay), (true, Some(Duration::from_secs(2))));
        assert_eq!(options.onvif.quirks, [onvif::Quirk::Bare]);
        assert_eq!(options.schedule, ["input:at=10s,for=2s".parse().unwrap()]);
        assert_eq!(options.alarm_quirks, [AlarmQuirk::Pulse]);
        assert_eq!(options.onvif.discovery.map(|address| address.port()), Some(4));
    }

    #[test]
    fn no_option_means_one_open_channel() {
        let Command { options, channels, control, .. } = command("").unwrap().unwrap();
        assert!(options.credentials.is_none() && control.is_none() && options.audio);
        assert_eq!((options.bind.port(), options.http.port(), channels.get()), (8554, 0, 1));
        assert!(command("--channels 2 --help").unwrap().is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for line in [
            "--channels 0",
            "--channels 300",
            "--bind nowhere",
            "--frobnicate",
            "x",
            "--quirk ok",
            "--onvif-quirk ok",
            "--alarm-quirk ok",
            "--alarm motion",
            "--family axis",
            "--discovery nowhere",
            "--picture patern",
        ] {
            assert!(command(line).is_err(), "{line}");
        }
    }
}
