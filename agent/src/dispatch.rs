//! Takes requests and events of the cloud to their handlers, one file per family of methods.
//! `codes` turns our errors into codes of the wire.

mod alarm;
mod codes;
mod constant;
mod events;
mod hourly;
mod network;
mod ptz;
mod publish;
mod reboot;
mod record;
mod refusals;
#[cfg(any(feature = "alarms", feature = "linux"))]
mod time;
#[cfg(feature = "ui")]
mod unowned;
#[cfg(any(feature = "alarms", feature = "linux"))]
mod wifi;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ivt_proto::rpc::message::{Call, to_value};
use ivt_proto::rpc::{RpcError, Subject};
use serde_json::{Value, json};
use tokio::sync::oneshot;
#[cfg(any(feature = "alarms", feature = "linux"))]
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::channel::Handle;
#[cfg(any(feature = "alarms", feature = "linux"))]
use crate::channel::Link;
#[cfg(any(feature = "alarms", feature = "linux"))]
use crate::config::{ClockSteps, Network};
use crate::deadlines::{CAMERA, HANDLER, START_HANDLER};
#[cfg(feature = "ui")]
use crate::owner::Owner;
use crate::ptz::Remote;
use crate::reload::CurrentDevice;
use crate::state::StateStore;
use events::Events;
use hourly::Hourly;
use refusals::{About, Refusals};

pub(crate) use constant::ConstantPublishes;
pub use events::EventCounts;
#[cfg(feature = "ui")]
pub(crate) use network::{fits_password, fits_ssid, interfaces_of};
#[cfg(feature = "ui")]
pub(crate) use time::{ByHand, Clocks, Wanted};
#[cfg(feature = "ui")]
pub(crate) use wifi::{Changes as WifiChanges, Confirmed, Seen as WifiSeen};

/// Is ready once an answer was written to the cloud; an error tells that the connection is gone and the answer
/// was not written. For work that must not begin before.
pub type Departure = oneshot::Receiver<()>;

/// Serves the cloud's requests and events.
pub struct Dispatch {
    /// The hardware, as it is configured at the moment.
    device: CurrentDevice,
    /// The tasks that publish and record the channels of `device`, in the same order.
    channels: Vec<Handle>,
    /// The tasks that move the cameras of `device`, in the same order.
    remotes: Vec<Remote>,
    reboots: Hourly,
    #[cfg(any(feature = "alarms", feature = "linux"))]
    wifi: wifi::Changes,
    events: Arc<Events>,
    #[cfg(any(feature = "alarms", feature = "linux"))]
    clocks: Arc<time::Clocks>,
    constant: ConstantPublishes,
    refusals: Refusals,
    /// Who sets the device up.
    #[cfg(feature = "ui")]
    owner: Owner,
    /// Asks for a new firmware, where the device can take one.
    #[cfg(feature = "update")]
    upgrades: Option<crate::firmware::Upgrades>,
    /// Where it is kept when alarms are reported.
    #[cfg(feature = "alarms")]
    alarms: Option<crate::alarm::Settings>,
}

impl Dispatch {
    /// Serves `device` and the tasks of its channels; the index is the channel's number on the wire.
    /// Begins the constant publishes that `store` has kept.
    pub(crate) fn new(
        device: CurrentDevice,
        channels: Vec<Handle>,
        remotes: Vec<Remote>,
        store: StateStore,
    ) -> Self {
        let constant = ConstantPublishes::start(channels.clone(), store.clone());
        #[cfg(any(feature = "alarms", feature = "linux"))]
        let wifi = wifi::Changes::new(device.clone(), store.clone());
        let reboots = Hourly::kept(reboot::SUBJECT, store, reboot::wall());
        let (events, refusals): (Arc<Events>, _) = Default::default();
        #[cfg(any(feature = "alarms", feature = "linux"))]
        let clocks = time::Clocks::new(device.clone(), events.clone()).into();
        Self {
            device,
            channels,
            remotes,
            constant,
            reboots,
            events,
            refusals,
            #[cfg(feature = "ui")]
            owner: Owner::default(),
            #[cfg(any(feature = "alarms", feature = "linux"))]
            wifi,
            #[cfg(any(feature = "alarms", feature = "linux"))]
            clocks,
            #[cfg(feature = "update")]
            upgrades: None,
            #[cfg(feature = "alarms")]
            alarms: None,
        }
    }

    /// The list of constant publishes.
    #[cfg(feature = "ui")]
    pub(crate) fn publishes(&self) -> ConstantPublishes {
        self.constant.clone()
    }

    /// Serves what sets the device up while `owner` is there.
    #[cfg(feature = "ui")]
    #[must_use]
    pub(crate) fn for_owner(self, owner: Owner) -> Self {
        Self { owner, ..self }
    }

    /// Lets SyncTime move clocks as far as `steps` says, and tells `alarms` of it.
    #[cfg(any(feature = "alarms", feature = "linux"))]
    #[must_use]
    pub(crate) fn with_clocks(
        self,
        steps: ClockSteps,
        #[cfg(feature = "alarms")] alarms: crate::alarm::Settings,
    ) -> Self {
        let (device, events) = (self.device.clone(), self.events.clone());
        let clocks = time::Clocks::new(device, events).with_steps(steps);
        #[cfg(feature = "alarms")]
        let clocks = clocks.telling(alarms);
        Self { clocks: clocks.into(), ..self }
    }

    /// Takes UpgradeFirmware to `upgrades`.
    #[cfg(feature = "update")]
    pub(crate) fn with_upgrades(self, upgrades: Option<crate::firmware::Upgrades>) -> Self {
        Self { upgrades, ..self }
    }

    /// Keeps in `alarms` how the cloud sets up the cameras' detections.
    #[cfg(feature = "alarms")]
    pub(crate) fn keeping(mut self, alarms: crate::alarm::Settings) -> Self {
        self.alarms = Some(alarms);
        self
    }

    /// Judges changes of wireless networks by `link`, and goes on with those that were on trial when the agent ended.
    #[cfg(any(feature = "alarms", feature = "linux"))]
    #[must_use]
    pub(crate) fn with_wifi(mut self, link: watch::Receiver<Link>, config: Network) -> Self {
        self.wifi.start(link, config);
        self
    }

    /// The changes of wireless networks, for a person beside the device.
    #[cfg(feature = "ui")]
    pub(crate) fn wifi_changes(&self) -> WifiChanges {
        self.wifi.clone()
    }

    /// The clocks, for a person beside the device.
    #[cfg(feature = "ui")]
    pub(crate) fn clocks(&self) -> Arc<Clocks> {
        self.clocks.clone()
    }

    /// The answer to one request. The work is given up when it takes longer than the limit for its
    /// kind of request, or when `until` has passed. `departure` tells when the answer has left.
    ///
    /// # Errors
    ///
    /// The error to answer with; the log was told already.
    pub async fn answer(
        &self,
        call: Call,
        subject: Subject,
        until: Instant,
        departure: Departure,
    ) -> Result<Value, RpcError> {
        let about = About { method: call.method().to_owned(), subject };
        let answer = self.serve(call, until, departure).await;
        self.refusals.note(&about, answer.as_ref().map(drop));
        answer
    }

    async fn serve(
        &self,
        call: Call,
        until: Instant,
        departure: Departure,
    ) -> Result<Value, RpcError> {
        #[cfg(feature = "ui")]
        if unowned::sets_up(&call) {
            unowned::check(&self.owner)?;
        }
        match call {
            Call::RtmpPublish(request) => {
                within(START_HANDLER, until, publish::start(self, request?)).await.map(done)
            }
            Call::RtmpStopPublish(request) => {
                within(HANDLER, until, publish::stop(self, request?)).await.map(done)
            }
            Call::StartCloudRecord(request) => {
                within(START_HANDLER, until, record::start(self, request?)).await.map(done)
            }
            Call::StopCloudRecord(request) => {
                within(HANDLER, until, record::stop(self, request?)).await.map(done)
            }
            Call::GetRtmpPublishConfig => to_value(&self.constant.list()),
            Call::SetRtmpPublishConfig(request) => {
                within(HANDLER, until, self.constant.replace(request?)).await.map(done)
            }
            other => within(HANDLER, until, self.ask(other, departure)).await,
        }
    }

    /// The answer to a request that the camera itself carries out.
    async fn ask(&self, call: Call, departure: Departure) -> Result<Value, RpcError> {
        match call {
            Call::RebootChannel(request) => reboot::reboot(self, request?, departure).map(done),
            Call::GetPtzPresetList(request) => ptz::presets(self, request?).await,
            Call::GetPtzPresetTourList(request) => ptz::tours(self, request?).await,
            Call::AlarmMoveDetectConfig(request) => alarm::motion(self, request?).await.map(done),
            Call::AlarmRectIntrusionDetectConfig(request) => {
                alarm::tripwire(self, request?).await.map(done)
            }
            Call::GetNetConfig(request) => network::interfaces(self, request?).await,
            Call::GetWifiStatusAndConfig(request) => network::wifi(self, request?).await,
            Call::SetWifiConfig(request) => {
                network::join(self, request?, departure).await.map(done)
            }
            Call::GetWifiSsidList(request) => network::in_reach(self, request?).await,
            // A method without a handler is refused even if its params make no sense, since nothing
            // here reads them.
            other => Err(unsupported(other.method())),
        }
    }

    /// The handle of the channel's tasks.
    fn channel(&self, number: u32) -> Result<&Handle, RpcError> {
        nth(&self.channels, number)
    }

    /// What the channel's camera has in the slot that `slot` takes; 101 and `what` where it is empty.
    fn ability<T: ?Sized>(
        &self,
        number: u32,
        what: &str,
        slot: fn(&ivt_hal::Channel) -> &Option<Arc<T>>,
    ) -> Result<Arc<T>, RpcError> {
        let device = self.device.now();
        slot(nth(&device.channels, number)?).clone().ok_or_else(|| {
            let msg = format!("channel {number}: its camera has no {what}");
            RpcError::new(RpcError::UNSUPPORTED, msg)
        })
    }
}

/// What the camera of a channel says. One that says nothing in time counts as unreachable.
async fn told<T>(
    number: u32,
    work: impl Future<Output = ivt_hal::Result<T>>,
) -> Result<T, RpcError> {
    told_by(Instant::now() + CAMERA, number, work).await
}

/// What the camera of a channel says until a moment, which is [`CAMERA`] after the request.
async fn told_by<T>(
    until: Instant,
    number: u32,
    work: impl Future<Output = ivt_hal::Result<T>>,
) -> Result<T, RpcError> {
    let silent = || {
        let msg = format!("its camera did not answer within {} s", CAMERA.as_secs_f32());
        RpcError::new(RpcError::OFFLINE, msg)
    };
    let told = match timeout_at(until, work).await {
        Ok(told) => told.map_err(|error| codes::camera(&error)),
        Err(_) => Err(silent()),
    };
    told.map_err(|error| RpcError::new(error.code, format!("channel {number}: {}", error.msg)))
}

/// An empty success.
fn done((): ()) -> Value {
    json!({})
}

fn nth<T>(channels: &[T], number: u32) -> Result<&T, RpcError> {
    usize::try_from(number).ok().and_then(|number| channels.get(number)).ok_or_else(|| {
        let have = channels.len();
        let msg = format!("no channel {number}: this device has {have}, counted from 0");
        RpcError::new(RpcError::NO_CHANNEL, msg)
    })
}

/// What `work` returns; the error for a timeout after `limit`, or at `until` if that is earlier.
async fn within<T>(
    limit: Duration,
    until: Instant,
    work: impl Future<Output = Result<T, RpcError>>,
) -> Result<T, RpcError> {
    let own = Instant::now() + limit;
    match timeout_at(own.min(until), work).await {
        Ok(done) => done,
        Err(_) if until < own => {
            Err(RpcError::internal("not finished in time: earlier requests took too long"))
        }
        Err(_) => Err(RpcError::internal(format!("not finished within {} s", limit.as_secs_f32()))),
    }
}

fn unsupported(name: &str) -> RpcError {
    RpcError::new(RpcError::UNSUPPORTED, format!("{name} is not supported by this device"))
}

#[cfg(test)]
pub(crate) mod testing {
    use ivt_hal::emulator::Emulator;
    use ivt_hal::{Device, Model};

    use super::*;
    use crate::channel::testing::deaf;
    use crate::ptz::testing::remote;

    /// A dispatch over an NVR of emulated cameras, one for each of `channels`.
    pub(crate) fn dispatch(channels: Vec<Handle>) -> Dispatch {
        let camera = |_| ivt_hal::Channel::new(Arc::new(Emulator::default()));
        let cameras = channels.iter().map(camera).collect();
        over(cameras, channels)
    }

    /// A dispatch over one camera, whose slots `fill` fills; it streams nothing.
    pub(crate) fn one(fill: impl FnOnce(&mut ivt_hal::Channel)) -> Dispatch {
        let mut camera = ivt_hal::Channel::new(Arc::new(Emulator::default()));
        fill(&mut camera);
        over(vec![camera], vec![deaf().0])
    }

    fn over(cameras: Vec<ivt_hal::Channel>, channels: Vec<Handle>) -> Dispatch {
        let device = Device { model: Model::Nvr, channels: cameras, cgi: None };
        let device = CurrentDevice::new(device);
        let remotes = (0..channels.len()).map(|number| remote(&device, number)).collect();
        Dispatch::new(device, channels, remotes, StateStore::default())
    }

    /// The answer of `dispatch` to a request whose answer leaves at once.
    pub(crate) async fn answer(
        dispatch: &Dispatch,
        method: &str,
        params: Value,
    ) -> Result<Value, RpcError> {
        let until = Instant::now() + Duration::from_secs(17);
        let (left, departure) = oneshot::channel();
        left.send(()).unwrap();
        dispatch
            .answer(Call::parse(method, Some(params)), Subject::default(), until, departure)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{answer, dispatch};
    use super::*;
    use crate::channel::testing::deaf;

    fn publish(channel: i64) -> Value {
        json!({"channel": channel, "quality": "hd", "url": "rtmp://127.0.0.1/live/a",
               "stream_id": "s", "max_bitrate": 0})
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_does_not_answer_holds_nobody_up() {
        let (channel, _inbox) = deaf();
        let dispatch = dispatch(vec![channel]);
        let start = Instant::now();
        let error = answer(&dispatch, "RTMPPublish", publish(0)).await.unwrap_err();
        assert_eq!(error.code, RpcError::INTERNAL);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());

        let start = Instant::now();
        let params = json!({"channel": 0, "stream_id": "s"});
        let error = answer(&dispatch, "RTMPStopPublish", params).await.unwrap_err();
        assert_eq!(error.code, RpcError::INTERNAL);
        assert_eq!(start.elapsed().as_secs(), HANDLER.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waited_has_only_what_is_left_of_its_time() {
        let (channel, _inbox) = deaf();
        let dispatch = dispatch(vec![channel]);
        let start = Instant::now();
        let call = Call::parse("RTMPPublish", Some(publish(0)));
        let until = start + Duration::from_secs(3);
        let departure = oneshot::channel().1;
        let error = dispatch.answer(call, Subject::default(), until, departure).await.unwrap_err();
        assert!(error.msg.contains("earlier requests took too long"), "{error}");
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test]
    async fn each_mistake_has_its_code() {
        let (channel, _inbox) = deaf();
        let dispatch = dispatch(vec![channel]);
        let stop = json!({"channel": 1, "stream_id": "s"});
        let mut wrong_quality = publish(0);
        wrong_quality["quality"] = json!("uhd");
        let mut wrong_url = publish(0);
        wrong_url["url"] = json!("http://127.0.0.1/live/a");
        for (method, params, code, word) in [
            ("RTMPPublish", publish(1), 102, "no channel 1"),
            ("RTMPPublish", publish(-1), 102, ""),
            ("RTMPPublish", publish(1 << 40), 102, ""),
            ("RTMPPublish", json!({"channel": 0}), 1, "quality"),
            ("RTMPPublish", wrong_quality, 1, "quality"),
            ("RTMPPublish", wrong_url, 1, "params.url"),
            ("RTMPStopPublish", stop, 102, "no channel 1"),
            ("RTMPStopPublish", json!({"channel": 0}), 1, "stream_id"),
            ("GetNetConfig", json!({"channel": 0}), 101, "network"),
            ("GetNetConfig", json!({"channel": 1}), 102, "no channel 1"),
            ("GetNetConfig", json!({}), 1, "channel"),
            ("RebootChannel", json!({"channel": 0}), 101, "restart"),
            ("GetPTZPresetList", json!({"channel": 0}), 101, "presets"),
            ("GetPTZPresetTourList", json!({"channel": 0}), 101, "tours"),
            ("GetWifiSSIDList", json!({"channel": 0}), 101, "wireless"),
            ("GetWifiStatusAndConfig", json!({"channel": 0}), 101, "wireless"),
            ("SetWifiConfig", json!({"channel": 0, "ssid": ""}), 1, "params.ssid"),
            ("SetWifiConfig", json!({"channel": 7, "ssid": "s"}), 102, "no channel 7"),
            ("SetWifiConfig", json!({"channel": 0, "ssid": "s"}), 101, "wireless"),
            ("StartCloudRecord", json!({}), 1, "session_id"),
            ("StopCloudRecord", json!({"channel": 1, "session_id": "s"}), 102, "no channel 1"),
            ("Keepalive", json!(null), 101, ""),
            ("rtmppublish", publish(0), 101, "rtmppublish"),
        ] {
            let error = answer(&dispatch, method, params.clone()).await.unwrap_err();
            assert_eq!(error.code, code, "{method} {params}: {error}");
            assert!(error.msg.contains(word), "{method} {params}: {error}");
        }
    }
}
