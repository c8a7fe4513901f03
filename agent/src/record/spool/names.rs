//! The names of folders and files. Nothing from the network becomes a name: folders and files are
//! numbered, and any other name belongs to somebody else.

/// Name of a pending upload's file in its session's folder.
pub const PENDING: &str = "pending";
/// Name of a pending upload's file while it is being written.
pub const NEW_PENDING: &str = "pending.new";
/// Name of a folder that is made and removed to see whether the disk can be written.
pub const PROBE: &str = "probe";

/// Folders and files of this number and above were not made by the spool, which never counts so far. They are left
/// alone: after them no number would be left that ascends.
pub const FOREIGN: u64 = 1 << 63;

/// Name of a session's folder.
pub fn folder(id: u64) -> String {
    format!("session-{id:08x}")
}

/// Name of a segment's file. The numbers ascend over all sessions.
pub fn file(number: u64) -> String {
    format!("{number:016x}.seg")
}

/// The number of a folder with a name by [`folder`]; `None` for other names.
pub fn parse_folder(name: &str) -> Option<u64> {
    let id = u64::from_str_radix(name.strip_prefix("session-")?, 16).ok()?;
    (folder(id) == name).then_some(id)
}

/// The number of a file with a name by [`file()`]; `None` for other names.
pub fn parse_file(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(".seg")?, 16).ok()?;
    (file(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_known_again() {
        for number in [0, 1, 0xffff_ffff, 0x1_0000_0000, u64::MAX] {
            assert_eq!(parse_folder(&folder(number)), Some(number));
            assert_eq!(parse_file(&file(number)), Some(number));
        }
    }

    #[test]
    fn other_names_are_somebody_elses() {
        for name in ["", "session-", "session-1", "session-0000000G", "session-000000FF", "pending"]
        {
            assert_eq!(parse_folder(name), None, "{name}");
        }
        for name in ["", ".seg", "1.seg", "+000000000000001.seg", "000000000000000A.seg", "clip.ts"]
        {
            assert_eq!(parse_file(name), None, "{name}");
        }
    }
}
