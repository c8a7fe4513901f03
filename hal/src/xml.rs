//! XML of cameras as a tree that can be read, changed and written back. Names are looked up without their
//! prefixes, as cameras choose those freely, and are written back with them.
//!
//! What a camera sends is bounded while it is read, and read leniently: bytes that are no UTF-8 are
//! replaced, a lone `&` and unknown entities stay as text, and what follows the root is left out. A document type is
//! refused, so that no entity can grow.

mod element;
mod write;

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

pub use element::{Element, Node};
pub use write::escape;

/// The bounds of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the document; default 1 MiB.
    pub bytes: usize,
    /// Deepest nesting, where the root has depth 1; default 32.
    pub depth: usize,
    /// Most elements and attributes together; default 32,768.
    pub nodes: usize,
    /// Most attributes of one element; default 256, as servers by gSOAP declare every namespace they know.
    pub attributes: usize,
    /// Longest name, text or value, in bytes; default 64 KiB.
    pub text: usize,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes than [`Limits::bytes`].
    #[error("XML of more than {0} bytes")]
    Bytes(usize),
    /// Nested deeper than [`Limits::depth`].
    #[error("XML nested deeper than {0} elements")]
    Depth(usize),
    /// More elements and attributes than [`Limits::nodes`].
    #[error("XML of more than {0} elements and attributes")]
    Nodes(usize),
    /// An element with more attributes than [`Limits::attributes`].
    #[error("an XML element of more than {0} attributes")]
    Attributes(usize),
    /// A name, text or value longer than [`Limits::text`].
    #[error("an XML text of more than {0} bytes")]
    Text(usize),
    /// A `<!DOCTYPE`.
    #[error("XML with a document type, as no camera needs one")]
    DocumentType,
    /// Text outside the root, a tag that is not closed, or no element at all.
    #[error("no XML: {0}")]
    Syntax(String),
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 32, nodes: 1 << 15, attributes: 256, text: 64 << 10 }
    }
}

/// Reads a document and returns its root.
///
/// # Errors
/// The document is above a limit, has a document type, or is no XML.
pub fn parse(document: &[u8], limits: &Limits) -> Result<Element, Error> {
    if document.len() > limits.bytes {
        return Err(Error::Bytes(limits.bytes));
    }
    let text = decode(document);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().allow_dangling_amp = true;
    let mut tree = Tree { limits, nodes: 0, open: Vec::new() };
    loop {
        let event = reader.read_event().map_err(|e| Error::Syntax(e.to_string()))?;
        let closed = match event {
            Event::Start(start) => {
                tree.open(&start)?;
                None
            }
            Event::Empty(start) => {
                tree.open(&start)?;
                tree.close()
            }
            Event::End(_) => tree.close(),
            Event::Text(text) => {
                tree.text(&text.xml10_content())?;
                None
            }
            Event::CData(text) => {
                tree.text(&text.xml10_content())?;
                None
            }
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                match entity(&name) {
                    Some(c) => tree.text(c.encode_utf8(&mut [0; 4]))?,
                    None => tree.text(&format!("&{name};"))?,
                }
                None
            }
            Event::DocType(_) => return Err(Error::DocumentType),
            Event::Eof => return Err(Error::Syntax("it ends too early".into())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
        };
        if let Some(root) = closed {
            return Ok(root);
        }
    }
}

/// The document as text. A document that says it is Latin-1 and is no UTF-8 is read as Latin-1.
fn decode(document: &[u8]) -> Cow<'_, str> {
    let utf16 = |of: fn([u8; 2]) -> u16| {
        let units = document[2..].as_chunks::<2>().0.iter().map(|pair| of(*pair));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match document {
        [0xff, 0xfe, ..] => Cow::Owned(utf16(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => Cow::Owned(utf16(u16::from_be_bytes)),
        _ => {
            let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
            let head = &document[..document.len().min(100)];
            let is_latin = String::from_utf8_lossy(head).to_ascii_lowercase().contains("8859-1");
            match std::str::from_utf8(document) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) if is_latin => {
                    Cow::Owned(document.iter().map(|byte| char::from(*byte)).collect())
                }
                Err(_) => String::from_utf8_lossy(document),
            }
        }
    }
}

/// The character of an entity or a character reference, without `&` and `;`.
fn entity(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    let code = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16)?,
            digits => number(digits, 10)?,
        },
    };
    char::from_u32(code)
}

/// The value of an attribute as it was meant.
fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // The longest reference is `#x10ffff`, beside zeros in front that nobody writes.
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[..end])?, end))) {
            Some((c, end)) => {
                text.push(c);
                rest = &rest[end + 1..];
            }
            None => text.push('&'),
        }
    }
    text + rest
}

/// Whether an element or attribute may have this name. Everything allowed can be written back.
fn is_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '\u{b7}');
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | ':'))
        && name.chars().all(is_inner)
}

/// Whether XML 1.0 can hold a character.
fn is_allowed(c: char) -> bool {
    c >= ' ' || matches!(c, '\t' | '\n' | '\r')
}

/// The elements that are open, the root first, and what has been counted.
struct Tree<'a> {
    limits: &'a Limits,
    nodes: usize,
    open: Vec<Element>,
}

impl Tree<'_> {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        if self.open.len() == self.limits.depth {
            return Err(Error::Depth(self.limits.depth));
        }
        let name = start.name();
        if !is_name(name.0) {
            return Err(Error::Syntax("an element with an impossible name".into()));
        }
        let mut element = Element::new(self.bounded(name.0.to_owned())?);
        self.count()?;
        let mut attributes = start.html_attributes();
        // One that is broken or comes twice is left out.
        for attribute in attributes.with_checks(false).flatten() {
            if element.attributes.len() == self.limits.attributes {
                return Err(Error::Attributes(self.limits.attributes));
            }
            self.count()?;
            let name = attribute.key.0;
            if is_name(name) && !element.attributes.iter().any(|(other, _)| other == name) {
                let mut value = unescape(&attribute.value);
                value.retain(is_allowed);
                let name = self.bounded(name.to_owned())?;
                element.attributes.push((name, self.bounded(value)?));
            }
        }
        self.open.push(element);
        Ok(())
    }

    /// Closes the innermost element. Returns the root when it is closed.
    fn close(&mut self) -> Option<Element> {
        let element = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => {
                parent.nodes.push(Node::Element(element));
                None
            }
            None => Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let Some(parent) = self.open.last_mut() else {
            return match text.trim().is_empty() {
                true => Ok(()),
                false => Err(Error::Syntax("text before the first element".into())),
            };
        };
        let kept: String = text.chars().filter(|c| is_allowed(*c)).collect();
        if !kept.is_empty() && !matches!(parent.nodes.last(), Some(Node::Text(_))) {
            parent.nodes.push(Node::Text(String::new()));
        }
        if let Some(Node::Text(before)) = parent.nodes.last_mut() {
            if before.len() + kept.len() > self.limits.text {
                return Err(Error::Text(self.limits.text));
            }
            before.push_str(&kept);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(Error::Nodes(self.limits.nodes));
        }
        Ok(())
    }

    fn bounded(&self, text: String) -> Result<String, Error> {
        if text.len() > self.limits.text {
            return Err(Error::Text(self.limits.text));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
