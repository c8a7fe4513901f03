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
            last = match self.step(step, values).await {
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
                last = self.exchange(step, &self.request(step, values)?).await;
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
            self.judge(&answer)?;
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
        self.judge(&answer)?;
        let Some(ok) = &step.ok else { return Ok(answer) };
        match ok.is_match(bounded(&String::from_utf8_lossy(&answer.body))) {
            true => Ok(answer),
            false => Err(self.answered("did not answer as the profile expects".into())),
        }
    }

    /// What the status and the body of an answer mean.
    fn judge(self, answer: &Answer) -> Result<()> {
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
            (Some(failure), _) => failure.kind,
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
                Some(value) if value.eq_ignore_ascii_case(&wanted) => {}
                Some(_) => {
                    return Err(self.answered(format!("said OK and left {place} as it was")));
                }
                None => {
                    let lacks = Answered(format!("has no {place}"));
                    return Err(Error::new(self.op, Kind::Unsupported).because(lacks));
                }
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
                    root.ensure(&at).set_text(&value);
                }
                for (at, piece) in &step.replace {
                    let piece = render(piece, Place::Xml)?;
                    let (Some(at), Some(piece)) = (render(at, Place::Plain)?, piece) else {
                        continue;
                    };
                    let piece =
                        xml::parse(format!("<a>{piece}</a>").as_bytes(), &Limits::default());
                    let piece = piece.map_err(|e| Error::new(self.op, UNREADABLE).because(e))?;
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
                    let Some(place) = value.pointer_mut(&at) else {
                        let lacks = Answered(format!("has no {at}"));
                        return Err(Error::new(self.op, Kind::Unsupported).because(lacks));
                    };
                    *place = new;
                }
                Ok(value.to_string())
            }
            Document::Lines(_) => Err(Error::new(self.op, Kind::Invalid)),
        }
    }

    fn answered(self, what: String) -> Error {
        Error::new(self.op, UNREADABLE).because(Answered(what))
    }
}

/// Whether another request may do what this one was refused. A login that is refused is not tried on.
fn has_another(error: &Error) -> bool {
    let source = error.source.as_ref().and_then(|source| source.downcast_ref::<Status>());
    match error.kind {
        Kind::Unsupported | Kind::Other => true,
        Kind::Refused => source.is_some_and(|status| status.0 == 403),
        _ => false,
    }
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
