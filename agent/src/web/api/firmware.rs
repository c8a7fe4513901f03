//! `/api/v1/firmware`: which firmware runs, an image that is uploaded, and what becomes of it.

use futures::{FutureExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::header::CONTENT_LENGTH;
use ivt_base::date::Utc;
use serde_json::{Value, json};

use super::network::lacking;
use crate::config::Place;
use crate::console::Console;
use crate::firmware::{self, Seen, Upgrades, Wish, Work};
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/firmware", |call| seen(call).boxed()),
    Route::post("/api/v1/firmware/check", |call| check(call).boxed()),
    Route::post("/api/v1/firmware/signature", |call| signature(call).boxed()).of_file(),
    Route::post("/api/v1/firmware/image", |call| image(call).boxed()).of_file(),
    Route::post("/api/v1/firmware/keep", |call| wish(call, Wish::Stay).boxed()),
    Route::post("/api/v1/firmware/rollback", |call| wish(call, Wish::GoBack).boxed()),
];

/// Longest file of a signature, in bytes.
const SIGNATURE: usize = 4096;

async fn seen(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let config = &console.config;
    // The rules may have changed since the agent was started.
    let store = call.site.control.store().clone();
    let read = ivt_base::task::spawn_blocking(move || store.load()).await;
    let rules = match read {
        Ok(Ok(read)) => read.firmware.rules,
        _ => config.firmware.rules.clone(),
    };
    let (backend, started) = match &config.firmware.place {
        None => ("none", None),
        Some(Place::Slots { started, .. }) => ("slots", started.clone()),
        Some(Place::Programs { .. }) => ("command", None),
    };
    let slot = match started {
        Some(file) => tokio::fs::read_to_string(file).await.ok(),
        None => None,
    };
    let slot = slot.as_deref().map(str::trim).filter(|slot| ["a", "b"].contains(slot));
    let seen = console.upgrades.as_ref().map(|upgrades| upgrades.orders().seen());
    Ok(Reply::json(&json!({
        "version": config.cloud.firmware_model,
        "agent_version": env!("CARGO_PKG_VERSION"),
        "model": rules.model.as_ref().unwrap_or(&config.cloud.hardware_model),
        "backend": backend,
        "slot": slot,
        "keys": rules.keys.len(),
        "allow_unsigned": rules.allow_unsigned,
        "max_bytes": rules.max_size,
        "commit_seconds": rules.commit.as_secs(),
        "rollback_seconds": rules.rollback.as_secs(),
        "task": seen.map(task),
    })))
}

async fn check(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    upgrades(&console)?.orders().check().map_err(refused)?;
    Ok(Reply::nothing().with_status(StatusCode::ACCEPTED))
}

async fn signature(mut call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let upgrades = upgrades(&console)?;
    let file = call.bytes(SIGNATURE).await?;
    let manifest = upgrades.orders().judge(file.to_vec()).await.map_err(refused)?;
    Ok(Reply::json(&json!({
        "model": manifest.model,
        "version": manifest.version,
        "counter": manifest.counter,
        "bytes": manifest.size,
        "last_day": manifest.last_day(),
    })))
}

async fn image(mut call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let upgrades = upgrades(&console)?;
    let signature = call.query("signature").unwrap_or_default().into_bytes();
    if signature.len() > SIGNATURE {
        return Err(Refusal::invalid("signature", "the file of a signature has 4 KiB at most"));
    }
    let size = call.parts.headers.get(CONTENT_LENGTH);
    let size = size.and_then(|size| size.to_str().ok()?.parse().ok());
    let body = std::mem::take(&mut call.body);
    let bytes = body.into_data_stream().map_err(std::io::Error::other);
    let taken = upgrades.orders().take(signature, size, Box::pin(bytes)).await;
    let version = taken.map_err(refused)?;
    Ok(Reply::json(&json!({ "version": version })).with_status(StatusCode::ACCEPTED))
}

async fn wish(call: Call, wish: Wish) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    match upgrades(&console)?.orders().wish(wish) {
        true => Ok(Reply::nothing().with_status(StatusCode::ACCEPTED)),
        false => Err(Refusal::conflict("no_firmware_trial", "no firmware is on trial")),
    }
}

fn upgrades(console: &Console) -> Result<&Upgrades, Refusal> {
    console.upgrades.as_ref().ok_or_else(|| {
        lacking("no_firmware", "this device takes no firmware here: firmware.backend is \"none\"")
    })
}

fn refused(refusal: firmware::Refusal) -> Refusal {
    let (code, message) = (refusal.code(), refusal.to_string());
    match refusal {
        firmware::Refusal::Busy | firmware::Refusal::OnTrial => Refusal::conflict(code, message),
        firmware::Refusal::Device(_) => Refusal::failed(code, message),
        _ => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message),
    }
}

fn task(seen: Seen) -> Value {
    let Seen { work, running, installed, attempts } = seen;
    let (bytes, size) = match work {
        Work::Upload { bytes, size } => (Some(bytes), Some(size)),
        _ => (None, None),
    };
    let attempts = attempts.into_iter().rev().map(|attempt| {
        let (outcome, code, message) = match attempt.outcome {
            Ok(outcome) => (outcome, None, None),
            Err((code, message)) => ("refused", Some(code), Some(message)),
        };
        json!({
            "at": Utc::from(attempt.at).to_string(),
            "by": attempt.by,
            "version": attempt.version,
            "outcome": outcome,
            "code": code,
            "message": message,
        })
    });
    let attempts: Vec<_> = attempts.collect();
    json!({
        "state": work.word(),
        "bytes": bytes,
        "of_bytes": size,
        "running": running.map(|it| json!({ "trial": it.trial, "counter": it.counter, "failed": it.failed })),
        "installed": installed.map(|(version, counter, failed)| {
            json!({ "version": version, "counter": counter, "failed": failed })
        }),
        "attempts": attempts,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use hyper::Method;
    use tokio::time::sleep;

    use super::*;
    use crate::web::testing::{Bench, slots};

    const PAGE: &str = "[web]\nenable = true\n";

    async fn told(bench: &Bench) -> Value {
        let (status, told) = bench.call(Method::GET, "/api/v1/firmware", "").await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told
    }

    #[tokio::test]
    async fn a_device_that_takes_no_firmware_says_so() {
        let bench = Bench::start(PAGE);
        let seen = told(&bench).await;
        assert_eq!((&seen["backend"], &seen["task"]), (&json!("none"), &Value::Null));
        for path in ["check", "signature", "image", "keep", "rollback"] {
            let path = format!("/api/v1/firmware/{path}");
            let (status, error) = bench.call(Method::POST, &path, "x").await;
            let code = &error["error"]["code"];
            assert_eq!((status, code), (StatusCode::NOT_IMPLEMENTED, &json!("no_firmware")));
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_told_with_its_code_and_remembered() {
        let device = tempfile::tempdir().unwrap();
        let slots = slots(device.path());
        let bench = Bench::start(&format!("{PAGE}[cloud]\nhardware_model = 'IPC-1'\n{slots}"));
        for (path, body, status, code) in [
            ("signature", "none", 422, "firmware_no_signature"),
            ("image?signature=none", "image", 422, "firmware_no_signature"),
            ("image", "image", 422, "firmware_unsigned"),
            ("keep", "", 409, "no_firmware_trial"),
            ("rollback", "", 409, "no_firmware_trial"),
        ] {
            while told(&bench).await["task"]["state"] != "idle" {
                sleep(Duration::from_millis(5)).await;
            }
            let path = format!("/api/v1/firmware/{path}");
            let (found, error) = bench.call(Method::POST, &path, body).await;
            assert_eq!((found.as_u16(), &error["error"]["code"]), (status, &json!(code)));
        }
        let seen = told(&bench).await;
        assert_eq!(
            (&seen["slot"], &seen["keys"], &seen["max_bytes"]),
            (&json!("a"), &json!(0), &json!(1000))
        );
        assert_eq!(seen["task"]["attempts"][0]["code"], "firmware_unsigned");
        assert_eq!(seen["task"]["attempts"][1]["code"], "firmware_no_signature");
        assert_eq!(fs::read(device.path().join("b")).unwrap(), b"what the device was made with");
    }
}
