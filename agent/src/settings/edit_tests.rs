use proptest::prelude::*;

use toml::de::DeValue;

use super::super::place::written;
use super::*;

const FILE: &str = "\
# The agent of the door.

credentials = 'secret.toml' # apart

# Whom to dial.
[cloud] # ours
url = 'ws://h/' # the cloud
# A comment at the end of a section.

[[channel]] # the door
backend = 'rtsp'
# main = 'rtsp://10.0.0.2/shown'
  always_on = [ # from the start
    'main', # large
    'sub', # [small]
  ]
quality = { ld = 'sub', sd = 'sub' }
[[channel]]
backend = 'emulator'
quality.hd = 'main'
  [channel.other]

[log] # how much
";

fn key(name: &str) -> Key {
    name.parse().unwrap()
}

/// The file after a change, and the lines that differ: those that went and those that came.
fn changed(text: &str, name: &str, value: Option<&str>) -> (Vec<String>, Vec<String>) {
    let new = match value {
        Some(value) => set(text, &key(name), value),
        None => unset(text, &key(name)),
    };
    let new = new.unwrap();
    DeTable::parse(&new).unwrap_or_else(|e| panic!("{name}: {e}\n{new}"));
    let (old, new): (Vec<_>, Vec<_>) = (text.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same..], &new[same..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    (owned(&old[..old.len() - tail]), owned(&new[..new.len() - tail]))
}

fn error(text: &str, name: &str) -> String {
    set(text, &key(name), "1").unwrap_err().to_string()
}

#[test]
fn a_value_is_exchanged_in_its_place() {
    for (name, value, old, new) in [
        ("cloud.url", "'ws://b/'", "url = 'ws://h/' # the cloud", "url = 'ws://b/' # the cloud"),
        ("credentials", "'b'", "credentials = 'secret.toml' # apart", "credentials = 'b' # apart"),
        ("channel.1.backend", "'x'", "backend = 'emulator'", "backend = 'x'"),
        ("channel.1.quality.hd", "1", "quality.hd = 'main'", "quality.hd = 1"),
        (
            "channel.0.quality.sd",
            "\"main\"",
            "quality = { ld = 'sub', sd = 'sub' }",
            "quality = { ld = 'sub', sd = \"main\" }",
        ),
    ] {
        let want = (vec![old.to_owned()], vec![new.to_owned()]);
        assert_eq!(changed(FILE, name, Some(value)), want, "{name}");
    }
}

#[test]
fn a_new_key_stands_at_the_end_of_its_section_or_behind_the_comment_that_shows_it() {
    for (name, line, before) in [
        ("cloud.login_code", "login_code = 1", "url = 'ws://h/' # the cloud"),
        ("channel.0.main", "main = 1", "# main = 'rtsp://10.0.0.2/shown'"),
        ("channel.0.sub", "sub = 1", "quality = { ld = 'sub', sd = 'sub' }"),
        ("channel.1.main", "main = 1", "quality.hd = 'main'"),
        ("channel.1.quality.ld", "quality.ld = 1", "quality.hd = 'main'"),
        ("channel.1.web.host", "web.host = 1", "quality.hd = 'main'"),
        ("channel.1.other.x", "  x = 1", "  [channel.other]"),
        ("version", "version = 1", "credentials = 'secret.toml' # apart"),
        ("log.level", "level = 1", "[log] # how much"),
    ] {
        let (old, new) = changed(FILE, name, Some("1"));
        assert_eq!((old, new), (vec![], vec![line.to_owned()]), "{name}");
        let text = set(FILE, &key(name), "1").unwrap();
        assert!(text.contains(&format!("{before}\n{line}\n")), "{name}:\n{text}");
    }
    let braces = changed(FILE, "channel.0.quality.hd", Some("1")).1;
    assert_eq!(braces, ["quality = { ld = 'sub', sd = 'sub', hd = 1 }"]);
    assert_eq!(set("a = {}", &key("a.b"), "1").unwrap(), "a = { b = 1 }");
}

#[test]
fn a_new_section_and_a_new_channel_stand_at_the_end() {
    for (name, want) in [
        ("record.spool_dir", vec!["", "[record]", "spool_dir = 1"]),
        ("record.a.b", vec!["", "[record]", "a.b = 1"]),
        ("channel.2.backend", vec!["", "[[channel]]", "backend = 1"]),
        ("channel.2.quality.hd", vec!["", "[[channel]]", "quality.hd = 1"]),
    ] {
        assert_eq!(
            changed(FILE, name, Some("1")),
            (vec![], want.iter().map(|s| (*s).into()).collect())
        );
    }
    assert_eq!(set("", &key("log.level"), "1").unwrap(), "[log]\nlevel = 1\n");
    assert_eq!(set("a = 1", &key("b"), "1").unwrap(), "a = 1\nb = 1\n");
    assert_eq!(extend("a = 1", "channel"), "a = 1\n\n[[channel]]\n");
    assert_eq!((count(FILE, "channel"), count(FILE, "none")), (Ok(2), Ok(0)));
}

#[test]
fn a_key_at_the_top_of_a_file_without_any_stands_above_the_first_section() {
    for (text, want) in [
        ("[log]\n", "a = 1\n[log]\n"),
        ("# about\n\n# log\n[log]\n", "# about\n\na = 1\n# log\n[log]\n"),
        ("# about\n\n# a = 2\n\n# log\n[log]\n", "# about\n\n# a = 2\na = 1\n\n# log\n[log]\n"),
        ("\u{feff}[log]\r\n", "\u{feff}a = 1\r\n[log]\r\n"),
        ("# only this", "a = 1\n# only this"),
    ] {
        let new = set(text, &key("a"), "1").unwrap();
        DeTable::parse(&new).unwrap_or_else(|e| panic!("{e}\n{new}"));
        assert_eq!(new, want);
    }
}

#[test]
fn the_comments_inside_a_value_stay() {
    let want = ["# from the start", "# large", "# [small]", "  always_on = 1"];
    let (old, new) = changed(FILE, "channel.0.always_on", Some("1"));
    assert_eq!((old.len(), &*new), (4, &want.map(String::from)[..]));
    let (_, new) = changed(FILE, "channel.0.always_on", None);
    assert_eq!(new, want[..3]);
}

#[test]
fn a_value_that_is_taken_out_leaves_its_comment() {
    for (name, old, new) in [
        ("cloud.url", "url = 'ws://h/' # the cloud", Some("# the cloud")),
        ("channel.0.backend", "backend = 'rtsp'", None),
        ("channel.1.quality.hd", "quality.hd = 'main'", None),
        (
            "channel.0.quality.ld",
            "quality = { ld = 'sub', sd = 'sub' }",
            Some("quality = { sd = 'sub' }"),
        ),
        (
            "channel.0.quality.sd",
            "quality = { ld = 'sub', sd = 'sub' }",
            Some("quality = { ld = 'sub' }"),
        ),
        ("channel.0.quality", "quality = { ld = 'sub', sd = 'sub' }", None),
    ] {
        let new: Vec<_> = new.map(String::from).into_iter().collect();
        assert_eq!(changed(FILE, name, None), (vec![old.to_owned()], new), "{name}");
    }
    for absent in ["cloud.none", "none.at.all", "channel.7.main", "cloud.url.x"] {
        assert_eq!(unset(FILE, &key(absent)).unwrap(), FILE, "{absent}");
    }
    assert_eq!(unset(FILE, &key("log")), Err(EditError::Section("log".into())));
    assert_eq!(unset("a = { b.c = 1 }", &key("a.b.c")), Err(EditError::ByHand("a.b.c".into())));
}

#[test]
fn in_braces_over_several_lines_no_comment_is_lost() {
    const BRACES: &str = "t = { # note\n a = 1, # one\n b = 2, # two\n}\n";
    let by_hand = |name: &str| Err(EditError::ByHand(name.to_owned()));
    assert_eq!(unset(BRACES, &key("t.a")), by_hand("t.a"));
    assert_eq!(unset(BRACES, &key("t.b")), by_hand("t.b"));
    let added = set(BRACES, &key("t.c"), "3").unwrap();
    assert_eq!(added, BRACES.replace("b = 2", "b = 2, c = 3"));
    assert_eq!(set("t = { # note\n}", &key("t.a"), "1"), by_hand("t.a"));
    assert_eq!(set("t = { a = [ # note\n] }", &key("t.a"), "1"), by_hand("t.a"));
    assert_eq!(unset("t = { a = [ # note\n] }", &key("t.a")), by_hand("t.a"));
    assert_eq!(unset("t = { a = 1, b.c = 2 }", &key("t.a")), by_hand("t.a"));
    assert_eq!(unset("t = { a = 1, }", &key("t.a")), by_hand("t.a"));
    let plain = "t = {\n a = 1,\n b = 2,\n}";
    assert_eq!(unset(plain, &key("t.a")).unwrap(), "t = {\n b = 2,\n}");
    assert_eq!(unset(plain, &key("t.b")).unwrap(), "t = {\n a = 1,\n}");
    let all = unset(BRACES, &key("t")).unwrap();
    assert_eq!(all, "# note\n# one\n# two\n");
}

#[test]
fn what_cannot_be_changed_is_said() {
    for (name, want) in [
        ("cloud", "cloud is a section"),
        ("channel", "channel is a section"),
        ("channel.1.other", "channel.1.other is a section"),
        ("channel.1.quality", "channel.1.quality is a section"),
        ("channel.3.main", "there is no channel 3: the file has 2, numbered from 0"),
        ("cloud.url.host", "url is no section"),
        ("cloud.0.url", "cloud is no section"),
        ("channel.main", "channel is no section"),
    ] {
        let error = error(FILE, name);
        assert!(error.starts_with(want), "{name}: {error}");
    }
    assert_eq!(error("[cloud", "cloud.url"), "the file cannot be read");
}

/// A file of some lines, each a comment, a pair or a header, all of them different.
fn any_file() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("# comment N".to_owned()),
        Just("# kN = 'shown'".to_owned()),
        Just(String::new()),
        Just("kN = 'x # no comment' # comment N".to_owned()),
        Just("  kN = [1, 2] # comment N".to_owned()),
        Just("kN = [ # comment N\n 1, # inner N\n '[a]' ]".to_owned()),
        Just("kN = '''\n# kM = 1\n[x]\n'''".to_owned()),
        Just("tN = { a = 1, b = 'x' } # comment N".to_owned()),
        Just("tN = { # comment N\n}".to_owned()),
        Just("tN = {\n a = 1,\n k2 = 2,\n} # comment N".to_owned()),
        Just("tN = { # comment N\n a = 1, # inner N\n k2 = 2 # inner M\n}".to_owned()),
        Just("tN = { a = [ # comment N\n 1 ], # inner N\n }".to_owned()),
        Just("tN = { k1 = 1, b.c = 2, a = 3 } # comment N".to_owned()),
        Just("tN.a = 1".to_owned()),
        Just("[sN] # comment N".to_owned()),
        Just("[[channel]] # comment N".to_owned()),
    ];
    let lines = prop::collection::vec(line, 0..12);
    (lines, any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, open)| {
        let mut text = String::new();
        for (n, line) in lines.iter().enumerate() {
            text += &line.replace('N', &n.to_string()).replace('M', &(n + 1).to_string());
            text += "\n";
        }
        let text = if open { text.trim_end().to_owned() } else { text };
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}

fn any_change() -> impl Strategy<Value = (String, Option<String>)> {
    let section = prop_oneof![
        Just(String::new()),
        (0..12u8).prop_map(|n| format!("s{n}.")),
        (0..12u8).prop_map(|n| format!("t{n}.")),
        (0..4u8).prop_map(|n| format!("channel.{n}.")),
        (0..4u8, 0..12u8).prop_map(|(n, m)| format!("channel.{n}.t{m}.")),
    ];
    let name =
        prop_oneof![(0..12u8).prop_map(|n| format!("k{n}")), Just("a".into()), Just("z".into())];
    let value = prop_oneof![
        Just(None),
        Just(Some("true".to_owned())),
        Just(Some("'a # b'".to_owned())),
        Just(Some("[ 'c', 'd' ]".to_owned())),
    ];
    (section, name, value).prop_map(|(section, name, value)| (section + &name, value))
}

/// Every pair of a file: its name, and its value as it is written.
fn pairs(text: &str) -> Vec<(String, String)> {
    fn all(text: &str, path: &str, table: &DeTable<'_>, found: &mut Vec<(String, String)>) {
        for (name, value) in table {
            let path = format!("{path}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(table) => all(text, &format!("{path}."), table, found),
                DeValue::Array(items) if matches!(written(text, value), Level::Header(_)) => {
                    for (n, item) in items.iter().enumerate() {
                        let DeValue::Table(table) = item.get_ref() else { continue };
                        all(text, &format!("{path}.{n}."), table, found);
                    }
                }
                _ => found.push((path, text[value.span()].to_owned())),
            }
        }
    }
    let mut found = Vec::new();
    all(text, "", &parse(text).unwrap(), &mut found);
    found.sort();
    found
}

/// Every comment of a file in whose strings no comment is numbered.
fn all_comments(text: &str) -> Vec<&str> {
    let numbered = |line: &&str| line.contains("# comment ") || line.contains("# inner ");
    let mut found: Vec<_> =
        text.lines().filter(numbered).map(|line| line.rsplit("# ").next().unwrap()).collect();
    found.sort_unstable();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// After any series of changes the key has its value, every other key has the bytes it had, and
    /// no comment is lost.
    #[test]
    fn changes_touch_nothing_else(
        file in any_file().prop_filter("TOML", |text| DeTable::parse(text).is_ok()),
        changes in prop::collection::vec(any_change(), 1..8),
    ) {
        let mut text = file;
        for (name, value) in changes {
            let key = key(&name);
            let edited = match &value {
                Some(value) => set(&text, &key, value),
                None => unset(&text, &key),
            };
            let Ok(edited) = edited else { continue };
            prop_assert_eq!(all_comments(&edited), all_comments(&text), "{}\n{}", name, edited);
            let mut want = pairs(&text);
            want.retain(|(known, _)| *known != name);
            if let Some(value) = value {
                want.push((name, value));
            }
            want.sort();
            prop_assert!(DeTable::parse(&edited).is_ok(), "{}", edited);
            prop_assert_eq!(pairs(&edited), want, "{}", edited);
            prop_assert_eq!(has(&edited, &key).unwrap(), want_has(&edited, &key));
            text = edited;
        }
    }
}

fn want_has(text: &str, key: &Key) -> bool {
    pairs(text).iter().any(|(name, _)| *name == key.to_string())
}
