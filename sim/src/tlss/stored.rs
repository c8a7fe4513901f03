//! What a deployed server stores of a reply, or where it gives up. A server whose program dies of a reply says
//! nothing more, and the device calls again in vain.

use std::fmt;

use super::reply::Reply;
use super::script::Command;

/// Parameters without which deployed servers die, and whether the value has to be one word.
const NEEDED: [(&str, bool); 4] = [
    ("NETWORK.Eth0.mac", false),
    ("NETWORK.Eth0.dhcp.enable", false),
    ("VERSION.serialno", true),
    ("BRAND.Model.productid", true),
];
/// Lines of a heat map, that of its time included.
const MAP_LINES: usize = 46;

/// What a server stores of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A parameter list of so many lines.
    Parameters(usize),
    /// A picture of so many bytes.
    Picture(usize),
    /// So many counts: of each record each counter that is not 0.
    Counts(usize),
    /// So many heat maps.
    Maps(usize),
}

/// Why a server stores nothing of a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unstored {
    /// The server's program ends, and with it the session.
    #[error("the server dies: {0}")]
    Dies(String),
    /// The server goes on.
    #[error("{0}")]
    Skipped(String),
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameters(count) => write!(f, "{count} parameters"),
            Self::Picture(bytes) => write!(f, "a picture of {bytes} bytes"),
            Self::Counts(count) => write!(f, "{count} counts"),
            Self::Maps(count) => write!(f, "{count} heat maps"),
        }
    }
}

/// Reads the body of the reply to `command` as deployed servers do; `None` for commands whose replies they do not
/// store. Parts of the parameter list are none that they ask for.
pub(super) fn stored(command: &Command, reply: &Reply) -> Option<Result<Stored, Unstored>> {
    let command = std::str::from_utf8(command.bytes()).ok()?;
    let (path, query) = command.split_once('?').unwrap_or((command, ""));
    let file = path.rsplit('/').next().unwrap_or_default();
    Some(match file.split('.').next().unwrap_or_default() {
        "param" if !query.contains("group=") && !query.contains("update") => parameters(reply),
        "snapshot" if reply.is_jpeg() => Ok(Stored::Picture(reply.body.len())),
        "snapshot" => Err(Unstored::Skipped("no JPEG file".to_owned())),
        "countreport" => text(reply).and_then(counts),
        "reporthm" => text(reply).and_then(maps),
        _ => return None,
    })
}

fn text(reply: &Reply) -> Result<&str, Unstored> {
    reply.text().map(str::trim).ok_or_else(|| Unstored::Skipped("no text".to_owned()))
}

fn parameters(reply: &Reply) -> Result<Stored, Unstored> {
    let text = text(reply)?;
    // The model of encoders has another name.
    let text = text.replace("Brand.prodshortname", "BRAND.Product.shortname");
    // The last line has lost its end, and with it is not found.
    let found = text.rsplit_once('\n').map_or("", |(before, _)| before);
    let pairs = || found.lines().filter_map(|line| line.trim_end().split_once('='));
    for (name, word) in NEEDED {
        let fits = |(key, value): (&str, &str)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            key.eq_ignore_ascii_case(name)
                && !value.is_empty()
                && (!word || value.chars().all(plain))
        };
        if !pairs().any(fits) {
            return Err(Unstored::Dies(format!("no {name}, or the last line")));
        }
    }
    Ok(Stored::Parameters(text.lines().count()))
}

/// Counts of a report. The first record is passed over.
fn counts(text: &str) -> Result<Stored, Unstored> {
    let lines: Vec<_> = text.lines().collect();
    let first = lines.first().copied().unwrap_or_default();
    let head = || {
        let (records, rest) = first.split_once(" Counter:")?;
        let records: usize =
            records.strip_prefix("Records:").or(records.strip_prefix("Time:"))?.parse().ok()?;
        let (counters, names) = rest.split_once(',')?;
        let counters: usize = counters.parse().ok()?;
        (names.split(',').filter(|name| name.contains(':')).count() == counters)
            .then_some((records, counters))
    };
    let (records, counters) =
        head().ok_or_else(|| Unstored::Skipped(format!("no report begins {first:?}")))?;
    let mut count = 0;
    for number in 2..=records {
        let few = || Unstored::Dies("fewer records than it says".to_owned());
        let line = lines.get(number).ok_or_else(few)?;
        let mut fields = line.split(',');
        let time = fields.next().unwrap_or_default();
        if !["9999/99/99 99:99:99", "9999-99-99 99:99:99"].contains(&&*shape(time)) {
            return Err(Unstored::Dies(format!("no time with seconds in {line:?}")));
        }
        for _ in 0..counters {
            let value = fields.next().and_then(|value| value.trim().parse::<i64>().ok());
            count += usize::from(value.ok_or_else(|| Unstored::Dies(format!("{line:?}")))? > 0);
        }
    }
    Ok(Stored::Counts(count))
}

fn maps(text: &str) -> Result<Stored, Unstored> {
    let lines: Vec<_> = text.lines().collect();
    let maps = lines.chunks_exact(MAP_LINES);
    if maps.len() == 0 {
        return Err(Unstored::Skipped(format!("{} lines are no heat map", lines.len())));
    }
    for map in maps.clone() {
        if shape(map[0]) != "9999-99-99_99:99:99" {
            return Err(Unstored::Dies(format!("no time in {:?}", map[0])));
        }
    }
    Ok(Stored::Maps(maps.len()))
}

/// The text with 9 for each digit.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn read(command: &str, body: &str) -> Option<Result<Stored, Unstored>> {
        let raw = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
        let reply = Reply::parse(0, Bytes::from(raw), Duration::ZERO, false);
        stored(&Command::new(command), &reply)
    }

    const LIST: &str = "BRAND.brand=CAP\r\nBRAND.Model.productid=P5\r\nNETWORK.Eth0.Dhcp.enable=no\r\n\
        NETWORK.Eth0.mac=00:13:23:A0:07:AD\r\nVERSION.serialno=G90A0031C\r\nZ.last=1\r\n";

    #[test]
    fn a_parameter_list_needs_its_keys() {
        let command = "/uapi-cgi/param.fcgi?action=list";
        assert_eq!(read(command, LIST), Some(Ok(Stored::Parameters(6))));
        assert_eq!(read("/uapi-cgi/param.fcgi?action=list&group=BRAND", "x"), None);
        for line in LIST.lines().filter(|line| !line.contains("brand") && !line.contains("last")) {
            let without = LIST.replace(&format!("{line}\r\n"), "");
            let error = read(command, &without).unwrap().unwrap_err().to_string();
            let name = line.split('=').next().unwrap();
            assert!(error.to_lowercase().contains(&name.to_lowercase()), "{error}");
        }
        let odd = LIST.replace("G90A0031C", "G90-A");
        assert!(read(command, &odd).unwrap().is_err(), "not one word");
        assert!(read(command, LIST.trim_end_matches("Z.last=1\r\n")).unwrap().is_err(), "the last");
    }

    #[test]
    fn a_report_has_records_with_seconds() {
        let command = "/cgi-bin/operator/countreport.cgi?reportfmt=csv";
        let report = "Records:3 Counter:2,0:Counter 0,1:Counter 1\n\
            2018/11/12 00:00:00,9,9\n2018/11/12 00:10:00,5,0\n2018-11-12 00:20:00,1,-2\n";
        assert_eq!(read(command, report), Some(Ok(Stored::Counts(2))));
        for (from, to) in [
            ("Records:3", "HTTP/1.1 200 OK"),
            ("00:10:00", "00:10"),
            ("Records:3", "Records:4"),
            ("5,0", "5"),
            ("Counter:2", "Counter:3"),
        ] {
            assert!(read(command, &report.replacen(from, to, 1)).unwrap().is_err(), "{from}");
        }
        assert_eq!(read(command, "Records:0 Counter:1,0:A\n"), Some(Ok(Stored::Counts(0))));
    }

    #[test]
    fn a_heat_map_has_46_lines() {
        let map = format!("2018-11-12_00:00:00\n{}", "1,2\n".repeat(45));
        let command = "uapi-cgi/reporthm.cgi?reportfmt=csv";
        assert_eq!(read(command, &map.repeat(3)), Some(Ok(Stored::Maps(3))));
        for bad in [map.replace('_', " "), format!("Records:1\n{map}"), "#400|BAD".to_owned()] {
            assert!(read(command, &bad).unwrap().is_err(), "{bad}");
        }
        assert_eq!(read("/uapi-cgi/netinfo.cgi", "x"), None);
        assert!(read("/nvc-cgi/operator/snapshot.fcgi", "x").unwrap().is_err());
    }
}
