//! Opens the spool, and uploads what sessions of an earlier run left in it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::backlog::{Backlog, BacklogOptions};
use super::clock::Anchor;
use super::service::{Service, callback_url};
use super::session::Means;
use super::spool::{Leftover, Spool};
use super::upload::{self, UploadOptions};
use crate::config;
use crate::shutdown::Stop;

/// Between two tries to open the spool: a card may be put in later.
const RETRY: Duration = Duration::from_secs(30);

/// Opens the spool, however long that takes, shows it in `opened` and uploads what is in it. Sessions
/// that come before go on in memory.
pub async fn run(
    config: config::Spool,
    means: Means,
    opened: watch::Sender<Option<Spool>>,
    mut stop: Stop,
) {
    let mut ending = stop.clone();
    let work = async {
        let (spool, leftovers) = open(config).await;
        opened.send_replace(Some(spool));
        let mut drains = JoinSet::new();
        for leftover in leftovers {
            drains.spawn(drain(leftover, means.clone(), ending.clone()));
        }
        while drains.join_next().await.is_some() {}
        // The spool lives as long as the agent.
        ending.requested().await;
    };
    tokio::select! {
        () = work => {}
        () = stop.requested() => {}
    }
}

async fn open(config: config::Spool) -> (Spool, Vec<Leftover>) {
    let mut told = false;
    loop {
        match Spool::open(config.dir.clone(), config.limit).await {
            Ok(opened) => return opened,
            Err(e) if !std::mem::replace(&mut told, true) => {
                log::warn!("recordings go on in memory alone until the spool opens: {e}");
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

async fn drain(leftover: Leftover, means: Means, mut stop: Stop) {
    let Leftover { head, shelf } = leftover;
    let name = format!("channel {}: left recording {:?}", head.channel, head.session_id);
    let Ok(callback) = callback_url(&head.cbk_url) else {
        log::warn!("{name}: its address in the spool makes no sense");
        return;
    };
    let segments = shelf.stored().len();
    log::info!("{name}: {segments} segments of an earlier run are uploaded");
    let backlog = Backlog::new(BacklogOptions {
        name,
        max_segments: 0,
        prerecord: Duration::ZERO,
        shelf: means.spool_mode.map(|mode| (shelf, mode)),
        share: None,
        anchor: Arc::new(Anchor::new(None, Instant::now(), SystemTime::now)),
    });
    backlog.close();
    let service = Service::new(means.http, callback);
    tokio::select! {
        () = upload::run(&backlog, service, UploadOptions::default(), rand::make_rng()) => {}
        () = stop.requested() => {}
    }
}
