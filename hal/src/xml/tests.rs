//! Documents of cameras, broken ones and those that mean harm.

use std::fmt::Write as _;

use super::*;

fn read(document: &str) -> Element {
    parse(document.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{document}: {e}"))
}

fn refusal(document: &str) -> Error {
    parse(document.as_bytes(), &Limits::default()).map(|_| ()).unwrap_err()
}

#[test]
fn names_are_found_with_any_prefix() {
    for (soap, of) in [("s:", "tds:"), ("SOAP-ENV:", ""), ("", "x-y.z:"), ("env:", "s:")] {
        let root = read(&format!(
            "<?xml version='1.0'?>\n<{soap}Envelope xmlns:a='urn:a'><{soap}Header/><{soap}Body>\n \
             <{of}Name {of}token=\" a b \" xmlns:token='no'> Door 1 </{of}Name><{of}Name>2</{of}Name></{soap}Body></{soap}Envelope>"
        ));
        assert_eq!(root.local_name(), "Envelope");
        let name = root.find("Body/Name").unwrap();
        assert_eq!((name.text(), name.exact_text()), ("Door 1", " Door 1 ".into()));
        assert_eq!(name.attribute("token"), Some(" a b "));
        let all: Vec<_> = root.find_all("Body/Name").into_iter().map(Element::text).collect();
        assert_eq!(all, ["Door 1", "2"]);
        assert_eq!(root.text_at("Body/Nothing/Name"), "");
        assert_eq!(root.descendant("Name").map(Element::text), Some("Door 1"));
    }
}

#[test]
fn a_path_is_searched_in_every_element_of_its_names() {
    let mut root = read("<a><b/><b><c>1</c></b><b><c>2</c></b></a>");
    assert_eq!(root.text_at("b/c"), "1");
    assert_eq!(root.find_all("b/c").len(), 2);
    root.find_mut("b/c").unwrap().set_text("3");
    assert_eq!(root.text_at("b/c"), "3");
    assert_eq!(root.find("").unwrap().name, "a");
}

#[test]
fn what_cameras_write_wrongly_is_read_all_the_same() {
    let rows: &[(&[u8], &str)] = &[
        (b"\xef\xbb\xbf<a>1</a>", "1"),
        (b" \r\n\t<?xml version=\"1.0\"?><a>1</a>", "1"),
        (b"\xef\xbb\xbf \n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a>1</a>\0\0 and more", "1"),
        (b"<a>Door & Gate</a>", "Door & Gate"),
        (b"<a>R&D</a>", "R&D"),
        (b"<a>&copy; &#228;&#xE4;&lt;&amp;&gt;&#x110000;</a>", "&copy; \u{e4}\u{e4}<&>&#x110000;"),
        (b"<a><![CDATA[<x>]]> &amp; y<!-- no --></a>", "<x> & y"),
        (b"<a>caf\xe9</a>", "caf\u{fffd}"),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><a>caf\xe9</a>", "caf\u{e9}"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a>café</a>".as_bytes(), "café"),
        (b"<a>x\0\x1by</a>", "xy"),
        (b"<a b=c b='d' ='' e>1</a>", "1"),
        (b"<a>1</a></b>", "1"),
        (b"\xff\xfe<\0a\0>\x001\0<\0/\0a\0>\0", "1"),
        (b"\xfe\xff\0<\0a\0>\x001\0<\0/\0a\0>", "1"),
    ];
    for (document, text) in rows {
        let shown = String::from_utf8_lossy(document);
        let root = parse(document, &Limits::default()).unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert_eq!(root.text(), *text, "{shown}");
    }
    assert_eq!(read("<a b=c d='1 & 2 &amp; &#65; &x;'/>").attribute("d"), Some("1 & 2 & A &x;"));
}

#[test]
fn what_is_no_document_is_an_error() {
    for document in [
        "",
        " ",
        "text",
        "{\"a\": 1}",
        "<a>",
        "<a><b></a>",
        "<a",
        "</a>",
        "text<a/>",
        "<1/>",
        "< a/>",
        "<a><!-- </a>",
        "<?xml",
        "<a><![CDATA[ </a>",
    ] {
        assert!(matches!(refusal(document), Error::Syntax(_)), "{document:?}");
    }
}

#[test]
fn a_document_type_is_refused_wherever_it_stands() {
    for document in [
        "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;&x;\">]><a>&y;</a>",
        "<!DOCTYPE html><html/>",
        "<?xml version='1.0'?><!doctype a SYSTEM 'file:///etc/passwd'><a/>",
        "<a><!DOCTYPE b><b/></a>",
    ] {
        assert_eq!(refusal(document), Error::DocumentType, "{document}");
    }
}

#[test]
fn everything_is_bounded() {
    let repeat = |piece: &str, times: usize| piece.repeat(times);
    let rows = [
        (repeat(" ", (1 << 20) + 1), Error::Bytes(1 << 20)),
        (repeat("<a>", 50_000), Error::Depth(32)),
        (format!("<r>{}</r>", repeat("<a/>", 40_000)), Error::Nodes(1 << 15)),
        (format!("<r>{}</r>", repeat("<a b='' c=''/>", 20_000)), Error::Nodes(1 << 15)),
        (format!("<r>{}</r>", repeat("x", (64 << 10) + 1)), Error::Text(64 << 10)),
        (format!("<r>{}</r>", repeat("&amp;", (64 << 10) + 1)), Error::Text(64 << 10)),
        (format!("<r>{}</r>", repeat("x<![CDATA[y]]>", 33_000)), Error::Text(64 << 10)),
        (format!("<{}/>", repeat("x", (64 << 10) + 1)), Error::Text(64 << 10)),
        (format!("<a b='{}'/>", repeat("x", (64 << 10) + 1)), Error::Text(64 << 10)),
        (format!("<a {}='1'/>", repeat("x", (64 << 10) + 1)), Error::Text(64 << 10)),
    ];
    for (document, error) in rows {
        assert_eq!(refusal(&document), error, "{}", &document[..20]);
    }
    let mut many = "<a".to_owned();
    (0..=256).for_each(|n| write!(many, " b{n}=''").unwrap());
    assert_eq!(refusal(&(many + "/>")), Error::Attributes(256));
    let deep = format!("{}{}", repeat("<a>", 32), repeat("</a>", 32));
    assert_eq!(read(&deep).local_name(), "a");
}

#[test]
fn a_document_is_changed_and_written_back_with_its_prefixes() {
    let mut root = read(
        "<?xml version='1.0'?><h:Wifi version=\"2.0\" xmlns:h=\"http://h/ver20\" xmlns='http://x'>\n<id>1</id>\
         <h:enabled opt='true,false'>false</h:enabled><other>a &amp; b</other><h:old/></h:Wifi>",
    );
    root.child_mut("enabled").unwrap().set_text("true");
    root.ensure("WPA/key").set_text(" a<\"b'&c\r");
    root.ensure("WPA/length").set_text("9");
    root.child_mut("id").unwrap().set_attribute("x", "1\"");
    root.set_attribute("version", "1.0");
    root.insert(0, Element::with_text("first", "0"));
    root.drop_children("old");
    let written = root.to_document();
    assert_eq!(
        written,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><h:Wifi version=\"1.0\" xmlns:h=\"http://h/ver20\" xmlns=\"http://x\">\
         <first>0</first>\n<id x=\"1&quot;\">1</id><h:enabled opt=\"true,false\">true</h:enabled><other>a &amp; b</other>\
         <h:WPA><h:key> a&lt;&quot;b&apos;&amp;c&#13;</h:key><h:length>9</h:length></h:WPA></h:Wifi>"
    );
    assert_eq!(read(&written), root);
}

#[test]
fn text_is_escaped_and_what_xml_cannot_hold_is_left_out() {
    assert_eq!(escape("a<b>&\"'\u{0}\u{1b}\té\u{84}"), "a&lt;b&gt;&amp;&quot;&apos;\té\u{84}");
}
