//! Where the page is, and the confirmation of a move.

use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::Web;
use crate::web::call::Call;
use crate::web::moves::Phase;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::sockets;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/web", |call| place(call).boxed()),
    Route::post("/api/v1/web/confirm", |call| confirm(call).boxed()),
];

async fn place(call: Call) -> Result<Reply, Refusal> {
    // Where the system has chosen the port, it is the one that was called.
    let urls = |web: &Web| match sockets::port(web, &[]) {
        0 => sockets::urls(web, call.way.port),
        port => sockets::urls(web, port),
    };
    let phase = call.site.moves.phase();
    let (trial, taken_back) = match &phase {
        Phase::Trial { web, until } => {
            let left = until.saturating_duration_since(Instant::now()).as_secs();
            let here = call.way.is_on_trial;
            (json!({ "seconds": left, "here": here, "urls": urls(web) }), None)
        }
        Phase::TakenBack(reason) => (Value::Null, Some(reason)),
        Phase::Still | Phase::Announced(_) => (Value::Null, None),
    };
    let web = call.site.web();
    Ok(Reply::json(&json!({
        "urls": web.as_ref().map(urls).unwrap_or_default(),
        "https": call.way.is_secure,
        "trial": trial,
        "taken_back": taken_back,
    })))
}

async fn confirm(call: Call) -> Result<Reply, Refusal> {
    call.site.moves.confirm(call.way.is_on_trial).await?;
    Ok(Reply::nothing())
}
