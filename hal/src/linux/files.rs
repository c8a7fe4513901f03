//! Small files of the system.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Most bytes of a file that are read: a route takes 128, and a device has few of them.
const MOST: u64 = 64 << 10;

/// The beginning of a file as text; `None` where it cannot be read.
pub(super) fn text(file: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
