//! `/api/v1/channels/{channel}`: removes a channel. A channel is added and changed by its settings.

use futures::FutureExt as _;
use ivt_base::task::spawn_blocking;
use serde_json::Value;

use super::settings::{applied, list, lost, outdated, refusal};
use crate::state::StateStore;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] =
    &[Route::delete("/api/v1/channels/{channel}", |call| remove(call).boxed())];

/// Subjects of the state store whose rows have the number of a channel.
const NUMBERED: [&str; 2] = ["alarms", "publishes"];

/// Takes a channel out of the settings; those behind it move up, and so does what is kept of them.
async fn remove(call: Call) -> Result<Reply, Refusal> {
    let number = call.number("channel")?;
    let version = call.query("version");
    let version = version
        .ok_or_else(|| Refusal::invalid("version", "must be the version that GET settings told"))?;
    let store = StateStore::clone(&call.site.console()?.store);
    let (control, seen) = (call.site.control.clone(), version.clone());
    let turn = call.turn().await?;
    // What is written is applied, also if the browser goes meanwhile.
    let written = ivt_base::task::spawn(async move {
        let _turn = turn;
        let kept = control.clone();
        let removed = move || kept.store().remove_channel(number, Some(&seen));
        let Ok(removed) = spawn_blocking(removed).await else { return None };
        if removed.is_ok() {
            renumber(&store, number as u64).await;
        }
        Some(removed.map(|changed| applied(&control, &changed)))
    });
    match written.await.ok().flatten().ok_or_else(lost)? {
        Ok(applied) => {
            let listing = list(&call.site).await?;
            call.site.seen.note(&listing);
            Ok(Reply::json(&applied))
        }
        Err(crate::settings::Error::Outdated) => outdated(&call.site, &version).await,
        Err(crate::settings::Error::Edit { .. }) => Err(Refusal::not_found()),
        Err(error) => Err(refusal(&error, &[])),
    }
}

/// Drops what is kept of a channel that is gone, and gives what is kept of those behind it their new numbers.
pub(super) async fn renumber(store: &StateStore, gone: u64) {
    for subject in NUMBERED {
        let kept = store.clone();
        let read = spawn_blocking(move || kept.read::<Vec<Value>>(subject)).await;
        let Some(rows) = read.ok().flatten() else { continue };
        let moved = rows.iter().filter_map(|row| match row["channel"].as_u64() {
            Some(number) if number == gone => None,
            Some(number) if number > gone => {
                let mut row = row.clone();
                row["channel"] = (number - 1).into();
                Some(row)
            }
            _ => Some(row.clone()),
        });
        let moved: Vec<_> = moved.collect();
        if moved != rows
            && let Err(e) = store.write(subject, &moved).await
        {
            log::warn!("{subject}: they are still those of the channels as they were: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};
    use serde_json::json;

    use crate::web::testing::Bench;

    const TWO: &str = "[web]\nenable = true\n[device]\nmodel = 'nvr'\n\
                       [[channel]]\nbackend = 'emulator'\n[[channel]]\nbackend = 'emulator'\nquality.hd = 'sub'\n";

    async fn version(bench: &Bench) -> String {
        let (_, settings) = bench.call(Method::GET, "/api/v1/settings", "").await;
        settings["version"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_channel_is_removed_and_those_behind_it_keep_what_is_theirs() {
        let mut bench = Bench::start(TWO);
        let store = bench.agent.console().store;
        let row = |channel: u32| {
            let url = format!("rtmp://192.0.2.1/a/Rem0ved-{channel}");
            json!({ "enable": true, "channel": channel, "quality": "hd", "url": url })
        };
        store.write("publishes", &[row(0), row(1), row(7)]).await.unwrap();
        let version = version(&bench).await;
        let path =
            |number: &str, version: &str| format!("/api/v1/channels/{number}?version={version}");
        for (path, status) in [
            (path("0", "other"), StatusCode::CONFLICT),
            (path("2", &version), StatusCode::NOT_FOUND),
            (path("18446744073709551615", &version), StatusCode::NOT_FOUND),
            (path("x", &version), StatusCode::NOT_FOUND),
            ("/api/v1/channels/0".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        ] {
            assert_eq!(bench.call(Method::DELETE, &path, "").await.0, status, "{path}");
        }
        let (status, answer) = bench.call(Method::DELETE, &path("0", &version), "").await;
        assert_eq!((status, &answer["restarted"]), (StatusCode::OK, &json!(true)), "{answer}");
        let news = bench.reload.next().await;
        assert!(news.restart && news.config.channels.len() == 1);
        let rows: Vec<serde_json::Value> = store.read("publishes").unwrap();
        let channels: Vec<_> = rows.iter().map(|row| row["channel"].clone()).collect();
        assert_eq!(channels, [json!(0), json!(6)]);
        assert_eq!(rows[0]["url"], row(1)["url"]);
    }
}
