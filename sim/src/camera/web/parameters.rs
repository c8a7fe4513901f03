//! The camera's parameters, told as lines of `Group.name=value`.

use std::collections::BTreeMap;

use super::calendar::Date;

const MAX_PARAMETERS: usize = 4096;
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 1024;
/// Name of the date and time, `MMDDhhmmYYYY.ss`. Setting it sets the clock, and listing it tells the running
/// clock.
const CLOCK: &str = "SYSTEM.Datetime.datetime";
/// Groups that cannot be written.
const READ_ONLY: [&str; 2] = ["BRAND", "VERSION"];

const FACTORY: [(&str, &str); 49] = [
    ("BRAND.brand", "CAP"),
    ("BRAND.Model.productid", "P5C1"),
    ("BRAND.Product.shortname", "NS202HD"),
    ("BRAND.Product.fullname", "NS202HD Network Camera"),
    ("HOST.enable", "no"),
    ("HOST.address", ""),
    ("HOST.port", "21000"),
    ("HOST.updateinterval", "60"),
    ("MD.enable", "yes"),
    ("MD.Ch0.enable", "yes"),
    ("MD.Ch0.Z0.enable", "no"),
    ("MD.Ch0.Z0.sensitivity", "128"),
    ("MD.Ch0.Z0.duration", "10"),
    ("MD.Ch0.Z0.position", "0,0,639,359"),
    ("NETWORK.Wlan0.enable", "yes"),
    ("NETWORK.Wlan0.ipaddress", ""),
    ("NETWORK.Wlan0.Connect.essid", ""),
    ("NETWORK.Wlan0.Connect.key", ""),
    ("NETWORK.Wlan0.Connect.authmode", "WPA2PSK"),
    ("NETWORK.Wlan0.Connect.encrypttype", "AES"),
    ("NETWORK.Dns.preferred", "192.168.1.1"),
    ("NETWORK.Eth0.Dhcp.enable", "yes"),
    ("NETWORK.Eth0.gateway", "192.168.1.1"),
    ("NETWORK.Eth0.ipaddress", "192.168.1.64"),
    ("NETWORK.Eth0.mac", "00:13:23:A0:07:AD"),
    ("NETWORK.Eth0.subnet", "255.255.255.0"),
    (CLOCK, ""),
    ("SYSTEM.Datetime.Ntp.enable", "no"),
    ("SYSTEM.Datetime.Ntp.address", "pool.ntp.org"),
    ("SYSTEM.Datetime.Tz.name", "Asia/Shanghai"),
    ("SYSTEM.Datetime.Tz.posixrule", "CST-8"),
    ("SYSTEM.hostname", "NS202HD"),
    ("VCA.Ch0.enable", "yes"),
    ("VCA.Ch0.Ct0.enable", "yes"),
    ("VCA.Ch0.Ct0.name", "Counter 0"),
    ("VCA.Ch0.Ct0.reset", "0"),
    ("VCA.Ch0.Ct1.enable", "yes"),
    ("VCA.Ch0.Ct1.name", "Counter 1"),
    ("VCA.Ch0.Ct1.reset", "0"),
    ("VCA.Ch0.Crpt.Db.enable", "yes"),
    ("VCA.Ch0.Hm.enable", "yes"),
    ("VCA.Ch0.Z0.enable", "yes"),
    ("VCA.Ch0.Z0.name", "Entrance"),
    ("VCA.Ch0.Z0.point", "10000:20000,50000:20000,50000:60000"),
    ("VERSION.firmware", "1.9.2.23"),
    ("VERSION.hardware", "A01"),
    ("VERSION.model", "NS202HD"),
    ("VERSION.serialno", "N20A04711"),
    // Servers miss the last line of a list.
    ("WATCHDOG.enable", "yes"),
];

/// The parameters and the clock of the camera.
#[derive(Debug)]
pub struct Parameters {
    all: BTreeMap<String, String>,
    /// Seconds by which a client moved the clock.
    ahead: i64,
}

/// Why a request is refused. The texts are the camera family's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A value, or the form of the request, is wrong.
    #[error("#400|BAD REQUEST")]
    BadRequest,
    /// The parameter cannot be written.
    #[error("#403|FORBIDDEN")]
    Forbidden,
    /// The camera has no such group.
    #[error("#404|NOT FOUND")]
    NotFound,
    /// There is no room for more.
    #[error("#413|TOO MANY")]
    Full,
}

impl Parameters {
    /// The parameters as the camera left the factory.
    pub fn factory() -> Self {
        let all = FACTORY.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { all: all.collect(), ahead: 0 }
    }

    /// The lines of `groups`, separated by commas; of all groups without.
    ///
    /// # Errors
    /// When the camera has no such group.
    pub fn list(&self, groups: Option<&str>, now: i64) -> Result<String, Refusal> {
        let wanted: Vec<_> = groups.map(|groups| groups.split(',').collect()).unwrap_or_default();
        let lines: String = self
            .all
            .keys()
            .filter(|name| groups.is_none() || wanted.iter().any(|group| within(name, group)))
            .map(|name| format!("{name}={}\n", self.find(name, now).unwrap_or_default()))
            .collect();
        if lines.is_empty() { Err(Refusal::NotFound) } else { Ok(lines) }
    }

    /// The value of one parameter.
    pub fn find(&self, name: &str, now: i64) -> Option<String> {
        match self.all.get(name) {
            Some(_) if name == CLOCK => Some(self.date(now).compact()),
            value => value.cloned(),
        }
    }

    /// Sets what the camera itself tells, such as an address that it was given.
    pub fn tell(&mut self, name: &str, value: String) {
        self.all.insert(name.to_owned(), value);
    }

    /// Sets parameters of a group, all of them or none.
    ///
    /// # Errors
    /// When a parameter cannot be written, is not there, or has no room.
    pub fn update(
        &mut self,
        group: &str,
        values: &[(String, String)],
        now: i64,
    ) -> Result<(), Refusal> {
        let group = self.spelling(group).ok_or(Refusal::NotFound)?;
        if READ_ONLY.iter().any(|only| within(&group, only)) {
            return Err(Refusal::Forbidden);
        }
        let bad = |(name, value): &(String, String)| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'_';
            name.is_empty()
                || name.len() > MAX_NAME
                || value.len() > MAX_VALUE
                || !name.bytes().all(plain)
                || value.contains(char::is_control)
                || (format!("{group}.{name}") == CLOCK && Date::parse_compact(value).is_none())
        };
        if values.is_empty() || values.iter().any(bad) {
            return Err(Refusal::BadRequest);
        }
        if self.all.len() + values.len() > MAX_PARAMETERS {
            return Err(Refusal::Full);
        }
        for (name, value) in values {
            let name = format!("{group}.{name}");
            if name != CLOCK {
                self.all.insert(name, value.clone());
            } else if let Some(date) = Date::parse_compact(value) {
                self.set_clock(date, now);
            }
        }
        Ok(())
    }

    /// The camera's date and time.
    pub fn date(&self, now: i64) -> Date {
        Date::from_unix(self.now(now))
    }

    /// The camera's time in seconds since 1970.
    pub fn now(&self, now: i64) -> i64 {
        now.saturating_add(self.ahead)
    }

    /// Sets the camera's date and time; `false` where there is no such date.
    pub fn set_clock(&mut self, date: Date, now: i64) -> bool {
        let set = date.unix().map(|unix| self.ahead = unix - now);
        set.is_some()
    }

    /// By how much a client moved the clock, in seconds; from now on by nothing, as the cameras' clock moved as well.
    pub fn moved(&mut self) -> i64 {
        std::mem::take(&mut self.ahead)
    }

    /// The group as the camera spells it: letters may be of either case, and any channel of the analytics is
    /// known.
    fn spelling(&self, group: &str) -> Option<String> {
        let known = self.all.keys().find(|name| within(name, group));
        match known {
            Some(name) => Some(name[..group.len()].to_owned()),
            None if within(group, "VCA.Ch0") && group.len() <= MAX_NAME => Some(group.to_owned()),
            None => None,
        }
    }
}

/// Whether a parameter or a group is `group` or lies in it.
fn within(name: &str, group: &str) -> bool {
    let (Some(head), Some(rest)) = (name.get(..group.len()), name.get(group.len()..)) else {
        return false;
    };
    head.eq_ignore_ascii_case(group) && (rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_585_720_800;

    fn pairs(values: &[(&str, &str)]) -> Vec<(String, String)> {
        values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn groups_are_listed_as_lines() {
        let parameters = Parameters::factory();
        let lines = parameters.list(Some("BRAND"), NOW).unwrap();
        let expected = "BRAND.Model.productid=P5C1\n\
                        BRAND.Product.fullname=NS202HD Network Camera\n\
                        BRAND.Product.shortname=NS202HD\nBRAND.brand=CAP\n";
        assert_eq!(lines, expected);
        let two = parameters.list(Some("version,SYSTEM.Datetime.Tz"), NOW).unwrap();
        assert_eq!(two.lines().count(), 6, "{two}");
        assert_eq!(parameters.list(None, NOW).unwrap().lines().count(), FACTORY.len());
        assert_eq!(parameters.list(Some("BRAN"), NOW), Err(Refusal::NotFound));
        let clock = parameters.find(CLOCK, NOW);
        assert_eq!(clock.as_deref(), Some("040106002020.00"));
    }

    #[test]
    fn updates_are_all_or_nothing() {
        let mut parameters = Parameters::factory();
        let zone = pairs(&[("name", "Europe/Paris"), ("posixrule", "CET-1CEST")]);
        assert_eq!(parameters.update("SYSTEM.Datetime.Tz", &zone, NOW), Ok(()));
        let name = parameters.find("SYSTEM.Datetime.Tz.name", NOW);
        assert_eq!(name.as_deref(), Some("Europe/Paris"));

        let half = pairs(&[("name", "UTC"), ("posix rule", "UTC0")]);
        assert_eq!(parameters.update("SYSTEM.Datetime.Tz", &half, NOW), Err(Refusal::BadRequest));
        assert_eq!(parameters.find("SYSTEM.Datetime.Tz.name", NOW), name);
        for (group, refusal) in [
            ("VERSION", Refusal::Forbidden),
            ("brand.Product", Refusal::Forbidden),
            ("NOWHERE", Refusal::NotFound),
        ] {
            assert_eq!(parameters.update(group, &pairs(&[("a", "b")]), NOW), Err(refusal));
        }
        let new = pairs(&[("enable", "no")]);
        assert_eq!(parameters.update("VCA.Ch0.Z7", &new, NOW), Ok(()));
        assert_eq!(parameters.find("VCA.Ch0.Z7.enable", NOW).as_deref(), Some("no"));
    }

    #[test]
    fn the_clock_is_set_and_runs_on() {
        let mut parameters = Parameters::factory();
        let time = pairs(&[("datetime", "123123592030.58")]);
        assert_eq!(parameters.update("System.DateTime", &time, NOW), Ok(()));
        assert_eq!(parameters.find(CLOCK, NOW + 3).as_deref(), Some("010100002031.01"));
        let wrong = pairs(&[("datetime", "now")]);
        assert_eq!(parameters.update("System.DateTime", &wrong, NOW), Err(Refusal::BadRequest));
    }

    #[test]
    fn parameters_are_bounded() {
        let mut parameters = Parameters::factory();
        let many: Vec<_> = (0..MAX_PARAMETERS).map(|i| (format!("p{i}"), String::new())).collect();
        assert_eq!(parameters.update("VCA.Ch0", &many, NOW), Err(Refusal::Full));
        let long = pairs(&[("x", &"y".repeat(MAX_VALUE + 1))]);
        assert_eq!(parameters.update("VCA.Ch0", &long, NOW), Err(Refusal::BadRequest));
    }
}
