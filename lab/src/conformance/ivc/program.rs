//! `ivc-sim conformance` from its command line to its exit code.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

use ivt_sim::cloud::CloudSim;
use ivt_sim::program::stopped;

use super::options::{Options, Order, parse};
use super::rules::all;
use super::run::run;
use crate::conformance::choice::Choice;
use crate::report::{Case, summary};

/// Reads the words behind `conformance`, runs, and writes the reports.
pub async fn main(words: impl Iterator<Item = String>) -> ExitCode {
    match parse(words) {
        Ok(Order::Help(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Order::List(choice)) => list(&choice),
        Ok(Order::Run(options)) => conformance(*options).await,
        Err(error) => usage(&error),
    }
}

fn usage(error: &str) -> ExitCode {
    eprintln!("ivc-sim conformance: {error}");
    ExitCode::from(2)
}

fn list(choice: &Choice) -> ExitCode {
    for rule in all().iter().filter(|rule| choice.takes(&rule.id, rule.changes)) {
        println!("{:<46} {}", rule.id, rule.name);
    }
    ExitCode::SUCCESS
}

async fn conformance(options: Options) -> ExitCode {
    let Options { cloud, plan, outputs } = options;
    let rules = all();
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
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
            eprintln!(
                "ivc-sim conformance: cannot listen on {http} (HTTP) and {rtmp} (RTMP): {error}{cure}"
            );
            return ExitCode::FAILURE;
        }
    };
    println!("device URL   {}", cloud.device_url());
    println!("page         {}", cloud.page_url(&plan.code));
    println!("waiting for the login of {}", plan.code);
    let report = tokio::select! {
        report = run(Arc::clone(&cloud), &plan, &rules, told) => report,
        _ = stopped() => {
            eprintln!("ivc-sim conformance: ended before the report was complete: none is written");
            return ExitCode::FAILURE;
        }
    };
    print!("\n{}", summary(&report));
    if let Err(error) = outputs.write(&report) {
        eprintln!("ivc-sim conformance: {error}");
        return ExitCode::FAILURE;
    }
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(case: &Case) {
    println!("{:<13} {:<46} {:.1} s", case.verdict.word(), case.id, case.took.as_secs_f64());
}
