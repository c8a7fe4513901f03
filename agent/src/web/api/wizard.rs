//! `/api/v1/wizard`: whether a technician is led through the setup.

use futures::FutureExt as _;
use ivt_base::task::spawn_blocking;
use serde_json::{Value, json};

use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/wizard", |call| read(call).boxed()),
    Route::post("/api/v1/wizard", |call| skip(call).boxed()),
];

/// Where it is kept that nobody wants to be led.
const SUBJECT: &str = "wizard";

async fn read(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let config = &console.config;
    let has_camera = !config.channels.is_empty();
    let has_account = config.cloud.account.is_some();
    let store = console.store.clone();
    let kept = spawn_blocking(move || store.read::<Value>(SUBJECT)).await.ok().flatten();
    let skipped = kept.is_some_and(|kept| kept["skipped"] == true);
    Ok(Reply::json(&json!({
        "finished": skipped || (has_camera && has_account),
        "has_camera": has_camera,
        "has_account": has_account,
    })))
}

async fn skip(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    let skipped = body["skipped"].as_bool();
    let skipped = skipped.ok_or_else(|| Refusal::invalid("skipped", "must be true or false"))?;
    let console = call.site.console()?;
    let turn = call.turn().await?;
    let kept = Box::new(move || drop(turn));
    let written = console.store.write_then(SUBJECT, &json!({ "skipped": skipped }), kept).await;
    written.map_err(|e| Refusal::unavailable("not_kept", e.to_string()))?;
    Ok(Reply::nothing())
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};

    use crate::web::testing::Bench;

    const PATH: &str = "/api/v1/wizard";
    const PAGE: &str = "[web]\nenable = true\n";

    #[tokio::test]
    async fn a_blank_device_leads_through_its_setup_until_that_is_done_or_skipped() {
        let camera = "[[channel]]\nbackend = 'emulator'\n";
        let cloud =
            "[cloud]\nurl = 'ws://127.0.0.1:9/'\nlogin_code = 'c'\nlogin_passwd = 'W1zard-0'\n";
        for (config, finished) in [
            (PAGE.to_owned(), false),
            (format!("{PAGE}{camera}"), false),
            (format!("{cloud}{PAGE}"), false),
            (format!("{cloud}{PAGE}{camera}"), true),
        ] {
            let bench = Bench::start(&config);
            let (status, answer) = bench.call(Method::GET, PATH, "").await;
            assert_eq!(
                (status, &answer["finished"]),
                (StatusCode::OK, &finished.into()),
                "{config}"
            );
        }
        let bench = Bench::start(PAGE);
        let wrong = bench.call(Method::POST, PATH, "{}").await;
        assert_eq!(wrong.1["error"]["field"], "skipped");
        let (status, _) = bench.call(Method::POST, PATH, "{\"skipped\":true}").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(bench.call(Method::GET, PATH, "").await.1["finished"], true);
    }
}
