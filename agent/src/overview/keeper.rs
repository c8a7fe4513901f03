//! Gathers the facts, and shows the hops that they make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ivt_base::date::Utc;
use ivt_base::task::{Blocking, spawn_blocking, work};
use ivt_hal::Stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::channel::{self, Asked, Lately};
use super::cloud::{self, Server};
use super::growth::Growth;
use super::history::{Dates, History};
use super::hop::Hop;
use super::load::Load;
use super::reading::{self, Disk};
use super::state::State;
use super::{camera, system};
use crate::alarm;
use crate::build_date;
use crate::cloud::CloudState;
use crate::cloud::login::CloudLogin;
use crate::config::Config;
use crate::reload::CurrentDevice;
use crate::shutdown::Stop;
use crate::view::View;

/// Time between two looks while somebody sees them, and while nobody does.
const SEEN: Duration = Duration::from_secs(1);
const UNSEEN: Duration = Duration::from_secs(10);
/// Time between two questions to a camera, and to the disk, while somebody looks.
const ASK: Duration = Duration::from_secs(30);
/// Most cameras that are asked at a time.
const AT_ONCE: usize = 2;
/// The clock's place among the hops to the cloud.
const CLOCK: usize = 2;
/// How long a look waits for the disk.
const DISK: Duration = Duration::from_millis(500);
/// How long who comes waits for a new look.
const FRESH: Duration = Duration::from_secs(2);

/// What the overview is made of.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) view: View,
    pub(crate) device: CurrentDevice,
    pub(crate) arming: alarm::Settings,
}

/// The overview of a running agent. Clones show the same.
#[derive(Clone)]
pub(crate) struct Overview {
    shown: watch::Sender<Arc<Vec<Value>>>,
    viewers: watch::Sender<usize>,
}

/// Somebody who looks. Dropping it ends the looking.
pub(crate) struct Viewer {
    overview: Overview,
}

impl Overview {
    /// Starts to look, until `stop` is requested.
    pub(crate) fn start(setup: Setup, tasks: &mut JoinSet<()>, stop: Stop) -> Self {
        let overview = Self { shown: watch::Sender::default(), viewers: watch::Sender::default() };
        tasks.spawn(work(Keeper::new(setup).run(overview.clone(), stop)));
        overview
    }

    /// Begins to look.
    pub(crate) fn view(&self) -> Viewer {
        self.viewers.send_modify(|viewers| *viewers += 1);
        Viewer { overview: self.clone() }
    }
}

impl Viewer {
    /// The hops of each look, from the newest on.
    pub(crate) fn hops(&self) -> watch::Receiver<Arc<Vec<Value>>> {
        self.overview.shown.subscribe()
    }

    /// The hops of a look that is made now.
    pub(crate) async fn fresh(&self) -> Arc<Vec<Value>> {
        let mut hops = self.hops();
        hops.mark_unchanged();
        self.overview.viewers.send_modify(|_| {});
        timeout(FRESH, hops.changed()).await.ok();
        let hops = hops.borrow();
        Arc::clone(&hops)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.overview.viewers.send_modify(|viewers| *viewers = viewers.saturating_sub(1));
    }
}

/// The whole of an overview as JSON: all hops, and which of them is the trouble that comes first.
pub(crate) fn whole(hops: &[Value]) -> Value {
    let is = |hop: &&Value, state: State| hop["state"] == state.name();
    let first = |state| hops.iter().find(|hop| is(hop, state));
    let trouble = first(State::Bad).or_else(|| first(State::Warn));
    let state = trouble.map_or(json!("ok"), |hop| hop["state"].clone());
    let place = |hop: &Value| json!({ "name": hop["name"], "channel": hop["channel"] });
    json!({
        "now": Utc::from(SystemTime::now()).to_string(),
        "state": state,
        "trouble": trouble.map(place),
        "hops": hops,
    })
}

struct Keeper {
    setup: Setup,
    history: History,
    growth: Growth,
    dates: Dates,
    /// What the cameras said when they were asked last.
    asked: BTreeMap<usize, Asked>,
    /// When each camera was asked last.
    asked_at: BTreeMap<usize, Instant>,
    asking: JoinSet<(usize, Asked)>,
    /// The cameras that are being asked.
    busy: BTreeSet<usize>,
    disk: Option<Disk>,
    disk_at: Option<Instant>,
    looking: Option<Blocking<Option<Disk>>>,
    load: Load,
}

impl Keeper {
    fn new(setup: Setup) -> Self {
        let (history, growth, asked, asked_at) = Default::default();
        let (asking, busy, disk, disk_at, looking, load) = Default::default();
        let dates = Dates::new();
        Self {
            setup,
            history,
            growth,
            dates,
            asked,
            asked_at,
            asking,
            busy,
            disk,
            disk_at,
            looking,
            load,
        }
    }

    async fn run(mut self, overview: Overview, mut stop: Stop) {
        let mut viewers = overview.viewers.subscribe();
        let mut cloud = self.setup.view.cloud();
        loop {
            let is_seen = *viewers.borrow_and_update() > 0;
            if !is_seen && self.setup.config.web.is_none() {
                // Without a page nobody can look, and an idle device opens no file.
                tokio::select! {
                    Ok(()) = viewers.changed() => continue,
                    () = stop.requested() => return,
                }
            }
            let hops = self.look(is_seen).await;
            overview.shown.send_replace(Arc::new(hops));
            tokio::select! {
                () = sleep(if is_seen { SEEN } else { UNSEEN }) => {}
                Ok(()) = viewers.changed() => {}
                // Since when the cloud is there or away is told to the second.
                Ok(()) = cloud.changed() => {}
                Some(done) = self.asking.join_next() => self.heard(done.ok()),
                () = stop.requested() => return,
            }
        }
    }

    fn heard(&mut self, done: Option<(usize, Asked)>) {
        match done {
            Some((number, asked)) => {
                self.busy.remove(&number);
                self.asked.insert(number, asked);
            }
            // A question that failed as such must not keep its camera from being asked again.
            None => self.busy.clear(),
        }
    }

    /// Looks once; cameras and the disk are asked only while somebody sees the answers.
    async fn look(&mut self, is_seen: bool) -> Vec<Value> {
        let now = Instant::now();
        self.dates = self.dates.renewed();
        if is_seen {
            self.ask_cameras(now);
        }
        self.ask_disk(now, is_seen).await;
        let (mut hops, mut system) = (self.cloud(now), self.system(now));
        // Certificates need a clock that is right.
        hops.insert(CLOCK, system.remove(0));
        hops.extend(system);
        for number in 0..self.setup.view.channels.len() {
            hops.extend(self.channel(number, now));
        }
        let (history, dates) = (&mut self.history, &self.dates);
        hops.iter().map(|hop| hop.json(dates.text(history.note(hop, now)))).collect()
    }

    fn cloud(&self, now: Instant) -> Vec<Hop> {
        let Setup { config, view, .. } = &self.setup;
        let (state, answered) = (*view.cloud.borrow(), *view.keepalive.borrow());
        let server = CloudLogin::of(&config.cloud).map(|login| Server {
            host: login.host,
            port: login.port,
            secure: login.secure,
        });
        let next_try = match state {
            CloudState::Waiting { until, .. } => Some(self.dates.text(until)),
            _ => None,
        };
        let facts = cloud::Facts {
            server,
            state,
            seen: view.progress.borrow().clone(),
            answered,
            last_answer: answered.map(|answered| self.dates.text(answered)),
            next_try,
            interfaces: reading::interfaces(Path::new("/")),
            address: reading::address(),
            name_servers: reading::name_servers(),
        };
        cloud::hops(&facts, now)
    }

    fn system(&mut self, now: Instant) -> Vec<Hop> {
        let Setup { config, view, .. } = &self.setup;
        let device = view.device();
        let mut grew = |name, value| self.growth.note((None, name), value, now);
        let refused = grew("refused", device.alarms.refused);
        let missed = grew("missed", device.alarms.missed);
        self.load.look(now);
        let facts = system::Facts {
            is_clock_plausible: build_date::plausible(SystemTime::now()),
            alarms: device.alarms,
            refused,
            missed,
            hosted: device.hosted,
            commands: view.hosted().map_or(0, |(_, audit)| audit.entries().len()),
            disk: self.disk,
            spool: device.spool,
            memory: reading::memory(),
            limit: config.budget.limit,
            share: self.load.share,
            load: self.load.load,
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            has_alarms: !config.channels.is_empty(),
            firmware: config.cloud.firmware_model.clone(),
        };
        system::hops(&facts, now)
    }

    fn channel(&mut self, number: usize, now: Instant) -> Vec<Hop> {
        let Setup { view, device, arming, .. } = &self.setup;
        let device = device.now();
        let (Some(handle), Some(camera)) = (view.channels.get(number), device.channels.get(number))
        else {
            return Vec::new();
        };
        let Some(seen) = view.channel(number) else { return Vec::new() };
        let sum = |count: fn(&crate::channel::RecordingStatus) -> u64| -> u64 {
            seen.recordings.iter().map(count).sum()
        };
        let mut grew = |name, value| self.growth.note((Some(number), name), value, now);
        let lately = Lately {
            gap: grew("gaps", seen.publish.gaps),
            upload: grew("uploaded", sum(|session| session.counts.uploaded)),
            loss: grew("dropped", sum(|session| session.counts.dropped.number)),
        };
        let control = camera::can_be_asked(camera)
            .then(|| self.asked.get(&number).cloned().unwrap_or_default());
        let facts = channel::Facts {
            pulls: [Stream::Main, Stream::Sub]
                .map(|stream| handle.pull(stream).state().borrow().clone()),
            control,
            is_pushed: handle.constantly().is_some(),
            alarms: camera.alarms.as_ref().map(|_| arming.enabled(number)),
            lately,
            view: seen,
        };
        channel::hops(number, &facts, now, &|moment| self.dates.text(moment))
    }

    fn ask_cameras(&mut self, now: Instant) {
        let device = self.setup.device.now();
        for (number, channel) in device.channels.iter().enumerate() {
            let is_due = self.asked_at.get(&number).is_none_or(|asked| now >= *asked + ASK);
            let is_free = !self.busy.contains(&number) && self.busy.len() < AT_ONCE;
            if is_due && is_free && camera::can_be_asked(channel) {
                self.asked_at.insert(number, now);
                self.busy.insert(number);
                let channel = channel.clone();
                self.asking.spawn(work(async move { (number, camera::ask(channel).await) }));
            }
        }
    }

    /// Asks the disk, and waits for a moment: a disk that hangs holds up nothing, and is told of as silent.
    async fn ask_disk(&mut self, now: Instant, is_seen: bool) {
        let folder: Option<PathBuf> = self.setup.config.state_dir.clone();
        let pause = if is_seen { ASK } else { 10 * ASK };
        let is_due = self.disk_at.is_none_or(|asked| now >= asked + pause);
        if self.looking.is_none()
            && is_due
            && let Some(folder) = folder
        {
            self.disk_at = Some(now);
            self.looking = Some(spawn_blocking(move || reading::disk(&folder)));
        }
        let Some(looking) = &mut self.looking else { return };
        match timeout(DISK, looking).await {
            Ok(told) => {
                self.looking = None;
                self.disk = told.ok().flatten();
            }
            Err(_) => {
                let silent = Disk { free: 0, total: 0, is_writable: true, is_silent: true };
                self.disk = Some(Disk { is_silent: true, ..self.disk.unwrap_or(silent) });
            }
        }
    }
}
