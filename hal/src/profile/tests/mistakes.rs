//! Mistakes in profiles, and what may be written anywhere.

use proptest::prelude::*;

use super::*;
use crate::profile::template::{Template, escape};

#[test]
fn a_mistake_is_named_with_its_line_and_what_is_allowed() {
    let head = "title = \"t\"\n[rtsp]\nmain = \"/a\"\n";
    for (text, line, says) in [
        ("[ptzz]\n", 4, "ptzz: unknown key; did you mean \"ptz\"?"),
        ("[ptz]\nbegin = 1\n", 5, "ptz.begin: unknown key; allowed are start, stop"),
        ("[[ptz.start]]\nquery = \"a\"\n", 4, "ptz.start.path: missing"),
        ("[[ptz.start]]\npath = \"a\"\n", 4, "begins with /"),
        ("[[ptz.start]]\npath = \"/a b\"\n", 5, "ptz.start.path: expected characters"),
        ("[[ptz.start]]\npath = 7\n", 5, "ptz.start.path: expected a text in quotes"),
        ("[[ptz.start]]\nmethod = \"PATCH\"\npath = \"/a\"\n", 5, "allowed are GET, POST, PUT"),
        (
            "[[ptz.start]]\npath = \"/{speeed}\"\n",
            4,
            "\"speeed\" has no value here; did you mean \"speed\"?",
        ),
        ("[[ptz.start]]\npath = \"/{token}\"\n", 4, "\"token\" has no value here"),
        ("[[ptz.start]]\npath = \"/{speed\"\n", 5, "a { without its }"),
        ("[[ptz.start]]\npath = \"/{speed**2}\"\n", 5, "input*100+1"),
        ("[[ptz.start]]\npath = \"/a\"\nbody = \"x\"\n", 6, "allowed are xml, json, form, text"),
        (
            "[[ptz.start]]\npath = \"/a\"\ntype = \"xlm\"\nbody = \"x\"\n",
            6,
            "did you mean \"xml\"?",
        ),
        ("[[ptz.start]]\npath = \"/a\"\nok = \"(\"\n", 6, "ptz.start.ok: no regular expression"),
        (
            "[[ptz.start]]\npath = \"/a\"\nchange = { a = \"b\" }\n",
            4,
            "format = \"xml\" or \"json\"",
        ),
        ("[[ptz.start]]\npath = \"/a\"\nread = { token = \"b\" }\n", 6, "token: unknown key"),
        ("[alarm]\n", 4, "alarm: unknown key; did you mean \"alarms\"?"),
        ("[alarms]\n", 4, "alarms.listen: missing; expected a request"),
        ("[alarms]\nlisten = [{ path = \"/a\" }]\n", 4, "alarms.framing: missing"),
        (
            "[alarms]\nframing = \"xlm\"\nlisten = [{ path = \"/a\" }]\n",
            5,
            "alarms.framing: \"xlm\" is unknown; did you mean \"xml\"?",
        ),
        (
            "[alarms]\nframing = \"xml\"\nlisten = [{ path = \"/a\" }]\n",
            4,
            "alarms.element: missing; expected the name",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nlisten = [{ path = \"/a\" }]\n",
            4,
            "alarms.rules: expected 1 to 64",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nsilense = 3\n[[alarms.listen]]\npath = \"/a\"\n",
            6,
            "alarms.silense: unknown key; did you mean \"silence\"?",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nsilence = 3\n[[alarms.listen]]\npath = \"/a\"\n",
            4,
            "alarms.silence: expected 60 to 3600 seconds",
        ),
        (
            "[alarms]\nframing = \"pairs\"\n[[alarms.listen]]\npath = \"/{token}\"\n",
            6,
            "\"token\" has no value here",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nlisten = [{ path = \"/a\" }]\n[[alarms.rules]]\ntrigger = \"montion\"\n",
            8,
            "alarms.rules.trigger: \"montion\" is unknown; did you mean \"motion\"?",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nlisten = [{ path = \"/a\" }]\n[[alarms.rules]]\ntrigger = \"motion\"\nends = \"x\"\n",
            7,
            "alarms.rules.begins: missing; expected it or `detected`",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nlisten = [{ path = \"/a\" }]\n[[alarms.rules]]\ntrigger = \"motion\"\ndetectd = \"x\"\n",
            9,
            "alarms.rules.detectd: unknown key; did you mean \"detected\"?",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nlisten = [{ path = \"/a\" }]\n[[alarms.rules]]\ntrigger = \"motion\"\ndetected = \"x\"\ninput = { at = \"a\", is = \"{imput}\" }\n",
            4,
            "\"imput\" has no value here; did you mean \"input\"?",
        ),
        (
            "[alarms]\nframing = \"pairs\"\nlisten = [{ path = \"/a\" }]\n[[alarms.rules]]\ntrigger = \"motion\"\ndetected = \"x\"\ninput = { at = \"a\" }\n",
            10,
            "alarms.rules.input.is: missing; expected how an input is written there",
        ),
        ("[[clock.set]]\npath = \"/{yaer}\"\n", 4, "did you mean \"year\"?"),
        ("[[clock.now]]\npath = \"/a\"\nread = { tme = \"b\" }\n", 6, "did you mean \"time\"?"),
        ("[values.a]\nfrom = \"b\"\nto = [1, 2]\n", 4, "\"b\" is no value"),
        ("[values.a]\nfrom = \"speed\"\nto = [1]\n", 6, "two whole numbers"),
        ("[values.a]\neach = \"hour\"\ntext = \"x\"\n", 5, "allowed are day, slot, window, corner"),
        ("[[failures]]\nstatus = 99\nkind = \"other\"\n", 4, "expected 100 to 599"),
        ("[[failures]]\nstatus = 500\nkind = \"bad\"\n", 6, "allowed are unsupported, refused"),
        ("x = = 1\n", 4, ""),
    ] {
        let error = Profile::parse("x.toml", &format!("{head}{text}")).err();
        let error = error.unwrap_or_else(|| panic!("{text}: taken"));
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("x.toml:{line}: ")), "{error}");
    }
    let missing = Profile::parse("x", "title = \"t\"").err().unwrap();
    assert!(missing.message.contains("rtsp: missing"), "{missing}");
}

#[test]
fn values_that_stand_on_themselves_are_refused() {
    let head = "title = \"t\"\n[rtsp]\nmain = \"/a\"\n[[ptz.start]]\npath = \"/{a}\"\n";
    let text =
        format!("{head}[values]\na = {{ text = \"{{b}}\" }}\nb = {{ text = \"{{a}}{{a}}\" }}\n");
    assert!(Profile::parse("x", &text).err().unwrap().message.contains("nested too deep"));
}

#[test]
fn numbers_are_calculated_and_scaled() {
    let derived = std::collections::BTreeMap::new();
    let values = Values::new(&derived, 3).number("from", 79_265);
    for (text, expected) in [
        ("{input*100+1}", "301"),
        ("{input-1}", "2"),
        ("{from/3600:02}:{from/60%60:02}:{from%60:02}", "22:01:05"),
        ("{\"a\":{input}}", "{\"a\":3}"),
        ("{1,3}", "{1,3}"),
    ] {
        let text = Template::parse(text).unwrap().render(&values, Place::Plain).unwrap();
        assert_eq!(text.as_deref(), Some(expected));
    }
    for (value, to, expected) in
        [(0, (1, 6), 1), (100, (1, 6), 6), (50, (0, 255), 128), (0, (50, 1), 50), (100, (50, 1), 1)]
    {
        assert_eq!(values::scale(value, (0, 100), to), expected, "{value} {to:?}");
    }
}

proptest! {
    #[test]
    fn whatever_stands_in_a_place_comes_back(text in any::<String>()) {
        let url = escape(&text, Place::Url).unwrap();
        prop_assert!(url.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~.%".contains(&b)));
        let form = format!("v={url}");
        let back = url::form_urlencoded::parse(form.as_bytes()).next().unwrap().1.into_owned();
        prop_assert_eq!(&back, &text);
        let json = format!("\"{}\"", escape(&text, Place::Json).unwrap());
        prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
        if let Ok(inner) = escape(&text, Place::Xml) {
            let document = format!("<a b=\"{inner}\"><c>{inner}</c></a>");
            let root = crate::xml::parse(document.as_bytes(), &crate::xml::Limits::default()).unwrap();
            prop_assert_eq!(root.attributes.len(), 1);
            prop_assert_eq!(root.child("c").unwrap().exact_text(), text);
        }
    }
}
