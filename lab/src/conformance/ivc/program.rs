//! `ivc-sim conformance` from its command line to its exit code.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

use ivt_sim::cloud::CloudSim;
use tokio::sync::watch;

use super::options::{Options, Order, parse};
use super::rules::all;
use super::run::{ALWAYS, Plan, run};
use crate::conformance::choice::Choice;
use crate::report::{Case, summary};
use crate::terminal::{STOPPED, complain, conclude, say, until_told};

/// Reads the words behind `conformance`, runs, and writes the reports.
pub async fn main(words: impl Iterator<Item = String>) -> ExitCode {
    match parse(words) {
        Ok(Order::Help(text)) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Ok(Order::List(choice)) => list(&choice),
        Ok(Order::Run(options)) => conformance(*options).await,
        Err(error) => usage(&error),
    }
}

fn usage(error: &str) -> ExitCode {
    complain(format_args!("ivc-sim conformance: {error}"));
    ExitCode::from(2)
}

fn list(choice: &Choice) -> ExitCode {
    let [first, last] = ALWAYS;
    let rules = all();
    let chosen = rules.iter().filter(|rule| choice.takes(&rule.id, rule.changes));
    let chosen = chosen.map(|rule| (rule.id.as_str(), rule.name.as_str()));
    for (id, name) in [first].into_iter().chain(chosen).chain([last]) {
        say(format_args!("{id:<46} {name}"));
    }
    ExitCode::SUCCESS
}

async fn conformance(options: Options) -> ExitCode {
    let Options { cloud, plan, outputs } = options;
    let rules = all();
    let always = ALWAYS.iter().map(|(id, _)| *id);
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).chain(always).collect();
    if let Some(pattern) = plan.choice.idle(&ids) {
        return usage(&format!("no case is named {pattern}: --list names them"));
    }
    if let Err(error) = outputs.check() {
        return usage(&error.to_string());
    }
    let (http, rtmp) = (cloud.http, cloud.rtmp);
    let cloud = match CloudSim::start(cloud).await {
        Ok(cloud) => Arc::new(cloud),
        Err(error) => {
            let cure = match error.kind() {
                ErrorKind::AddrInUse => {
                    ": end the program that listens there, or choose others with --http and --rtmp"
                }
                ErrorKind::AddrNotAvailable => ": the address is none of this machine",
                _ => "",
            };
            complain(format_args!(
                "ivc-sim conformance: cannot listen on {http} (HTTP) and {rtmp} (RTMP): {error}{cure}"
            ));
            return ExitCode::FAILURE;
        }
    };
    say(format_args!("device URL   {}", cloud.device_url()));
    say(format_args!("page         {}", cloud.page_url(&plan.code)));
    let (stop, stopping) = watch::channel(false);
    let plan = Plan { stop: Some(stopping), ..plan };
    let running = async {
        say(format_args!("waiting for the login of {}", plan.code));
        run(Arc::clone(&cloud), &plan, &rules, told).await
    };
    let Some((report, stopped)) = until_told(running, &stop).await else {
        complain(
            "ivc-sim conformance: stopped; no report is written, and the device is left as it is",
        );
        return ExitCode::from(STOPPED);
    };
    say(format_args!("\n{}", summary(&report).trim_end()));
    conclude("ivc-sim conformance", &report, &outputs, stopped)
}

fn told(case: &Case) {
    let seconds = case.took.as_secs_f64();
    say(format_args!("{:<13} {:<46} {seconds:.1} s", case.verdict.word(), case.id));
}
