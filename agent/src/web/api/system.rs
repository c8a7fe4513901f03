//! `/api/v1/system`: what the program is, and starting it, a camera or the device anew.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use futures::FutureExt as _;
use hyper::StatusCode;
use ivt_base::date::Utc;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::build_date::BUILT;
use crate::console::Console;
use crate::deadlines::CAMERA;
use crate::overview::told;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/system", |call| system(call).boxed()),
    Route::post("/api/v1/system/restart", |call| restart(call).boxed()),
    Route::post("/api/v1/channels/{channel}/restart", |call| reboot(call).boxed()),
];

/// When this program was asked for the first time, which is soon after its start.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

async fn system(call: Call) -> Result<Reply, Refusal> {
    Ok(Reply::json(&versions(call.site.console().ok().as_deref())))
}

/// The program, the device, and which cameras can be restarted.
pub(super) fn versions(console: Option<&Console>) -> Value {
    let built = UNIX_EPOCH + Duration::from_secs(BUILT);
    let config = console.map(|console| &console.config);
    let device = console.map(|console| console.device.now());
    let cameras = device.iter().flat_map(|device| device.channels.iter().enumerate());
    let restartable: Vec<_> =
        cameras.filter(|(_, camera)| camera.power.is_some()).map(|(number, _)| number).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "built": Utc::from(built).to_string(),
        "platform": format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
        "hardware_model": config.map(|config| &config.cloud.hardware_model),
        "firmware_model": config.map(|config| &config.cloud.firmware_model),
        "running_seconds": START.elapsed().as_secs(),
        "is_running": console.is_some(),
        "channels": config.map_or(0, |config| config.channels.len()),
        "restartable_channels": restartable,
    })
}

/// Starts the agent anew; the page stays.
async fn restart(call: Call) -> Result<Reply, Refusal> {
    log::info!("the page asks for a restart of the agent");
    call.site.control.restart();
    Ok(Reply::nothing().with_status(StatusCode::ACCEPTED))
}

/// Restarts the camera of a channel, which is the device itself where the agent runs in the camera.
async fn reboot(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let number = call.number("channel")?;
    let device = console.device.now();
    let camera = device.channels.get(number).ok_or_else(Refusal::not_found)?;
    let power = camera.power.clone();
    let cannot = || Refusal::unsupported("this camera cannot be restarted from here");
    let power = power.ok_or_else(cannot)?;
    log::info!("channel {number}: restarting its camera, as the page asks");
    match timeout(CAMERA, power.reboot()).await {
        Ok(Ok(())) => Ok(Reply::nothing().with_status(StatusCode::ACCEPTED)),
        Ok(Err(error)) => Err(Refusal::failed("camera_failed", told(&error))),
        Err(_) => Err(Refusal::failed("camera_silent", "the camera did not answer in time")),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;
    use crate::web::testing::Bench;

    const CONFIG: &str = "[web]\nenable = true\n[device]\nmodel = 'nvr'\n\
                          [[channel]]\nbackend = 'emulator'\n\
                          [[channel]]\nbackend = ['rtsp', 'linux']\nmain = 'rtsp://127.0.0.1:9/'\n\
                          reboot_command = ['/nowhere/reboot']\n";

    #[tokio::test]
    async fn the_program_says_what_it_is_and_what_can_be_restarted() {
        let bench = Bench::start(CONFIG);
        let (status, system) = bench.call(Method::GET, "/api/v1/system", "").await;
        assert_eq!((status, &system["channels"]), (StatusCode::OK, &json!(2)));
        assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
        let restartable = system["restartable_channels"].as_array().unwrap();
        assert!(restartable.contains(&json!(1)), "{system}");
    }

    #[tokio::test]
    async fn a_restart_is_asked_for() {
        let mut bench = Bench::start(CONFIG);
        let (status, _) = bench.call(Method::POST, "/api/v1/system/restart", "").await;
        assert_eq!(status, StatusCode::ACCEPTED);
        assert!(bench.reload.next().await.restart);
    }

    #[tokio::test]
    async fn a_camera_that_is_not_restarted_says_why() {
        let bench = Bench::start(CONFIG);
        let (status, _) = bench.call(Method::POST, "/api/v1/channels/7/restart", "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, error) = bench.call(Method::POST, "/api/v1/channels/1/restart", "").await;
        let code = &error["error"]["code"];
        assert_eq!((status, code), (StatusCode::BAD_GATEWAY, &json!("camera_failed")), "{error}");
    }
}
