//! XML as the server writes it: a tree of elements, and the spellings of one tree that clients have to bear.

use std::fmt::Display;

use ivt_hal::xml::escape;

/// Namespaces by the prefix that stands for them in names such as `tt:Name`.
const NAMESPACES: [(&str, &str); 19] = [
    ("env", "http://www.w3.org/2003/05/soap-envelope"),
    ("tds", "http://www.onvif.org/ver10/device/wsdl"),
    ("trt", "http://www.onvif.org/ver10/media/wsdl"),
    ("tr2", "http://www.onvif.org/ver20/media/wsdl"),
    ("tptz", "http://www.onvif.org/ver20/ptz/wsdl"),
    ("tev", "http://www.onvif.org/ver10/events/wsdl"),
    ("tt", "http://www.onvif.org/ver10/schema"),
    ("ter", "http://www.onvif.org/ver10/error"),
    ("wsnt", "http://docs.oasis-open.org/wsn/b-2"),
    ("wstop", "http://docs.oasis-open.org/wsn/t-1"),
    ("wsrf", "http://docs.oasis-open.org/wsrf/r-2"),
    ("tns1", "http://www.onvif.org/ver10/topics"),
    ("wsa5", "http://www.w3.org/2005/08/addressing"),
    ("wsa", "http://schemas.xmlsoap.org/ws/2004/08/addressing"),
    ("d", "http://schemas.xmlsoap.org/ws/2005/04/discovery"),
    ("tmd", "http://www.onvif.org/ver10/deviceIO/wsdl"),
    ("dn", "http://www.onvif.org/ver10/network/wsdl"),
    ("axe", "http://www.axis.com/2009/event"),
    ("wsntw", "http://docs.oasis-open.org/wsn/bw-2"),
];

/// How namespaces are spelled. A client must not see a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// The prefixes that the specifications use.
    #[default]
    Usual,
    /// Prefixes that mean nothing: `a`, `b`, `c`.
    Letters,
    /// No prefixes: each element that leaves the namespace of its parent declares its own.
    Bare,
}

/// An element. Its name has one of the prefixes of this module; a name without one is in no namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
    text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Plain(String),
    /// Qualified names, separated by a blank, whose prefixes are spelled as those of elements.
    Names(Vec<&'static str>),
}

/// An element with children.
pub fn node(name: &'static str, children: impl IntoIterator<Item = Node>) -> Node {
    let children = children.into_iter().collect();
    Node { name, attributes: Vec::new(), children, text: Text::Plain(String::new()) }
}

/// An element with text.
pub fn leaf(name: &'static str, text: impl Display) -> Node {
    Node { text: Text::Plain(text.to_string()), ..node(name, []) }
}

/// An element whose text is qualified names such as `ter:NotAuthorized`.
pub fn names(name: &'static str, text: &[&'static str]) -> Node {
    Node { text: Text::Names(text.to_vec()), ..node(name, []) }
}

impl Node {
    /// Adds an attribute without a namespace, or one of `env`, `wstop` and the like.
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// The document with this element as its root.
    pub fn document(&self, spelling: Spelling) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let writer = Writer { spelling, root: self.prefixes() };
        writer.write(self, None, true, &mut out);
        out
    }

    /// The prefixes that the tree uses, in the order of [`NAMESPACES`].
    fn prefixes(&self) -> Vec<&'static str> {
        fn collect(node: &Node, found: &mut Vec<&'static str>) {
            found.extend(prefix(node.name));
            found.extend(node.attributes.iter().filter_map(|(name, _)| prefix(name)));
            if let Text::Names(names) = &node.text {
                found.extend(names.iter().filter_map(|name| prefix(name)));
            }
            node.children.iter().for_each(|child| collect(child, found));
        }
        let mut found = Vec::new();
        collect(self, &mut found);
        NAMESPACES.iter().map(|(prefix, _)| *prefix).filter(|p| found.contains(p)).collect()
    }
}

struct Writer {
    spelling: Spelling,
    /// What the root declares.
    root: Vec<&'static str>,
}

impl Writer {
    /// Writes an element whose parent's default namespace has the prefix `default`.
    fn write(&self, node: &Node, default: Option<&'static str>, root: bool, out: &mut String) {
        let bare = self.spelling == Spelling::Bare;
        let own = prefix(node.name);
        let name = if bare { local(node.name).to_owned() } else { self.spelled(node.name) };
        out.push_str(&format!("<{name}"));
        if bare && own != default {
            out.push_str(&format!(" xmlns=\"{}\"", own.map_or("", namespace)));
        }
        if bare {
            let used = node.attributes.iter().map(|(name, _)| *name);
            let text = match &node.text {
                Text::Names(names) => names.as_slice(),
                Text::Plain(_) => &[],
            };
            let mut declared = Vec::new();
            for prefix in used.chain(text.iter().copied()).filter_map(prefix) {
                if !declared.contains(&prefix) {
                    out.push_str(&format!(" xmlns:{prefix}=\"{}\"", namespace(prefix)));
                    declared.push(prefix);
                }
            }
        } else if root {
            for prefix in &self.root {
                let (spelled, uri) = (self.letter(prefix), namespace(prefix));
                out.push_str(&format!(" xmlns:{spelled}=\"{uri}\""));
            }
        }
        for (name, value) in &node.attributes {
            out.push_str(&format!(" {}=\"{}\"", self.spelled(name), escape(value)));
        }
        let text = match &node.text {
            Text::Plain(text) => escape(text),
            Text::Names(names) => {
                names.iter().map(|name| self.spelled(name)).collect::<Vec<_>>().join(" ")
            }
        };
        if node.children.is_empty() && text.is_empty() {
            return out.push_str("/>");
        }
        out.push('>');
        out.push_str(&text);
        node.children.iter().for_each(|child| self.write(child, own, false, out));
        out.push_str(&format!("</{name}>"));
    }

    /// A name as it stands in the document.
    fn spelled(&self, name: &str) -> String {
        match prefix(name) {
            Some(prefix) => format!("{}:{}", self.letter(prefix), local(name)),
            None => name.to_owned(),
        }
    }

    fn letter(&self, prefix: &str) -> String {
        let place = NAMESPACES.iter().position(|(known, _)| *known == prefix);
        match (self.spelling, place.and_then(|place| u8::try_from(place).ok())) {
            (Spelling::Letters, Some(place)) => char::from(b'a' + place).to_string(),
            _ => prefix.to_owned(),
        }
    }
}

/// The prefix of a name, where it is one of this module's.
fn prefix(name: &str) -> Option<&'static str> {
    let (prefix, _) = name.split_once(':')?;
    NAMESPACES.iter().map(|(known, _)| *known).find(|known| *known == prefix)
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn namespace(prefix: &str) -> &'static str {
    NAMESPACES.iter().find(|(known, _)| *known == prefix).map_or("", |(_, uri)| uri)
}

#[cfg(test)]
mod tests {
    use ivt_hal::xml::{self, Limits};

    use super::*;

    fn sample() -> Node {
        node(
            "env:Value",
            [
                names("env:Code", &["ter:NotAuthorized", "env:Sender"]),
                leaf("tt:Name", "a<b>&\"c\"\u{1}").with("token", "1\"2"),
                node("tt:Empty", []),
            ],
        )
    }

    #[test]
    fn the_usual_spelling_declares_what_it_uses_at_the_root() {
        assert_eq!(
            sample().document(Spelling::Usual).lines().last().unwrap(),
            "<env:Value xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:tt=\"http://www.onvif.org/ver10/schema\" xmlns:ter=\"http://www.onvif.org/ver10/error\">\
             <env:Code>ter:NotAuthorized env:Sender</env:Code>\
             <tt:Name token=\"1&quot;2\">a&lt;b&gt;&amp;&quot;c&quot;</tt:Name><tt:Empty/></env:Value>"
        );
    }

    #[test]
    fn every_spelling_is_the_same_tree() {
        for spelling in [Spelling::Usual, Spelling::Letters, Spelling::Bare] {
            let text = sample().document(spelling);
            let root = xml::parse(text.as_bytes(), &Limits::default()).unwrap();
            let name = root.child("Name").unwrap();
            assert_eq!((name.text(), name.attribute("token")), ("a<b>&\"c\"", Some("1\"2")));
            assert_eq!(root.local_name(), "Value");
            assert_eq!(text.contains("tt:"), spelling == Spelling::Usual, "{text}");
            let uri = "=\"http://www.onvif.org/ver10/error\"";
            let declared = text.split(uri).next().unwrap().rsplit("xmlns:").next().unwrap();
            assert!(
                root.text_at("Code").starts_with(&format!("{declared}:NotAuthorized")),
                "{text}"
            );
        }
    }
}
