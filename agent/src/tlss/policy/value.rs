//! The grammar of one parameter's value.

use std::ops::RangeInclusive;

use super::uri::harmless;

/// Longest text that a profile may allow, in bytes: above what a command needs, below a camera's buffers.
const LONGEST: usize = 1024;
/// The moments that cameras of the family know by name, in letters of either case.
const MOMENTS: &[&str] = &[
    "now",
    "today",
    "yesterday",
    "thisweek",
    "lastweek",
    "thismonth",
    "lastmonth",
    "this_week",
    "last_week",
    "this_month",
    "last_month",
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    OneOf(Words),
    Number(RangeInclusive<u64>),
    Text {
        chars: Chars,
        length: RangeInclusive<usize>,
    },
    /// A named moment with or without an offset, or a date with or without a clock: `now-600`, `now-06:00`,
    /// `thisweek`, `2020-04-01`, `2020/04/01 06:00`, `2020/04/01 06:00:00`.
    Time,
}

impl Grammar {
    pub(super) fn text(chars: &str, length: RangeInclusive<usize>) -> Result<Self, String> {
        if *length.end() > LONGEST || length.is_empty() {
            return Err(format!("length must be [from, to], at most {LONGEST}"));
        }
        Ok(Self::Text { chars: Chars::parse(chars)?, length })
    }

    pub(super) fn fits(&self, value: &str) -> bool {
        match self {
            Self::OneOf(words) => words.have(value),
            Self::Number(range) => is_number(value, range),
            Self::Text { chars, length } => length.contains(&value.len()) && chars.all(value),
            Self::Time => is_time(value),
        }
    }
}

/// Whether `text` is a number of 1 to 10 digits in `range`; leading zeros are allowed, as times have them.
fn is_number(text: &str, range: &RangeInclusive<u64>) -> bool {
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits && text.parse().is_ok_and(|number| range.contains(&number))
}

fn is_time(text: &str) -> bool {
    is_near(text) || is_date(text)
}

/// Whether `text` is a named moment, or so many seconds before or after it; for `now` also hours and minutes.
fn is_near(text: &str) -> bool {
    // A blank is a plus that came unescaped: cameras take the number behind it all the same.
    let (name, offset) = text.split_at(text.find(['-', '+', ' ']).unwrap_or(text.len()));
    let number = offset.get(1..).unwrap_or_default();
    let clock = name.eq_ignore_ascii_case("now") && !offset.starts_with(' ');
    MOMENTS.iter().any(|moment| moment.eq_ignore_ascii_case(name))
        && (offset.is_empty()
            || is_number(number, &(0..=u64::MAX))
            || clock && are_numbers(number, ':', &[99, 59]))
}

fn is_date(text: &str) -> bool {
    let (date, clock) = text.split_once(' ').unwrap_or((text, "00:00"));
    let clocks = [&[23, 59][..], &[23, 59, 59]];
    let dated = ['-', '/'].into_iter().any(|separator| {
        date.split_once(separator).is_some_and(|(year, day)| {
            year.len() == 4
                && is_number(year, &(0..=9999))
                && are_numbers(day, separator, &[12, 31])
        })
    });
    dated && clocks.iter().any(|most| are_numbers(clock, ':', most))
}

/// Whether `text` is numbers of two digits, one for each of `most` and no larger than it.
fn are_numbers(text: &str, separator: char, most: &[u64]) -> bool {
    let parts: Vec<_> = text.split(separator).collect();
    let fits = |(part, most): (&&str, &u64)| part.len() == 2 && is_number(part, &(0..=*most));
    parts.len() == most.len() && parts.iter().zip(most).all(fits)
}

/// A list of words, in which `#` stands for a number of one to three digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words(Vec<String>);

impl Words {
    pub(super) fn parse(words: Vec<String>) -> Result<Self, String> {
        let allowed = |word: &String| word.bytes().all(|byte| byte == b'#' || harmless(byte));
        match words.iter().find(|word| !allowed(word)) {
            Some(word) => Err(format!("{word:?} has a character that is never allowed")),
            None => Ok(Self(words)),
        }
    }

    pub(super) fn have(&self, text: &str) -> bool {
        self.0.iter().any(|word| is_word(word, text))
    }
}

fn is_word(word: &str, text: &str) -> bool {
    let Some((start, end)) = word.split_once('#') else { return word == text };
    text.strip_prefix(start).is_some_and(|rest| {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        (1..=3).contains(&(rest.len() - after.len())) && is_word(end, after)
    })
}

/// A set of ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chars(u128);

impl Chars {
    /// Characters and ranges of them, such as `A-Za-z0-9.`; a hyphen at the end is itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut set = 0;
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            let (last, tail) = match tail {
                [b'-', last, tail @ ..] => (last, tail),
                _ => (first, tail),
            };
            let range = *first..=*last;
            if range.is_empty() || !range.clone().all(harmless) {
                return Err(format!(
                    "chars {text:?} has a range or character that is never allowed"
                ));
            }
            set |= range.fold(0, |set, byte| set | bit(byte));
            rest = tail;
        }
        Ok(Self(set))
    }

    pub(super) fn all(self, text: &str) -> bool {
        text.bytes().all(|byte| self.0 & bit(byte) != 0)
    }
}

/// The bit of an ASCII character; 0 for any other byte.
fn bit(byte: u8) -> u128 {
    1_u128.checked_shl(byte.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_listed_singly_and_in_ranges() {
        let chars = Chars::parse("A-C0-9._-").unwrap();
        let fitting: String =
            (0..=127_u8).map(char::from).filter(|c| chars.all(&c.to_string())).collect();
        assert_eq!(fitting, "-.0123456789ABC_");
        assert!(chars.all("") && !chars.all("é"));
    }

    #[test]
    fn no_profile_can_allow_what_a_shell_reads() {
        for bad in [
            "$", "`", ";", "|", "&", "<", ">", "(", "'", "\"", "\\", "%", "*", "\n", "\0", "é",
            "=", "#", "~", "!",
        ] {
            assert!(Chars::parse(&format!("a-z{bad}")).is_err(), "{bad:?}");
            let word = Words::parse(vec![format!("a{bad}")]);
            assert!(bad == "#" || word.is_err(), "{bad:?}");
        }
        assert!(Chars::parse("!-~").is_err(), "a range across harmful ones");
        assert!(Chars::parse("z-a").is_err());
    }

    #[test]
    fn a_number_is_digits_in_its_range() {
        let hour = Grammar::Number(0..=23);
        for value in ["0", "00", "07", "23"] {
            assert!(hour.fits(value), "{value}");
        }
        for value in
            ["", "24", "-1", "+1", "1.0", "0x1", " 1", "99999999999999999999", "00000000001"]
        {
            assert!(!hour.fits(value), "{value}");
        }
    }

    #[test]
    fn a_text_has_its_length() {
        let text = Grammar::text("a-z", 2..=3).unwrap();
        assert!(text.fits("ab") && text.fits("abc"));
        assert!(!text.fits("a") && !text.fits("abcd") && !text.fits("a1"));
        assert!(Grammar::text("a", 1..=LONGEST + 1).is_err());
    }

    #[test]
    fn a_word_may_have_numbers_in_it() {
        let words = ["VCA.Ch0", "VCA.Ch0.Ct#", "Z#.P#.x"].map(str::to_owned);
        let words = Words::parse(words.into()).unwrap();
        for text in ["VCA.Ch0", "VCA.Ch0.Ct0", "VCA.Ch0.Ct123", "Z1.P22.x"] {
            assert!(words.have(text), "{text}");
        }
        for text in [
            "",
            "VCA",
            "VCA.Ch01",
            "VCA.Ch0.",
            "VCA.Ch0.Ct",
            "VCA.Ch0.Ct#",
            "VCA.Ch0.Ct1234",
            "VCA.Ch0.Ct1.x",
            "xVCA.Ch0",
            "Z1.P.x",
            "Z1.P1.xy",
            "VCA.Ch0.Ct-1",
        ] {
            assert!(!words.have(text), "{text}");
        }
    }

    #[test]
    fn a_time_is_near_now_or_on_the_calendar() {
        for text in [
            "now",
            "now-06:00",
            "now+01:30",
            "now-99:59",
            "now-600",
            "now+600",
            "now 600",
            "now-0",
            "now-9999999999",
            "NOW-600",
            "today",
            "today-3600",
            "yesterday",
            "thisweek",
            "lastweek",
            "ThisMonth",
            "lastmonth",
            "this_week",
            "last_month",
            "sunday",
            "2020-04-01",
            "2020-04-01 06:00",
            "2020-12-31 23:59:59",
            "2018/11/12",
            "2018/11/12 00:00",
            "1970/01/01 01:00",
            "2018/11/12 00:00:00",
        ] {
            assert!(Grammar::Time.fits(text), "{text}");
        }
        for text in [
            "",
            " now",
            "now ",
            "now06:00",
            "now 06:00",
            "now-",
            "now+",
            "now--600",
            "now-+600",
            "now-6 00",
            "now-600s",
            "now-600-600",
            "now-99999999999",
            "now-6:00",
            "now-06:60",
            "now-06:00:00",
            "now-006:00",
            "tomorrow",
            "week",
            "thisweekend",
            "this week",
            "today 06:00",
            "today-06:00",
            "2020-13-01",
            "2020-04-32",
            "20-04-01",
            "2020-4-1",
            "2020-04-01 24:00",
            "2020-04-01  06:00",
            "2020-04-01T06:00",
            "2020-04-01 06",
            "2020-04-01 06:00:00:00",
            "2020-04-01 -o",
            "2018/11-12",
            "2018-11/12",
            "2018/11",
            "2018/11/12/",
            "2018/11/12/00",
            "2018//11/12",
            "/2018/11/12",
            "2018/1/2",
            "2018/13/01",
            "2018/11/12 24:00",
            "2018/11/12 00:00 /etc",
            "2018/11/../12",
            "2018\\11\\12",
            "+020-04-01",
            "-h",
        ] {
            assert!(!Grammar::Time.fits(text), "{text}");
        }
    }
}
