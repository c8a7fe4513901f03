//! Misbehaviour on request: what a broken or hostile server does to a device.

use serde::{Deserialize, Serialize};

use super::script::Command;

/// Every fault that is on. The default is a well-behaved server. Also the JSON of `/api/faults`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlssFaults {
    /// What happens instead of a command.
    pub wire: Option<WireFault>,
    /// Commands of a session that come before `wire`, and are answered.
    pub after: u32,
    /// The script ends without `done`.
    pub never_done: bool,
    /// `done` is `done\0`.
    pub done_nul: bool,
    /// Commands lack their leading slash.
    pub no_slash: bool,
    /// What follows a command.
    pub ending: Ending,
    /// All commands of the script go out in one write, with `done` behind the last reply.
    pub pipelined: bool,
}

/// What happens instead of a command. Afterwards the connection stays until the device closes it, for
/// five minutes at most, where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireFault {
    /// The connection is closed as soon as it is accepted.
    Refuse,
    /// Nothing.
    Silence,
    /// The command, declared to have this length: 4294967295 is the longest.
    Length(u32),
    /// The command, with its length, a byte every so many milliseconds. Its reply is read.
    DripMs(u64),
    /// 512 bytes that mean nothing.
    Garbage,
    /// Half the command, then the connection is closed.
    CloseMidCommand,
    /// The command; nothing is read any more.
    StopReading,
}

/// What follows a command, within its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing.
    #[default]
    None,
    /// NUL.
    Nul,
    /// LF.
    Newline,
    /// CR, LF.
    CrLf,
}

impl TlssFaults {
    /// The fault in the place of the next command, after so many.
    pub(super) fn due(&self, commands: u32) -> Option<WireFault> {
        self.wire.filter(|_| commands >= self.after)
    }

    /// A command as it goes out.
    pub(super) fn dress(&self, command: &Command) -> Vec<u8> {
        let mut bytes = command.bytes();
        if command.is_done() {
            let nul = self.done_nul && !bytes.ends_with(b"\0");
            return [bytes, if nul { b"\0" } else { b"" }].concat();
        }
        if self.no_slash {
            bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
        }
        let ending: &[u8] = match self.ending {
            Ending::None => b"",
            Ending::Nul => b"\0",
            Ending::Newline => b"\n",
            Ending::CrLf => b"\r\n",
        };
        [bytes, ending].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_dressed_as_deployed_servers_do() {
        let (command, done) = (Command::new("/a?b=c"), Command::new("done"));
        let plain = TlssFaults::default();
        assert_eq!((plain.dress(&command), plain.dress(&done)), (b"/a?b=c".into(), b"done".into()));
        let odd = TlssFaults {
            no_slash: true,
            ending: Ending::Nul,
            done_nul: true,
            ..TlssFaults::default()
        };
        assert_eq!((odd.dress(&command), odd.dress(&done)), (b"a?b=c\0".into(), b"done\0".into()));
        assert_eq!(odd.dress(&Command::new("done\0")), b"done\0");
    }

    #[test]
    fn faults_are_written_as_scripts_write_them() {
        let text = r#"{"wire": {"length": 4294967295}, "after": 2, "ending": "newline"}"#;
        let faults: TlssFaults = serde_json::from_str(text).unwrap();
        assert_eq!(faults.due(1), None);
        assert_eq!(faults.due(2), Some(WireFault::Length(u32::MAX)));
        assert_eq!(faults.ending, Ending::Newline);
        let written = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<TlssFaults>(&written).unwrap(), faults);
        assert!(serde_json::from_str::<TlssFaults>(r#"{"wire": "rain"}"#).is_err());
    }
}
