//! The ONVIF client against small cameras over real sockets.

mod events;
mod hostile;
mod login;
mod moves;
mod streams;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ivt_base::date::Utc;

use super::*;
use crate::http::fake::{self, header};
use crate::xml;

/// Answers an action, whose element and HTTP login are given, by a status and an answer. The answer is the inside of
/// a body, or all of it where it begins with another character than `<`.
type Respond = dyn Fn(Asked) -> Responding + Send + Sync;
type Responding = Pin<Box<dyn Future<Output = (u16, String)> + Send>>;

/// One call that a camera was asked.
#[derive(Clone, Debug)]
struct Asked {
    action: String,
    path: String,
    /// The element of the action.
    body: Element,
    /// The header of SOAP.
    security: Element,
    authorization: Option<String>,
    content_type: String,
}

struct Camera {
    fake: fake::Camera,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Camera {
    /// A camera that answers as `respond` does, and as the usual camera where that gives status 0.
    async fn start(respond: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::start_slow(move |asked| {
            let answer = respond(&asked);
            Box::pin(async move { answer })
        })
        .await
    }

    /// As [`start`](Self::start), by a camera that may take its time.
    async fn start_slow(respond: impl Fn(Asked) -> Responding + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, respond): (_, Arc<Respond>) = (Arc::clone(&asked), Arc::new(respond));
        let fake = fake::Camera::start_slow(move |request| {
            let (seen, respond) = (Arc::clone(&seen), Arc::clone(&respond));
            Box::pin(async move {
                let asked = read(&request);
                seen.lock().unwrap().push(asked.clone());
                let said = respond(asked.clone()).await;
                answer(&asked, said)
            })
        });
        Self { fake: fake.await, asked }
    }

    async fn usual() -> Self {
        Self::start(|_| (0, String::new())).await
    }

    fn onvif(&self) -> Arc<Onvif> {
        let login = Credentials { username: "root".into(), password: "right".into() };
        let http = self.fake.http_as("root", "right");
        Onvif::new(http, DEVICE_PATH, Some(login), Options::default())
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The actions in the order in which they were asked for.
    fn actions(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.action).collect()
    }

    /// The calls of one action.
    fn calls(&self, action: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.action == action).collect()
    }
}

/// The answer of the usual camera.
fn usual_answer(request: &str) -> Vec<u8> {
    answer(&read(request), (0, String::new()))
}

fn read(request: &str) -> Asked {
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let authorization = header(request, "Authorization").map(str::to_owned);
    let text = request.split_once("\r\n\r\n").unwrap().1;
    let empty = Element::default;
    if text.is_empty() {
        let (action, body, security) = ("GET".into(), empty(), empty());
        Asked { action, path, body, security, authorization, content_type: String::new() }
    } else {
        let envelope = xml::parse(text.as_bytes(), &xml::Limits::default()).unwrap();
        let body = envelope.child("Body").unwrap().elements().next().unwrap().clone();
        let content_type = header(request, "Content-Type").unwrap().to_owned();
        let security = envelope.child("Header").cloned().unwrap();
        let action = body.name.clone();
        Asked { action, path, body, security, authorization, content_type }
    }
}

fn answer(asked: &Asked, (status, mut text): (u16, String)) -> Vec<u8> {
    let status = if status == 0 { usual(asked, &mut text) } else { status };
    if status == 998 {
        // The camera says nothing at all.
        return Vec::new();
    }
    if status == 999 {
        // The connection is closed in the middle of the first word.
        return b"HT".to_vec();
    }
    let challenge = match status {
        401 => "WWW-Authenticate: Digest realm=\"c\", qop=\"auth\", nonce=\"n\"\r\n",
        _ => "",
    };
    if text.starts_with('<') && !text.starts_with("<?") {
        text = format!(
            "<?xml version=\"1.0\"?>\n<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://www.w3.org/2003/05/soap-envelope\">\
             <SOAP-ENV:Body>{text}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
        );
    }
    let length = text.len();
    format!("HTTP/1.1 {status} X\r\n{challenge}Content-Length: {length}\r\n\r\n{text}").into_bytes()
}

/// The answers of a camera with two streams, PTZ, presets and tours, which checks no login.
fn usual(asked: &Asked, text: &mut String) -> u16 {
    *text = match &*asked.action {
        "GetSystemDateAndTime" => clock(SystemTime::now()),
        "GetServices" => "<tds:GetServicesResponse>\
            <tds:Service><tds:Namespace>http://www.onvif.org/ver10/device/wsdl</tds:Namespace>\
            <tds:XAddr>http://10.255.255.1/onvif/device_service</tds:XAddr></tds:Service>\
            <tds:Service><tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace>\
            <tds:XAddr>http://10.255.255.1/onvif/media</tds:XAddr></tds:Service>\
            <tds:Service><tds:Namespace>http://www.onvif.org/ver20/ptz/wsdl</tds:Namespace>\
            <tds:XAddr>http://10.255.255.1/onvif/ptz?x=1</tds:XAddr></tds:Service></tds:GetServicesResponse>"
            .into(),
        "GetProfiles" => format!(
            "<trt:GetProfilesResponse>{}{}</trt:GetProfilesResponse>",
            profile("sub", 320, 180, ""),
            profile("main", 640, 360, "<tt:PTZConfiguration token='ptz0'/>")
        ),
        "GetStreamUri" => uri("GetStreamUri", "rtsp://10.255.255.1:8554/live/1?a=1&amp;b=2"),
        "GetSnapshotUri" => uri("GetSnapshotUri", "http://10.255.255.1/snap.jpg?c=1"),
        "GET" => "\u{fffd}".into(),
        "GetNetworkInterfaces" => "<d:GetNetworkInterfacesResponse><d:NetworkInterfaces token='eth0'/>\
                                   </d:GetNetworkInterfacesResponse>"
            .into(),
        "GetPresets" => "<P:GetPresetsResponse><P:Preset token='1'><tt:Name>Door</tt:Name></P:Preset>\
                         </P:GetPresetsResponse>"
            .into(),
        "GetPresetTours" => "<P:GetPresetToursResponse><P:PresetTour token='a'><T:Name>Round</T:Name><T:Status>\
            <T:State>Idle</T:State></T:Status></P:PresetTour><P:PresetTour token='b'><T:Status><T:State>Touring\
            </T:State></T:Status></P:PresetTour></P:GetPresetToursResponse>"
            .into(),
        action => format!("<x:{action}Response xmlns:x='x'/>"),
    };
    200
}

fn profile(token: &str, width: u32, height: u32, more: &str) -> String {
    format!(
        "<trt:Profiles token='{token}'><tt:Name>{token}</tt:Name><tt:VideoEncoderConfiguration>\
         <tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height>\
         </tt:Resolution><tt:RateControl><tt:BitrateLimit>512</tt:BitrateLimit></tt:RateControl>\
         </tt:VideoEncoderConfiguration>{more}</trt:Profiles>"
    )
}

fn uri(action: &str, uri: &str) -> String {
    format!(
        "<m:{action}Response><m:MediaUri><t:Uri>{uri}</t:Uri></m:MediaUri></m:{action}Response>"
    )
}

fn clock(time: SystemTime) -> String {
    let at = Utc::from(time);
    format!(
        "<d:GetSystemDateAndTimeResponse><d:SystemDateAndTime><t:DateTimeType>NTP</t:DateTimeType><t:DaylightSavings>\
         false</t:DaylightSavings><t:TimeZone><t:TZ>CST-8</t:TZ></t:TimeZone><t:UTCDateTime><t:Time><t:Hour>{}</t:Hour>\
         <t:Minute>{}</t:Minute><t:Second>{}</t:Second></t:Time><t:Date><t:Year>{}</t:Year><t:Month>{}</t:Month>\
         <t:Day>{}</t:Day></t:Date></t:UTCDateTime></d:SystemDateAndTime></d:GetSystemDateAndTimeResponse>",
        at.hour, at.minute, at.second, at.year, at.month, at.day
    )
}

fn fault(code: &str, reason: &str) -> String {
    format!(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code>\
         <s:Reason><s:Text>{reason}</s:Text></s:Reason></s:Fault>"
    )
}

fn kind<T>(outcome: Result<T>) -> Kind {
    outcome.map(|_| ()).unwrap_err().kind
}
