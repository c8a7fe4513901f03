//! Texts with holes: `{name}`, `{input*100+1}`, `{from/60%60:02}`. Only a brace with a lower-case letter behind it begins
//! a hole, so that JSON is written as it is.

use super::values::Values;
use crate::{Kind, xml};

/// Most digits that a number is padded to.
const WIDEST: usize = 9;

/// A text with holes.
#[derive(Clone)]
pub(super) struct Template {
    parts: Vec<Part>,
}

/// Where a text stands, which decides how a value is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A component of a query or of a form, or a segment of a path.
    Url,
    /// Text or an attribute of XML.
    Xml,
    /// Inside a string of JSON.
    Json,
    /// Nothing is escaped.
    Plain,
}

#[derive(Clone)]
enum Part {
    Literal(String),
    /// An expression, and to how many digits a number is padded.
    Hole(Expression, usize),
}

#[derive(Clone)]
enum Expression {
    Name(String),
    Number(i64),
    Both(Box<Expression>, char, Box<Expression>),
}

/// The value of a name.
pub(super) enum Value {
    Number(i64),
    /// A text that is still to be escaped.
    Text(String),
    /// A text that is escaped for its place.
    Escaped(String),
}

impl Template {
    /// # Errors
    /// What is wrong, as a text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if !rest.starts_with(|c: char| c.is_ascii_lowercase()) {
                literal.push('{');
                continue;
            }
            let end = rest.find('}').ok_or("a { without its }")?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(hole(&rest[..end])?);
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The names in the holes.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for part in &self.parts {
            if let Part::Hole(expression, _) = part {
                expression.names(&mut names);
            }
        }
        names
    }

    /// The text without what is in the holes.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(&**text),
            Part::Hole(..) => None,
        })
    }

    /// The text with its values; `None` where one of them is absent.
    ///
    /// # Errors
    /// `Unsupported` for a word that the camera lacks, `Invalid` for a value that cannot stand in this place.
    pub(super) fn render(&self, values: &Values<'_>, place: Place) -> Result<Option<String>, Kind> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Hole(expression, width) => {
                    let Some(value) = expression.value(values, place)? else { return Ok(None) };
                    match value {
                        Value::Number(number) => text += &format!("{number:0width$}"),
                        Value::Text(value) => text += &escape(&value, place)?,
                        Value::Escaped(value) => text += &value,
                    }
                }
            }
        }
        Ok(Some(text))
    }
}

impl Expression {
    fn names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Name(name) => names.push(name),
            Self::Number(_) => {}
            Self::Both(left, _, right) => {
                left.names(names);
                right.names(names);
            }
        }
    }

    fn value(&self, values: &Values<'_>, place: Place) -> Result<Option<Value>, Kind> {
        match self {
            Self::Name(name) => values.value(name, place),
            Self::Number(number) => Ok(Some(Value::Number(*number))),
            Self::Both(left, operator, right) => {
                let (Some(left), Some(right)) =
                    (left.value(values, Place::Plain)?, right.value(values, Place::Plain)?)
                else {
                    return Ok(None);
                };
                let (left, right) = (left.number()?, right.number()?);
                let number = match operator {
                    '+' => left.checked_add(right),
                    '-' => left.checked_sub(right),
                    '*' => left.checked_mul(right),
                    '/' => left.checked_div_euclid(right),
                    _ => left.checked_rem_euclid(right),
                };
                number.map(|number| Some(Value::Number(number))).ok_or(Kind::Invalid)
            }
        }
    }
}

impl Value {
    pub(super) fn number(&self) -> Result<i64, Kind> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) | Self::Escaped(text) => text.parse().map_err(|_| Kind::Invalid),
        }
    }

    pub(super) fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) | Self::Escaped(text) => text,
        }
    }
}

/// A value as it has to be written in a place.
///
/// # Errors
/// `Invalid` for a value that cannot stand there.
pub(super) fn escape(value: &str, place: Place) -> Result<String, Kind> {
    Ok(match place {
        Place::Plain => value.to_owned(),
        Place::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        Place::Xml => {
            // XML 1.0 has no way to write these, and a carriage return is read as a line feed.
            let impossible = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n');
            if value.contains(|c| impossible(c) || matches!(c, '\u{fffe}' | '\u{ffff}')) {
                return Err(Kind::Invalid);
            }
            xml::escape(value).to_string()
        }
        Place::Url => {
            let is_dots = matches!(value, "." | "..");
            let mut escaped = String::with_capacity(value.len());
            for byte in value.bytes() {
                let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
                if plain || byte == b'.' && !is_dots {
                    escaped.push(char::from(byte));
                } else {
                    escaped += &format!("%{byte:02X}");
                }
            }
            escaped
        }
    })
}

fn hole(text: &str) -> Result<Part, String> {
    let (formula, width) = match text.split_once(':') {
        Some((formula, width)) => {
            let digits = width.parse().ok().filter(|width| *width <= WIDEST);
            (formula, digits.ok_or_else(|| format!("{{{text}}}: expected 1 to 9 digits, as :02"))?)
        }
        None => (text, 0),
    };
    let wrong =
        || format!("{{{text}}}: expected a name, or whole numbers with + - * / % as input*100+1");
    let mut rest = formula;
    let sum = sum(&mut rest).filter(|_| rest.is_empty()).ok_or_else(wrong)?;
    Ok(Part::Hole(sum, width))
}

fn sum(rest: &mut &str) -> Option<Expression> {
    chain(rest, &['+', '-'], |rest| chain(rest, &['*', '/', '%'], operand))
}

/// Operands with operators of one rank between them, from left to right. The length of the text bounds the depth.
fn chain(
    rest: &mut &str,
    operators: &[char],
    operand: fn(&mut &str) -> Option<Expression>,
) -> Option<Expression> {
    let mut left = operand(rest)?;
    let mut count = 0;
    while let Some(operator) = rest.chars().next().filter(|c| operators.contains(c)) {
        count += 1;
        if count > 16 {
            return None;
        }
        *rest = &rest[1..];
        left = Expression::Both(Box::new(left), operator, Box::new(operand(rest)?));
    }
    Some(left)
}

fn operand(rest: &mut &str) -> Option<Expression> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    match word.starts_with(|c: char| c.is_ascii_digit()) {
        true => word.parse::<u32>().ok().map(|number| Expression::Number(number.into())),
        false => (!word.is_empty()).then(|| Expression::Name(word.to_owned())),
    }
}
