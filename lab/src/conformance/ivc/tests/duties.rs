//! What the scripted device does of the methods: it answers, publishes and records, and may have one fault.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::flv::Muxer;
use ivt_media::rtmp::{Options, Publisher, RtmpUrl};
use ivt_media::source::Opener as _;
use ivt_proto::rpc::message::Call;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::broken::{Fault, PUBLIC_SDK};
use super::recorder::Recorder;

/// A success, or a code and its words.
pub type Answer = Result<Value, (i64, String)>;

/// What outlasts the connections of the device.
pub struct Around {
    /// The list of constant publishes.
    pub lists: Mutex<Value>,
    /// Whether the camera is away.
    pub away: AtomicBool,
}

/// The duties of one connection.
pub struct Duties {
    fault: Option<Fault>,
    /// Longest wait for an RTMP server.
    patience: Duration,
    around: Arc<Around>,
    /// The stream that runs, and the one that ran before.
    live: Option<(String, AbortHandle)>,
    lived: Option<String>,
    record: Option<(String, watch::Sender<bool>)>,
    recorded: Option<String>,
    /// All that goes on beside the connection, and ends with it.
    pub tasks: JoinSet<()>,
    wifi: Value,
    /// Whether motion is reported.
    pub armed: bool,
}

impl Duties {
    pub fn new(fault: Option<Fault>, patience: Duration, around: Arc<Around>) -> Self {
        Self {
            fault,
            patience,
            around,
            live: None,
            lived: None,
            record: None,
            recorded: None,
            tasks: JoinSet::new(),
            wifi: json!("lab"),
            armed: true,
        }
    }

    fn is(&self, fault: Fault) -> bool {
        let sdk = self.fault == Some(Fault::PublicSdk) && PUBLIC_SDK.contains(&fault);
        sdk || self.fault == Some(fault)
    }

    fn is_away(&self) -> bool {
        self.around.away.load(Ordering::Relaxed)
    }

    /// What a Keepalive tells of the channel, without its alarm.
    pub fn channel(&self) -> Value {
        let mut channel = json!({ "channel": 0, "state": 1 });
        let live = self.live.as_ref().map(|(id, _)| id);
        let live = live.or(self.lived.as_ref().filter(|_| self.is(Fault::LiveForEver)));
        if let Some(id) = live.filter(|_| !self.is(Fault::StateStaysOnline)) {
            channel["state"] = 2.into();
            channel["stream_id"] = id.as_str().into();
        }
        let record = self.record.as_ref().filter(|(_, stop)| {
            !(self.is(Fault::NoRecordSession) || self.is(Fault::EndsAndTells) && stop.is_closed())
        });
        if let Some((id, _)) = record {
            channel["record_session"] = id.as_str().into();
        }
        if let Some(id) = &self.recorded {
            match self.fault {
                Some(Fault::StaleSession) => channel["record_session"] = id.as_str().into(),
                Some(Fault::AnotherSession) => channel["record_session"] = "nobody's".into(),
                _ => {}
            }
        }
        if self.is_away() && !self.is(Fault::OfflineStaysOnline) {
            channel["state"] = 0.into();
        }
        channel
    }

    /// Whether an order to detect motion makes the device report it now: it is never night where this device is.
    fn arm(&mut self, params: &Value) {
        let on = params["enable"] == true || self.is(Fault::ReportsWhenOff);
        let always = params.get("start").is_none() || self.is(Fault::ReportsAtAnyHour);
        self.armed = on && always;
    }

    /// The answer to a request; `None` where the device leaves instead.
    pub async fn serve(&mut self, method: &str, params: Value) -> Option<Answer> {
        let fault = self.fault;
        let call = Call::parse(method, Some(params.clone()));
        if let Err(error) = call.check() {
            let known = error.code != 101 || fault != Some(Fault::KnowsEveryMethod);
            let taken = matches!(fault, Some(Fault::TakesAnyParams(name)) if name == method);
            return Some(if known && !taken {
                Err((error.code, error.msg))
            } else {
                Ok(self.nothing())
            });
        }
        let any = matches!(fault, Some(Fault::TakesAnyChannel(name)) if name == method);
        if !any && params.get("channel").is_some_and(|channel| channel.as_u64() != Some(0)) {
            return Some(Err((102, "no such channel".into())));
        }
        if self.is(Fault::RefusesUnknownMembers) && params.get("colour").is_some() {
            return Some(Err((1, "what is `colour`?".into())));
        }
        if matches!(fault, Some(Fault::OddForm(name)) if name == method) {
            return Some(Ok(json!([{ "odd": 1 }])));
        }
        Some(match method {
            "GetNetConfig" => Ok(json!([{
                "name": "eth0", "ip": "192.0.2.7", "gateway": "192.0.2.1", "netmask": "255.255.255.0",
                "dns1": "", "dns2": "", "mac": "00:00:00:00:00:01", "dhcp": true,
            }])),
            "GetPTZPresetList" if self.is_away() => Err((103, "no camera".into())),
            "GetPTZPresetList" | "GetPTZPresetTourList" => {
                Ok(json!([{ "name": "door", "token": "1" }]))
            }
            "GetWifiStatusAndConfig" => {
                let password = "odd-wifi-77";
                Ok(
                    json!({ "enable": true, "ssid": self.wifi, "password": password, "status": "connected", "signal": -50 }),
                )
            }
            "GetWifiSSIDList" => Ok(json!([{ "ssid": "lab", "signal": -50, "encrypt": "WPA2" }])),
            "SetWifiConfig" if self.is(Fault::JoinsAnother) => {
                self.wifi = json!("another");
                Ok(self.nothing())
            }
            "GetRTMPPublishConfig" => Ok(self.around.lists.lock().unwrap().clone()),
            "SetRTMPPublishConfig" => {
                *self.around.lists.lock().unwrap() = params.clone();
                self.publish_list(&params);
                Ok(self.nothing())
            }
            "AlarmMoveDetectConfig"
                if self.is(Fault::NoHoursOverMidnight)
                    && params["start"].as_i64() > params["end"].as_i64() =>
            {
                Err((1, "start is after end".into()))
            }
            "AlarmRectIntrusionDetectConfig"
                if self.is(Fault::NoRect) && params.get("rect").is_some() =>
            {
                Err((1, "no rect".into()))
            }
            "AlarmMoveDetectConfig" => {
                self.arm(&params);
                Ok(self.nothing())
            }
            "RebootChannel" if self.is(Fault::RebootsBeforeItAnswers) => return None,
            "RTMPPublish" => self.publish(&params).await,
            "RTMPStopPublish" => self.stop_publish(&params),
            "StartCloudRecord" => self.record(&params),
            "StopCloudRecord" => self.stop_record(&params),
            _ => Ok(self.nothing()),
        })
    }

    fn nothing(&self) -> Value {
        if self.is(Fault::SuccessIsText) {
            return json!("");
        }
        if self.is(Fault::SuccessIsOne) { json!(1) } else { json!({}) }
    }

    pub fn publish_list(&mut self, list: &Value) {
        for row in list.as_array().into_iter().flatten().filter(|row| row["enable"] == true) {
            let url = row["url"].as_str().unwrap_or_default().to_owned();
            self.tasks.spawn(stream(url, None));
        }
    }

    async fn publish(&mut self, params: &Value) -> Answer {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let (id, url) = (text("stream_id"), text("url"));
        if params["max_bitrate"] == 1 && !self.is(Fault::NoBitrateLimit) {
            return Err((11, "too much".into()));
        }
        if self.is(Fault::NoFullQuality) && params["quality"] == "fhd" {
            return Err((1, "no such quality".into()));
        }
        if self.is_away() {
            let code = if self.is(Fault::OfflineIsInternal) { 1 } else { 103 };
            return Err((code, "no camera".into()));
        }
        match &self.live {
            Some((running, _)) if *running == id && !self.is(Fault::RefusesItsOwnStream) => {
                return Ok(self.nothing());
            }
            Some((running, _)) if *running == id => return Err((1, "busy".into())),
            Some(_) if !self.is(Fault::SecondStream) => return Err((12, "busy".into())),
            _ => {}
        }
        if self.is(Fault::NothingPublished) || self.is(Fault::PublishedByItsWord) {
            let idle = self.tasks.spawn(std::future::pending());
            self.live = Some((id, idle));
            return Ok(self.nothing());
        }
        let patience = self.patience;
        let Ok(address) = RtmpUrl::parse(&url) else { return Err((1, "no address".into())) };
        // Whether the server consents is known before the answer.
        let connected = timeout(patience, Publisher::connect(&address, &Options::default())).await;
        let Ok(Ok(publisher)) = connected else {
            return Err((1, "the server does not consent".into()));
        };
        let slow = self.is(Fault::SlowStream).then_some(4);
        let task = self.tasks.spawn(send(publisher, slow));
        self.live = Some((id, task));
        Ok(self.nothing())
    }

    fn stop_publish(&mut self, params: &Value) -> Answer {
        let wanted = params["stream_id"].as_str().unwrap_or_default();
        match &self.live {
            Some((id, task)) if id == wanted => {
                if !self.is(Fault::StreamGoesOn) {
                    task.abort();
                }
                self.lived = self.live.take().map(|(id, _)| id);
                Ok(self.nothing())
            }
            _ if self.is(Fault::StopOfNoneFails) => Err((1, "no such stream".into())),
            _ => Ok(self.nothing()),
        }
    }

    fn record(&mut self, params: &Value) -> Answer {
        if params["max_bitrate"] == 1 && !self.is(Fault::NoRecordLimit) {
            return Err((11, "too much".into()));
        }
        let (stop, stopped) = watch::channel(false);
        let recorder = Recorder { params: params.clone(), fault: self.fault, stop: stopped };
        self.tasks.spawn(recorder.run());
        self.record = Some((params["session_id"].as_str().unwrap_or_default().to_owned(), stop));
        Ok(self.nothing())
    }

    fn stop_record(&mut self, params: &Value) -> Answer {
        let wanted = params["session_id"].as_str().unwrap_or_default();
        match self.record.take_if(|(id, _)| id == wanted) {
            Some((id, stop)) => {
                stop.send_replace(true);
                self.recorded = Some(id);
                Ok(self.nothing())
            }
            None if self.is(Fault::StopRecordOfNoneFails) => Err((1, "no such session".into())),
            None => Ok(self.nothing()),
        }
    }
}

/// Publishes the clip to this address.
async fn stream(url: String, slow: Option<u32>) {
    let Ok(url) = RtmpUrl::parse(&url) else { return };
    if let Ok(publisher) = Publisher::connect(&url, &Options::default()).await {
        send(publisher, slow).await;
    }
}

/// Sends the clip in real time; its times are divided by `slow`.
async fn send(mut publisher: Publisher, slow: Option<u32>) {
    let mut source = ClipOpener::built_in(BuiltIn::Sub).open().await.unwrap();
    let mut muxer = Muxer::new();
    while let Ok(frame) = source.frame().await {
        let Some(tags) = muxer.tags(&frame) else { continue };
        for mut tag in tags.headers.into_iter().chain([tags.media]) {
            tag.timestamp_ms /= slow.unwrap_or(1);
            if publisher.send(&tag).await.is_err() {
                return;
            }
        }
    }
}
