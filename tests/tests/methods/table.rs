//! The committed tables of what works through which backend. `UPDATE_TABLES=1` writes them anew.

use std::path::Path;
use std::{env, fs};

/// The words before the table of methods.
pub const METHODS: &str = "# Which method works through which backend

Written by the scenario `methods` with `UPDATE_TABLES=1`: what the cloud asked for, and whether the emulated camera at the
other end did it; of AlarmNotify, whether an alarm of that camera reached the cloud, with its picture where the backend takes any. A number is
the code of the refusal: 101 is an ability that the camera or its protocol lacks. *none* is an alarm that the camera does not tell of. *kept*: the camera cannot be
set up so, and the agent itself reports its alarms within those hours, by that `delay`, and while they are switched on.
";

/// The words before the table of abilities.
pub const ABILITIES: &str = "# Which ability each backend has

Written by the scenario `methods` with `UPDATE_TABLES=1`: each slot of a channel over the emulated camera. *passes* is an
ability that passed its conformance checks, *none* an empty slot. *all day only* refuses hours by 101, as no public text
tells how such a camera keeps them; nor does one tell how it lists its tours.
";

/// Compares what was found, columns by name and rows by title, with the committed page; writes the page when told to.
pub fn check(page: &str, head: &str, corner: &str, rows: &[&str], columns: &[(&str, Vec<String>)]) {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let names = columns.iter().map(|(name, _)| *name);
    let mut text = format!("{head}\n{}", line([corner].into_iter().chain(names).collect()));
    text += &format!("|{}\n", "---|".repeat(columns.len() + 1));
    for (number, row) in rows.iter().enumerate() {
        let cells = columns.iter().map(|(_, found)| found[number].as_str());
        text += &line([*row].into_iter().chain(cells).collect());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    if env::var_os("UPDATE_TABLES").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/{page} is not what was found; UPDATE_TABLES=1 writes it:\n{text}"
    );
}
