//! Sending the requests of an operation one after another, and judging the answers.

use std::time::Duration;

use regex_lite::Regex;
use serde_json::Value;
use tokio::time::timeout;

use super::answer::{Document, Format, Row, UNREADABLE, bounded, merge};
use super::error::{Answered, Status};
use super::step::Step;
use super::template::Place;
use super::values::Values;
use crate::http::{ABILITY_DEADLINE, Http, Request};
use crate::xml::{self, Element, Limits, Node};
use crate::{Answer, Error, Kind, Result};

/// Longest time of all requests of one call together.
pub(super) const DEADLINE: Duration = ABILITY_DEADLINE;

/// What an answer means in spite of its status.
pub(super) struct Failure {
    pub(super) status: Option<u16>,
    pub(super) pattern: Option<Regex>,
    pub(super) kind: Kind,
}

/// One call to a camera.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) op: &'static str,
    pub(super) http: &'a Http,
    pub(super) failures: &'a [Failure],
}

impl Call<'_> {
    /// Sends the requests and returns the rows that their answers are read for, all of it within [`DEADLINE`].
    pub(super) async fn run(self, steps: &[Step], values: &Values<'_>) -> Result<Vec<Row>> {
        match timeout(DEADLINE, self.steps(steps, values)).await {
            Ok(rows) => rows,
            Err(_) => Err(Error::new(self.op, Kind::Timeout)),
        }
    }

    async fn steps(self, steps: &[Step], values: &Values<'_>) -> Result<Vec<Row>> {
        let (mut rows, mut last, mut sent) = (Vec::new(), Ok(()), false);
        for step in steps {
            let applies = step.applies(values).map_err(|kind| Error::new(self.op, kind))?;
            match &last {
                Err(error) if step.instead && has_another(error) => {}
                Err(_) if !step.instead => break,
                Ok(()) if !step.instead => {}
                _ => continue,
            }
            if !applies {
                continue;
            }
            sent = true;
            let done = match self.step(step, values).await {
                Ok(more) => {
                    merge(&mut rows, more);
                    Ok(())
                }
                Err(error) => match error.kind {
                    Kind::Refused | Kind::Offline | Kind::Timeout => Err(error),
                    _ if step.optional => Ok(()),
                    _ => Err(error),
                },
            };
            last = clearer(last, done);
        }
        last?;
        match sent {
            true => Ok(rows),
            false => Err(Error::new(self.op, Kind::Unsupported)),
        }
    }

    /// Sends the first request that applies, or those in its place, and returns the answer.
    pub(super) async fn answer(self, steps: &[Step], values: &Values<'_>) -> Result<Answer> {
        let mut last = Err(Error::new(self.op, Kind::Unsupported));
        for step in steps {
            match &last {
                Err(error) if has_another(error) => {}
                _ => break,
            }
            if step.applies(values).map_err(|kind| Error::new(self.op, kind))? {
                let done = self.exchange(step, &self.request(step, values)?).await;
                last = clearer(last, done);
            }
        }
        last
    }

    async fn step(self, step: &Step, values: &Values<'_>) -> Result<Vec<Row>> {
        let answer = self.exchange(step, &self.request(step, values)?).await?;
        if !step.expect.is_empty() {
            self.compare(step, values, &answer.body)?;
        }
        if step.changes() {
            let body = self.changed(step, values, &answer.body)?;
            let request = step.back(values, body).map_err(|kind| Error::new(self.op, kind))?;
            let answer = self.http.send(self.op, &request).await?;
            self.judge(step, &answer)?;
            // ISAPI: 1 is done, 7 is done and needs a restart.
            if let Some(code) = status_code(&answer.body).filter(|code| !matches!(code, 1 | 7)) {
                return Err(self.answered(format!("answered the status code {code}")));
            }
        }
        match &step.read {
            Some(read) => read.rows(&answer.body, values).map_err(|wrong| self.answered(wrong)),
            None => Ok(Vec::new()),
        }
    }

    fn request(self, step: &Step, values: &Values<'_>) -> Result<Request> {
        step.request(values).map_err(|kind| Error::new(self.op, kind))
    }

    async fn exchange(self, step: &Step, request: &Request) -> Result<Answer> {
        let answer = self.http.send(self.op, request).await?;
        self.judge(step, &answer)?;
        let Some(ok) = &step.ok else { return Ok(answer) };
        match ok.is_match(bounded(&String::from_utf8_lossy(&answer.body))) {
            true => Ok(answer),
            false => Err(self.answered("did not answer as the profile expects".into())),
        }
    }

    /// What the status and the body of an answer mean.
    fn judge(self, step: &Step, answer: &Answer) -> Result<()> {
        let status = answer.status;
        let text = String::from_utf8_lossy(&answer.body);
        let means = |failure: &&Failure| {
            let matches = |pattern: &Regex| pattern.is_match(bounded(&text));
            failure.status.is_none_or(|expected| expected == status)
                && failure.pattern.as_ref().is_none_or(matches)
        };
        // A picture is not searched for words.
        let is_text = !answer.body.starts_with(&[0xff, 0xd8]);
        let failure = self.failures.iter().filter(|_| is_text).find(means);
        let kind = match (failure, status) {
            (Some(failure), _) if failure.kind == Kind::Refused => {
                let reason =
                    Answered(format!("refuses it for a reason of its own, by HTTP {status}"));
                return Err(Error::new(self.op, Kind::Refused).because(reason));
            }
            (Some(failure), _) => failure.kind,
            (None, 200..=299) if !step.page && is_page(&text) => {
                return Err(self.answered("answered a page for people, such as a login".into()));
            }
            (None, 200..=299) => return Ok(()),
            (None, 401 | 403) => Kind::Refused,
            (None, 404 | 405 | 501) => Kind::Unsupported,
            _ => Kind::Other,
        };
        Err(Error::new(self.op, kind).because(Status(status)))
    }

    /// Compares what the camera has with what it was told: some answer OK and ignore it.
    fn compare(self, step: &Step, values: &Values<'_>, body: &[u8]) -> Result<()> {
        let document = Document::parse(step.format, body).map_err(|wrong| self.answered(wrong))?;
        for (place, wanted) in &step.expect {
            let render = |text: &super::template::Template| {
                text.render(values, Place::Plain).map_err(|kind| Error::new(self.op, kind))
            };
            let (Some(place), Some(wanted)) = (render(place)?, render(wanted)?) else { continue };
            match document.value(&place) {
                Some(value) if is_same(&value, &wanted) => {}
                Some(_) => {
                    return Err(self.answered(format!("said OK and left {place} as it was")));
                }
                None => return Err(self.lacks(&place)),
            }
        }
        Ok(())
    }

    /// The whole document with some of its places changed.
    fn changed(self, step: &Step, values: &Values<'_>, body: &[u8]) -> Result<String> {
        let document = Document::parse(step.format, body).map_err(|wrong| self.answered(wrong))?;
        let render = |text: &super::template::Template, place| {
            text.render(values, place).map_err(|kind| Error::new(self.op, kind))
        };
        match document {
            Document::Xml(mut root) => {
                for (at, value) in &step.change {
                    // What XML cannot hold is refused here.
                    render(value, Place::Xml)?;
                    let value = render(value, Place::Plain)?;
                    let (Some(at), Some(value)) = (render(at, Place::Plain)?, value) else {
                        continue;
                    };
                    let (at, absent) = absent(&at);
                    let is_there = root.find(at).is_some();
                    match absent {
                        Absent::Added => root.ensure(at).set_text(&value),
                        Absent::Passed if !is_there && root.find(around(at)).is_some() => {
                            self.pass_over(at)
                        }
                        _ => {
                            let place = root.find_mut(at).ok_or_else(|| self.lacks(at))?;
                            place.set_text(&value);
                        }
                    }
                }
                for (at, piece) in &step.replace {
                    let piece = render(piece, Place::Xml)?;
                    let (Some(at), Some(piece)) = (render(at, Place::Plain)?, piece) else {
                        continue;
                    };
                    let piece =
                        xml::parse(format!("<a>{piece}</a>").as_bytes(), &Limits::default());
                    let piece = piece.map_err(|e| Error::new(self.op, UNREADABLE).because(e))?;
                    // Coordinates that are not set are left out by some cameras, what they belong to is not.
                    if root.find(around(&at)).is_none() {
                        return Err(self.lacks(&at));
                    }
                    let place = root.ensure(&at);
                    let prefix =
                        place.name[..place.name.len() - place.local_name().len()].to_owned();
                    place.nodes = prefixed(piece, &prefix).nodes;
                }
                Ok(root.to_document())
            }
            Document::Json(mut value) => {
                for (at, text) in &step.change {
                    let text = render(text, Place::Json)?;
                    let (Some(at), Some(text)) = (render(at, Place::Plain)?, text) else {
                        continue;
                    };
                    let new = serde_json::from_str(&text);
                    let new: Value = new.map_err(|e| Error::new(self.op, UNREADABLE).because(e))?;
                    let (at, absent) = absent(&at);
                    if let Some(place) = value.pointer_mut(at) {
                        *place = new;
                        continue;
                    }
                    let object = value.pointer_mut(around(at)).and_then(Value::as_object_mut);
                    let object = object.ok_or_else(|| self.lacks(at))?;
                    match absent {
                        Absent::Added => {
                            let name = at.rsplit('/').next().unwrap_or_default();
                            object.insert(name.replace("~1", "/").replace("~0", "~"), new);
                        }
                        Absent::Passed => self.pass_over(at),
                        Absent::Fails => return Err(self.lacks(at)),
                    }
                }
                Ok(value.to_string())
            }
            Document::Lines(_) => Err(Error::new(self.op, Kind::Invalid)),
        }
    }

    fn lacks(self, place: &str) -> Error {
        let lacks = Answered(format!("has no {place}"));
        Error::new(self.op, Kind::Unsupported).because(lacks)
    }

    fn pass_over(self, place: &str) {
        log::info!(
            "{}: the camera at {} has no {place}, which is left out",
            self.op,
            self.http.host()
        );
    }

    fn answered(self, what: String) -> Error {
        Error::new(self.op, UNREADABLE).because(Answered(what))
    }
}

/// What a request in the place of another one ends in. That another address is unknown says less than how the first
/// one failed.
pub(super) fn clearer<T>(first: Result<T>, instead: Result<T>) -> Result<T> {
    match (first, instead) {
        (Err(first), Err(error))
            if error.kind == Kind::Unsupported && first.kind != Kind::Unsupported =>
        {
            Err(first)
        }
        (_, instead) => instead,
    }
}

/// Whether another request may do what this one was refused. A login that is refused is not tried on, nor is a reason
/// that the profile knows.
pub(super) fn has_another(error: &Error) -> bool {
    let source = error.source.as_ref().and_then(|source| source.downcast_ref::<Status>());
    match error.kind {
        Kind::Unsupported | Kind::Other => true,
        Kind::Refused => source.is_some_and(|status| status.0 == 403),
        _ => false,
    }
}

/// What is done about a place of a document that the camera lacks.
enum Absent {
    Fails,
    Passed,
    Added,
}

/// A place without its mark: `?` is passed over where the camera lacks it, `+` is added.
fn absent(at: &str) -> (&str, Absent) {
    match (at.strip_suffix('?'), at.strip_suffix('+')) {
        (Some(at), _) => (at, Absent::Passed),
        (_, Some(at)) => (at, Absent::Added),
        _ => (at, Absent::Fails),
    }
}

/// The place that a place is in.
fn around(at: &str) -> &str {
    at.rsplit_once('/').map_or("", |(around, _)| around)
}

/// Whether a camera has what it was told. Only truth and whole numbers may be written otherwise.
fn is_same(value: &str, wanted: &str) -> bool {
    let is_truth = ["true", "false"].iter().any(|word| wanted.eq_ignore_ascii_case(word));
    let is_number = !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit());
    value == wanted || (is_truth || is_number) && value.trim().eq_ignore_ascii_case(wanted)
}

/// Whether a text is a page of HTML.
fn is_page(text: &str) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    for (begin, end) in [("<?", "?>"), ("<!--", "-->")] {
        while let Some((_, after)) =
            rest.strip_prefix(begin).and_then(|inner| inner.split_once(end))
        {
            rest = after.trim_start();
        }
    }
    ["<!doctype html", "<html"].iter().any(|begin| {
        let is_begun = rest.get(..begin.len()).is_some_and(|b| b.eq_ignore_ascii_case(begin));
        is_begun && !rest[begin.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
    })
}

/// The number of `statusCode` in XML or JSON.
fn status_code(body: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("statusCode")?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '>' | '"' | ':'));
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// An element whose elements all have a prefix, as those around them do.
fn prefixed(mut element: Element, prefix: &str) -> Element {
    for node in &mut element.nodes {
        if let Node::Element(child) = node {
            child.name = format!("{prefix}{}", child.name);
            let inner = std::mem::replace(child, Element::new(""));
            *child = prefixed(inner, prefix);
        }
    }
    element
}

/// A request as the dry run shows it.
pub(super) fn show(request: &Request) -> String {
    let line = format!("{} {}", request.method.as_str(), request.target);
    match &request.body {
        None => line,
        Some(body) => {
            let text = String::from_utf8_lossy(&body.bytes);
            format!("{line}\n{}: {text}", body.content_type)
        }
    }
}

/// What a request that changes a document does, as the dry run shows it.
pub(super) fn show_changes(step: &Step, values: &Values<'_>) -> String {
    let mut lines = Vec::new();
    for (at, value, place) in (step.change.iter().map(|(at, value)| (at, value, Place::Plain)))
        .chain(step.replace.iter().map(|(at, value)| (at, value, Place::Xml)))
    {
        let place = if step.format == Format::Json { Place::Json } else { place };
        if let (Ok(Some(at)), Ok(Some(value))) =
            (at.render(values, Place::Plain), value.render(values, place))
        {
            lines.push(format!("  {at} = {value}"));
        }
    }
    match step.back(values, lines.join("\n")) {
        Ok(request) => format!("then with these changed\n{}", show(&request)),
        Err(kind) => kind.to_string(),
    }
}
