use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

const HOSTILE: &str = include_str!("policy/hostile.txt");
const DOCUMENTED: &str = include_str!("policy/documented.txt");

static OPEN: LazyLock<Policy> = LazyLock::new(open);

fn open() -> Policy {
    let profile = Profile::built_in();
    let groups = profile.groups();
    Policy::new(profile, &groups).unwrap()
}

fn closed() -> Policy {
    Policy::new(Profile::built_in(), &[]).unwrap()
}

/// The lines of a fixture, with escapes such as `\xNN` read as bytes.
fn commands(fixture: &'static str) -> impl Iterator<Item = Vec<u8>> {
    let lines = fixture.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines.map(|line| {
        let mut command = Vec::new();
        let mut rest = line.bytes();
        while let Some(byte) = rest.next() {
            command.push(match (byte, byte == b'\\') {
                (byte, false) => byte,
                _ => match rest.next().unwrap() {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'\\' => b'\\',
                    b'x' => {
                        let digits = [rest.next().unwrap(), rest.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    other => panic!("{line}: \\{}", char::from(other)),
                },
            });
        }
        command
    })
}

#[test]
fn no_hostile_command_passes_even_with_every_group_on() {
    let policy = open();
    let mut count = 0;
    for command in commands(HOSTILE) {
        if let Ok(request) = policy.check(&command) {
            panic!("{} passed as {request}", command.escape_ascii());
        }
        count += 1;
    }
    assert!(count >= 200, "a corpus of at least 200 commands, found {count}");
}

#[test]
fn no_oversized_command_passes() {
    let policy = open();
    let long = |n| "A".repeat(n);
    for command in [
        format!("/uapi-cgi/param.fcgi?action={}", long(4096)),
        format!("/uapi-cgi/param.fcgi?action=list&group={}", long(257)),
        format!(
            "/cgi-bin/operator/countreport.cgi?reportfmt=csv&from=now&to=now&counter={}",
            long(65)
        ),
        format!(
            "/cgi-bin/operator/countreport.cgi?reportfmt=csv&from=now-{}:00&to=now",
            "1".repeat(33)
        ),
        format!("/uapi-cgi/reporthm.cgi?reportfmt=csv&from=now&to=now&table={}", "9".repeat(300)),
        format!("/uapi-cgi/param.fcgi?action=update&group=VCA.Ch0.Ct{}&name=1", "1".repeat(49)),
        format!("/uapi-cgi/param.fcgi?action=update&group=VCA.Ch0.Ct0&name={}", long(257)),
        format!("/uapi-cgi/param.fcgi?action=update&group=VCA.Ch0&{}=1", long(65)),
        format!("/{}", long(8191)),
        format!("/uapi-cgi/param.fcgi?{}", "a=1&".repeat(2000)),
        format!(
            "/uapi-cgi/param.fcgi?action=update&group=VCA.Ch0{}",
            (0..33).map(|n| format!("&Ct{n}.name=1")).collect::<String>()
        ),
    ] {
        assert!(policy.check(command.as_bytes()).is_err(), "{}", &command[..60]);
    }
}

#[test]
fn every_documented_command_passes_unchanged() {
    let policy = open();
    for command in commands(DOCUMENTED) {
        let text = String::from_utf8(command.clone()).unwrap();
        let request = policy.check(&command).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(request.to_string(), text);
    }
}

#[test]
fn without_groups_exactly_the_writing_commands_are_refused() {
    let policy = closed();
    let mut writing = 0;
    for command in commands(DOCUMENTED) {
        let text = String::from_utf8(command.clone()).unwrap();
        let writes = ["=update", "=set"].iter().any(|verb| text.contains(verb));
        writing += u32::from(writes);
        match policy.check(&command) {
            Ok(_) => assert!(!writes, "{text} writes"),
            Err(Refusal::Write { .. }) => assert!(writes, "{text} only reads"),
            Err(other) => panic!("{text}: {other}"),
        }
    }
    assert!(writing >= 5, "found {writing}");
}

#[test]
fn a_write_group_lets_its_own_commands_through_and_no_others() {
    let policy = Policy::new(Profile::built_in(), &["timezone".to_owned()]).unwrap();
    let zone = b"/nvc-cgi/admin/timezone.cgi?action=set";
    assert!(policy.check(zone).is_ok());
    let clock =
        b"/uapi-cgi/param.fcgi?action=update&group=System.DateTime&datetime=040106002020.00";
    let refusal = policy.check(clock).unwrap_err();
    assert_eq!(refusal, Refusal::Write { group: "datetime".into() });
    assert!(refusal.to_string().contains("datetime"));
}

#[test]
fn a_group_that_the_profile_lacks_is_named_with_those_it_has() {
    let error = Policy::new(Profile::built_in(), &["date".to_owned()]).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.name, "date");
    assert!(text.contains("`write`") && text.contains("datetime, timezone, vca"), "{text}");
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let policy = open();
    for (command, refusal) in [
        (&b"/uapi-cgi/param.fcgi?action=list\r\nX: y"[..], Refusal::Bytes),
        (b"/uapi-cgi/../x", Refusal::Path),
        (b"/uapi-cgi/param.fcgi?action=$(id)", Refusal::Query),
        (b"/axis-cgi/param.cgi?action=list", Refusal::Unknown),
        (b"/uapi-cgi/param.fcgi?action=remove", Refusal::Params),
        (b"/uapi-cgi/param.fcgi", Refusal::Params),
    ] {
        assert_eq!(policy.check(command), Err(refusal), "{}", command.escape_ascii());
    }
}

/// Whether a request has one of the allowed shapes, written independently of the policy.
fn is_harmless(request: &str) -> bool {
    let (path, query) = request.split_once('?').unwrap_or((request, ""));
    let paths = [
        "/uapi-cgi/param.fcgi",
        "/nvc-cgi/admin/param.fcgi",
        "/nvc-cgi/admin/vca.fcgi",
        "/nvc-cgi/admin/vca.cgi",
        "/nvc-cgi/admin/debug.cgi",
        "/cgi-bin/operator/param.cgi",
        "/cgi-bin/admin/network.cgi",
        "/uapi-cgi/snapshot.fcgi",
        "/nvc-cgi/operator/snapshot.fcgi",
        "/cgi-bin/operator/snapshot.cgi",
        "/cgi-bin/operator/countreport.cgi",
        "/uapi-cgi/reporthm.cgi",
        "/uapi-cgi/netinfo.cgi",
        "/uapi-cgi/network.cgi",
        "/uapi-cgi/datetime.cgi",
        "/uapi-cgi/datetime.fcgi",
        "/uapi-cgi/timezone.cgi",
        "/nvc-cgi/admin/timezone.cgi",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:+/&=".contains(c);
    let escapes =
        ["%20", "%3A", "%2C", "%2B", "%2F"].iter().fold(query.to_owned(), |q, e| q.replace(e, "x"));
    let pair = |pair: &str| pair.split('=').count() == 2 && pair.len() <= 330;
    let pairs = query.is_empty() || query.split('&').all(pair);
    paths.contains(&path)
        && escapes.chars().all(plain)
        && pairs
        && !request.contains("..")
        && !request.contains("//")
        && !query.replace("%20", "+").replace("%2B", "+").split(['=', '+']).any(is_option)
        && query.split('&').all(|pair| match pair.split_once('=') {
            Some(("from" | "to", time)) => is_moment(&decoded(time)),
            Some(("group", groups)) => !groups.to_ascii_uppercase().contains("USER"),
            Some((_, value)) => !is_file_or_address(&decoded(value)),
            None => true,
        })
}

/// A value without its escapes.
fn decoded(value: &str) -> String {
    let escapes =
        [("+", " "), ("%20", " "), ("%3A", ":"), ("%2C", ","), ("%2B", "+"), ("%2F", "/")];
    escapes.iter().fold(value.to_owned(), |value, (from, to)| value.replace(from, to))
}

/// Whether a time has one of the documented shapes, written independently of the grammar: 9 stands for a digit.
fn is_moment(time: &str) -> bool {
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c.to_ascii_lowercase() })
        .collect();
    let name = shape.trim_end_matches('9').trim_end_matches(['+', '-', ' ']);
    let digits = shape.len() - shape.trim_end_matches('9').len();
    let named = [
        "now",
        "today",
        "yesterday",
        "thisweek",
        "lastweek",
        "thismonth",
        "lastmonth",
        "this_week",
        "last_week",
        "this_month",
        "last_month",
        "sunday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
    ]
    .contains(&name);
    let offset = shape.len() - name.len();
    let plain = ["9999-99-99", "9999/99/99"]
        .iter()
        .flat_map(|date| ["", " 99:99", " 99:99:99"].map(|clock| format!("{date}{clock}")))
        .chain(["now-99:99".to_owned(), "now+99:99".to_owned()])
        .any(|known| known == shape);
    plain || named && (offset == 0 || offset == digits + 1 && (1..=10).contains(&digits))
}

fn is_file_or_address(value: &str) -> bool {
    let around = |at: usize, fits: fn(char) -> bool| {
        let (before, after) = (value[..at].chars().next_back(), value[at + 1..].chars().next());
        before.is_some_and(fits) && after.is_some_and(fits)
    };
    value.match_indices('/').any(|(at, _)| !around(at, |c| c.is_ascii_alphanumeric()))
        || value.match_indices(':').any(|(at, _)| !around(at, |c| c.is_ascii_digit()))
}

fn is_option(word: &str) -> bool {
    match word.as_bytes() {
        [b'/', ..] | [b'-'] | [b'-', b'-', ..] => true,
        [b'-', first, ..] => first.is_ascii_alphabetic(),
        _ => false,
    }
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "/uapi-cgi/param.fcgi",
        "/nvc-cgi/admin/param.fcgi",
        "/uapi-cgi/datetime.fcgi",
        "/..",
        "//",
        "?",
        "&",
        "=",
        "action=list",
        "action=update",
        "&group=VCA.Ch0",
        "group=",
        "VERSION",
        "VCA.Ch0",
        "%2e",
        "%20",
        "%00",
        "%25",
        "\r\n",
        ";",
        "$(id)",
        "`id`",
        "|",
        "name=",
        "x",
        "1",
        ".",
        "..",
        "-",
        "+",
        "/",
        "\0",
        "é",
        "&action=update",
        "&name=1",
        "&Ct0.pts=%2C",
        "&Ct1.",
        "value=1",
    ]);
    let piece = prop_oneof![
        8 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Documented commands with one thing changed in each.
fn mutant() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<_> = commands(DOCUMENTED).collect();
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        prop::sample::select(vec!["/", "..", "%2e", "%20", "&", "=", "?", "a", "&a=b", "%3a"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (prop::sample::select(all), any::<prop::sample::Index>(), 0..3_usize, piece).prop_map(
        |(mut command, at, cut, piece)| {
            let at = at.index(command.len() + 1);
            command.splice(at..(at + cut).min(command.len()), piece);
            command
        },
    )
}

/// Something like a time: words, separators and digits of times in any order, and things that are no time.
fn timely() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "now",
        "today",
        "thisweek",
        "lastmonth",
        "this_week",
        "monday",
        "2018/11/12",
        "2018-11-12",
        "1970/01/01",
        "2018",
        "11",
        "/",
        "-",
        "+",
        ":",
        " ",
        "00:00",
        "01:00:00",
        "600",
        "0",
        "9",
        ".",
        "..",
        "x",
        ";",
        "$(id)",
        "\\",
        "\0",
        "é",
    ]);
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Each character may be itself, an escape, or an escape of an escape.
    #[test]
    fn a_time_reaches_the_camera_in_its_shapes_and_spellings_only(
        time in timely(),
        spellings in prop::collection::vec(0..8_u8, 64),
    ) {
        let (mut spelt, mut allowed) = (String::new(), true);
        for (byte, how) in time.bytes().zip(spellings.iter().cycle()) {
            let may_be_escaped = b" :,+/".contains(&byte);
            match (how, byte) {
                (0, _) => spelt.push_str(&format!("%25{byte:02x}")),
                (1, _) => spelt.push_str(&format!("%{byte:02X}")),
                (_, b' ') => spelt.push('+'),
                (_, b'+') => spelt.push_str("%2B"),
                (2, _) if may_be_escaped => spelt.push_str(&format!("%{byte:02x}")),
                (_, b'!'..=b'~') => spelt.push(char::from(byte)),
                _ => spelt.push_str(&format!("%{byte:02x}")),
            }
            allowed &= match how {
                0 => false,
                1 => may_be_escaped,
                _ => byte.is_ascii_graphic() || byte == b' ',
            };
        }
        let path = "/cgi-bin/operator/countreport.cgi?reportfmt=csv&to=now&from=";
        let passes = OPEN.check(format!("{path}{spelt}").as_bytes()).is_ok();
        prop_assert!(!passes || allowed && is_moment(&time), "{spelt}");
        let (date, clock) = time.split_once(' ').unwrap_or((&time, ""));
        let on_the_calendar = ["2018/11/12", "1970/01/01", "2018-11-12"].contains(&date);
        if on_the_calendar && ["", "00:00", "01:00:00"].contains(&clock) && !time.ends_with(' ') {
            prop_assert_eq!(passes, allowed, "{}", spelt);
        }
    }

    #[test]
    fn whatever_comes_out_is_one_of_the_allowed_forms(
        command in prop_oneof![soup(), mutant(), prop::collection::vec(any::<u8>(), 0..80)],
    ) {
        let policy = &*OPEN;
        if let Ok(request) = policy.check(&command) {
            let text = request.to_string();
            prop_assert!(is_harmless(&text), "{text}");
            let again = policy.check(text.as_bytes());
            prop_assert_eq!(again.as_ref(), Ok(&request), "the rebuilt command is its own rebuilding");
            // The rebuilt command differs from the original in the case of escapes only.
            prop_assert!(text.as_bytes().eq_ignore_ascii_case(&command), "{text}");
        }
    }
}
