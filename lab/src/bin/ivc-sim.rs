//! The simulated cloud: see `ivc-sim --help`.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::process::ExitCode;

use ivt_base::say::say;
use ivt_lab::login::code_and_password;
use ivt_lab::{conformance, scenario};
use ivt_sim::args::{Args, ArgsError};
use ivt_sim::cloud::{CloudOptions, CloudSim, Login};
use ivt_sim::{port, program};
use url::Url;

const HELP: &str = "\
ivc-sim: a simulated IVC cloud for devices that speak IVR RPC

Usage: ivc-sim [--http ADDR:PORT] [--rtmp ADDR:PORT] [--login CODE:PASSWORD]...
       ivc-sim run FILE...
       ivc-sim conformance --help

  --http ADDR:PORT        where devices and browsers connect   [127.0.0.1:8080]
  --rtmp ADDR:PORT        where streams are published          [127.0.0.1:1935]
  --public-http URL       where devices reach the first, if not
                          at that address: http://HOST:PORT of
                          a gateway or of badnet
  --public-rtmp HOST:PORT where devices publish then
  --host NAME             serve the page by this name too; may
                          be repeated          [localhost, the
                          machine's own name, its addresses]
  --login CODE:PASSWORD   accept this login; may be repeated   [anybody]
  --max-devices N         devices connected at a time          [64]
  --record-bytes N        bytes of recordings kept; the oldest
                          go first                             [268435456]
  --record-bodies WHAT    of recordings, keep the bytes, their
                          SHA-256 only, or only count them:
                          keep, sum or count                   [keep]
  --help                  this text

ivc-sim run plays scenarios (ivc-sim run --help), ivc-sim conformance
drives a device through the rules.
The page has no login of its own: serve it to people you trust.
RUST_LOG=debug shows more.
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    let log = |level| {
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(level)).init();
    };
    if words.next_if(|word| word == "run").is_some() {
        // What the simulators say of each connection would drown the progress of a run.
        log("warn");
        return scenario::main(words).await;
    }
    if words.next_if(|word| word == "conformance").is_some() {
        log("info");
        return conformance::ivc::main(words).await;
    }
    match parse(words) {
        Ok(options) => program::main("ivc-sim", HELP, Ok(options), run).await,
        Err(error) => {
            eprintln!("ivc-sim: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(options: CloudOptions) -> Result<(), Box<dyn Error>> {
    let listens = [(options.http, "--http"), (options.rtmp, "--rtmp")];
    port::apart(&listens)?;
    for (address, option) in listens {
        port::check(address, option)?;
    }
    let cloud = CloudSim::start(options).await?;
    say(format_args!("page         http://{}/", cloud.http_addr()))?;
    say(format_args!("device URL   {}", cloud.device_url()))?;
    say(format_args!("RTMP URL     {}", cloud.rtmp_url("KEY")))?;
    say(format_args!("record URL   {}", cloud.record_url("SESSION")))?;
    program::stopped().await.map_err(|error| format!("cannot wait for signals: {error}"))?;
    cloud.stop().await;
    Ok(())
}

/// Reads the command line; `None` when help is asked for.
fn parse(words: impl Iterator<Item = String>) -> Result<Option<CloudOptions>, String> {
    let mut options = CloudOptions {
        http: SocketAddr::from(([127, 0, 0, 1], 8080)),
        rtmp: SocketAddr::from(([127, 0, 0, 1], 1935)),
        ..CloudOptions::default()
    };
    let mut args = Args::new(words);
    let text = |error: ArgsError| error.to_string();
    while let Some(flag) = args.flag().map_err(text)? {
        match flag.as_str() {
            "--help" | "-h" => return Ok(None),
            "--http" => options.http = args.value().map_err(text)?,
            "--rtmp" => options.rtmp = args.value().map_err(text)?,
            "--public-http" => {
                options.public_http = Some(args.value_by(public).map_err(text)?);
            }
            "--public-rtmp" => options.public_rtmp = Some(args.value().map_err(text)?),
            "--host" => options.hosts.push(args.value().map_err(text)?),
            "--login" => options.logins.push(login(&args.value::<String>().map_err(text)?)?),
            "--max-devices" => {
                let most = args.value::<NonZeroU16>().map_err(text)?;
                options.max_devices = most.get().into();
            }
            "--record-bytes" => options.record_bytes = args.value().map_err(text)?,
            "--record-bodies" => options.record_bodies = args.value().map_err(text)?,
            _ => return Err(args.unknown().to_string()),
        }
    }
    Ok(Some(options))
}

/// Reads the address of a gateway.
fn public(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "expected http://HOST:PORT".into())
}

fn login(text: &str) -> Result<Login, String> {
    match code_and_password(text) {
        Some((code, Some(password))) => {
            Ok(Login { code: code.to_owned(), password: password.to_owned() })
        }
        _ => Err("--login takes CODE:PASSWORD".into()),
    }
}

#[cfg(test)]
mod tests {
    use ivt_sim::cloud::Bodies;

    use super::*;

    fn run(args: &[&str]) -> Result<Option<CloudOptions>, String> {
        parse(args.iter().map(|arg| arg.to_string()))
    }

    #[test]
    fn arguments_become_options() {
        let args = [
            "--http",
            "0.0.0.0:80",
            "--host",
            "qa",
            "--login",
            "a:b:c",
            "--login",
            "d:",
            "--max-devices",
            "9",
            "--public-http=http://127.0.0.1:9000/",
            "--public-rtmp=127.0.0.1:9001",
        ];
        let options = run(&args).unwrap().unwrap();
        assert_eq!(options.http, SocketAddr::from(([0, 0, 0, 0], 80)));
        assert_eq!((options.rtmp.port(), options.hosts), (1935, vec!["qa".to_owned()]));
        assert_eq!(options.max_devices, 9);
        let public = options.public_http.map(String::from);
        assert_eq!(public.as_deref(), Some("http://127.0.0.1:9000/"));
        assert_eq!(options.public_rtmp.as_deref(), Some("127.0.0.1:9001"));
        let passwords: Vec<_> = options.logins.iter().map(|l| l.password.as_str()).collect();
        assert_eq!(passwords, ["b:c", ""]);
        assert!(run(&["--http", "nowhere", "--help"]).is_err());
        assert!(run(&["--help"]).unwrap().is_none());
    }

    #[test]
    fn recordings_are_bounded_and_kept_as_asked() {
        let args = ["--record-bytes=1000", "--record-bodies", "sum"];
        let options = run(&args).unwrap().unwrap();
        assert_eq!((options.record_bytes, options.record_bodies), (1000, Bodies::Sum));
        let error = run(&["--record-bodies", "none"]).unwrap_err();
        assert!(error.contains("keep, sum or count"), "{error}");
    }

    #[test]
    fn mistakes_are_named_without_the_password() {
        for args in [
            &["--http"][..],
            &["--rtmp", "x"],
            &["--max-devices", "-1"],
            &["--max-devices", "0"],
            &["--public-http", "ftp://x"],
            &["--colour", "red"],
        ] {
            let error = run(args).unwrap_err();
            assert!(error.contains(args[0]), "{error}");
        }
        assert!(!run(&["--login", "secret"]).unwrap_err().contains("secret"));
    }
}
