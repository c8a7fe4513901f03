//! `/api/v1/cloud`: the connection to the cloud, and the test of a login.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use ivt_base::address_rule::AddressRule;
use ivt_base::task::spawn_blocking;
use ivt_base::tls::Certificate;
use ivt_proto::rpc::Options;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use crate::addresses;
use crate::channel;
use crate::cloud::CloudState;
use crate::cloud::login::CloudLogin;
use crate::cloud::progress::Step;
use crate::cloud::status::KeepaliveSource;
use crate::cloud::trial::{Detail, Server, Told, Trial, reach};
use crate::config::{Account, Config};
use crate::console::Console;
use crate::settings::proposed::place;
use crate::settings::value::quoted;
use crate::tls::TrustStore;
use crate::web::authorities;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::task::{self, Event};

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/cloud", |call| state(call).boxed()),
    Route::post("/api/v1/cloud/test", |call| test(call).boxed()),
    Route::put("/api/v1/cloud/ca", |call| keep_authorities(call).boxed()),
];

/// Longest file of authorities that is read, in bytes.
const LONGEST: u64 = 512 << 10;

async fn state(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let (config, view) = (&console.config, console.view.device());
    let (name, retry, wrong_login) = match view.cloud {
        _ if config.cloud.account.is_none() => ("off", None, false),
        CloudState::Off => ("off", None, false),
        CloudState::Dialling => ("dialling", None, false),
        CloudState::Online => ("online", None, false),
        CloudState::Waiting { until, wrong_login } => ("waiting", Some(until), wrong_login),
    };
    let retry = retry.map(|until| until.saturating_duration_since(Instant::now()).as_secs());
    let answered = *console.view.keepalive.borrow();
    let answered = answered.filter(|_| view.cloud == CloudState::Online);
    let account = config.cloud.account.as_ref();
    let file = config.cloud.ca_file.clone();
    let certificates = match file.clone() {
        Some(file) => spawn_blocking(move || certificates(&file)).await.unwrap_or_default(),
        None => Vec::new(),
    };
    Ok(Reply::json(&json!({
        "state": name,
        "retry_seconds": retry,
        "wrong_login": wrong_login,
        "ended": view.cloud_end.as_deref(),
        "keepalive_seconds": answered.map(|at| at.elapsed().as_secs()),
        "url": account.map(|account| account.url.as_str()),
        "login_code": account.map(|account| account.login_code.as_str()),
        "ca": file.map(|_| certificates.iter().map(described).collect::<Vec<_>>()),
    })))
}

/// The certificates of a file; none where it cannot be read.
fn certificates(file: &Path) -> Vec<Certificate> {
    let is_short = file.metadata().is_ok_and(|metadata| metadata.len() <= LONGEST);
    let pem = is_short.then(|| std::fs::read(file).ok()).flatten();
    Certificate::of_pem(&pem.unwrap_or_default())
}

fn described(Certificate { subject, issuer, from, until }: &Certificate) -> Value {
    json!({ "subject": subject, "issuer": issuer, "from": from, "until": until })
}

/// Keeps authorities for the cloud, which count once `cloud.ca_file` names the file.
async fn keep_authorities(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    let Some(pem) = body["pem"].as_str().map(str::to_owned) else {
        return Err(Refusal::invalid("pem", "must be text in PEM"));
    };
    trusted(&pem).map_err(|e| Refusal { field: "pem".into(), ..e })?;
    let config = call.site.console()?.config.clone();
    let certificates = Certificate::of_pem(pem.as_bytes());
    let turn = call.turn().await?;
    let kept = spawn_blocking(move || {
        let _turn = turn;
        authorities::keep(&config, pem.as_bytes())
    });
    let kept = kept.await;
    let kept = kept.map_err(std::io::Error::from).flatten();
    let file = kept.map_err(|e| {
        let message = format!("the file cannot be kept: {e}; check device.state_dir");
        Refusal::unavailable("not_written", message)
    })?;
    let certificates: Vec<_> = certificates.iter().map(described).collect();
    Ok(Reply::json(&json!({ "file": file, "certificates": certificates })))
}

fn trusted(pem: &str) -> Result<TrustStore, Refusal> {
    let none = |e| Refusal { code: "no_certificate", ..Refusal::invalid("ca", format!("{e}")) };
    TrustStore::of_pem(pem.as_bytes()).map_err(none)
}

/// Tries a login, and tells of each hop. Nothing is saved.
async fn test(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    let console = call.site.console()?;
    let config = wanted(&body, &console.config)?;
    let trust = match &body["ca"] {
        Value::String(pem) if pem.is_empty() => system()?,
        Value::String(pem) => trusted(pem)?,
        Value::Null if body.get("ca").is_some() => system()?,
        Value::Null => console.trust.clone(),
        _ => {
            return Err(Refusal::invalid(
                "ca",
                "must be text in PEM, or null for the usual authorities",
            ));
        }
    };
    let login = CloudLogin::of(&config.cloud);
    let login = login.ok_or_else(|| Refusal::invalid("cloud.url", "there is no address"))?;
    let Ok(turn) = Arc::clone(&call.site.trial).try_acquire_owned() else {
        return Err(Refusal::conflict("test_runs", "a test is under way; wait for its end"));
    };
    let trial = Trial {
        login,
        trust,
        rule: AddressRule::new(addresses::terms(&config)),
        options: Options { accept_bare_answers: config.cloud.accept_bare_answers },
        keepalives: KeepaliveSource::new(
            console.channels.iter().map(channel::Handle::status).collect(),
        ),
    };
    let account = config.cloud.account;
    Ok(task::events(move |tell| async move {
        let _turn = turn;
        run(trial, account, &console, &tell).await;
    }))
}

async fn run(trial: Trial, account: Option<Account>, console: &Console, tell: &Sender<Event>) {
    // The channel holds more than a trial has to tell.
    let told = |told: Told| drop(tell.try_send(("hop", hop(&told))));
    let ours = console.config.cloud.account.as_ref();
    let code = |account: &Account| account.login_code.clone();
    let is_online = *console.view.cloud().borrow() == CloudState::Online;
    let good = if account.is_some() && account.as_ref() == ours && is_online {
        // This very login is in use: a second one would push it out, and would tell nothing new.
        let CloudLogin { host, port, secure, .. } = &trial.login;
        let server = Server { host, port: *port, trust: secure.then_some(&trial.trust) };
        let good = reach(server, &told).await.is_some();
        if good {
            online(console, tell);
        }
        good
    } else {
        let same = ours.map(code) == account.as_ref().map(code);
        let _held = same.then(|| console.hold.begin());
        trial.run(told).await
    };
    tell.send(("end", json!({ "good": good }))).await.ok();
}

/// Tells of the connection that is served, in the place of a second login.
fn online(console: &Console, tell: &Sender<Event>) {
    let answered = *console.view.keepalive.borrow();
    let seconds = answered.map(|at| at.elapsed().as_secs());
    for hop in ["login", "keepalive"] {
        let told = json!({ "hop": hop, "state": "in_use", "answered_seconds": seconds });
        tell.try_send(("hop", told)).ok();
    }
}

pub(super) fn hop(told: &Told) -> Value {
    match told {
        Told::Begun(step) => json!({ "hop": name(*step), "state": "running" }),
        Told::Passed(step, took, Detail { addresses, certificate }) => json!({
            "hop": name(*step),
            "state": "good",
            "seconds": seconds(*took),
            "addresses": addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "certificate": certificate.as_ref().map(described),
        }),
        Told::Failed(took, trouble) => json!({
            "hop": name(trouble.step),
            "state": "bad",
            "seconds": seconds(*took),
            "reason": trouble.reason,
            "said": &*trouble.said,
        }),
    }
}

/// Seconds, to the millisecond.
fn seconds(took: Duration) -> f64 {
    took.as_millis() as f64 / 1000.0
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Network => "network",
        Step::Name => "name",
        Step::Tcp => "tcp",
        Step::Tls => "tls",
        Step::Login => "login",
        Step::Keepalive => "keepalive",
    }
}

fn system() -> Result<TrustStore, Refusal> {
    TrustStore::new(None).map_err(|e| Refusal::unavailable("no_authorities", e.to_string()))
}

/// The configuration with the login that is to be tried; what is left out is that of the device.
fn wanted(body: &Value, config: &Config) -> Result<Config, Refusal> {
    let ours = config.cloud.account.as_ref();
    let value = |name: &str, ours: Option<&str>| match body.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        None | Some(Value::Null) => Ok(ours.unwrap_or_default().to_owned()),
        Some(_) => Err(Refusal::invalid(format!("cloud.{name}"), "must be text")),
    };
    let url = value("url", ours.map(|account| account.url.as_str()))?;
    let code = value("login_code", ours.map(|account| &*account.login_code))?;
    let passwd = value("login_passwd", ours.map(|account| &**account.login_passwd.expose()))?;
    if url.trim().is_empty() {
        return Err(Refusal::invalid("cloud.url", "enter the address of the cloud"));
    }
    let [url, code, passwd] = [url, code, passwd].map(|text| quoted(&text));
    // The reader of the configuration judges the values, as when they are saved.
    let text = format!(
        "[web]\nenable = true\n[cloud]\nurl = {url}\nlogin_code = {code}\nlogin_passwd = {passwd}\n"
    );
    let read: Config = text.parse()?;
    let theirs = read.cloud.account.as_ref();
    let place = |account: &Account| place(account.url.as_str());
    let is_encrypted = theirs.is_some_and(|account| account.url.as_str().starts_with("wss:"));
    let is_other =
        theirs.map(place) != ours.map(place) || is_encrypted && has_other_authorities(body, config);
    if !body["login_passwd"].is_string() && is_other {
        let message = "enter the password: the one that is saved is for another server, or for other authorities (CA)";
        let refusal = Refusal::invalid("cloud.login_passwd", message);
        return Err(Refusal { code: "password_needed", ..refusal });
    }
    let mut config = config.clone();
    config.cloud.account = read.cloud.account;
    Ok(config)
}

/// Whether others than those in force shall vouch for the cloud.
fn has_other_authorities(body: &Value, config: &Config) -> bool {
    match body.get("ca") {
        None => false,
        Some(Value::String(pem)) if !pem.is_empty() => !authorities::is_in_force(config, pem),
        Some(_) => config.cloud.ca_file.is_some(),
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
