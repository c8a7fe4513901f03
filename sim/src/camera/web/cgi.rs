//! The CGIs of the uapi/nvc family's three lines (`tlss.md`, "可用的CGI命令", and what deployed servers ask for).

use std::sync::{Mutex, PoisonError};

use url::form_urlencoded;

use super::calendar::Date;
use super::parameters::{Parameters, Refusal};
use super::report::{self, Query};
use super::wire::Answer;
use crate::family::Family;

const TEXT: &str = "text/plain";
/// The picture at the first second of the clip, made by `ffmpeg -ss 1 -i media/clips/main.flv -frames:v 1 -q:v
/// 8 snapshot.jpg`.
const SNAPSHOT: &[u8] = include_bytes!("snapshot.jpg");
const DONE: &str = "#200|OK\n";
/// The page of the family's web server for a missing file; deployed TLSS servers look for these words.
const NOT_FOUND: &str = "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<html>\n <head>\n  \
    <title>404 - Not Found</title>\n </head>\n <body>\n  <h1>404 - Not Found</h1>\n </body>\n</html>\n";

/// What the script interpreter of IPAI cameras says of a missing file.
const NO_FILE: &str = "No input file specified.\n";

struct Pairs(Vec<(String, String)>);

impl Query for Pairs {
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The answer of a camera of `family` to a GET of `target`; `now` is in seconds since 1970.
pub fn answer(parameters: &Mutex<Parameters>, family: Family, target: &str, now: i64) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    let query = Pairs(pairs.collect());
    let mut parameters = parameters.lock().unwrap_or_else(PoisonError::into_inner);
    if has_snapshot(family, path) {
        return Answer::new(200, "image/jpeg", SNAPSHOT);
    }
    let text = match (family, path) {
        (_, "/cgi-bin/operator/countreport.cgi") => report::counting(&query, parameters.now(now)),
        (Family::Ipn, path) => match ipn(&mut parameters, path, query, now) {
            Some(text) => text,
            None => return Answer::new(404, "text/html", NOT_FOUND),
        },
        (Family::Ipe, path) => match ipe(&mut parameters, path, query, now) {
            Some(text) => text,
            None => return Answer::new(404, "text/html", NOT_FOUND),
        },
        (Family::Ipai, "/cgi-bin/operator/param.cgi") => {
            let group = query.value("group").filter(|group| *group != "all");
            parameters.list(group, now)
        }
        (Family::Ipai, "/cgi-bin/admin/network.cgi") => parameters.list(Some("NETWORK"), now),
        (Family::Ipai, _) => return Answer::new(404, "text/html", NO_FILE),
    };
    // The family tells an error in the text, not by the status.
    Answer::new(200, TEXT, text.unwrap_or_else(|refusal| format!("{refusal}\n")))
}

fn has_snapshot(family: Family, path: &str) -> bool {
    match family {
        Family::Ipn => {
            matches!(path, "/uapi-cgi/snapshot.fcgi" | "/nvc-cgi/operator/snapshot.fcgi")
        }
        Family::Ipe => path == "/nvc-cgi/operator/snapshot.fcgi",
        Family::Ipai => path == "/cgi-bin/operator/snapshot.cgi",
    }
}

/// The text of a network camera; `None` where it has no such CGI.
fn ipn(
    parameters: &mut Parameters,
    path: &str,
    query: Pairs,
    now: i64,
) -> Option<Result<String, Refusal>> {
    Some(match path {
        "/uapi-cgi/param.fcgi" | "/nvc-cgi/admin/param.fcgi" => param(parameters, query, now),
        "/uapi-cgi/datetime.cgi" => clock(parameters, &query, now),
        "/uapi-cgi/datetime.fcgi" => set_clock(parameters, &query, now),
        "/uapi-cgi/timezone.cgi" | "/nvc-cgi/admin/timezone.cgi" => set_zone(&query),
        "/uapi-cgi/netinfo.cgi" | "/uapi-cgi/network.cgi" => parameters.list(Some("NETWORK"), now),
        "/uapi-cgi/reporthm.cgi" => report::heat_map(&query, parameters.now(now)),
        _ => return None,
    })
}

/// The text of an encoder, which tells its analytics by a CGI of their own, and the model by another name.
fn ipe(
    parameters: &mut Parameters,
    path: &str,
    query: Pairs,
    now: i64,
) -> Option<Result<String, Refusal>> {
    Some(match path {
        "/nvc-cgi/admin/param.fcgi" => param(parameters, query, now)
            .map(|text| text.replace("BRAND.Product.shortname", "Brand.prodshortname")),
        "/nvc-cgi/admin/vca.fcgi" | "/nvc-cgi/admin/vca.cgi" => match query.value("action") {
            Some("list") => parameters.list(Some("VCA"), now),
            _ => Err(Refusal::BadRequest),
        },
        "/nvc-cgi/admin/debug.cgi" => Ok("uptime=4711\n".to_owned()),
        "/nvc-cgi/admin/timezone.cgi" => set_zone(&query),
        _ => return None,
    })
}

fn set_zone(query: &Pairs) -> Result<String, Refusal> {
    match query.value("action") {
        Some("set") => Ok(DONE.to_owned()),
        _ => Err(Refusal::BadRequest),
    }
}

fn param(parameters: &mut Parameters, query: Pairs, now: i64) -> Result<String, Refusal> {
    match query.value("action") {
        Some("list") => parameters.list(query.value("group"), now),
        Some("update") => {
            let group = query.value("group").ok_or(Refusal::BadRequest)?.to_owned();
            let own = |(name, _): &(String, String)| name != "action" && name != "group";
            let values: Vec<_> = query.0.into_iter().filter(own).collect();
            parameters.update(&group, &values, now).map(|()| DONE.to_owned())
        }
        _ => Err(Refusal::BadRequest),
    }
}

fn clock(parameters: &Parameters, query: &Pairs, now: i64) -> Result<String, Refusal> {
    if query.value("action") != Some("get") {
        return Err(Refusal::BadRequest);
    }
    let Date { year, month, day, hour, minute, second } = parameters.date(now);
    Ok(format!(
        "var DATETIME_DATE_YEAR = {year};\nvar DATETIME_DATE_MONTH = {month};\nvar DATETIME_DATE_DAY = {day};\n\
         var DATETIME_TIME_HOUR = {hour};\nvar DATETIME_TIME_MINUTE = {minute};\nvar DATETIME_TIME_SECOND = {second};\n"
    ))
}

fn set_clock(parameters: &mut Parameters, query: &Pairs, now: i64) -> Result<String, Refusal> {
    let field = |name| query.value(name).and_then(|text| text.parse().ok());
    let date = || {
        Some(Date {
            year: field("year")?,
            month: field("month")?,
            day: field("day")?,
            hour: field("hour")?,
            minute: field("minute")?,
            second: field("second")?,
        })
    };
    let set = query.value("action") == Some("set")
        && date().is_some_and(|date| parameters.set_clock(date, now));
    if set { Ok(DONE.to_owned()) } else { Err(Refusal::BadRequest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_585_720_800;

    fn get(parameters: &Mutex<Parameters>, target: &str) -> (u16, String) {
        get_of(Family::Ipn, parameters, target)
    }

    fn get_of(family: Family, parameters: &Mutex<Parameters>, target: &str) -> (u16, String) {
        let answer = answer(parameters, family, target, NOW);
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    #[test]
    fn every_documented_command_is_answered() {
        let parameters = Mutex::new(Parameters::factory());
        for (target, begin) in [
            ("/uapi-cgi/param.fcgi?action=list", "BRAND."),
            ("/uapi-cgi/param.fcgi?action=list&group=VERSION", "VERSION.firmware="),
            ("/nvc-cgi/admin/param.fcgi?action=list&group=BRAND", "BRAND."),
            (
                "/cgi-bin/operator/countreport.cgi?reportfmt=csv&from=now-06:00&to=now&counter=active&sampling=600&order=Descending&value=diff",
                "Records:36 Counter:2",
            ),
            (
                "/uapi-cgi/reporthm.cgi?reportfmt=csv&from=yesterday&to=today&table=3&individual=no",
                "2020-03-31_00:00:00\n",
            ),
            (
                "/uapi-cgi/param.fcgi?action=update&group=System.DateTime&datetime=040107002020.00",
                "#200|OK",
            ),
            ("/nvc-cgi/admin/timezone.cgi?action=set", "#200|OK"),
            ("/uapi-cgi/netinfo.cgi", "NETWORK."),
            (
                "/uapi-cgi/datetime.cgi?action=get&mode=js",
                "var DATETIME_DATE_YEAR = 2020;\nvar DATETIME_DATE_MONTH = 4;\nvar DATETIME_DATE_DAY = 1;\n",
            ),
            (
                "/uapi-cgi/datetime.fcgi?action=set&year=2021&month=1&day=2&hour=3&minute=4&second=5",
                "#200|OK",
            ),
        ] {
            let (status, body) = get(&parameters, target);
            assert!(status == 200 && body.starts_with(begin), "{target}: {status} {body}");
        }
        let snapshot = answer(&parameters, Family::Ipn, "/nvc-cgi/operator/snapshot.fcgi", NOW);
        assert_eq!((snapshot.kind, &snapshot.body[..2]), ("image/jpeg", &b"\xff\xd8"[..]));
        assert!(snapshot.body.ends_with(b"\xff\xd9"));
    }

    #[test]
    fn each_family_has_its_own_commands() {
        let parameters = Mutex::new(Parameters::factory());
        let report = "/cgi-bin/operator/countreport.cgi?from=now-06:00&to=now";
        for (target, families) in [
            ("/uapi-cgi/network.cgi", &[Family::Ipn][..]),
            ("/cgi-bin/admin/network.cgi", &[Family::Ipai]),
            ("/nvc-cgi/admin/debug.cgi", &[Family::Ipe]),
            ("/uapi-cgi/param.fcgi?action=list", &[Family::Ipn]),
            ("/nvc-cgi/admin/param.fcgi?action=list", &[Family::Ipn, Family::Ipe]),
            ("/nvc-cgi/admin/vca.fcgi?action=list", &[Family::Ipe]),
            ("/cgi-bin/operator/param.cgi", &[Family::Ipai]),
            ("/nvc-cgi/operator/snapshot.fcgi", &[Family::Ipn, Family::Ipe]),
            ("/cgi-bin/operator/snapshot.cgi", &[Family::Ipai]),
            ("/uapi-cgi/reporthm.cgi?from=today&to=now", &[Family::Ipn]),
            (report, &Family::ALL),
        ] {
            for family in Family::ALL {
                let (status, body) = get_of(family, &parameters, target);
                let known = families.contains(&family);
                assert_eq!(status, if known { 200 } else { 404 }, "{family} {target}");
                let said = body.contains("No input file specified");
                assert_eq!(said, !known && family == Family::Ipai, "{family} {target}");
            }
        }
        let (_, list) = get_of(Family::Ipe, &parameters, "/nvc-cgi/admin/param.fcgi?action=list");
        assert!(list.contains("\nBrand.prodshortname=NS202HD\n"), "{list}");
        let (_, all) = get_of(Family::Ipai, &parameters, "/cgi-bin/operator/param.cgi?group=all");
        assert_eq!(all, get(&parameters, "/uapi-cgi/param.fcgi?action=list").1);
    }

    #[test]
    fn what_there_is_not_is_answered_in_the_familys_words() {
        let parameters = Mutex::new(Parameters::factory());
        for target in
            ["/", "//uapi-cgi/param.fcgi", "/../uapi-cgi/param.fcgi", "/cgi-bin/operator/param.cgi"]
        {
            let (status, body) = get(&parameters, target);
            assert!(status == 404 && body.contains("404 - Not Found"), "{target}");
        }
        for (target, words) in [
            ("/uapi-cgi/param.fcgi", "#400|BAD REQUEST\n"),
            ("/uapi-cgi/param.fcgi?action=list&group=NOWHERE", "#404|NOT FOUND\n"),
            ("/uapi-cgi/param.fcgi?action=update&group=VERSION&firmware=2", "#403|FORBIDDEN\n"),
            ("/uapi-cgi/param.fcgi?action=update&name=x", "#400|BAD REQUEST\n"),
            ("/uapi-cgi/timezone.cgi", "#400|BAD REQUEST\n"),
            ("/uapi-cgi/datetime.fcgi?action=set&year=2021", "#400|BAD REQUEST\n"),
        ] {
            assert_eq!(get(&parameters, target), (200, words.to_owned()), "{target}");
        }
    }
}
