//! What is told of files that are no scenarios.

use proptest::prelude::*;

use super::super::values::BUILT_IN;
use super::*;

const GOOD: &str = r#"
name = "A call is answered"
section = "IVR RPC, Requests"

[device]
settings.record.disconnect_seconds = 60
channel.silence_seconds = 20
channel.quality.hd = "sub"

[cloud]
faults.link.delay_ms = 5

[[camera]]
family = "hikvision"
backend = "cgi"
user = "admin"
password = "tr1cky"
quirks = ["busy"]

[network]
seed = 7
uplink.profile = "adsl-512"

[[step]]
id = "ask"
after = "online"
call = "GetPTZPresetList"
params.channel = 0
answer = [{ token = "1" }]
save = { token = "/0/token" }

[[step]]
at = "2s"
when.stream = { key = "s", fps = ">= 10" }
notify = "GotoPTZPreset"
params = { channel = 0, token = "${token}" }

[[expect]]
name = "the camera moves"
after = ["ask"]
order = "Preset(*)"
within = "5s"
"#;

fn mistakes(text: &str) -> Vec<Mistake> {
    parse(Path::new("x.toml"), text).map_or_else(|error| error.mistakes, |_| Vec::new())
}

/// The only mistake of the good file with one line in the place of another.
fn told(old: &str, new: &str) -> (String, String) {
    assert!(GOOD.contains(old), "{old}");
    let error = parse(Path::new("x.toml"), &GOOD.replace(old, new)).unwrap_err();
    let line = GOOD[..GOOD.find(old).unwrap()].matches('\n').count() + 1;
    (format!("x.toml:{line}: "), error.to_string())
}

#[test]
fn a_scenario_is_read_with_every_kind_of_part() {
    let scenario = parse(Path::new("x.toml"), GOOD).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((scenario.steps.len(), scenario.expects.len()), (2, 1));
    assert_eq!((scenario.network.seed, scenario.network.lines.len()), (Some(7), 1));
    assert_eq!(scenario.cloud.faults.link.delay_ms, 5);
    assert!(scenario.device.settings.contains_key("record"));
    assert_eq!(scenario.cameras[0].family.to_string(), "hikvision");
}

#[test]
fn each_mistake_is_told_with_its_line_and_the_nearest_name() {
    for (old, new, wants) in [
        ("section = ", "sectoin = ", "did you mean `section`"),
        ("faults.link.delay_ms", "faults.link.dealy_ms", "did you mean `delay_ms`"),
        ("family = \"hikvision\"", "family = \"axis\"", "expected a family"),
        ("backend = \"cgi\"", "backend = \"cgy\"", "did you mean `cgi`"),
        ("quirks = [\"busy\"]", "quirks = [\"buzy\"]", "buzy"),
        ("seed = 7", "seed = \"x\"", "whole number"),
        ("uplink.profile = \"adsl-512\"", "uplink.profile = \"adsl\"", "adsl-512"),
        ("uplink.profile", "uplnk.profile", "did you mean `uplink`"),
        ("call = \"GetPTZPresetList\"", "cal = \"GetPTZPresetList\"", "did you mean `call`"),
        ("at = \"2s\"", "at = \"soon\"", "12s"),
        ("fps = \">= 10\"", "fsp = \">= 10\"", "did you mean `fps`"),
        ("within = \"5s\"", "wihtin = \"5s\"", "did you mean `within`"),
        ("password = \"tr1cky\"", "pasword = \"tr1cky\"", "did you mean `password`"),
        ("settings.record", "setings.record", "did you mean `settings`"),
        ("settings.record", "settings.recrod", "did you mean `record`"),
        ("disconnect_seconds", "disconect_seconds", "did you mean `disconnect_seconds`"),
        ("silence_seconds", "silence_secs", "did you mean `silence_seconds`"),
        ("channel.silence_seconds", "settings.channel.silence_seconds", "device.channel"),
        ("channel.silence", "chanel.silence", "did you mean `channel`"),
        ("quality.hd", "quality.uhd", "did you mean `fhd`"),
        ("order = \"Preset(*)\"", "alarm = { typ = \"motion\" }", "did you mean `type`"),
        ("order = \"Preset(*)\"", "alarm.picture = { jpg = true }", "did you mean `jpeg`"),
        ("answer = [{ token = \"1\" }]", "error = { cod = 1 }", "did you mean `code`"),
    ] {
        let (place, error) = told(old, new);
        let named = error.lines().any(|line| line.starts_with(&place) && line.contains(wants));
        assert!(named, "{new}: {place}… {wants}\n{error}");
    }
}

#[test]
fn what_is_wrong_in_the_whole_is_told_too() {
    for (old, new, wants) in [
        ("after = [\"ask\"]", "after = [\"asked\"]", "did you mean `ask`"),
        ("token = \"${token}\"", "token = \"${tokn}\"", "did you mean `token`"),
        ("token = \"${token}\"", "token = \"${$}{x} ${tokn}\"", "did you mean `token`"),
        ("order = \"Preset(*)\"", "order = \"Preset(*)\"\nlog = \"x\"", "exclude each other"),
        ("order = \"Preset(*)\"", "order = \"Preset(*)\"\ncount = 0", "at = \"end\""),
        ("order = \"Preset(*)\"", "order = \"Preset(*)\"\ncamera_number = 3", "no camera 3"),
        ("id = \"ask\"", "id = \"online\"", "is taken"),
        ("name = \"the camera moves\"", "", "`name` is missing"),
        ("key = \"s\", fps = \">= 10\"", "key = \"s\"", "says nothing"),
        ("key = \"s\", fps = \">= 10\"", "key = \"s\", fps = \">= 0\"", "always so"),
        ("key = \"s\", fps = \">= 10\"", "key = \"s\", gap_seconds = \"< 0\"", "never so"),
        ("key = \"s\", fps = \">= 10\"", "key = \"s\", video = \"*\"", "always so"),
        ("order = \"Preset(*)\"", "order = \"Preset(*)\"\ncount = \">= 0\"", "always so"),
        ("at = \"2s\"", "at = \"60s\"\nwait = \"61s\"", "within the time_limit"),
        ("params.channel = 0", "params.x = \"${token}\"", "before a later step"),
        ("params.channel = 0", "params.x = \"${n}\"", "before a later step"),
        ("params.channel = 0", "params.x = \"${token\"", "has no `}`"),
        ("notify = \"GotoPTZPreset\"", "pause = true\nnotify = \"x\"", "exclude each other"),
    ] {
        let (_, error) = told(old, new);
        assert!(error.contains(wants), "{new}: {wants}\n{error}");
    }
    let told = mistakes("name = 'x'\ntime_limit = '0s'\n[[step]]\ncall = 'x'");
    assert!(told.len() == 1 && told[0].what.contains("no time"), "{told:?}");
    assert!(mistakes("name = \"nothing\"")[0].what.contains("nothing is expected"));
    assert!(mistakes("name = ")[0].line == 1);
}

#[test]
fn what_waits_for_itself_is_told_once_with_the_other_lines() {
    let file = |parts: &[(&str, &str)]| {
        let part = |(kind, keys): &(&str, &str)| match *kind {
            "step" => format!("[[step]]\npause = true\n{keys}\n"),
            _ => format!("[[expect]]\nname = 'y'\ndevice.online = true\n{keys}\n"),
        };
        let parts: String = parts.iter().map(part).collect();
        mistakes(&format!("name = 'x'\n{parts}[[expect]]\nname = 'y'\ndevice.online = true"))
    };
    let (step, expect) = ("step", "expect");
    for (parts, line, others) in [
        (&[(step, "after = 'b'"), (step, "id = 'b'")][..], 2, ": see line 5"),
        (&[(step, "id = 'b'\nafter = 'b'"), (step, "")], 2, "never happens"),
        (&[(step, "id='a'\nafter='b'"), (expect, "id='b'\nafter='a'")], 2, ": see line 6"),
        (&[(expect, "id='a'\nafter='b'"), (expect, "id='b'\nafter='a'")], 2, ": see line 7"),
        (&[(expect, "id='a'\nat='end'"), (step, "after='a'")], 7, ": see line 2"),
    ] {
        let told = file(parts);
        assert!(told.len() == 1 && told[0].line == line, "{parts:?}: {told:?}");
        assert!(told[0].what.ends_with(others), "{parts:?}: {told:?}");
    }
    let good = [(step, "id='a'"), (expect, "id='b'\nafter='a'"), (step, "after=['a','b']")];
    assert_eq!(file(&good), []);
}

#[test]
fn what_the_network_would_not_touch_is_told_with_what_to_do() {
    let file = |camera: &str, network: &str, step: &str| {
        let text = format!(
            "name = 'x'\n[[camera]]\n{camera}\n[network]\n{network}\n[[step]]\n{step}\n\
             [[expect]]\nname = 'y'\ndevice.online = true"
        );
        mistakes(&text).into_iter().map(|mistake| mistake.what).collect::<Vec<_>>()
    };
    let (clean, pause) = ("camera.profile = 'clean'", "pause = true");
    for (camera, network, step, wants) in [
        ("transport = 'udp'", clean, pause, "number 1: its pictures may pass by"),
        ("transport = 'auto'", clean, pause, "write \"tcp\""),
        ("", "camera.conditions.up.reorder = 0.1", pause, "conditions.up.reorder has no effect"),
        ("", "cloud.conditions.down.duplicate = 1", pause, "link of udp: (docs/badnet.md)"),
        ("", clean, "network = 'camera'\nconditions.down.reorder = 0.1", "down.reorder has no"),
        ("", clean, "network = 'cloud'\ncut = 'hold'", "write cloud.profile = \"clean\""),
        ("", "cloud.profile = 'clean'", "network = 'camera'\nheal = true", "camera.profile"),
        ("", "cloud.profile = 'clean'", "network = 'uplink'\nheal = true", "uplink.profile"),
    ] {
        let told = file(camera, network, step);
        assert!(told.len() == 1 && told[0].contains(wants), "{wants}: {told:?}");
    }
    for (camera, network, step) in [
        ("transport = 'tcp'", clean, "network = 'camera'\nprofile = 'wifi-edge'"),
        ("transport = 'udp'", "cloud.profile = 'clean'", "network = 'cloud'\ncut = 'hold'"),
        ("", "uplink.profile = 'wifi-edge'", "network = 'store'\ncut = 'reset'"),
        ("", "uplink.conditions.up.reorder = 0", "network = 'uplink'\nheal = true"),
    ] {
        assert_eq!(file(camera, network, step), [""; 0], "{camera} {network} {step}");
    }
    let told = mistakes("name = 'x'\n[network]\ncamera.profile = 'clean'\n[[step]]\ncall = 'x'");
    assert!(told.iter().any(|mistake| mistake.what.contains("write [[camera]]")), "{told:?}");
}

#[test]
fn a_mistake_in_what_a_table_is_about_takes_no_right_key_for_a_wrong_one() {
    for (table, slip) in [
        ("[[step]]\ncall = 'x'\nparams = {}\nanswer = {}\nsave = { x = '/a' }", "call"),
        ("[[step]]\ncall = 'x'\nerror = 3", "call"),
        ("[[step]]\nraw = 'x'\ntimes = 3\nbytes = 5", "raw"),
        ("[[step]]\ncamera = 'reboot'\ncamera_number = 0\nchannel = 0\nlasts = '1s'", "camera"),
        ("[[step]]\ncamera = 'refuse'\non = true", "camera"),
        ("[[step]]\ncamera = 'jump'\nseconds = 3", "camera"),
        ("[[step]]\nalarm = 'motion'\nactive = true\ncamera_number = 0", "alarm"),
        ("[[step]]\nnetwork = 'camera'\ncut = 'hold'", "network"),
        ("[[step]]\nnetwork = 'camera'\nheal = true", "network"),
        ("[[step]]\nnetwork = 'camera'\nprofile = 'clean'", "network"),
        ("[[step]]\nnetwork = 'camera'\nconditions = {}", "network"),
        (
            "[[expect]]\nname = 'x'\nat = 'end'\npacket = {}\nfrom = 'cloud'\ncount = 3\nrising = '/seq'\nspacing_seconds = 3",
            "packet",
        ),
        ("[[expect]]\nname = 'x'\norder = 'x'\ncamera_number = 0", "order"),
    ] {
        let (whole, after) = table.split_once(&format!("\n{slip} = ")).unwrap();
        let (_, rest) = after.split_once('\n').unwrap_or_default();
        let file = |line: &str| {
            let beside = "name = 'x'\n[[camera]]\n[network]\ncamera.profile = 'clean'\n\
                          [[expect]]\nname = 'y'\ndevice.online = true";
            format!("{beside}\n{whole}\n{line}\n{rest}")
        };
        // A letter twice, a value of another kind, and two of which only one may be there.
        let (first, last) = slip.split_at(slip.len() - 1);
        let other = if whole.contains("step") { "pause = true" } else { "device.online = true" };
        let value = after.lines().next().unwrap_or_default();
        for line in [
            format!("{first}{last}{last} = {value}"),
            format!("{slip} = 5.5"),
            format!("{slip} = {value}\n{other}"),
        ] {
            let told = mistakes(&file(&line));
            // Any value is a pattern of a packet.
            let wants = usize::from(!line.starts_with("packet = 5.5"));
            assert_eq!(told.len(), wants, "{table}\n{line}: {told:?}");
        }
        assert!(mistakes(&file(&format!("{slip} = {value}"))).is_empty(), "{table}");
    }
    let told = mistakes(&GOOD.replace("uplink.profile", "uplink.conditions = {}\nuplink.profile"));
    assert!(told.len() == 1 && told[0].what.contains("exclude each other"), "{told:?}");
    let told = mistakes("name = 'x'\n[[step]]\nanswer = {}\nparams = {}");
    assert!(told.iter().any(|mistake| mistake.what.contains("expected one of call")), "{told:?}");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let text =
        GOOD.replace("section", "sectoin").replace("quirks", "quriks").replace("within", "wihtin");
    let lines: Vec<_> = mistakes(&text).iter().map(|mistake| mistake.line).collect();
    assert_eq!((lines.len(), lines.is_sorted()), (3, true), "{lines:?}");
}

#[test]
fn files_are_bounded() {
    let many = |table: &str, count: usize| format!("name = \"x\"\n{}", table.repeat(count));
    let step = "[[step]]\npause = true\n";
    assert!(mistakes(&many(step, MAX_STEPS + 1)).iter().any(|m| m.what.contains("at most")));
    let wrong = "[[step]]\nx = 1\n";
    assert!(mistakes(&many(wrong, MAX_STEPS)).len() <= 50);
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.toml");
    std::fs::write(&large, vec![b'#'; MAX_FILE as usize + 1]).unwrap();
    assert!(read(&large).unwrap_err().to_string().contains("at most"));
    assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("at most"));
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"name = 'x'\nabout = 'caf\xe9'\n").unwrap();
    let told = read(&latin).unwrap_err().to_string();
    assert!(told.contains("latin.toml:2: it is not UTF-8"), "{told}");
    assert!(read(&folder.path().join("none.toml")).unwrap_err().to_string().contains("none.toml"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(cut in 0..GOOD.len(), with in "[\\PC\n]{0,12}") {
        let cut = GOOD.floor_char_boundary(cut);
        let _ = parse(Path::new("x.toml"), &format!("{}{with}{}", &GOOD[..cut], &GOOD[cut..]));
    }
}

/// Every file that ships, with its text.
fn shipped() -> Vec<(PathBuf, String)> {
    files(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))
}

/// The files of a folder, with their texts.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

fn guide() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scenarios.md")).unwrap()
}

#[test]
fn each_scenario_that_ships_is_well_written_and_listed_in_the_guide() {
    let (shipped, guide) = (shipped(), guide());
    assert!(shipped.len() >= 20);
    for (file, text) in shipped {
        let scenario = parse(&file, &text).unwrap_or_else(|error| panic!("{error}"));
        let id = scenario.id();
        let row = format!("| [{id}](../lab/scenarios/{id}.toml) | {} |", scenario.name);
        assert!(guide.lines().any(|line| line == row), "docs/scenarios.md lacks {row}");
        assert!(!scenario.section.is_empty() && !scenario.expects.is_empty(), "{id}");
    }
}

#[test]
fn the_example_of_the_guide_is_well_written() {
    let guide = guide();
    let example = guide.split("```toml\n").nth(1).and_then(|text| text.split("```").next());
    parse(Path::new("example.toml"), example.unwrap()).unwrap_or_else(|error| panic!("{error}"));
}

/// The part of the guide under a heading, up to the next one.
fn section<'g>(guide: &'g str, heading: &str) -> &'g str {
    let (_, rest) =
        guide.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    let ends = ["\n## ", "\n### "].into_iter().filter_map(|next| rest.find(next));
    &rest[..ends.min().unwrap_or(rest.len())]
}

/// The words of each piece of code.
fn in_code(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = move |code| str::split(code, move |c| !is_part(c)).filter(|word| !word.is_empty());
    text.split('`').skip(1).step_by(2).map(move |code| words(code).collect())
}

/// The names that the reader tells behind one that it does not know.
fn told_names<'t>(told: &'t [Mistake], text: &str) -> Vec<&'t str> {
    let names = told.iter().find_map(|mistake| {
        let what = mistake.what.as_str();
        let forms = ["known are ", "expected one of ", "there are "];
        forms.iter().find_map(|form| what.split(form).nth(1))
    });
    let names = names.unwrap_or_else(|| panic!("{text}: {told:?}"));
    names.split("; did").next().unwrap_or_default().split(", ").collect()
}

#[test]
fn the_guide_has_every_key_and_word_at_its_place_and_no_other_key() {
    let guide = guide();
    // A file whose tables are wrong is told all keys that there are, and all words of a key.
    for (heading, tables) in [
        ("## The file", &["[xyzzy]"][..]),
        ("### `[device]`", &["[device]\nxyzzy = 1"]),
        ("### `[cloud]`", &["[cloud]\nxyzzy = 1", "[[cloud.logins]]\nxyzzy = 1"]),
        (
            "### `[[camera]]`",
            &[
                "[[camera]]\nxyzzy = 1",
                "[[camera]]\nbackend = 'xyzzy'",
                "[[camera]]\ntransport = 'xyzzy'",
            ],
        ),
        ("### `[network]`", &["[network]\nxyzzy = 1", "[network]\ncloud.xyzzy = 1"]),
        (
            "## `[[step]]`",
            &[
                "[[step]]\npause = true\nxyzzy = 1",
                "[[step]]\ncall = 'x'\nxyzzy = 1",
                "[[step]]\ncall = 'x'\nerror = { xyzzy = 1 }",
                "[[step]]\nnotify = 'x'\nxyzzy = 1",
                "[[step]]\nraw = 'x'\nxyzzy = 1",
                "[[step]]\nlogin = { xyzzy = 1 }",
                "[[step]]\nalarm = 'motion'\nxyzzy = 1\n[[camera]]",
                "[[step]]\nalarm = 'xyzzy'",
                "[[step]]\nagent = 'xyzzy'",
                "[[step]]\nnetwork = 'cloud'\nheal = true\nxyzzy = 1",
                "[[step]]\nnetwork = 'cloud'\ncut = 'xyzzy'",
                "[[step]]\ncamera = 'jump'\nxyzzy = 1\n[[camera]]",
                "[[step]]\ncamera = 'reboot'\nxyzzy = 1\n[[camera]]",
                "[[step]]\ncamera = 'silence'\nxyzzy = 1\n[[camera]]",
            ],
        ),
        (
            "## `[[expect]]`",
            &[
                "[[expect]]\nname = 'x'\npacket = {}\nxyzzy = 1",
                "[[expect]]\nname = 'x'\norder = 'x'\nxyzzy = 1\n[[camera]]",
                "[[expect]]\nname = 'x'\nalarm = { xyzzy = 1 }",
                "[[expect]]\nname = 'x'\nalarm = { picture.xyzzy = 1 }",
                "[[expect]]\nname = 'x'\ndevice = { online = true, xyzzy = 1 }",
                "[[expect]]\nname = 'x'\nstream = { key = 'x', live = true, xyzzy = 1 }",
                "[[expect]]\nname = 'x'\nrecording = { session = 'x', segments = 1, xyzzy = 1 }",
                "[[expect]]\nname = 'x'\ncamera = { pulls = 1, xyzzy = 1 }\n[[camera]]",
            ],
        ),
    ] {
        let section = section(&guide, heading);
        let code: Vec<&str> = in_code(section).flatten().collect();
        let mut known = Vec::new();
        for table in tables {
            let told = mistakes(&format!("name = 'x'\n{table}"));
            for name in told_names(&told, table) {
                assert!(
                    code.contains(&name),
                    "docs/scenarios.md, {heading}: lacks {name} of {table}"
                );
                known.push(name.to_owned());
            }
        }
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        for code in rows.flat_map(|line| in_code(line.split('|').nth(1).unwrap_or_default())) {
            let name = code.first().copied().unwrap_or_default();
            let is_known = known.iter().any(|known| known == name);
            assert!(is_known, "docs/scenarios.md, {heading}: there is no key {name}: {known:?}");
        }
    }
    let values = section(&guide, "## Patterns, numbers, values");
    for name in BUILT_IN {
        assert!(values.contains(&format!("`${{{name}")), "docs/scenarios.md lacks ${{{name}}}");
    }
    let table = "name = 'x'\n[[step]]\ncamera = 'xyzzy'\n[[camera]]";
    let faults = mistakes(table);
    let steps: Vec<&str> = in_code(section(&guide, "## `[[step]]`")).flatten().collect();
    for fault in told_names(&faults, table) {
        assert!(steps.contains(&fault), "docs/scenarios.md lacks the fault {fault}");
    }
}

#[test]
fn each_action_and_subject_is_tried_by_a_scenario() {
    let more = files(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/interop/scenarios"));
    for (file, text) in &more {
        parse(file, text).unwrap_or_else(|error| panic!("{error}"));
    }
    let all: String = shipped().into_iter().chain(more).map(|(_, text)| text).collect();
    // What is left out says which there are.
    for (table, is_word) in [
        ("[[step]]", false),
        ("[[step]]\nnetwork = 'cloud'", false),
        ("[[step]]\nagent = 'xyzzy'", true),
        ("[[step]]\nalarm = 'xyzzy'", true),
        ("[[step]]\nnetwork = 'cloud'\ncut = 'xyzzy'", true),
        ("[[step]]\nnetwork = 'xyzzy'", true),
        ("[[step]]\ncamera = 'xyzzy'\n[[camera]]", true),
        ("[[camera]]\nbackend = 'xyzzy'", true),
        ("[[expect]]\nname = 'x'", false),
    ] {
        let told = mistakes(&format!("name = 'x'\n{table}"));
        for name in told_names(&told, table) {
            let tried = match is_word {
                // The backend of a camera is RTSP where it does not say.
                true => name == "rtsp" || all.contains(&format!("= \"{name}\"\n")),
                false => {
                    all.contains(&format!("\n{name} = ")) || all.contains(&format!("\n{name}."))
                }
            };
            assert!(tried, "no scenario has {name} of {table}");
        }
    }
}
