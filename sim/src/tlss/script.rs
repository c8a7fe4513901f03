//! The commands of a session as people write them: one command a line.

use std::fmt;
use std::str::FromStr;

use ivt_proto::tlss::DONE;

use crate::family::Family;

/// Longest script, in bytes.
const MAX_TEXT: usize = 64 << 10;
/// Most lines of a script that are not blank and no comment.
const MAX_LINES: usize = 500;
const PROBE: &str = "probe ";

/// The commands of deployed servers: which family the camera is of, its parameters, a picture, the reports.
const TYPICAL: &str = "\
# Of the lines that begin with `probe` the first that is not answered by an error page is the last.
# What stands behind the name of a family is for devices of that family.
probe IPN /uapi-cgi/network.cgi
probe IPAI /cgi-bin/admin/network.cgi
probe IPE /nvc-cgi/admin/debug.cgi
IPN /uapi-cgi/param.fcgi?action=list&group=VERSION
IPN /uapi-cgi/param.fcgi?action=list
IPN /nvc-cgi/operator/snapshot.fcgi
IPN /cgi-bin/operator/countreport.cgi?reportfmt=csv&to=now-600&counter=active&sampling=600&order=Ascending&value=diff&from=2018/11/12%2000:00
IPN uapi-cgi/reporthm.cgi?reportfmt=csv&to=now&table=3&individual=yes&from=1970/01/01%2001:00
IPAI /cgi-bin/operator/param.cgi
IPAI /cgi-bin/operator/snapshot.cgi
IPAI /cgi-bin/operator/countreport.cgi?reportfmt=csv&from=thisweek&to=now&counter=active&sampling=600&order=Ascending&value=diff
IPE /nvc-cgi/admin/param.fcgi?action=list
IPE /nvc-cgi/admin/vca.fcgi?action=list
IPE /nvc-cgi/operator/snapshot.fcgi
IPE /cgi-bin/operator/countreport.cgi?reportfmt=csv&from=2018/11/12%2000:00&to=now-600&counter=active&sampling=600&order=Ascending&value=diff
done
";

/// The bytes of a command, as they are sent behind their length. In text, bytes outside printable ASCII are
/// escaped: `\0`, `\n`, `\r`, `\t`, `\\`, `\xHH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(Vec<u8>);

/// The commands of a session, in their order. A blank line is skipped, and so is one that begins with `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    text: String,
    steps: Vec<Step>,
}

/// One step of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Command(Line),
    /// Commands that are sent in turn until the reply is no error page.
    Probe(Vec<Line>),
}

/// A command, and the family that it is for; `None` for all. The family of a probe is that of the device which
/// answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) family: Option<Family>,
    pub(super) command: Command,
}

/// What is wrong with a script or a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// An escape that is not known.
    #[error("line {line}: expected \\0, \\n, \\r, \\t, \\\\ or \\xHH behind the backslash")]
    Escape {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The script is longer than the limits.
    #[error("expected at most {MAX_LINES} commands in {MAX_TEXT} bytes")]
    TooLong,
}

impl Command {
    /// A command of exactly these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes of the command.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the command ends the session: `done`, whatever surrounds it.
    pub fn is_done(&self) -> bool {
        let padding = |b: &u8| *b == 0 || b.is_ascii_whitespace();
        let word: Vec<u8> = self.0.iter().copied().filter(|b| !padding(b)).collect();
        word == DONE.as_bytes()
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            0 => f.write_str("\\0"),
            b'\'' | b'"' => write!(f, "{}", char::from(*byte)),
            byte => write!(f, "{}", byte.escape_ascii()),
        })
    }
}

impl FromStr for Command {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        if text.len() > MAX_TEXT {
            return Err(ScriptError::TooLong);
        }
        unescape(text).map(Self).ok_or(ScriptError::Escape { line: 1 })
    }
}

impl Script {
    /// The commands of deployed servers (field notes, "typical session"), without those that write.
    pub fn typical() -> Self {
        TYPICAL.parse().expect("read by a test")
    }

    /// A script of these commands, and `done`.
    pub fn of(commands: &[&str]) -> Self {
        let escaped = commands.iter().map(|c| format!("{}\n", Command::new(c.as_bytes())));
        let text = escaped.collect::<String>() + DONE;
        let commands = commands.iter().copied().chain([DONE]);
        let line = |c: &str| Step::Command(Line { family: None, command: Command::new(c) });
        Self { steps: commands.map(line).collect(), text }
    }

    /// The text of the script.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::typical()
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let lines: Vec<_> = lines.collect();
        if text.len() > MAX_TEXT || lines.len() > MAX_LINES {
            return Err(ScriptError::TooLong);
        }
        let mut steps = Vec::new();
        for (number, line) in lines {
            let (probe, line) = match line.strip_prefix(PROBE) {
                Some(rest) => (true, rest.trim_start()),
                None => (false, line),
            };
            let named =
                line.split_once(' ').and_then(|(word, rest)| Some((word.parse().ok()?, rest)));
            let (family, line) = match named {
                Some((family, rest)) => (Some(family), rest.trim_start()),
                None => (None, line),
            };
            let bytes = unescape(line).ok_or(ScriptError::Escape { line: number + 1 })?;
            let line = Line { family, command: Command(bytes) };
            match (probe, steps.last_mut()) {
                (false, _) => steps.push(Step::Command(line)),
                (true, Some(Step::Probe(all))) => all.push(line),
                (true, _) => steps.push(Step::Probe(vec![line])),
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'0' => 0,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'\\' => b'\\',
                b'x' => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?
                }
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_typical_session_is_that_of_the_field_notes() {
        let script = Script::typical();
        let Step::Probe(families) = &script.steps[0] else { panic!("{script:?}") };
        let order = Family::ALL.map(Some);
        assert_eq!(families.iter().map(|line| line.family).collect::<Vec<_>>(), order);
        for family in order {
            let own = |step: &&Step| matches!(step, Step::Command(line) if line.family == family);
            assert!(script.steps.iter().filter(own).count() >= 3, "{family:?}");
        }
        let Some(Step::Command(last)) = script.steps.last() else { panic!("{script:?}") };
        assert!(last.command.is_done() && last.family.is_none());
        assert!(!script.text().contains("update"), "writing is asked for by hand");
    }

    #[test]
    fn lines_become_steps() {
        let script: Script =
            "# note\n\n probe a\nprobe b\n/c\\n\nprobe d\ndone\\0\n".parse().unwrap();
        let [Step::Probe(one), Step::Command(c), Step::Probe(two), Step::Command(done)] =
            &script.steps[..]
        else {
            panic!("{script:?}")
        };
        assert_eq!((one.len(), c.command.bytes(), two.len()), (2, &b"/c\n"[..], 1));
        assert!(done.command.is_done() && done.command.bytes().len() == 5);
    }

    #[test]
    fn a_line_may_be_for_one_family() {
        let script: Script = "probe IPE /a\nipai  /b\nIPX /c\nIPN\n".parse().unwrap();
        let [Step::Probe(a), Step::Command(b), Step::Command(c), Step::Command(d)] =
            &script.steps[..]
        else {
            panic!("{script:?}")
        };
        assert_eq!((a[0].family, a[0].command.bytes()), (Some(Family::Ipe), &b"/a"[..]));
        assert_eq!((b.family, b.command.bytes()), (Some(Family::Ipai), &b"/b"[..]));
        assert_eq!((c.family, c.command.bytes()), (None, &b"IPX /c"[..]));
        assert_eq!((d.family, d.command.bytes()), (None, &b"IPN"[..]));
    }

    #[test]
    fn mistakes_are_named_by_their_line() {
        for text in ["/a\n/b\\q", "/a\n/b\\", "/a\n/b\\x4", "/a\n/b\\xzz"] {
            assert_eq!(text.parse::<Script>(), Err(ScriptError::Escape { line: 2 }), "{text}");
        }
        assert_eq!("/a\n".repeat(MAX_LINES + 1).parse::<Script>(), Err(ScriptError::TooLong));
    }

    #[test]
    fn commands_written_in_code_are_shown_as_they_could_be_typed() {
        let script = Script::of(&["/a\r\n", "/b"]);
        assert_eq!(script.text().parse::<Script>().unwrap(), script);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_typed(bytes: Vec<u8>) {
            let command = Command::new(bytes);
            prop_assert_eq!(command.to_string().parse::<Command>(), Ok(command));
        }
    }
}
