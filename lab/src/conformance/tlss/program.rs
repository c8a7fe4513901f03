//! `tlss-sim conformance` from its command line to its exit code.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use ivt_sim::args::{Args, ArgsError};
use ivt_sim::port;
use tokio::sync::watch;

use super::check::Check;
use super::run::{Options, Run};
use super::timing::Timing;
use crate::conformance::choice::Choice;
use crate::report::{Case, Outputs, summary};
use crate::terminal::{STOPPED, complain, conclude, say, until_told};

const HELP: &str = "\
tlss-sim conformance: takes the calls of a device, and drives it through every rule of the hosted service

Usage: tlss-sim conformance [--listen ADDR:PORT] [--mac MAC] [--html FILE]

  --listen ADDR:PORT      where the device calls; --bind is the same
                                                        [127.0.0.1:21000]
  --mac MAC               the device that is meant; else whoever calls
  --interval MINUTES      the update interval that the device is set to: its next call after done is
                          waited for and measured; else it may not come within 10 s
  --wait SECONDS          give up when nobody calls for so long   [150]
";
const TAIL: &str = "\
  --help                  this text

Set the device's update interval to a minute: it has to call about six times, which takes three
minutes. A device that can call under several identities at once is done sooner: all that call are
taken for one. The exit code is 0 when nothing failed, 1 when something did, 2 for a wrong option.
";

enum Order {
    Help,
    List(Choice),
    Run(Box<Options>, Outputs),
}

/// Reads the words behind `conformance`, runs, and writes the reports.
pub async fn main(words: impl Iterator<Item = String>) -> ExitCode {
    let (options, outputs) = match parse(Args::new(words)) {
        Ok(Order::Help) => {
            say(format!("{HELP}{}{}{TAIL}", Outputs::HELP, Choice::HELP).trim_end());
            return ExitCode::SUCCESS;
        }
        Ok(Order::List(choice)) => {
            for check in Check::ALL.iter().filter(|check| choice.takes(check.id(), false)) {
                say(format_args!("{:<20} {}", check.id(), check.name()));
            }
            return ExitCode::SUCCESS;
        }
        Ok(Order::Run(options, outputs)) => (options, outputs),
        Err(error) => return refused(&error.to_string()),
    };
    let ids: Vec<_> = Check::ALL.iter().map(|check| check.id()).collect();
    if let Some(pattern) = options.choice.idle(&ids) {
        return refused(&format!("no case is named {pattern}: --list names them"));
    }
    if let Err(error) = outputs.check() {
        return refused(&error.to_string());
    }
    let listen = options.listen;
    let run = match Run::listen(*options).await {
        Ok(run) => run,
        Err(error) => {
            let refusal = port::refusal(listen, "--listen", &error);
            complain(format_args!("tlss-sim conformance: {refusal}"));
            return ExitCode::FAILURE;
        }
    };
    let (stop, stopping) = watch::channel(false);
    let running = async {
        match run.addr() {
            Ok(address) => say(format_args!("devices   {address}")),
            Err(error) => complain(format_args!("tlss-sim conformance: {error}")),
        }
        run.finish_or_stop(told, stopping).await
    };
    let Some((report, stopped)) = until_told(running, &stop).await else {
        complain("tlss-sim conformance: stopped; no report is written");
        return ExitCode::from(STOPPED);
    };
    say(format_args!("\n{}", summary(&report).trim_end()));
    conclude("tlss-sim conformance", &report, &outputs, stopped)
}

fn told(case: &Case) {
    let seconds = case.took.as_secs_f64();
    say(format_args!("{:<13} {:<20} {seconds:.1} s", case.verdict.word(), case.id));
}

fn refused(error: &str) -> ExitCode {
    complain(format_args!("tlss-sim conformance: {error}"));
    ExitCode::from(2)
}

fn parse(mut args: Args<impl Iterator<Item = String>>) -> Result<Order, ArgsError> {
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 21000)),
        mac: None,
        choice: Choice::default(),
        timing: Timing::default(),
    };
    let mut outputs = Outputs::default();
    let mut list = false;
    while let Some(flag) = args.flag()? {
        match flag.as_str() {
            "--listen" | "--bind" => options.listen = args.value()?,
            "--mac" => options.mac = Some(args.value_by(mac)?),
            "--interval" => {
                let update = Duration::from_secs(60 * u64::from(args.value::<u16>()?));
                options.timing.update = Some(update);
                options.timing.call = options.timing.call.max(update * 2);
            }
            "--wait" => options.timing.call = Duration::from_secs(args.value::<u32>()?.into()),
            "--list" => list = true,
            "--help" | "-h" => return Ok(Order::Help),
            flag if outputs.take(flag, &mut args)? => {}
            flag if options.choice.take(flag, &mut args)? => {}
            _ => return Err(args.unknown()),
        }
    }
    Ok(if list { Order::List(options.choice) } else { Order::Run(Box::new(options), outputs) })
}

/// Reads a MAC address with separators or without.
fn mac(text: &str) -> Result<String, String> {
    let digits = text.chars().filter(|c| !matches!(c, ':' | '-'));
    match digits.clone().count() == 12 && digits.clone().all(|c| c.is_ascii_hexdigit()) {
        true => Ok(text.to_owned()),
        false => Err("expected twelve hexadecimal digits, such as 00:13:23:a0:07:ad".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order, ArgsError> {
        parse(Args::new(line.split_whitespace().map(str::to_owned)))
    }

    #[test]
    fn options_reach_their_place() {
        let line =
            "--listen 0.0.0.0:5 --mac 00:13:23:a0:07:ad --wait 9 --html a.html --only done.*";
        let Ok(Order::Run(options, outputs)) = order(line) else { panic!("no run") };
        assert_eq!((options.listen.port(), options.timing.call.as_secs()), (5, 9));
        assert_eq!(options.mac.as_deref(), Some("00:13:23:a0:07:ad"));
        assert_eq!(options.choice, Choice::only(&["done.*"]));
        assert_eq!(outputs.html, Some("a.html".into()));
        let Ok(Order::Run(options, _)) = order("--interval 5") else { panic!("no run") };
        let Timing { update, call, .. } = options.timing;
        assert_eq!((update, call), (Some(Duration::from_secs(300)), Duration::from_secs(600)));
        assert!(matches!(order("--list"), Ok(Order::List(_))));
        assert!(matches!(order("--help"), Ok(Order::Help)));
        for line in ["--listen nowhere", "--mac zz", "--wait -1", "--frob", "--html"] {
            assert!(order(line).is_err(), "{line}");
        }
    }
}
