//! Reads the form of a call: what is missing is forgiven, a wrong number is not. Pure.

use url::form_urlencoded;

use super::faults::Step;

/// One call of the `cbk_url`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Call {
    Create(Create),
    Save(String),
    Fail(String),
    Stat { dropped: u64, seconds: f64 },
    CurrentTime,
    NextDts,
}

/// The announcement of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Create {
    pub(super) content_type: Option<String>,
    /// Length in bytes.
    pub(super) size: u64,
    /// First picture, in microseconds since 1970.
    pub(super) start: i64,
    /// Length in microseconds.
    pub(super) duration: i64,
    /// The segment that this call confirms.
    pub(super) last_file_name: Option<String>,
    /// The value of `discontinue`; `None` when the device does not say.
    pub(super) discontinue: Option<bool>,
}

impl Call {
    /// Reads a form. The error is a text for the device's developer.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let field = |name: &str| {
            let mut pairs = form_urlencoded::parse(body);
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let filled = |name: &str| field(name).filter(|value| !value.is_empty());
        let needed = |name: &str| filled(name).ok_or_else(|| format!("{name} is missing"));
        match needed("op")?.as_str() {
            "create" => Ok(Self::Create(Create {
                content_type: field("content_type"),
                size: number("size", &needed("size")?)?,
                start: micros("start", &needed("start")?)?,
                duration: micros("duration", &needed("duration")?)?,
                last_file_name: filled("last_file_name"),
                discontinue: match filled("discontinue").as_deref() {
                    None => None,
                    Some("0") => Some(false),
                    Some("1") => Some(true),
                    Some(other) => return Err(format!("discontinue is {other:?}, not 0 or 1")),
                },
            })),
            "save" => Ok(Self::Save(needed("name")?)),
            "fail" => Ok(Self::Fail(needed("name")?)),
            "stat" => Ok(Self::Stat {
                dropped: number("dropped_nb", &needed("dropped_nb")?)?,
                seconds: micros("dropped_time", &needed("dropped_time")?)? as f64 / 1e6,
            }),
            "getcurrenttime" => Ok(Self::CurrentTime),
            "next_dts" => Ok(Self::NextDts),
            other => Err(format!("op {other:?} is unknown")),
        }
    }

    pub(super) fn step(&self) -> Step {
        match self {
            Self::Create(_) => Step::Create,
            Self::Save(_) => Step::Save,
            Self::Fail(_) => Step::Fail,
            Self::Stat { .. } => Step::Stat,
            Self::CurrentTime => Step::CurrentTime,
            Self::NextDts => Step::NextDts,
        }
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{name} is {text:?}, not a whole number"))
}

/// Reads seconds as microseconds; a double holds such dates to a quarter of one.
fn micros(name: &str, text: &str) -> Result<i64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{name} is {text:?}, not a number"))?;
    if !(0.0..1e10).contains(&seconds) {
        return Err(format!("{name} is {text:?}, not a time"));
    }
    Ok((seconds * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_create_is_read_to_the_microsecond() {
        let form = b"op=create&content_type=video%2Fmp2t&size=1000&start=1700000000.123457\
                     &duration=10.040000&last_file_name=a%20b&discontinue=1&later=field";
        let create = Create {
            content_type: Some("video/mp2t".into()),
            size: 1000,
            start: 1_700_000_000_123_457,
            duration: 10_040_000,
            last_file_name: Some("a b".into()),
            discontinue: Some(true),
        };
        assert_eq!(Call::parse(form), Ok(Call::Create(create)));
    }

    #[test]
    fn what_older_devices_leave_out_may_be_left_out() {
        let form = b"op=create&size=1&start=0&duration=1&last_file_name=";
        let Ok(Call::Create(create)) = Call::parse(form) else { panic!("a create") };
        assert_eq!((create.discontinue, create.last_file_name), (None, None));
    }

    #[test]
    fn the_other_calls_are_told_apart() {
        assert_eq!(Call::parse(b"op=save&name=a"), Ok(Call::Save("a".into())));
        assert_eq!(Call::parse(b"name=a&op=fail"), Ok(Call::Fail("a".into())));
        assert_eq!(Call::parse(b"op=getcurrenttime"), Ok(Call::CurrentTime));
        assert_eq!(Call::parse(b"op=next_dts"), Ok(Call::NextDts));
        let stat = Call::Stat { dropped: 3, seconds: 30.5 };
        assert_eq!(Call::parse(b"op=stat&dropped_nb=3&dropped_time=30.5"), Ok(stat));
    }

    #[test]
    fn each_mistake_is_named() {
        for (form, named) in [
            ("", "op is missing"),
            ("op=drop", "\"drop\""),
            ("op=save", "name"),
            ("op=create&size=1&start=0", "duration"),
            ("op=create&size=-1&start=0&duration=1", "size"),
            ("op=create&size=1&start=nan&duration=1", "start"),
            ("op=create&size=1&start=1e300&duration=1", "start"),
            ("op=create&size=1&start=0&duration=-1", "duration"),
            ("op=create&size=1&start=0&duration=1&discontinue=yes", "discontinue"),
            ("op=stat&dropped_nb=1", "dropped_time"),
        ] {
            let error = Call::parse(form.as_bytes()).unwrap_err();
            assert!(error.contains(named), "{form}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Call::parse(&body);
        }

        #[test]
        fn every_date_survives_six_decimals(start in 0i64..4_000_000_000_000_000) {
            let form = format!("op=create&size=1&duration=1&start={}.{:06}", start / 1_000_000, start % 1_000_000);
            let Ok(Call::Create(create)) = Call::parse(form.as_bytes()) else { panic!("a create") };
            prop_assert_eq!(create.start, start);
        }
    }
}
