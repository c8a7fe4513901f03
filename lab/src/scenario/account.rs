//! What the report shows of a run: packets, remarks, pictures, and a timeline.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivt_base::mask::mask;
use ivt_sim::cloud::{Direction, RecordingInfo};
use serde_json::Value;

use super::course::Outcome;
use super::doubt::Doubt;
use super::network::Network;
use super::steps::Run;
use super::verdicts::Verdict;
use super::watch::Seen;
use crate::report::{Evidence, Moment, Seen as Shown};

/// Most packets of a report's case.
const MAX_PACKETS: usize = 300;
/// Most lines of the log of a failed case.
const MAX_LINES: usize = 200;
/// Most pictures of a case, and the most bytes of each.
const MAX_PICTURES: usize = 4;
const MAX_PICTURE: usize = 200 << 10;
/// Most irregular stretches and broken rules of a recording that are told.
const MAX_WRONG: usize = 10;
/// Longest text of a moment.
const MAX_TEXT: usize = 120;

/// A run that is over.
pub(super) struct Account<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) verdicts: &'a [Verdict<'a>],
    pub(super) doubts: &'a [Doubt],
    /// When the scenario began, since the begin of the whole run.
    pub(super) offset: Duration,
    pub(super) failed: bool,
}

impl Account<'_> {
    /// What the chances of the network came from, where there is one.
    pub(super) fn seed(&self) -> Option<u64> {
        self.run.stage.network().map(Network::seed).ok()
    }

    /// What was said and seen, in the order of time.
    pub(super) async fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = self.packets();
        let note = |at, text: String| Evidence { at, what: Shown::Note { text } };
        for deed in self.deeds() {
            let failed = deed.failed.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            evidence.push(note(deed.at, mask(&format!("step: {}{failed}", deed.what))));
        }
        for verdict in self.verdicts {
            let name = &verdict.expect.name;
            match &verdict.outcome {
                Outcome::Met(at) => evidence.push(note(*at, format!("as expected: {name}"))),
                Outcome::Failed(at, why) => {
                    evidence.push(note(*at, mask(&format!("not as expected: {name}: {why}"))));
                }
                Outcome::Open => {}
            }
        }
        let now = self.run.watch.now();
        for Doubt { line, name, change, told } in self.doubts {
            let told = told.as_deref().unwrap_or("not noticed");
            evidence.push(note(
                now,
                mask(&format!("doubted: line {line}: {name}: with {change}: {told}")),
            ));
        }
        if let Some(seed) = self.seed() {
            let text = format!("seed {seed} is that of the network's chances");
            evidence.push(note(Duration::ZERO, text));
        }
        for info in self.run.stage.cloud.streams().iter().filter(|info| info.publishes > 0) {
            let size = info.dimensions.map_or("no size".into(), |(w, h)| format!("{w}x{h}"));
            let (video, audio) =
                (info.video.unwrap_or("no picture"), info.audio.unwrap_or("no sound"));
            let (pictures, keys, bytes) = (info.video_frames, info.key_frames, info.bytes);
            let text = format!(
                "stream {}: {video} {size}, {audio}, {pictures} pictures, {keys} of them key frames, {bytes} bytes",
                mask(&info.key)
            );
            evidence.push(note(now, text));
        }
        for info in self.run.stage.cloud.recordings() {
            evidence.extend(recorded(&info).into_iter().map(|text| note(now, text)));
        }
        evidence.extend(self.pictures().await);
        evidence.extend(self.stills(now));
        if self.failed {
            let lines = self.run.stage.log.lines();
            let newest = lines.len().saturating_sub(MAX_LINES);
            let dropped = newest + self.run.stage.log.dropped();
            if dropped > 0 {
                evidence.push(note(
                    Duration::ZERO,
                    format!("{dropped} older lines of the log are left out"),
                ));
            }
            let shown =
                lines[newest..].iter().map(|(at, line)| note(*at, mask(&format!("log: {line}"))));
            evidence.extend(shown);
        }
        evidence.iter_mut().for_each(|evidence| evidence.at += self.offset);
        evidence.sort_by_key(|evidence| evidence.at);
        evidence
    }

    /// What went on beside each other.
    pub(super) fn timeline(&self) -> Vec<Moment> {
        let mut moments = Vec::new();
        let mut add = |lane: &str, at: Duration, until: Option<Duration>, text: &str, bad: bool| {
            let text: String = mask(text).chars().take(MAX_TEXT).collect();
            let until = until.map(|until| until + self.offset);
            moments.push(Moment { lane: lane.into(), at: at + self.offset, until, text, bad });
        };
        for deed in self.deeds() {
            add("steps", deed.at, Some(deed.until), &deed.what, deed.failed.is_some());
        }
        for verdict in self.verdicts {
            let since = verdict.since.unwrap_or_default();
            match &verdict.outcome {
                Outcome::Met(at) => add("expected", since, Some(*at), &verdict.expect.name, false),
                Outcome::Failed(at, _) => {
                    add("expected", since, Some(*at), &verdict.expect.name, true)
                }
                Outcome::Open => {}
            }
        }
        let seen = self.run.watch.packets_from(0);
        let mut online: Option<Duration> = None;
        for seen in seen.iter().filter(|seen| seen.packet.direction == Direction::Note) {
            if seen.packet.text.starts_with("logged in") {
                online.get_or_insert(seen.at);
            } else if seen.packet.text.starts_with("connection ended")
                && let Some(from) = online.take()
            {
                add("online", from, Some(seen.at), &seen.packet.text, false);
            }
        }
        if let Some(from) = online {
            add("online", from, Some(self.run.watch.now()), "online to the end", false);
        }
        let packets = seen.iter().filter(|seen| seen.packet.direction != Direction::Note);
        for seen in packets.take(MAX_PACKETS) {
            let lane = if seen.packet.direction == Direction::FromDevice {
                "from the device"
            } else {
                "to the device"
            };
            add(lane, seen.at, None, &shown(seen), false);
        }
        for (key, stream) in self.run.watch.streams() {
            for (from, until) in stream.spans {
                let until = until.unwrap_or(self.run.watch.now());
                add("stream", from, Some(until), &format!("{key} is live"), false);
            }
        }
        let began = self.run.stage.began;
        for info in self.run.stage.cloud.recordings() {
            for segment in &info.segments {
                let since = |at: std::time::Instant| at.saturating_duration_since(began);
                let stored = segment.put_at.map(|(_, end)| since(end));
                add("segments", since(segment.created_at), stored, &segment.name, stored.is_none());
            }
        }
        moments
    }

    fn deeds(&self) -> Vec<super::steps::Deed> {
        self.run.deeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn packets(&self) -> Vec<Evidence> {
        let seen = self.run.watch.packets_from(0);
        // The beginning and the end tell most of a flood.
        let half = MAX_PACKETS / 2;
        let left_out = seen.len().saturating_sub(MAX_PACKETS);
        let (first, last) = if left_out > 0 {
            (&seen[..half], &seen[seen.len() - half..])
        } else {
            (&seen[..], &[][..])
        };
        let mut evidence: Vec<_> = first.iter().map(packet).collect();
        if left_out > 0 {
            let text = format!("{left_out} packets are left out here");
            let at = first.last().map_or(Duration::ZERO, |seen| seen.at);
            evidence.push(Evidence { at, what: Shown::Note { text } });
        }
        evidence.extend(last.iter().map(packet));
        evidence
    }

    /// The last key picture of each stream.
    fn stills(&self, at: Duration) -> Vec<Evidence> {
        let streams = self.run.stage.cloud.streams().into_iter().filter(|info| info.publishes > 0);
        let stills = streams.filter_map(|info| {
            let still = self.run.stage.cloud.stream(&info.key).still()?;
            let text = format!("the last key picture of stream {}", mask(&info.key));
            (still.len() <= MAX_PICTURE)
                .then(|| Evidence { at, what: Shown::Still { text, mp4: STANDARD.encode(still) } })
        });
        stills.take(MAX_PICTURES).collect()
    }

    async fn pictures(&self) -> Vec<Evidence> {
        let (stage, mut pictures) = (self.run.stage, Vec::new());
        let sent = stage.device.alarms().into_iter().filter_map(|alarm| {
            Some((format!("alarm {}, {:?}", alarm.number, alarm.kind), alarm.picture?))
        });
        let previews = stage.device.previews().into_iter();
        let previews = previews.map(|preview| ("preview".to_owned(), preview));
        for (text, info) in sent.chain(previews).filter(|(_, info)| info.jpeg) {
            if let Some(bytes) = stage.cloud.picture(&info.id) {
                let at = info.at.saturating_duration_since(stage.began);
                pictures.push((at, format!("{text}, as the device sent it"), bytes.to_vec()));
            }
        }
        let now = self.run.watch.now();
        for (number, camera) in stage.cameras.iter().enumerate() {
            let snapshot = camera.unit(0).and_then(|unit| unit.channel.snapshot.clone());
            if let Some(snapshot) = snapshot
                && let Ok(picture) = snapshot.jpeg(ivt_hal::Stream::Main).await
            {
                pictures.push((
                    now,
                    format!("what camera {number} shows at the end"),
                    picture.to_vec(),
                ));
            }
        }
        pictures.retain(|(.., bytes)| bytes.len() <= MAX_PICTURE);
        let shown = pictures.into_iter().take(MAX_PICTURES).map(|(at, text, bytes)| {
            let jpeg = STANDARD.encode(bytes);
            Evidence { at, what: Shown::Picture { text, jpeg } }
        });
        shown.collect()
    }
}

/// What came of a recording: how much there is, and what is wrong with it.
fn recorded(info: &RecordingInfo) -> Vec<String> {
    let (session, spans) = (&info.session, info.timeline().spans);
    let bytes: u64 = info.stored().map(|segment| segment.size).sum();
    let mut told =
        vec![format!("recording {session}: {} segments, {bytes} bytes", info.stored().count())];
    for span in spans.iter().take(MAX_WRONG) {
        let seconds = (span.to_us - span.from_us) as f64 / 1_000_000.0;
        let [before, after] = &span.names;
        told.push(format!(
            "recording {session}: {:?} of {seconds:.2} s, {before}, {after}",
            span.kind
        ));
    }
    let broken = info.violations.iter().take(MAX_WRONG);
    told.extend(
        broken.map(|broken| format!("recording {session}: {:?}: {}", broken.rule, broken.what)),
    );
    told
}

fn packet(seen: &Seen) -> Evidence {
    let text = shown(seen);
    let what = match seen.packet.direction {
        Direction::FromDevice => Shown::Received { text },
        Direction::ToDevice => Shown::Sent { text },
        Direction::Note => Shown::Note { text },
    };
    Evidence { at: seen.at, what }
}

/// The text of a packet without its passwords.
fn shown(seen: &Seen) -> String {
    let Some(json) = &seen.json else { return mask(seen.packet.text.trim_end()) };
    let mut json = (**json).clone();
    if !hide(&mut json) {
        return mask(seen.packet.text.trim_end());
    }
    mask(&json.to_string())
}

/// Puts `***` in the place of passwords; true where there are some.
fn hide(value: &mut Value) -> bool {
    let mut hidden = false;
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name.to_lowercase().contains("passw") && member.is_string() {
                    *member = "***".into();
                    hidden = true;
                }
                hidden |= hide(member);
            }
        }
        Value::Array(items) => {
            for item in items {
                hidden |= hide(item);
            }
        }
        _ => {}
    }
    hidden
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        let mut packet = json!({ "params": { "ssid": "net", "password": "tr1cky", "list": [{ "login_passwd": "x" }] } });
        assert!(hide(&mut packet));
        assert!(
            !packet.to_string().contains("tr1cky")
                && packet["params"]["list"][0]["login_passwd"] == "***"
        );
        assert!(!hide(&mut json!({ "a": [1, "b"] })));
    }
}
