//! GetRTMPPublishConfig and SetRTMPPublishConfig: the list of constant publishes.
//!
//! A channel publishes one stream at a time (RTMPPublish of the specification), so that a channel may be
//! enabled in one row only, RTMPPublish is answered with 12 while its row is live, and a row waits while a
//! stream of RTMPPublish runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivt_base::secret::Secret;
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{RtmpPublishConfig, SetRtmpPublishConfig};
use tokio::time::Instant;

use super::publish::{rtmp_url, stream};
use super::{codes, nth};
use crate::channel::{Handle, PublishRequest};
use crate::state::StateStore;

/// Most rows of the list.
const ROWS: usize = 256;
/// How long a list may wait for the addresses of its servers.
const LOOKUPS: Duration = Duration::from_secs(2);
/// The list's name in the state store.
const SUBJECT: &str = "publishes";

/// The list, and the channels that publish it.
#[derive(Clone)]
pub(crate) struct ConstantPublishes {
    channels: Vec<Handle>,
    store: StateStore,
    rows: Arc<Mutex<Vec<RtmpPublishConfig>>>,
}

impl ConstantPublishes {
    /// Goes on with the list that was kept. A row for a channel that the device has no longer is kept and
    /// waits.
    pub(super) fn start(channels: Vec<Handle>, store: StateStore) -> Self {
        let rows: Vec<RtmpPublishConfig> = store.read(SUBJECT).unwrap_or_default();
        for row in rows.iter().filter(|row| row.enable) {
            let number = row.channel;
            match nth(&channels, number).and_then(|handle| Ok((handle, ask(handle, row, "url")?))) {
                Ok((handle, ask)) => handle.publish_constantly(Some(ask)),
                Err(error) => log::warn!("channel {number}: the constant publish rests: {error}"),
            }
        }
        Self { channels, store, rows: Arc::new(Mutex::new(rows)) }
    }

    /// The list as it was set.
    pub(crate) fn list(&self) -> Vec<RtmpPublishConfig> {
        lock(&self.rows).clone()
    }

    /// Replaces the list. A row that is alike before and after is not interrupted.
    ///
    /// # Errors
    /// A row is wrong, or the list cannot be kept over a restart. Nothing is changed then.
    pub(crate) async fn replace(&self, request: SetRtmpPublishConfig) -> Result<(), RpcError> {
        let SetRtmpPublishConfig { list } = request;
        let mut wanted = self.check(&list).await?;
        if *lock(&self.rows) == list {
            return Ok(());
        }
        let (rows, channels, new) = (Arc::clone(&self.rows), self.channels.clone(), list.clone());
        let take_over = move || {
            let mut rows = lock(&rows);
            let (before, after) = (enabled(&rows), enabled(&new));
            for (number, handle) in (0..).zip(&channels) {
                if before.get(&number) != after.get(&number) {
                    handle.publish_constantly(wanted.remove(&number));
                }
            }
            *rows = new;
        };
        let written = self.store.write_then(SUBJECT, &list, Box::new(take_over)).await;
        written.map_err(|e| RpcError::internal(format!("the list was not changed: {e}")))
    }

    /// Checks the whole list. Returns what each channel is to publish, by its number.
    async fn check(
        &self,
        list: &[RtmpPublishConfig],
    ) -> Result<BTreeMap<u32, PublishRequest>, RpcError> {
        if list.len() > ROWS {
            return Err(RpcError::internal(format!(
                "SetRTMPPublishConfig: params: {} rows, more than {ROWS}",
                list.len()
            )));
        }
        let mut wanted = BTreeMap::new();
        // Names that nobody resolves in time are checked when they are dialled.
        let until = Instant::now() + LOOKUPS;
        for (index, row) in list.iter().enumerate() {
            let place = format!("SetRTMPPublishConfig: params[{index}]");
            let handle = nth(&self.channels, row.channel).map_err(|error| {
                RpcError::new(error.code, format!("{place}.channel: {}", error.msg))
            })?;
            if !row.enable && row.url.expose().is_empty() {
                continue;
            }
            let url_place = format!("{place}.url");
            let ask = ask(handle, row, &url_place)?;
            let url = ask.url.expose();
            if Instant::now() < until
                && let Err(refused) = handle.check(&url.host, url.port).await
            {
                let error = codes::refusal(refused);
                return Err(RpcError::new(error.code, format!("{url_place}: {}", error.msg)));
            }
            if row.enable && wanted.insert(row.channel, ask).is_some() {
                let msg = format!("{place}.channel: {} is enabled in another row", row.channel);
                return Err(RpcError::internal(msg));
            }
        }
        Ok(wanted)
    }
}

fn lock(rows: &Mutex<Vec<RtmpPublishConfig>>) -> MutexGuard<'_, Vec<RtmpPublishConfig>> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enabled(rows: &[RtmpPublishConfig]) -> BTreeMap<u32, &RtmpPublishConfig> {
    rows.iter().filter(|row| row.enable).map(|row| (row.channel, row)).collect()
}

/// What a row asks of its channel. `place` is what an error names.
fn ask(handle: &Handle, row: &RtmpPublishConfig, place: &str) -> Result<PublishRequest, RpcError> {
    let url: Secret = row.url.clone();
    Ok(PublishRequest {
        stream: stream(handle.quality(), row.quality),
        url: url.try_map(|url| rtmp_url(&url, place))?,
        stream_id: String::new(),
        max_bitrate: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::channel::testing::deaf;

    fn rows(list: serde_json::Value) -> SetRtmpPublishConfig {
        serde_json::from_value(list).unwrap()
    }

    fn row(channel: u32, url: &str) -> serde_json::Value {
        json!({ "enable": true, "channel": channel, "quality": "hd", "url": url })
    }

    fn kept() -> (tempfile::TempDir, StateStore, Vec<Handle>) {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(Some(folder.path().join("state")));
        (folder, store, vec![deaf().0, deaf().0])
    }

    #[tokio::test]
    async fn the_list_is_replaced_as_a_whole_and_found_again_by_the_next_run() {
        let (_folder, store, channels) = kept();
        let publishes = ConstantPublishes::start(channels.clone(), store.clone());
        assert!(publishes.list().is_empty());
        let off = json!({ "enable": false, "channel": 0, "quality": "ld", "url": "" });
        let two = rows(json!([row(1, "rtmp://192.0.2.1/live/key"), off]));
        publishes.replace(two.clone()).await.unwrap();
        assert_eq!(publishes.list(), two.list);
        assert_eq!(channels[1].constantly().unwrap().url.expose().host, "192.0.2.1");
        assert!(channels[0].constantly().is_none());

        let again = vec![deaf().0, deaf().0];
        let publishes = ConstantPublishes::start(again.clone(), store.clone());
        assert_eq!(publishes.list(), two.list);
        assert!(again[1].constantly().is_some());
        publishes.replace(rows(json!([]))).await.unwrap();
        assert!(again[1].constantly().is_none());
        assert!(ConstantPublishes::start(vec![deaf().0], store).list().is_empty());
    }

    #[tokio::test]
    async fn one_wrong_row_changes_nothing() {
        let (_folder, store, channels) = kept();
        let publishes = ConstantPublishes::start(channels.clone(), store);
        let good = rows(json!([row(0, "rtmp://192.0.2.1/live/key")]));
        publishes.replace(good.clone()).await.unwrap();
        let many =
            vec![json!({ "enable": false, "channel": 0, "quality": "hd", "url": "" }); ROWS + 1];
        for (list, code, word) in [
            (
                json!([row(0, "rtmp://192.0.2.1/a/b"), row(2, "rtmp://192.0.2.1/a/b")]),
                102,
                "params[1].channel",
            ),
            (json!([row(1, "http://192.0.2.1/a/secret")]), 1, "params[0].url"),
            (json!([row(1, "")]), 1, "params[0].url"),
            (json!([row(1, "rtmp://127.0.0.1/a/secret")]), 1, "params[0].url"),
            (
                json!([row(1, "rtmp://192.0.2.1/a/b"), row(1, "rtmp://192.0.2.1/a/c")]),
                1,
                "params[1]",
            ),
            (json!(many), 1, "257 rows"),
        ] {
            let error = publishes.replace(rows(list)).await.unwrap_err();
            assert_eq!(error.code, code, "{error}");
            assert!(error.msg.contains(word) && !error.msg.contains("secret"), "{error}");
            assert_eq!(publishes.list(), good.list);
            assert!(channels[0].constantly().is_some() && channels[1].constantly().is_none());
        }
    }

    #[tokio::test]
    async fn a_list_that_cannot_be_kept_is_refused() {
        let publishes = ConstantPublishes::start(vec![deaf().0], StateStore::default());
        let list = rows(json!([row(0, "rtmp://192.0.2.1/live/key")]));
        let error = publishes.replace(list).await.unwrap_err();
        assert!(error.code == 1 && error.msg.contains("device.state_dir"), "{error}");
        assert!(publishes.list().is_empty());
    }

    #[tokio::test]
    async fn a_list_is_kept_and_published_also_when_nobody_waits_for_the_answer() {
        let (_folder, store, channels) = kept();
        let publishes = ConstantPublishes::start(channels.clone(), store.clone());
        let list = rows(json!([row(0, "rtmp://192.0.2.1/live/key")]));
        tokio::select! {
            biased;
            _ = publishes.replace(list.clone()) => panic!("the disk is written by another thread"),
            () = std::future::ready(()) => {}
        }
        let taken_over = async {
            while publishes.list() != list.list {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), taken_over).await.unwrap();
        assert_eq!(store.read(SUBJECT), Some(list.list));
        assert!(channels[0].constantly().is_some());
    }
}
