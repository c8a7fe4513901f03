//! `make demo`: an emulated camera, a simulated cloud and the agent on loopback. The cloud asks for
//! the picture and for a recording; pages show both. Everything runs until Ctrl-C.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_sim::camera::{CameraSim, Credentials, Stream};
use ivt_sim::cloud::{CloudOptions, CloudSim};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DEVICE: &str = "demo";
const STREAM: &str = "demo-live";
const RECORDING: &str = "demo-recording";
/// The password of the device's page.
const PASSWORD: &str = "page-demo";
/// Longest time of a step before the demo reports a failure.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    tokio::select! {
        // Ctrl-C ends the agent as well, so it is looked at first: the agent's end is no failure then.
        biased;
        _ = tokio::signal::ctrl_c() => {
            println!("\nstopped");
            Ok(())
        }
        ended = demo() => ended,
    }
}

async fn demo() -> Result<()> {
    let camera = camera().await?;
    println!("1. camera-sim  emulates a camera at {}", camera.rtsp_url(0, Stream::Main));

    let cloud = cloud().await?;
    println!("2. ivc-sim     simulates the cloud at {}", cloud.device_url());

    let folder = tempfile::tempdir()?;
    let page = free(8081)?;
    let config = configure(folder.path(), page, &camera, &cloud)?;
    let mut agent = start_agent(&config)?;
    let device = cloud.device(DEVICE);
    within("the agent logs in", device.wait_online(), &mut agent).await?;
    println!("3. ivt-agent   logged in as {DEVICE:?}");

    let asked = Instant::now();
    let stream = cloud.stream(STREAM);
    let params = json!({
        "channel": 0, "quality": "hd", "url": cloud.rtmp_url(STREAM),
        "stream_id": STREAM, "max_bitrate": 0,
    });
    within("RTMPPublish is answered", device.call("RTMPPublish", Some(params)), &mut agent)
        .await??;
    println!("4. RTMPPublish asked and granted after {} ms", asked.elapsed().as_millis());

    let pictures = stream.wait_for(|info| info.key_frames > 0);
    let info = within("the picture arrives", pictures, &mut agent).await?;
    let (width, height) = info.dimensions.unwrap_or_default();
    println!(
        "5. picture     {width}x{height} at the cloud after {} ms",
        asked.elapsed().as_millis()
    );

    let params = json!({
        "session_id": RECORDING, "channel": 0, "quality": "hd", "max_bitrate": 0,
        "seg_duration": 4, "seg_max_size": 4 << 20, "seg_max_count": 3, "prerecord_seconds": 0,
        "start_ts": 0, "cbk_url": cloud.record_url(RECORDING).as_str(),
    });
    within(
        "StartCloudRecord is answered",
        device.call("StartCloudRecord", Some(params)),
        &mut agent,
    )
    .await??;
    let recording = cloud.recording(RECORDING);
    let stored = recording.wait_segments(1);
    let info = within("the first segment is uploaded", stored, &mut agent).await?;
    let bytes = info.stored().map(|segment| segment.size).sum::<u64>();
    println!("6. recording   the first segment, {} KiB, is in the cloud's store", bytes / 1024);

    println!("\n   Open {} in a browser.", cloud.page_url(DEVICE));
    println!("   Recorded: {}", cloud.recordings_url(RECORDING));
    println!("   The device's own page: http://{page}/ (password: {PASSWORD})");
    println!("   Ctrl-C stops everything.");
    let status = agent.wait().await?;
    Err(format!("the agent ended by itself: {status}").into())
}

async fn camera() -> Result<CameraSim> {
    let mut options = ivt_tests::camera(ClipOpener::built_in(BuiltIn::Main));
    options.bind = preferred(8554);
    options.credentials =
        Some(Credentials { user: "admin".into(), password: "camera-demo".into() });
    Ok(CameraSim::start(options).await?)
}

async fn cloud() -> Result<CloudSim> {
    let options =
        CloudOptions { http: preferred(8080), rtmp: preferred(1935), ..CloudOptions::default() };
    Ok(CloudSim::start(options).await?)
}

/// The usual port on loopback, or a free one where the usual port is taken.
fn preferred(port: u16) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let free = std::net::TcpListener::bind(usual).is_ok();
    if free { usual } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) }
}

/// Does as [`preferred`], with the number of a port that is free at this moment.
fn free(port: u16) -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind(preferred(port))?.local_addr()?)
}

/// Writes a configuration that only this user may read, as the agent demands of a file with passwords.
fn configure(
    folder: &Path,
    page: SocketAddr,
    camera: &CameraSim,
    cloud: &CloudSim,
) -> Result<PathBuf> {
    let path = folder.join("agent.toml");
    let text = format!(
        "[cloud]\nurl = \"{}\"\nlogin_code = \"{DEVICE}\"\nlogin_passwd = \"demo\"\n\n\
         [[channel]]\nbackend = \"rtsp\"\nmain = \"{}\"\nsub = \"{}\"\n\
         username = \"admin\"\npassword = \"camera-demo\"\n\n\
         [web]\nenable = true\nlisten = \"{page}\"\nfirst_password = \"{PASSWORD}\"\n\
         reset_file = \"reset\"\n",
        cloud.device_url(),
        camera.rtsp_url(0, Stream::Main),
        camera.rtsp_url(0, Stream::Sub),
    );
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

/// Starts the agent's program, which is in the folder of this one.
fn start_agent(config: &Path) -> Result<Child> {
    let program = std::env::current_exe()?.with_file_name("ivt-agent");
    let agent = Command::new(&program).arg("--config").arg(config).kill_on_drop(true).spawn();
    Ok(agent.map_err(|e| format!("{}: {e}; `make demo` builds it", program.display()))?)
}

/// Waits for `step`, for a limited time and as long as the agent runs.
async fn within<T>(what: &str, step: impl Future<Output = T>, agent: &mut Child) -> Result<T> {
    tokio::select! {
        done = timeout(PATIENCE, step) => {
            Ok(done.map_err(|_| format!("{what}: not within {} s", PATIENCE.as_secs()))?)
        }
        status = agent.wait() => Err(format!("{what}: the agent ended: {}", status?).into()),
    }
}
