//! The recorder of the scripted device: two-second segments, and the dialogue about them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};
use url::{Url, form_urlencoded};

use super::broken::Fault;

/// Bytes in a second of the recording, and packets of a transport stream.
const RATE: f64 = 188.0 * 180.0;
const PACKET: usize = 188;
const PATIENCE: Duration = Duration::from_secs(20);

struct Segment {
    start: f64,
    duration: f64,
    bytes: Vec<u8>,
}

/// One recording until `stop` says so.
pub struct Recorder {
    pub params: Value,
    pub fault: Option<Fault>,
    pub stop: watch::Receiver<bool>,
}

impl Recorder {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub async fn run(self) {
        if self.is(Fault::NothingUploaded) {
            return;
        }
        let number = |name: &str| self.params[name].as_f64().unwrap_or(0.0);
        let mut duration = number("seg_duration");
        if !self.is(Fault::LargeSegments) {
            duration = duration.min(number("seg_max_size") / RATE * 0.9);
        } else {
            duration = duration.min(number("seg_max_size") / RATE * 1.3);
        }
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let ordered = number("start_ts");
        let before = ordered < 0.0 && self.is(Fault::BeforeTime);
        let mut start =
            if before || ordered > 0.0 && !self.is(Fault::OwnTime) { ordered } else { real };
        let began = tokio::time::Instant::now();
        let (mut made, mut kept, mut last) = (0.0, Vec::<Segment>::new(), None::<String>);
        let mut stop = self.stop.clone();
        loop {
            made += duration;
            let due = began + Duration::from_secs_f64(made);
            let stopped = !self.is(Fault::RecordsOn);
            tokio::select! {
                () = sleep_until(due) => {}
                _ = stop.wait_for(|stop| *stop), if stopped => break,
            }
            let told = if self.is(Fault::LongSegments) { duration * 9.0 } else { duration };
            kept.push(Segment { start, duration: told, bytes: self.bytes(duration) });
            start += told + if self.is(Fault::Gaps) { 5.0 } else { 0.0 };
            match self.upload(&mut kept, &mut last).await {
                Ok(()) => {}
                Err(()) => return,
            }
        }
        if let Some(last) = last.filter(|_| !self.is(Fault::NeverSaves)) {
            let _ = self.call(&[("op", "save"), ("name", &last)]).await;
        }
    }

    fn bytes(&self, duration: f64) -> Vec<u8> {
        let packets = (duration * RATE) as usize / PACKET;
        let first = if self.is(Fault::NoTransportStream) { 0x46 } else { 0x47 };
        let mut packet = [0x55; PACKET];
        packet[0] = first;
        packet.repeat(packets.max(1))
    }

    /// Sends what is kept, the oldest first. An error ends the recording.
    async fn upload(&self, kept: &mut Vec<Segment>, last: &mut Option<String>) -> Result<(), ()> {
        while let Some(segment) = kept.first() {
            let mut form = vec![
                ("op", "create".to_owned()),
                ("content_type", "video/mp2t".to_owned()),
                ("size", segment.bytes.len().to_string()),
                ("start", format!("{:.6}", segment.start)),
                ("duration", format!("{:.6}", segment.duration)),
            ];
            if let Some(last) = last.as_ref() {
                form.push(("last_file_name", last.clone()));
            }
            let pairs: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let Some(answer) = self.call(&pairs).await else {
                return if self.is(Fault::EndsAtFailedCreate) || self.is(Fault::EndsAndTells) {
                    Err(())
                } else {
                    Ok(())
                };
            };
            let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
            let (name, uri) = (text("name"), text("uri"));
            if name.is_empty() || uri.is_empty() {
                self.forget(kept);
                return Ok(());
            }
            let segment = kept.remove(0);
            let mut sent = self.put(&uri, &segment).await;
            if !sent && !self.is(Fault::NoSecondTry) && !self.is(Fault::EndsAtFailedPut) {
                sent = self.put(&uri, &segment).await;
            }
            if sent {
                *last = Some(name);
            } else {
                let _ = self.call(&[("op", "fail"), ("name", &name)]).await;
                if self.is(Fault::EndsAtFailedPut) {
                    return Err(());
                }
            }
        }
        Ok(())
    }

    /// Drops what is older than the ordered seconds of pre-recording.
    fn forget(&self, kept: &mut Vec<Segment>) {
        let seconds = self.params["prerecord_seconds"].as_f64().unwrap_or(0.0);
        let length = |kept: &[Segment]| kept.iter().map(|segment| segment.duration).sum::<f64>();
        if self.is(Fault::KeepsNothing) {
            kept.clear();
        }
        while !self.is(Fault::KeepsEverything)
            && length(kept) - kept.first().map_or(0.0, |one| one.duration) >= seconds
        {
            if kept.is_empty() {
                break;
            }
            kept.remove(0);
        }
    }

    async fn call(&self, form: &[(&str, &str)]) -> Option<Value> {
        let url = self.params["cbk_url"].as_str().unwrap_or_default();
        let url = if self.is(Fault::ShortUrls) { &url[..url.len().min(200)] } else { url };
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = "application/x-www-form-urlencoded";
        let (status, body) = http("POST", url, kind, body.as_bytes(), Duration::ZERO).await?;
        (status == 200).then(|| serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn put(&self, uri: &str, segment: &Segment) -> bool {
        let share = if self.is(Fault::Rushes) { 0.0 } else { 0.5 };
        let spread = Duration::from_secs_f64(segment.duration.min(4.0) * share);
        let answer = http("PUT", uri, "video/mp2t", &segment.bytes, spread).await;
        answer.is_some_and(|(status, _)| (200..300).contains(&status))
    }
}

/// One request on its own connection, whose body takes `spread`.
pub async fn http(
    method: &str,
    url: &str,
    kind: &str,
    body: &[u8],
    spread: Duration,
) -> Option<(u16, Vec<u8>)> {
    let url = Url::parse(url).ok()?;
    let host = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let target = format!(
        "{}{}",
        url.path(),
        url.query().map(|query| format!("?{query}")).unwrap_or_default()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(&host).await.ok()?;
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        let pieces = 8;
        for piece in body.chunks(length.div_ceil(pieces).max(1)) {
            let began = Instant::now();
            stream.write_all(piece).await.ok()?;
            sleep((spread / pieces as u32).saturating_sub(began.elapsed())).await;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
        Some((status, answer[at + 4..].to_vec()))
    };
    timeout(PATIENCE, exchange).await.ok().flatten()
}
