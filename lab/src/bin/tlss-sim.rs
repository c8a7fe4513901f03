//! A server of the hosted service (TLSS): see `tlss-sim --help`.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ivt_base::say::say;
use ivt_lab::conformance::tlss::program as conformance;
use ivt_sim::args::{Args, ArgsError};
use ivt_sim::tlss::{Reading, Script, TlssOptions, TlssSim};
use ivt_sim::{port, program};

const HELP: &str = "\
tlss-sim: a server of the hosted service (TLSS) for devices to call

Usage: tlss-sim [--bind ADDR:PORT] [--http ADDR:PORT] [--script FILE]
       tlss-sim conformance [OPTION]...   drive a device through every rule, see
                                          tlss-sim conformance --help

  --bind ADDR:PORT   where devices connect                 [127.0.0.1:21000]
  --http ADDR:PORT   where the page is                     [127.0.0.1:8082]
  --host NAME        serve the page by this name too; may
                     be repeated          [localhost, the machine's own
                                           name, its addresses]
  --script FILE      what devices are asked                [family, parameters,
                                                            picture, reports]
  --silence-ms N     a reply ends where the device was
                     silent for so long, whatever its
                     length says, as deployed servers do   [2000]
  --by-length        a reply ends where its length says
  --max-sessions N   devices connected at a time           [1024]
  --help             this text

The page has no login of its own: serve it to people you trust.
RUST_LOG=debug shows more.
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == "conformance").is_some() {
        let level = env_logger::Env::default().default_filter_or("warn");
        env_logger::Builder::from_env(level).init();
        return conformance::main(words).await;
    }
    let command = parse(Args::new(words));
    program::main("tlss-sim", HELP, command, run).await
}

/// The command line.
struct Command {
    options: TlssOptions,
    script: Option<PathBuf>,
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let Command { mut options, script } = command;
    if let Some(path) = script {
        let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = tokio::fs::read_to_string(&path).await.map_err(|error| about(&error))?;
        options.script = text.parse::<Script>().map_err(|error| about(&error))?;
    }
    port::apart(&[(options.bind, "--bind"), (options.http, "--http")])?;
    port::check(options.bind, "--bind")?;
    port::check(options.http, "--http")?;
    let sim = TlssSim::start(options).await?;
    say(format_args!("page      http://{}/", sim.http_addr()))?;
    say(format_args!("devices   {}", sim.addr()))?;
    Ok(program::stopped().await?)
}

/// Reads the command line; `None` when help is asked for.
fn parse(mut args: Args<impl Iterator<Item = String>>) -> Result<Option<Command>, ArgsError> {
    let mut options = TlssOptions {
        bind: SocketAddr::from(([127, 0, 0, 1], 21000)),
        http: SocketAddr::from(([127, 0, 0, 1], 8082)),
        ..TlssOptions::default()
    };
    let mut script = None;
    while let Some(flag) = args.flag()? {
        match flag.as_str() {
            "--bind" => options.bind = args.value()?,
            "--http" => options.http = args.value()?,
            "--host" => options.hosts.push(args.value()?),
            "--script" => script = Some(args.value()?),
            "--silence-ms" => {
                let silence = args.value::<u32>()?;
                options.reading = Reading::Silence(Duration::from_millis(silence.into()));
            }
            "--by-length" => options.reading = Reading::Length,
            "--max-sessions" => options.max_sessions = args.value::<NonZeroU16>()?.get().into(),
            "--help" | "-h" => return Ok(None),
            _ => return Err(args.unknown()),
        }
    }
    Ok(Some(Command { options, script }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Option<Command>, ArgsError> {
        parse(Args::new(line.split_whitespace().map(str::to_owned)))
    }

    #[test]
    fn every_option_reaches_its_place() {
        let line = "--bind 0.0.0.0:5000 --http=127.0.0.1:1 --script a.txt --silence-ms 300 --max-sessions 9 --host qa";
        let Command { options, script } = command(line).unwrap().unwrap();
        assert_eq!((options.bind.port(), options.http.port(), options.max_sessions), (5000, 1, 9));
        assert_eq!(options.reading, Reading::Silence(Duration::from_millis(300)));
        assert_eq!((script, options.hosts), (Some(PathBuf::from("a.txt")), vec!["qa".to_owned()]));
        let by_length = command("--by-length").unwrap().unwrap();
        assert_eq!(by_length.options.reading, Reading::Length);
        assert!(command("--silence-ms 5 --help").unwrap().is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for line in [
            "--bind nowhere",
            "--silence-ms -1",
            "--by-length=yes --http",
            "--frob",
            "x",
            "--max-sessions 0",
        ] {
            assert!(command(line).is_err(), "{line}");
        }
    }
}
