//! The rules, one case each.

/// A rule that a device is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is told by its name in the report")]
pub enum Check {
    CallArrives,
    CallQuiet,
    IdentityLength,
    IdentityForm,
    CommandParameters,
    CommandAll,
    CommandSlashless,
    CommandEndings,
    CommandSplit,
    CommandCoalesced,
    CommandSeveral,
    Picture,
    ReportCounts,
    ReportHeat,
    ReplyForm,
    ReplyLength,
    ReplyWhole,
    RefuseUnknown,
    RefusePath,
    RefuseShell,
    RefuseLines,
    RefuseUrl,
    LengthZero,
    LengthOversize,
    LengthUnfinished,
    TimerIdentity,
    TimerReply,
    Reconnect,
    DoneFour,
    DoneFive,
    Interval,
}

/// How a rule is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// By commands, of which many go into one session.
    Command,
    /// By something that ends the session.
    End,
    /// By what is seen meanwhile.
    Meanwhile,
}

impl Check {
    /// All rules, in the order of the report.
    pub const ALL: [Self; 31] = [
        Self::CallArrives,
        Self::CallQuiet,
        Self::IdentityLength,
        Self::IdentityForm,
        Self::CommandParameters,
        Self::CommandAll,
        Self::CommandSlashless,
        Self::CommandEndings,
        Self::CommandSplit,
        Self::CommandCoalesced,
        Self::CommandSeveral,
        Self::Picture,
        Self::ReportCounts,
        Self::ReportHeat,
        Self::ReplyForm,
        Self::ReplyLength,
        Self::ReplyWhole,
        Self::RefuseUnknown,
        Self::RefusePath,
        Self::RefuseShell,
        Self::RefuseLines,
        Self::RefuseUrl,
        Self::LengthZero,
        Self::LengthOversize,
        Self::LengthUnfinished,
        Self::TimerIdentity,
        Self::TimerReply,
        Self::Reconnect,
        Self::DoneFive,
        Self::DoneFour,
        Self::Interval,
    ];

    /// The name for programs.
    pub fn id(self) -> &'static str {
        self.told().0
    }

    /// The rule in a sentence.
    pub fn name(self) -> &'static str {
        self.told().1
    }

    /// Where the rule stands.
    pub fn section(self) -> &'static str {
        self.told().2
    }

    pub(super) fn stage(self) -> Stage {
        match self {
            Self::CallArrives
            | Self::CallQuiet
            | Self::IdentityLength
            | Self::IdentityForm
            | Self::ReplyForm
            | Self::ReplyLength
            | Self::ReplyWhole
            | Self::Reconnect
            | Self::Interval => Stage::Meanwhile,
            Self::LengthZero
            | Self::LengthOversize
            | Self::LengthUnfinished
            | Self::TimerIdentity
            | Self::TimerReply
            | Self::DoneFour
            | Self::DoneFive => Stage::End,
            _ => Stage::Command,
        }
    }

    fn told(self) -> (&'static str, &'static str, &'static str) {
        const API: &str = "tlss.md, communication API";
        const PACKET: &str = "tlss.md, packet format";
        const TIMEOUT: &str = "tlss.md, Socket Connection Timeout";
        const SETUP: &str = "tlss.md, device setup";
        const CGI: &str = "tlss.md, CGI commands";
        const FIELD: &str = "field-notes.md, TLSS";
        const THREATS: &str = "reliability.md, 3 A";
        match self {
            Self::CallArrives => ("call.arrives", "The device calls the server by itself", API),
            Self::CallQuiet => {
                ("call.quiet", "The device sends nothing that it was not asked for", API)
            }
            Self::IdentityLength => (
                "identity.length",
                "The identity's length stands before it in 4 bytes, little-endian",
                PACKET,
            ),
            Self::IdentityForm => (
                "identity.form",
                "The identity is mac=…&brand=…&model=…, three fields in this order, the MAC as 12 digits",
                API,
            ),
            Self::CommandParameters => (
                "command.parameters",
                "The parameter list of one of the camera families is answered with Group.name=value lines",
                CGI,
            ),
            Self::CommandAll => {
                ("command.all", "The list of all parameters, without a group, is answered", CGI)
            }
            Self::CommandSlashless => (
                "command.slashless",
                "A command without its leading slash is the same command",
                CGI,
            ),
            Self::CommandEndings => (
                "command.endings",
                "A NUL or a newline behind a command does not belong to it",
                FIELD,
            ),
            Self::CommandSplit => {
                ("command.split", "A command that arrives in pieces is one command", PACKET)
            }
            Self::CommandCoalesced => (
                "command.coalesced",
                "Two commands that arrive together are answered one after the other",
                PACKET,
            ),
            Self::CommandSeveral => (
                "command.several",
                "A session takes as many commands as the server has",
                "tlss.md, how it works, 4",
            ),
            Self::Picture => ("picture", "A picture arrives as it was, byte for byte", FIELD),
            Self::ReportCounts => ("report.counts", "The counting report is answered", CGI),
            Self::ReportHeat => ("report.heat", "The heat map is answered", CGI),
            Self::ReplyForm => (
                "reply.form",
                "A reply is a status line, headers, a blank line and the body",
                FIELD,
            ),
            Self::ReplyLength => (
                "reply.length",
                "The length before a reply is that of the reply, and Content-Length that of the body",
                PACKET,
            ),
            Self::ReplyWhole => (
                "reply.whole",
                "A reply has no pause in it, which deployed servers take for its end",
                FIELD,
            ),
            Self::RefuseUnknown => (
                "refuse.unknown",
                "A command that there is not is answered with an error page",
                FIELD,
            ),
            Self::RefusePath => (
                "refuse.path",
                "A path that leaves the CGIs is answered with an error page",
                THREATS,
            ),
            Self::RefuseShell => {
                ("refuse.shell", "Metacharacters of a shell are not executed", THREATS)
            }
            Self::RefuseLines => (
                "refuse.lines",
                "Line breaks in a command do not become headers or requests",
                THREATS,
            ),
            Self::RefuseUrl => ("refuse.url", "An absolute URL is not fetched", THREATS),
            Self::LengthZero => {
                ("length.zero", "A length of zero does not end or confuse the session", PACKET)
            }
            Self::LengthOversize => (
                "length.oversize",
                "A length of 4 GiB ends the session, without a reply",
                "reliability.md, 3 A5",
            ),
            Self::LengthUnfinished => (
                "length.unfinished",
                "A command that does not end is given up after 7 s",
                "reliability.md, 3 A5",
            ),
            Self::TimerIdentity => (
                "timer.identity",
                "Without a command for 7 s after its identity the device connects anew",
                TIMEOUT,
            ),
            Self::TimerReply => (
                "timer.reply",
                "Without a command for 7 s after a reply the device connects anew",
                TIMEOUT,
            ),
            Self::Reconnect => (
                "call.again",
                "The device calls again within a minute, and does not hammer",
                TIMEOUT,
            ),
            Self::DoneFour => {
                ("done.four", "done, 4 bytes, ends the session", "tlss.md, end of communication")
            }
            Self::DoneFive => (
                "done.five",
                "done and a NUL, 5 bytes, ends the session",
                "tlss.md, end of communication",
            ),
            Self::Interval => (
                "call.interval",
                "After done the device does not call before its update interval is over",
                SETUP,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut ids: Vec<_> = Check::ALL.iter().map(|check| check.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Check::ALL.len());
        let plain = |id: &str| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'.');
        assert!(ids.iter().all(|id| plain(id)), "{ids:?}");
    }
}
