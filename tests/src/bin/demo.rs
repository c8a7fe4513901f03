//! `make demo`: an emulated camera, a simulated cloud and the agent on loopback, as `ivt-lab start` starts them. The cloud
//! asks for the picture and for a recording; pages show both. Everything runs until Ctrl-C.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use ivt_base::say::say;
use ivt_lab::start::picture::Picture;
use ivt_lab::start::show::{RECORDING, STREAM};
use ivt_lab::start::{Lab, Part, Settings};
use ivt_sim::args::{Args, ArgsError};
use ivt_sim::camera::Stream;
use ivt_sim::program::stopped;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The password of the device's page.
const PASSWORD: &str = "page-demo";
/// Longest time of a step before the demo reports a failure.
const PATIENCE: Duration = Duration::from_secs(20);

const HELP: &str = "\
demo: an emulated camera, a simulated cloud and the agent on this machine

Usage: demo

The cloud asks for the picture and for a recording, and the addresses of
both are printed. Everything runs until Ctrl-C. RUST_LOG=info shows more.

  --help   this text
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let ended = match helps(Args::new(std::env::args().skip(1))) {
        Ok(true) => say(HELP.trim_end()).map_err(Into::into),
        Ok(false) => start().await,
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> Result<()> {
    let settings = Settings {
        parts: vec![Part::Camera, Part::Cloud, Part::Device],
        picture: Picture::Clips,
        loopback: true,
        page_password: Some(PASSWORD.into()),
        agent_log: "info".into(),
        ..Settings::default()
    };
    let mut lab = Lab::start(&settings).await?;
    let ended = tokio::select! {
        // Ctrl-C ends the agent as well, so it is looked at first: the agent's end is no failure then.
        biased;
        asked = stopped() => {
            println!("\nstopped");
            Ok(asked?)
        }
        ended = demo(&mut lab) => ended,
    };
    lab.stop().await;
    ended
}

/// Whether the command line asks for help, which is all that it can ask for.
fn helps(mut args: Args<impl Iterator<Item = String>>) -> std::result::Result<bool, ArgsError> {
    match args.flag()?.as_deref() {
        None => Ok(false),
        Some("--help" | "-h") => Ok(true),
        Some(_) => Err(args.unknown()),
    }
}

async fn demo(lab: &mut Lab) -> Result<()> {
    let camera = lab.camera().ok_or("no camera")?.rtsp_url(0, Stream::Main);
    println!("1. camera-sim  emulates a camera at {camera}");

    let cloud = lab.cloud().ok_or("no cloud")?;
    println!("2. ivc-sim     simulates the cloud at {}", cloud.device_url());

    let (stream, recording) = (cloud.stream(STREAM), cloud.recording(RECORDING));
    let (page, recorded) = (cloud.page_url(lab.code()), cloud.recordings_url(RECORDING));
    let show = lab.show().ok_or("no device")?;
    within("the agent logs in", show.online(), lab).await?;
    println!("3. ivt-agent   logged in as {:?}", lab.code());

    let asked = Instant::now();
    within("RTMPPublish is answered", show.publish(), lab).await??;
    println!("4. RTMPPublish asked and granted after {} ms", asked.elapsed().as_millis());

    let pictures = stream.wait_for(|info| info.key_frames > 0);
    let info = within("the picture arrives", pictures, lab).await?;
    let (width, height) = info.dimensions.unwrap_or_default();
    println!(
        "5. picture     {width}x{height} at the cloud after {} ms",
        asked.elapsed().as_millis()
    );

    within("StartCloudRecord is answered", show.record(), lab).await??;
    let stored = recording.wait_segments(1);
    let info = within("the first segment is uploaded", stored, lab).await?;
    let bytes = info.stored().map(|segment| segment.size).sum::<u64>();
    println!("6. recording   the first segment, {} KiB, is in the cloud's store", bytes / 1024);

    println!("\n   Open {page} in a browser.");
    println!("   Recorded: {recorded}");
    println!("   The device's own page: http://{}/ (password: {PASSWORD})", lab.page());
    println!("   Ctrl-C stops everything.");
    let status = lab.ended().await?;
    Err(format!("the agent ended by itself: {status}").into())
}

/// Waits for `step`, for a limited time and as long as the agent runs.
async fn within<T>(what: &str, step: impl Future<Output = T>, lab: &mut Lab) -> Result<T> {
    tokio::select! {
        done = timeout(PATIENCE, step) => {
            Ok(done.map_err(|_| format!("{what}: not within {} s", PATIENCE.as_secs()))?)
        }
        status = lab.ended() => Err(format!("{what}: the agent ended: {}", status?).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_help_can_be_asked_for() {
        let helps = |line: &str| helps(Args::new(line.split_whitespace().map(str::to_owned)));
        assert_eq!(helps(""), Ok(false));
        assert_eq!(helps("--help"), Ok(true));
        assert_eq!(helps("--port 5"), Err(ArgsError::Unknown("--port".into())));
        assert_eq!(helps("x"), Err(ArgsError::Unexpected("x".into())));
    }
}
