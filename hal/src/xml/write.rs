//! Writing a document.

use super::{Element, Node, is_allowed};

impl Element {
    /// The element as a document of its own, with a declaration.
    pub fn to_document(&self) -> String {
        let mut text = r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned();
        self.write(&mut text);
        text
    }

    /// Appends the element, without a declaration.
    pub fn write(&self, to: &mut String) {
        to.push('<');
        to.push_str(&self.name);
        for (name, value) in &self.attributes {
            for piece in [" ", name, "=\"", &escape(value), "\""] {
                to.push_str(piece);
            }
        }
        if self.nodes.is_empty() {
            to.push_str("/>");
            return;
        }
        to.push('>');
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write(to),
                Node::Text(text) => to.push_str(&escape(text)),
            }
        }
        for piece in ["</", &self.name, ">"] {
            to.push_str(piece);
        }
    }
}

/// Text as it stands in an element or in the value of an attribute. Control characters, which XML cannot hold, are left
/// out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| is_allowed(*c)) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // A reader would make a line feed of it.
            '\r' => escaped.push_str("&#13;"),
            c => escaped.push(c),
        }
    }
    escaped
}
