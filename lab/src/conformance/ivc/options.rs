//! The command line of `ivc-sim conformance`.

use std::net::SocketAddr;
use std::time::Duration;

use ivt_sim::args::{Args, ArgsError};
use ivt_sim::cloud::{CloudOptions, Login};

use super::run::Plan;
use super::switch::Switch;
use crate::conformance::choice::Choice;
use crate::login::code_and_password;
use crate::report::Outputs;

/// The words of `--help`, around those of the options that other programs have, too.
const HELP: [&str; 2] = [
    "\
ivc-sim conformance: drives a device that logs in through the rules of IVR RPC

Usage: ivc-sim conformance --login CODE[:PASSWORD] [OPTION]...

  --login CODE:PASSWORD   the device; without a password any is taken
  --http ADDR:PORT        where the device connects            [127.0.0.1:8080]
  --rtmp ADDR:PORT        where it publishes                   [127.0.0.1:1935]
  --host NAME             the name by which the device reaches this machine,
                          where the address by which it called is the wrong one
  --login-wait SECONDS    wait so long for the first login     [120]
  --alarm-wait SECONDS    wait so long for an alarm            [30]
  --camera-off COMMAND    a shell's command that takes the camera away from
                          the device, such as one that switches its power
  --camera-on COMMAND     the one that gives it back
",
    "  --help                  this text

Leave 0 when no case fails, 1 when one does, 2 for a wrong command line.
docs/conformance.md tells how to read the report.
",
];

/// What the command line asks for.
#[derive(Debug)]
pub enum Order {
    /// The words of `--help`.
    Help(String),
    /// The names of the cases.
    List(Choice),
    /// A run.
    Run(Box<Options>),
}

/// A run, as the command line describes it.
#[derive(Debug)]
pub struct Options {
    /// The cloud.
    pub cloud: CloudOptions,
    /// The run.
    pub plan: Plan,
    /// The files for the report.
    pub outputs: Outputs,
}

/// Reads the command line behind `conformance`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(words: impl Iterator<Item = String>) -> Result<Order, String> {
    let cloud = CloudOptions {
        http: SocketAddr::from(([127, 0, 0, 1], 8080)),
        rtmp: SocketAddr::from(([127, 0, 0, 1], 1935)),
        ..CloudOptions::default()
    };
    let mut options = Options { cloud, plan: Plan::default(), outputs: Outputs::default() };
    let (mut args, mut list) = (Args::new(words), false);
    let (mut off, mut on) = (None, None);
    let text = |error: ArgsError| error.to_string();
    while let Some(flag) = args.flag().map_err(text)? {
        let Options { cloud, plan, outputs } = &mut options;
        if outputs.take(&flag, &mut args).map_err(text)?
            || plan.choice.take(&flag, &mut args).map_err(text)?
        {
            continue;
        }
        match flag.as_str() {
            "--help" | "-h" => {
                let [head, tail] = HELP;
                return Ok(Order::Help(format!("{head}{}{}{tail}", Choice::HELP, Outputs::HELP)));
            }
            "--list" => list = true,
            "--http" => cloud.http = args.value().map_err(text)?,
            "--rtmp" => cloud.rtmp = args.value().map_err(text)?,
            "--host" => plan.host = args.value_by(host).map_err(text)?,
            "--login" => {
                (plan.code, plan.login) = login(&args.value::<String>().map_err(text)?)?;
                cloud.logins = plan.login.iter().cloned().collect();
            }
            "--camera-off" => off = Some(args.value::<String>().map_err(text)?),
            "--camera-on" => on = Some(args.value::<String>().map_err(text)?),
            "--login-wait" => plan.limits.login = seconds(&mut args).map_err(text)?,
            "--alarm-wait" => plan.limits.alarm = seconds(&mut args).map_err(text)?,
            _ => return Err(args.unknown().to_string()),
        }
    }
    if list {
        return Ok(Order::List(options.plan.choice));
    }
    if options.plan.code.is_empty() {
        return Err(
            "--login CODE[:PASSWORD] is missing: the login code that the device is set up with"
                .into(),
        );
    }
    options.plan.camera = match (off, on) {
        (Some(off), Some(on)) => Some(Switch::commands(off, on)),
        (None, None) => None,
        _ => {
            return Err(
                "--camera-off and --camera-on go together: the camera is needed again".into()
            );
        }
    };
    Ok(Order::Run(Box::new(options)))
}

/// Reads a login: the code, and the password where it is one of those that are known.
fn login(text: &str) -> Result<(String, Option<Login>), String> {
    let (code, password) = code_and_password(text).ok_or("--login takes CODE or CODE:PASSWORD")?;
    let known = |password: &str| Login { code: code.to_owned(), password: password.to_owned() };
    Ok((code.to_owned(), password.map(known)))
}

/// Reads a name or an address of a machine.
fn host(text: &str) -> Result<String, String> {
    match url::Host::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected a name, 192.0.2.1 or [2001:db8::1]".into()),
    }
}

fn seconds<I: Iterator<Item = String>>(args: &mut Args<I>) -> Result<Duration, ArgsError> {
    args.value::<u32>().map(|seconds| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Order, String> {
        parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn a_run_is_described_by_words() {
        let words = [
            "--login",
            "cam:a:b",
            "--http=0.0.0.0:80",
            "--only",
            "publish.*",
            "--html",
            "r.html",
            "--alarm-wait",
            "7",
        ];
        let Ok(Order::Run(options)) = run(&words) else { panic!("no run") };
        assert_eq!((options.plan.code.as_str(), options.cloud.http.port()), ("cam", 80));
        assert_eq!(options.cloud.logins[0].password, "a:b");
        assert!(
            options.plan.choice.takes("publish.pace", false)
                && !options.plan.choice.takes("login.again", false)
        );
        assert_eq!(options.plan.limits.alarm, Duration::from_secs(7));
        assert_eq!(options.plan.login, options.cloud.logins.first().cloned());
        let Ok(Order::Run(options)) = run(&["--login", "cam"]) else { panic!("no run") };
        assert!(options.cloud.logins.is_empty(), "any password");
        assert!(options.plan.camera.is_none());
        let words = ["--login", "cam", "--camera-off", "poe 3 off", "--camera-on=poe 3 on"];
        let Ok(Order::Run(options)) = run(&words) else { panic!("no run") };
        assert!(options.plan.camera.is_some());
        assert!(matches!(run(&["--list"]), Ok(Order::List(_))));
        let Ok(Order::Help(help)) = run(&["--help"]) else { panic!("no help") };
        assert!(
            help.contains("--junit")
                && help.contains("--only")
                && help.lines().all(|line| line.len() <= 80),
            "{help}"
        );
    }

    #[test]
    fn mistakes_are_named_without_the_password() {
        for words in [
            &[][..],
            &["--login"],
            &["--login", ":hunter-2"],
            &["--host", "bad host/<>", "--login", "a"],
            &["--colour"],
            &["--login", "a", "--camera-off", "true"],
            &["--alarm-wait", "long", "--login", "a"],
        ] {
            let error = run(words).unwrap_err();
            assert!(error.contains("--") && !error.contains("hunter"), "{error}");
        }
    }
}
