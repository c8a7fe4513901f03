//! `/healthz`: whether the process serves, for whoever supervises it.

use futures::FutureExt as _;

use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[Route::get("/healthz", |call| health(call).boxed()).public()];

async fn health(_: Call) -> Result<Reply, Refusal> {
    Ok(Reply::bytes("text/plain; charset=utf-8", "ok\n"))
}
