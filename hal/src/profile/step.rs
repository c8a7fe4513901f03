//! One request of an operation: how it is written, when it is sent, and what its answer has to be.

use regex_lite::Regex;

use super::answer::{Format, Read, pattern};
use super::error::Error;
use super::template::{Place, Template};
use super::toml::{Table, hint};
use super::values::{Values, template};
use crate::Kind;
use crate::http::{Body, Method, Request};

const KEYS: [&str; 19] = [
    "method", "path", "query", "type", "body", "when", "unless", "instead", "optional", "ok",
    "page", "status", "format", "expect", "change", "replace", "put", "read", "note",
];
const TYPES: [&str; 4] = ["xml", "json", "form", "text"];

/// One request of an operation.
pub(super) struct Step {
    method: Method,
    path: Template,
    /// The parts between `&`. One whose value is absent is left out.
    query: Vec<Template>,
    body: Option<Text>,
    /// Values that have to be there for the request to be sent.
    when: Vec<String>,
    /// Values that must not be there.
    unless: Vec<String>,
    /// Sent only where the request before was answered as unsupported or not understood.
    pub(super) instead: bool,
    /// Whether a failure of the camera is passed over.
    pub(super) optional: bool,
    /// What the body of the answer has to match.
    pub(super) ok: Option<Regex>,
    /// Whether the camera answers a success with a page of HTML.
    pub(super) page: bool,
    /// The format of `expect` and `change`.
    pub(super) format: Format,
    /// Places in the answer, and their values.
    pub(super) expect: Vec<(Template, Template)>,
    /// Places in the answer that are changed before it is sent back.
    pub(super) change: Vec<(Template, Template)>,
    /// Elements whose content is replaced by a piece of XML before the answer is sent back.
    pub(super) replace: Vec<(Template, Template)>,
    /// Where a changed answer is sent; the path without it.
    put: Option<Template>,
    pub(super) read: Option<Read>,
}

enum Text {
    /// JSON, XML or plain text, with its content type.
    Whole(&'static str, Place, Template),
    /// The parts of a form between `&`.
    Form(Vec<Template>),
}

impl Step {
    /// `fields` are those that the answer of the operation may be read for.
    pub(super) fn parse(table: &Table<'_, '_>, fields: &[&'static str]) -> Result<Self, Error> {
        table.only(&KEYS)?;
        let method = match table.text("method")? {
            None => Method::Get,
            Some(word) => match &*word.text {
                "GET" => Method::Get,
                "POST" => Method::Post,
                "PUT" => Method::Put,
                other => {
                    let found = format!("{other:?} is unknown; allowed are GET, POST, PUT");
                    return Err(table.error(word.at, "method", &found));
                }
            },
        };
        let path = table.insist("path")?;
        let is_path = path.text.starts_with('/') && !path.text.contains('?');
        let path = target(table, "path", &path.text, path.at)?;
        if !is_path {
            let found = "expected a path that begins with / and has no query";
            return Err(table.error(table.at, "path", found));
        }
        let query = parts(table, "query")?;
        let read = match table.table("read")? {
            Some(read) => Some(Read::parse(&read, fields)?),
            None => None,
        };
        let ok = table.text("ok")?.map(|text| pattern(table, "ok", &text.text, text.at));
        let put = table.text("put")?.map(|text| target(table, "put", &text.text, text.at));
        let names = |key| Ok(table.texts(key)?.into_iter().map(|text| text.text).collect());
        let step = Self {
            method,
            path,
            query,
            body: body(table)?,
            when: names("when")?,
            unless: names("unless")?,
            instead: table.flag("instead")?,
            optional: table.flag("optional")?,
            ok: ok.transpose()?,
            page: table.flag("page")?,
            format: Format::parse(table)?,
            expect: pairs(table, "expect")?,
            change: pairs(table, "change")?,
            replace: pairs(table, "replace")?,
            put: put.transpose()?,
            read,
        };
        let changes = !step.change.is_empty() || !step.replace.is_empty();
        if changes && (step.body.is_some() || !matches!(step.format, Format::Json | Format::Xml)) {
            let found = "expected format = \"xml\" or \"json\" beside it, and no body";
            return Err(table.error(table.at, "change", found));
        }
        Ok(step)
    }

    /// Whether the answer is changed and sent back.
    pub(super) fn changes(&self) -> bool {
        !self.change.is_empty() || !self.replace.is_empty()
    }

    /// All names in the templates.
    pub(super) fn names(&self) -> Vec<&str> {
        let body = match &self.body {
            None => &[],
            Some(Text::Whole(_, _, text)) => std::slice::from_ref(text),
            Some(Text::Form(parts)) => &parts[..],
        };
        let pairs = [&self.expect, &self.change, &self.replace].into_iter().flatten();
        let pairs = pairs.flat_map(|(at, value)| [at, value]);
        let texts = [&self.path].into_iter().chain(&self.query).chain(body).chain(&self.put);
        let names = texts.chain(pairs).flat_map(Template::names);
        let conditions = self.when.iter().chain(&self.unless).map(String::as_str);
        let read = self.read.iter().flat_map(Read::names);
        names.chain(conditions).chain(read).collect()
    }

    /// Whether the request is sent with these values.
    pub(super) fn applies(&self, values: &Values<'_>) -> Result<bool, Kind> {
        for name in &self.when {
            if !values.has(name)? {
                return Ok(false);
            }
        }
        for name in &self.unless {
            if values.has(name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The request as it is sent.
    ///
    /// # Errors
    /// `Unsupported` for a word that the camera lacks, `Invalid` for a value that is absent or cannot be sent.
    pub(super) fn request(&self, values: &Values<'_>) -> Result<Request, Kind> {
        let mut target = self.path.render(values, Place::Url)?.ok_or(Kind::Invalid)?;
        let query = join(&self.query, values)?;
        if !query.is_empty() {
            target = format!("{target}?{query}");
        }
        let body = match &self.body {
            None => None,
            Some(Text::Form(parts)) => {
                Some(("application/x-www-form-urlencoded", join(parts, values)?))
            }
            Some(Text::Whole(kind, place, text)) => {
                Some((*kind, text.render(values, *place)?.ok_or(Kind::Invalid)?))
            }
        };
        let body = body.map(|(kind, text)| Body {
            content_type: kind.to_owned(),
            bytes: text.into_bytes().into(),
        });
        Ok(Request { method: self.method, target, body })
    }

    /// The request that sends a changed answer back.
    pub(super) fn back(&self, values: &Values<'_>, body: String) -> Result<Request, Kind> {
        let Request { target, .. } = self.request(values)?;
        let target = match &self.put {
            Some(put) => put.render(values, Place::Url)?.ok_or(Kind::Invalid)?,
            None => target,
        };
        let kind = match self.format {
            Format::Json => "application/json",
            _ => "application/xml",
        };
        Ok(Request::with_body(Method::Put, target, kind, body))
    }
}

/// The parts with their values, without those whose value is absent.
fn join(parts: &[Template], values: &Values<'_>) -> Result<String, Kind> {
    let mut texts = Vec::new();
    for part in parts {
        texts.extend(part.render(values, Place::Url)?);
    }
    Ok(texts.join("&"))
}

fn body(table: &Table<'_, '_>) -> Result<Option<Text>, Error> {
    let Some(kind) = table.text("type")? else {
        return match table.text("body")? {
            None => Ok(None),
            Some(body) => {
                let found = format!("missing beside body; allowed are {}", TYPES.join(", "));
                Err(table.error(body.at, "type", &found))
            }
        };
    };
    let (name, place) = match &*kind.text {
        "xml" => ("application/xml", Place::Xml),
        "json" => ("application/json", Place::Json),
        "text" => ("text/plain", Place::Plain),
        "form" => return Ok(Some(Text::Form(parts(table, "body")?))),
        other => {
            let found = format!("{other:?} is unknown; {}", hint(other, &TYPES));
            return Err(table.error(kind.at, "type", &found));
        }
    };
    let body = table.insist("body")?;
    Ok(Some(Text::Whole(name, place, template(table, "body", &body.text, body.at)?)))
}

fn parts(table: &Table<'_, '_>, key: &str) -> Result<Vec<Template>, Error> {
    let Some(text) = table.text(key)? else { return Ok(Vec::new()) };
    text.text.split('&').map(|part| target(table, key, part, text.at)).collect()
}

/// A template whose own text can stand in the target of a request.
pub(super) fn target(
    table: &Table<'_, '_>,
    key: &str,
    text: &str,
    at: usize,
) -> Result<Template, Error> {
    let template = template(table, key, text, at)?;
    let fits =
        |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\' | '^' | '`');
    let is_target = template.literals().all(|text| text.chars().all(fits));
    if !is_target {
        let found = "expected characters of an address; write others as %20";
        return Err(table.error(at, key, found));
    }
    Ok(template)
}

fn pairs(table: &Table<'_, '_>, key: &str) -> Result<Vec<(Template, Template)>, Error> {
    let Some(inner) = table.table(key)? else { return Ok(Vec::new()) };
    let mut pairs = Vec::new();
    for (place, at) in inner.keys() {
        let text = inner.insist(place)?;
        let place = template(&inner, place, place, at)?;
        pairs.push((place, template(&inner, key, &text.text, text.at)?));
    }
    Ok(pairs)
}
