//! One channel: a camera, its live stream and its recording.
//!
//! ```text
//! requests ─▶ Handle ─┬▶ live       one task: the live stream, its retries, its server
//!                     └▶ recording  one task: the session that records, and those being uploaded
//!             reachability          asks the camera while no stream of it is pulled
//! status ◀── StatusSource ◀── one watch of each of them
//! ```

mod bitrate;
mod link;
mod live;
mod opener;
mod reachability;
mod recording;
mod recordings;
mod request;
mod status;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join4;
use ivt_base::address_rule::AddressRule;
use ivt_base::task::work;
use ivt_hal::{Encoder, Stream};
use ivt_media::publish::PublishStats;
use ivt_media::pull::PullConfig;
use ivt_media::stats::StreamStats;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::backend::Backend;
use crate::config::{self, QualityMap};
use crate::record::context::RecordingContext;
use crate::shutdown::Stop;
use crate::tls::TrustStore;

pub use self::link::Link;
pub(crate) use self::link::lost;
pub use self::reachability::Reachability;
pub use self::recordings::RecordingStatus;
pub use self::request::{PublishRequest, RecordRequest, Refusal};
pub use self::status::{Status, StatusSource};

use self::live::{LiveHandle, LiveSetup, LiveTask};
use self::opener::Terms;
use self::recording::{RecordingHandle, RecordingSetup, RecordingTask};
use self::streams::Streams;

/// How long a check waits for the addresses of a server.
const ADDRESS_CHECK: Duration = Duration::from_millis(500);

/// What a channel is made of.
pub struct Setup {
    /// The channel's number.
    pub number: usize,
    /// The channel's camera.
    pub encoder: Arc<dyn Encoder>,
    /// The channel's part of the configuration.
    pub config: config::Channel,
    /// Bytes of each of the channel's rings while key frames need no larger ones.
    pub ring_bytes: usize,
    /// How streams are kept up.
    pub publish: config::Publish,
    /// The certificates that `rtmps` servers are checked against.
    pub trust: TrustStore,
    /// Which servers the cloud may name.
    pub rule: AddressRule,
    /// What every recording needs from outside of its channel.
    pub context: RecordingContext,
    /// Whether the device is connected to the cloud.
    pub link: watch::Receiver<Link>,
    /// Whether the live stream ends when the connection to the cloud is lost.
    pub stop_with_link: bool,
}

/// Speaks to a channel's tasks, and reads what they show.
#[derive(Clone)]
pub struct Handle {
    live: LiveHandle,
    recording: RecordingHandle,
    reachability: watch::Receiver<Reachability>,
    alarm: watch::Sender<u32>,
    constant: watch::Sender<Option<PublishRequest>>,
    quality: QualityMap,
    streams: Arc<Streams>,
    terms: Terms,
    rule: AddressRule,
}

impl Setup {
    /// Starts the channel's tasks within `tasks`; they end when `stop` is requested.
    pub fn spawn(self, tasks: &mut JoinSet<()>, stop: Stop) -> Handle {
        let Self { number, encoder, config, context, link, trust, rule, .. } = self;
        let terms = Terms::new(&config.backend, trust.clone());
        let streams = Arc::new(Streams::new(&encoder, &terms, |stream| PullConfig {
            name: format!("channel {number} {stream}"),
            ring_bytes: self.ring_bytes,
            // A ring with a configured size does not grow.
            reserve: config.ring_bytes.is_none().then(|| context.budget.reserve()),
            linger: self.publish.linger,
        }));
        for stream in &config.always_on {
            streams.of(*stream).keep_warm(true);
        }
        let constant = watch::Sender::new(None);
        let (live_task, live) = LiveTask::new(LiveSetup {
            number,
            encoder: Arc::clone(&encoder),
            streams: Arc::clone(&streams),
            trust,
            rule: rule.clone(),
            retry: self.publish.retry,
            link: link.clone(),
            stop_with_link: self.stop_with_link,
            constant: constant.subscribe(),
        });
        let (recording_task, recording) = RecordingTask::new(RecordingSetup {
            number,
            encoder: Arc::clone(&encoder),
            streams: Arc::clone(&streams),
            context,
            link,
        });
        let pulls = [Stream::Main, Stream::Sub].map(|stream| streams.of(stream).state());
        let (shown, reachability) = watch::channel(Reachability::Unknown);
        let alarm = watch::Sender::new(0);
        let quality = config.quality;
        let handle = Handle {
            live,
            recording,
            reachability,
            alarm,
            constant,
            quality,
            streams: Arc::clone(&streams),
            terms,
            rule,
        };
        tasks.spawn(work(async move {
            let mut stopping = stop.clone();
            let streams_stop = async {
                stopping.requested().await;
                streams.stop().await;
            };
            let [live_stop, recording_stop, asking_stop] =
                ["live stream", "recording", "reachability"]
                    .map(|task| stop.supervised(format_args!("{task} of channel {number}")));
            let live = live_task.run(live_stop);
            let recording = recording_task.run(recording_stop);
            let asking = reachability::observe(encoder, pulls, shown, asking_stop);
            join4(live, recording, asking, streams_stop).await;
        }));
        handle
    }
}

impl Handle {
    /// Returns once the server accepted the stream and the camera sends frames.
    ///
    /// # Errors
    /// Why the stream does not run, or not in time.
    pub async fn publish(&self, ask: PublishRequest) -> Result<(), Refusal> {
        self.live.publish(ask).await
    }

    /// Returns once no stream of this name runs.
    ///
    /// # Errors
    /// [`Refusal::Stopped`] when the agent ends.
    pub async fn stop(&self, stream_id: String) -> Result<(), Refusal> {
        self.live.stop(stream_id).await
    }

    /// Publishes `ask` for ever from now on, while the cloud asks for no other stream; `None` publishes
    /// nothing. The name of the stream does not matter.
    pub fn publish_constantly(&self, ask: Option<PublishRequest>) {
        self.constant.send_replace(ask);
    }

    /// What is published for ever.
    #[cfg(any(test, feature = "ui"))]
    pub(crate) fn constantly(&self) -> Option<PublishRequest> {
        self.constant.borrow().clone()
    }

    /// Whether the cloud may name this server, as far as that is known within half a second: a publish is
    /// checked anyway when it connects.
    ///
    /// # Errors
    /// [`Refusal::Address`].
    pub async fn check(&self, host: &str, port: u16) -> Result<(), Refusal> {
        match timeout(ADDRESS_CHECK, self.rule.check(host, port)).await {
            Ok(Err(refused)) => Err(Refusal::Address { reason: refused.to_string() }),
            _ => Ok(()),
        }
    }

    /// Returns once the session records.
    ///
    /// # Errors
    /// Why the session does not record, or not in time.
    pub async fn record(&self, ask: RecordRequest) -> Result<(), Refusal> {
        let callback = ask.order.callback.expose();
        // An upload is checked anyway, so a slow name does not hold up the recording.
        self.check(callback.host(), callback.port()).await.inspect_err(|refused| {
            log::warn!("StartCloudRecord: cbk_url: {}", refused.reason());
        })?;
        self.recording.record(ask).await
    }

    /// Returns once no session of this name records.
    ///
    /// # Errors
    /// [`Refusal::Stopped`] when the agent ends.
    pub async fn stop_record(&self, session_id: String) -> Result<(), Refusal> {
        self.recording.stop(session_id).await
    }

    /// Which stream serves which quality.
    pub fn quality(&self) -> &QualityMap {
        &self.quality
    }

    /// Where the channel's status is read.
    pub fn status(&self) -> StatusSource {
        StatusSource {
            reachability: self.reachability.clone(),
            live: self.live.live(),
            recordings: self.recording.recordings(),
            alarm: self.alarm.subscribe(),
        }
    }

    /// Where the channel's alarms are shown, one bit per raised alarm in the Keepalive's numbering.
    /// For the one task that watches the camera's alarms.
    pub fn alarm(&self) -> watch::Sender<u32> {
        self.alarm.clone()
    }

    /// The counts of the newest publish, which may have ended.
    pub fn publish_stats(&self) -> PublishStats {
        self.live.stats()
    }

    /// The sessions whose uploads have not ended, and always the newest one; the oldest comes
    /// first.
    pub fn recordings(&self) -> Vec<RecordingStatus> {
        self.recording.recordings().borrow().sessions()
    }

    /// Takes over that the camera is configured anew: opens the running ones of the `changed`
    /// streams again, or all running ones if `backend` changes how the camera is treated.
    pub fn reload(&self, backend: &Backend, changed: &[Stream]) {
        let all = self.terms.exchange(backend);
        for stream in [Stream::Main, Stream::Sub] {
            if all || changed.contains(&stream) {
                self.streams.of(stream).reopen();
            }
        }
    }

    /// The pull of a stream, for further readers.
    #[cfg(feature = "ui")]
    pub(crate) fn pull(&self, stream: Stream) -> Arc<ivt_media::pull::Pull> {
        Arc::clone(self.streams.of(stream))
    }

    /// The statistics of a stream.
    pub fn stats(&self, stream: Stream) -> StreamStats {
        self.streams.of(stream).stats()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    use std::time::Duration;

    use ivt_hal::emulator::Emulator;
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::recordings::Recordings;
    use super::*;
    use crate::tls::TrustStore;

    /// The owners of one channel's status, played by a test.
    pub(crate) struct Owners {
        reachability: watch::Sender<Reachability>,
        live: watch::Sender<Option<String>>,
        recordings: watch::Sender<Recordings>,
        alarm: watch::Sender<u32>,
    }

    impl Owners {
        pub(crate) fn new(status: &Status) -> Self {
            let Status { reachability, live, recording, alarm } = status.clone();
            Self {
                reachability: watch::Sender::new(reachability),
                live: watch::Sender::new(live),
                recordings: watch::Sender::new(Recordings::of_session(recording)),
                alarm: watch::Sender::new(alarm),
            }
        }

        pub(crate) fn source(&self) -> StatusSource {
            StatusSource {
                reachability: self.reachability.subscribe(),
                live: self.live.subscribe(),
                recordings: self.recordings.subscribe(),
                alarm: self.alarm.subscribe(),
            }
        }

        pub(crate) fn show_reachability(&self, now: Reachability) {
            self.reachability.send_replace(now);
        }

        pub(crate) fn show_live(&self, now: Option<String>) {
            self.live.send_replace(now);
        }

        pub(crate) fn show_recording(&self, now: Option<String>) {
            self.recordings.send_replace(Recordings::of_session(now));
        }

        pub(crate) fn show_alarm(&self, now: u32) {
            self.alarm.send_replace(now);
        }
    }

    /// A handle whose requests arrive in the inbox and are never answered.
    pub(crate) fn deaf() -> (Handle, impl Sized) {
        unserved()
    }

    /// A channel whose first publish is live after `delay`. Its task then tells whether anybody
    /// still waited.
    pub(crate) fn slow(delay: Duration) -> (Handle, JoinHandle<bool>) {
        let (handle, mut inboxes) = unserved();
        let task = ivt_base::task::spawn(async move {
            let Some(live::Request::Publish(_, answer)) = inboxes.0.recv().await else {
                panic!("a publish comes first");
            };
            sleep(delay).await;
            answer.send(Ok(())).is_ok()
        });
        (handle, task)
    }

    type Inboxes = (mpsc::Receiver<live::Request>, mpsc::Receiver<recording::Request>);

    fn unserved() -> (Handle, Inboxes) {
        let ((live, requests), (recording, orders)) =
            (LiveHandle::unserved(), RecordingHandle::unserved());
        let emulator: Arc<dyn Encoder> = Arc::new(Emulator::default());
        let trust = TrustStore::new(None).expect("no file is read");
        let terms = Terms::new(&Backend::unknown(), trust);
        let streams = Arc::new(Streams::new(&emulator, &terms, |_| PullConfig::default()));
        let (main, sub) = (Stream::Main, Stream::Sub);
        let quality = QualityMap { ld: sub, sd: sub, hd: main, fhd: main };
        let reachability = watch::channel(Reachability::Unknown).1;
        let alarm = watch::Sender::new(0);
        (
            Handle {
                live,
                recording,
                reachability,
                alarm,
                constant: watch::Sender::new(None),
                quality,
                streams,
                terms,
                rule: AddressRule::default(),
            },
            (requests, orders),
        )
    }
}
