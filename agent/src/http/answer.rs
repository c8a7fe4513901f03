//! What an answer other than a success means. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use hyper::StatusCode;
use hyper::header::{DATE, HeaderName, LOCATION, RETRY_AFTER};
use hyper::http::response::Parts;
use ivt_base::date::http_date;
use ivt_base::retry_after::retry_after;
use ivt_base::secret::Secret;

use super::address::Address;
use super::error::HttpError;
use super::words::{element, text, words};

/// Longest time that a peer is left alone because it asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Clocks that differ by less are not wrong.
const TOLERANCE: Duration = Duration::from_secs(60);

/// An answer, with as much of its body as may be read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The address may be signed.
    pub(super) location: Option<Secret>,
    date: Option<String>,
    retry_after: Option<String>,
    body: BytesMut,
}

impl Answer {
    pub(super) fn new(head: &Parts, body: BytesMut) -> Self {
        let header = |name: HeaderName| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        Self {
            status: head.status,
            location: header(LOCATION).map(Secret::untold),
            date: header(DATE),
            retry_after: header(RETRY_AFTER),
            body,
        }
    }

    /// The body of a success, or the error that the answer is.
    pub(super) fn outcome(self, from: &Address) -> Result<BytesMut, HttpError> {
        match self.status.is_success() {
            true => Ok(self.body),
            false => Err(self.refusal(from)),
        }
    }

    /// The error that this answer is, when it is no success.
    pub(super) fn refusal(&self, from: &Address) -> HttpError {
        self.refusal_at(from, SystemTime::now())
    }

    fn refusal_at(&self, from: &Address, now: SystemTime) -> HttpError {
        let body = text(&self.body);
        let code = element(&body, "Code").unwrap_or_default();
        let mut told = format!("{}: {}", from.place(), self.status);
        if let Some(words) = words(&body) {
            told += &format!(" ({words})");
        }
        if code == "RequestTimeTooSkewed" {
            told += &format!(": {}", self.skew(now));
        }
        let pause = self.retry_after.as_deref();
        let pause = pause.and_then(|pause| retry_after(pause, self.date.as_deref()));
        let pause = pause.map(|pause| pause.min(LONGEST_PAUSE));
        match (self.status.as_u16(), pause) {
            // Stores say so with a status of refusals, and what was sent is good all the same.
            _ if matches!(&*code, "RequestTimeTooSkewed" | "RequestTimeout") => {
                HttpError::Busy(told)
            }
            (307 | 308, _) => HttpError::Refused(format!("{told}: redirects again")),
            (300..400, _) => {
                HttpError::Refused(format!("{told}: only redirects by 307 and 308 are followed"))
            }
            (403 | 404 | 410, _) => HttpError::Expired(told),
            (409 | 412, _) => HttpError::Exists(told),
            (429 | 503, pause) => HttpError::Later(told, pause.unwrap_or_default()),
            (408 | 500.., Some(pause)) => HttpError::Later(told, pause),
            (502 | 504, None) => HttpError::Unanswered(told),
            (408, None) => HttpError::Busy(told),
            (400..500, _) => HttpError::Refused(told),
            _ => HttpError::Busy(told),
        }
    }

    /// By how much the device's clock is wrong.
    fn skew(&self, now: SystemTime) -> String {
        let Some(theirs) = self.date.as_deref().and_then(http_date) else {
            return "the device's clock is wrong, and the answer has no date to tell by how much"
                .into();
        };
        let ours = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let apart = Duration::from_secs(ours.abs_diff(theirs));
        if apart < TOLERANCE {
            return "the device's clock is right: that of the recording service is wrong".into();
        }
        let side = if ours > theirs { "ahead" } else { "behind" };
        format!("the device's clock is wrong by {}: it is {side}", spell(apart))
    }
}

/// A long time as people say it.
fn spell(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        86_400.. => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
        3600.. => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "Mon, 30 Nov 2026 12:00:00 GMT";

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            location: None,
            date: Some(NOON.into()),
            retry_after: retry_after.map(str::to_owned),
            body: body.into(),
        }
    }

    fn refusal(answer: &Answer, after_noon: i64) -> HttpError {
        let now = http_date(NOON).unwrap().saturating_add_signed(after_noon);
        let from = Address::parse("http://store:81/x?sign=geheim", 99).unwrap();
        answer.refusal_at(&from, UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn a_busy_peer_says_how_long_it_is_left_alone() {
        let later = |pause| Some(Duration::from_secs(pause));
        for (status, retry_after, pause) in [
            (503, Some("7"), later(7)),
            (429, Some("0"), later(0)),
            (503, None, later(0)),
            (429, Some("soon"), later(0)),
            (503, Some("999999999999"), later(600)),
            (503, Some("Mon, 30 Nov 2026 12:00:05 GMT"), later(5)),
            (503, Some("Mon, 30 Nov 2026 11:00:00 GMT"), later(0)),
            (500, Some("7"), later(7)),
            (408, Some("7"), later(7)),
            (500, None, None),
            (403, Some("7"), None),
            (413, Some("7"), None),
        ] {
            // The device's clock does not matter.
            let error = refusal(&answer(status, retry_after, ""), 1_000_000);
            assert_eq!(error.pause(), pause, "{status} {retry_after:?}: {error:?}");
        }
    }

    #[test]
    fn a_wrong_clock_is_told_with_its_sign() {
        let xml = "<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>";
        for (after_noon, words) in [
            (5400, "the device's clock is wrong by 1 h 30 min: it is ahead"),
            (-90, "the device's clock is wrong by 1 min 30 s: it is behind"),
            (-864_000, "the device's clock is wrong by 10 d 0 h: it is behind"),
            (30, "the device's clock is right: that of the recording service is wrong"),
        ] {
            let error = refusal(&answer(403, None, xml), after_noon);
            assert!(error.is_passing(), "{error:?}");
            let shown = "403 Forbidden (RequestTimeTooSkewed: too large)";
            assert_eq!(error.to_string(), format!("http://store:81/x: {shown}: {words}"));
        }
        let undated = Answer { date: None, ..answer(403, None, xml) };
        assert!(refusal(&undated, 0).to_string().contains("clock is wrong"));
    }

    #[test]
    fn a_code_can_say_more_than_the_status() {
        let slow = "<Error><Code>RequestTimeout</Code></Error>";
        assert!(refusal(&answer(400, None, slow), 0).is_passing());
        let gone = "<Error><Code>NoSuchBucket</Code></Error>";
        assert!(!refusal(&answer(404, None, gone), 0).is_passing());
    }
}
