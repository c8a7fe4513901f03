//! The QA lab on this machine: see `ivt-lab --help`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;

use ivt_base::say::say;
use ivt_lab::start::{Lab, Settings};
use ivt_sim::program;

const HELP: &str = "\
ivt-lab: a camera, a cloud, a hosted service and a device on this machine

Usage: ivt-lab start [camera] [cloud] [hosted] [device] [all] [OPTION]...

  camera    an emulated camera: RTSP, ONVIF, a web server, a page with its faults
  cloud     the simulated cloud: devices log in to it, its page steers them
  hosted    a server of the hosted service (TLSS), with its page
  device    ivt-agent with a camera of its own: a device of a cloud
  all       all of them, the device logged in to the cloud (the default)

";

const END: &str = "  --help                       this text

The pages of camera, cloud and hosted service have no login: start them among people you trust.
Ctrl-C or SIGTERM ends everything. RUST_LOG=debug shows more.
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let help = format!("{HELP}{}{END}", Settings::help());
    let settings = match words.next().as_deref() {
        Some("start") => Settings::read(words),
        None | Some("--help" | "-h" | "help") => Ok(None),
        Some("--version") => {
            let version = concat!("ivt-lab ", env!("CARGO_PKG_VERSION"));
            return program::main("ivt-lab", version, Ok(None), run).await;
        }
        Some(other) => {
            eprintln!("ivt-lab: `{other}` is no command; `ivt-lab start` is, see --help");
            return ExitCode::from(2);
        }
    };
    match settings {
        Ok(settings) => program::main("ivt-lab", &help, Ok(settings), run).await,
        Err(error) => {
            eprintln!("ivt-lab: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let mut lab = tokio::select! {
        lab = Lab::start(&settings) => lab?,
        stopped = program::stopped() => return Ok(stopped?),
    };
    say(lab.printed(&settings).trim_end())?;
    let show = lab.show();
    let shown = async {
        if let Some(show) = show {
            show.run().await;
        }
    };
    let stopped = tokio::select! {
        stopped = program::stopped() => stopped,
        _ = async { tokio::join!(shown, lab.keep()) } => Ok(()),
    };
    lab.stop().await;
    Ok(stopped?)
}
