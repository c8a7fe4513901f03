//! Faults of the server on request: what a broken or hostile server does to a device.

use serde::{Deserialize, Serialize};

use super::script::Command;

/// All faults of the server. The default is a well-behaved server. Also the JSON of `/api/faults`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlssFaults {
    /// The fault in place of a command.
    pub wire: Option<WireFault>,
    /// Number of commands of a session that come before `wire`, and are answered.
    pub after: u32,
    /// Whether the script ends without `done`.
    pub never_done: bool,
    /// Whether `done` is sent as `done\0`.
    pub done_nul: bool,
    /// Whether the server's program dies, and with it the session, of replies of which those of deployed servers do.
    pub mortal: bool,
    /// Whether commands lack their leading slash.
    pub no_slash: bool,
    /// The bytes behind a command.
    pub ending: Ending,
    /// Whether all commands of the script go out in one write, with `done` behind the last reply.
    pub pipelined: bool,
}

/// A fault in place of a command. Afterwards the connection stays until the device closes it, for five minutes
/// at most, unless the fault says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireFault {
    /// The connection is closed as soon as it is accepted.
    Refuse,
    /// Nothing is sent.
    Silence,
    /// The command is sent with this declared length: 4294967295 is the longest.
    Length(u32),
    /// The command is sent with its length, one byte every so many milliseconds. Its reply is read.
    DripMs(u64),
    /// 512 bytes without a meaning are sent.
    Garbage,
    /// Half the command is sent, then the connection is closed.
    CloseMidCommand,
    /// The command is sent, and then nothing is read any more.
    StopReading,
}

/// The bytes behind a command, within its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing.
    #[default]
    None,
    /// A NUL.
    Nul,
    /// A line feed.
    Newline,
    /// Carriage return and line feed.
    CrLf,
}

impl TlssFaults {
    /// The fault in place of the next command, after `commands` of the session.
    pub(super) fn due(&self, commands: u32) -> Option<WireFault> {
        self.wire.filter(|_| commands >= self.after)
    }

    /// The bytes of a command with its faults.
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
