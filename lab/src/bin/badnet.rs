//! A bad network between two programs: see `badnet --help`.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ivt_sim::args::{Args, ArgsError};
use ivt_sim::{port, program};
use tokio::net::TcpListener;

use ivt_base::say::say;
use ivt_lab::badnet::{
    BadNet, BadNetOptions, LinkOptions, Outage, Profile, control, read_conditions, replay,
};

const HELP: &str = "\
badnet: forwards TCP and UDP between programs as a bad network does, from one seed

Usage: badnet --link [LINE/]NAME=[udp:]LISTEN,UPSTREAM... [OPTION...]

  --link LINK          listen at LISTEN, and forward to UPSTREAM; may be repeated:
                         cloud=127.0.0.1:9000,cloud.example.com:443
                         camera=udp:[::1]:9001,[::1]:554
                       Links over the same LINE share its rate and its outages:
                         wan/cloud=127.0.0.1:9000,127.0.0.1:8080
                         wan/rtmp=127.0.0.1:9001,127.0.0.1:1935
                       Without LINE it is a line of its own.
  --profile NAME       what every line is like (clean); see --profiles
  --conditions FILE    the same from a TOML file, with outages, [up] and [down]
  --outage WHEN        cut every line at these times, beside those of the profile;
                       may be repeated: every=10m,for=30s or at=5s,for=2s,how=reset
  --seed N             draw everything from this number (one that is drawn and printed)
  --control ADDR:PORT  a page with each line's state, conditions and buttons, and its API
  --host NAME          a further name of that page; may be repeated
  --log FILE           write each decision as a line of JSON
  --replay FILE        decide everything again that FILE has, compare, and leave
  --connections N      most connections of all links together (64)
  --buffer BYTES       most bytes held for each connection and direction (262144)
  --profiles           list the profiles and leave
  --help               this text

The page has no login of its own: serve it to people you trust.
";

/// The command line.
#[derive(Default)]
struct Command {
    options: BadNetOptions,
    control: Option<SocketAddr>,
    hosts: Vec<String>,
    replay: Option<PathBuf>,
    profiles: bool,
    conditions: Option<PathBuf>,
    outages: Vec<Outage>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = parse(Args::new(std::env::args().skip(1)));
    program::main("badnet", HELP, command, run).await
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let Command { mut options, control, hosts, replay: file, profiles, conditions, outages } =
        command;
    if profiles {
        for profile in Profile::ALL {
            say(format_args!("{:14} {}", profile.name(), profile.what()))?;
        }
        return Ok(());
    }
    if let Some(file) = file {
        let replayed = replay(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        say(format_args!(
            "seed {}: {} steps, {} bytes, all decided the same",
            replayed.seed, replayed.steps, replayed.bytes
        ))?;
        return Ok(());
    }
    if let Some(path) = conditions {
        options.conditions = read_conditions(&path)?;
    }
    options.conditions.outages.extend(outages);
    // Before the network, which empties the file of decisions.
    let page = match control {
        Some(address) => Some(listener(address).await?),
        None => None,
    };
    let net = Arc::new(BadNet::start(options).await?);
    say(format_args!("seed         {}", net.seed()))?;
    for link in net.status().into_iter().flat_map(|line| line.links) {
        say(format_args!("{:12} {} -> {}", link.name, link.listen, link.upstream))?;
    }
    if let Some(listener) = page {
        say(format_args!("page         http://{}/", listener.local_addr()?))?;
        tokio::spawn(axum::serve(listener, control::router(net.clone(), &hosts)).into_future());
    }
    Ok(program::stopped().await?)
}

async fn listener(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| port::refusal(address, "--control", &error))
}

/// Reads the command line; `None` when help is asked for.
fn parse(mut args: Args<impl Iterator<Item = String>>) -> Result<Option<Command>, ArgsError> {
    let mut command = Command::default();
    let mut profile = None;
    while let Some(flag) = args.flag()? {
        match flag.as_str() {
            "--link" => command.options.links.push(args.value::<LinkOptions>()?),
            "--profile" => profile = Some(args.value::<Profile>()?),
            "--conditions" => command.conditions = Some(args.value()?),
            "--outage" => command.outages.push(args.value()?),
            "--seed" => command.options.seed = args.value()?,
            "--control" => command.control = Some(args.value()?),
            "--host" => command.hosts.push(args.value()?),
            "--log" => command.options.log = Some(args.value()?),
            "--replay" => command.replay = Some(args.value()?),
            "--connections" => command.options.connections = args.value()?,
            "--buffer" => command.options.buffer = args.value()?,
            "--profiles" => command.profiles = true,
            "--help" | "-h" => return Ok(None),
            _ => return Err(args.unknown()),
        }
    }
    if let (Some(_), Some(file)) = (profile, &command.conditions) {
        return Err(ArgsError::Invalid {
            flag: "--conditions".into(),
            value: file.display().to_string(),
            reason: "it takes the place of --profile: leave one of them out".into(),
        });
    }
    command.options.conditions = profile.unwrap_or(Profile::Clean).conditions();
    Ok(Some(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Option<Command>, ArgsError> {
        parse(Args::new(line.split_whitespace().map(str::to_owned)))
    }

    #[test]
    fn every_option_reaches_its_place() {
        let line = "--link wan/cloud=127.0.0.1:1,a:2 --link b=udp:[::1]:3,[::1]:4 --profile adsl-512 --outage every=10m,for=30s \
                    --seed 42 --control 127.0.0.1:5 --host qa --log f --connections 7 --buffer 8192";
        let Command { options, control, hosts, outages, .. } = command(line).unwrap().unwrap();
        assert_eq!(
            (options.seed, options.links.len(), options.connections, options.buffer),
            (42, 2, 7, 8192)
        );
        assert_eq!(
            options.links[0],
            LinkOptions::tcp("cloud", "127.0.0.1:1", "a:2").unwrap().over("wan")
        );
        assert_eq!(options.conditions, Profile::Adsl512.conditions());
        assert_eq!((control.map(|a| a.port()), hosts), (Some(5), vec!["qa".to_owned()]));
        assert_eq!(options.log, Some("f".into()));
        let conditions = command("--conditions c").unwrap().unwrap().conditions;
        assert_eq!(conditions, Some("c".into()));
        assert_eq!(outages, ["every=10m,for=30s".parse().unwrap()]);
        assert!(command("--help").unwrap().is_none());
        assert_eq!(command("--replay f").unwrap().unwrap().replay, Some("f".into()));
    }

    #[tokio::test]
    async fn a_page_without_a_port_leaves_the_decisions_of_the_one_before() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "decisions").unwrap();
        let line = format!(
            "--link a=127.0.0.1:0,a:1 --control {} --log {}",
            taken.local_addr().unwrap(),
            log.path().display()
        );
        let error = run(command(&line).unwrap().unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("cannot listen on") && error.contains("by --control"), "{error}");
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "decisions");
    }

    #[tokio::test]
    async fn a_wrong_key_of_the_conditions_is_named_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[up]\nlos = 0.1").unwrap();
        let path = file.path().display().to_string();
        let line = format!("--link a=127.0.0.1:0,a:1 --conditions {path}");
        let error = run(command(&line).unwrap().unwrap()).await.unwrap_err().to_string();
        assert_eq!(error, format!("{path}:2: unknown key `los`; did you mean `loss`?"));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, named) in [
            ("--link cloud", "expected [LINE/]NAME="),
            ("--profile adsl-521", "did you mean `adsl-512`?"),
            ("--outage sometimes", "expected every=TIME"),
            ("--seed x", "--seed x"),
            ("--colour red", "unknown option --colour"),
            ("--profile clean --conditions c", "leave one of them out"),
            ("--control here", "--control here"),
        ] {
            let error = command(line).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
