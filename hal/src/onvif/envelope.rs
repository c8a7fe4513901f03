//! SOAP 1.2: a request, and what an answer means.

use ivt_base::text::shorten;

use super::events::message::salvage;
use crate::xml::{self, Element, Limits, Node};
use crate::{Answer, Error, Kind};

/// The action that subscribes to events.
pub(super) const SUBSCRIBE: &str = "CreatePullPointSubscription";
/// The action that waits for messages.
pub(super) const PULL: &str = "PullMessages";
/// Longest text of a fault that is kept, in bytes.
const LONGEST_FAULT: usize = 2048;

/// Why a call has no answer.
pub(super) enum Failure {
    /// The camera refuses the login, or wants one.
    Login(Error),
    /// Any other reason.
    Other(Error),
}

/// What a camera said in the place of an answer, as the source of an error.
#[derive(Debug, thiserror::Error)]
#[error("the camera answered {0}")]
pub(super) struct Said(pub(super) String);

/// How a camera refused a login, or that it wants one, as the source of an error.
#[derive(Debug, thiserror::Error)]
#[error("the camera answered {0}")]
pub(super) struct Denied(pub(super) String);

/// The error of a stream, which is tried again when it ends: that a camera refused anything but the login passes, as it
/// is busy, starts, or holds too many clients.
pub(super) fn passing(error: Error) -> Error {
    let is_login = error.source.as_ref().is_none_or(|source| !source.is::<Said>());
    let kind = if error.kind == Kind::Refused && !is_login { Kind::Other } else { error.kind };
    Error { kind, ..error }
}

/// A request with `header`, which may be empty, and `body`, whose names without a prefix are in `namespace`.
pub(super) fn write(header: &str, namespace: &str, action: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:tt=\"http://www.onvif.org/ver10/schema\"><s:Header>{header}</s:Header><s:Body>\
         <{action} xmlns=\"{namespace}\">{body}</{action}></s:Body></s:Envelope>"
    )
}

/// The first element in the body of an answer; an element without a name for an answer without a body, by which some
/// cameras say that an order was taken.
pub(super) fn read(op: &'static str, action: &str, answer: &Answer) -> Result<Element, Failure> {
    let said = |kind, text: String| Error::new(op, kind).because(Said(text));
    let status = answer.status;
    let is_order = !action.starts_with("Get");
    if is_order && matches!(status, 200..=299) && answer.body.is_empty() {
        return Ok(Element::default());
    }
    let root = match xml::parse(&answer.body, &Limits::default()) {
        Ok(root) if root.local_name() == "Envelope" => root,
        Ok(root) => return Err(by_status(op, status, format!("<{}>", shorten(&root.name)))),
        Err(error) => {
            // A message that is broken takes no other with it.
            let messages = (action == PULL && status == 200).then(|| salvage(&answer.body));
            let broken = || by_status(op, status, shorten(&error.to_string()));
            return messages.flatten().ok_or_else(broken);
        }
    };
    let around = root.attributes;
    let body = root.nodes.into_iter().find_map(|node| match node {
        Node::Element(element) if element.local_name() == "Body" => Some(element),
        _ => None,
    });
    let inner = body.and_then(|body| {
        body.nodes.into_iter().find_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    });
    match inner {
        Some(fault) if fault.local_name() == "Fault" => Err(classify(op, &fault)),
        _ if matches!(status, 401 | 403) => Err(by_status(op, status, String::new())),
        Some(mut inner) if inner.local_name().ends_with("Response") => {
            if action == SUBSCRIBE {
                // The namespaces of what each call of the subscription repeats.
                inner
                    .attributes
                    .extend(around.into_iter().filter(|(name, _)| name.starts_with("xmlns")));
            }
            Ok(inner)
        }
        None if is_order && matches!(status, 200..=299) => Ok(Element::default()),
        _ => Err(Failure::Other(said(Kind::Other, "another question".into()))),
    }
}

/// The failure of an answer that is no SOAP.
fn by_status(op: &'static str, status: u16, what: String) -> Failure {
    let kind = match status {
        401 | 403 => {
            let error = Error::new(op, Kind::Refused).because(Denied(format!("HTTP {status}")));
            return Failure::Login(error);
        }
        404 | 405 | 501 => Kind::Unsupported,
        200..=299 => Kind::Other,
        _ => Kind::Refused,
    };
    let text = if status == 200 { what } else { format!("HTTP {status}") };
    Failure::Other(Error::new(op, kind).because(Said(text)))
}

fn classify(op: &'static str, fault: &Element) -> Failure {
    let mut text = String::new();
    gather(fault, &mut text);
    // Faults of subscriptions have their names as elements.
    let named = fault.elements().filter(|part| part.local_name().eq_ignore_ascii_case("detail"));
    for name in named.flat_map(Element::elements).map(Element::local_name) {
        if text.len() + name.len() < LONGEST_FAULT {
            text = format!("{text} {name}");
        }
    }
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let said = format!("a fault: {}", shorten(&text));
    let kind = if has(&["actionnotsupported", "notimplemented", "not implemented", "noptzprofile"])
    {
        Kind::Unsupported
    } else if has(&["auth", "mustunderstand", "wsse", "password", "failedcheck", "invalidsecurity"])
    {
        // Some cameras say it in the text alone: "Wsse authorized time check failed".
        return Failure::Login(Error::new(op, Kind::Refused).because(Denied(said)));
    } else if has(&["invalidarg", "notoken", "noentity", "noprofile", "noconfig"]) {
        Kind::Invalid
    } else if has(&[
        "not supported",
        "notsupported",
        "unsupported",
        "unknown action",
        "unknown method",
        "not recognized",
        "method not found",
        "nosuchservice",
    ]) {
        Kind::Unsupported
    } else {
        Kind::Refused
    };
    Failure::Other(Error::new(op, kind).because(Said(said)))
}

/// All text of an element, words apart, up to a bound.
fn gather(element: &Element, text: &mut String) {
    for node in &element.nodes {
        match node {
            Node::Element(inner) => gather(inner, text),
            Node::Text(piece)
                if text.len() + piece.len() < LONGEST_FAULT && !piece.trim().is_empty() =>
            {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(piece.trim());
            }
            Node::Text(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, reason: String::new(), headers: Vec::new(), body: body.to_owned().into() }
    }

    fn outcome(status: u16, body: &str) -> Result<String, Option<Kind>> {
        match read("test", "GetX", &answer(status, body)) {
            Ok(element) => Ok(element.local_name().to_owned()),
            Err(Failure::Login(_)) => Err(None),
            Err(Failure::Other(error)) => Err(Some(error.kind)),
        }
    }

    fn fault(code: &str, reason: &str) -> String {
        format!(
            "<e:Envelope xmlns:e='x'><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>{code}</e:Value>\
             </e:Subcode></e:Code><e:Reason><e:Text xml:lang='en'>{reason}</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
        )
    }

    #[test]
    fn a_fault_is_one_with_every_status() {
        for (code, reason, kind) in [
            ("ter:NotAuthorized", "", None),
            ("", "Wsse authorized time check failed", None),
            ("wsse:FailedAuthentication", "", None),
            ("s:MustUnderstand", "", None),
            ("ter:ActionNotSupported", "", Some(Kind::Unsupported)),
            (
                "ter:ActionNotSupported",
                "no such action for authorized users",
                Some(Kind::Unsupported),
            ),
            ("", "Optional Action Not Implemented", Some(Kind::Unsupported)),
            (
                "",
                "Method 'tptz:GetPresetTours' not implemented: name not recognized",
                Some(Kind::Unsupported),
            ),
            ("ter:NoPTZProfile", "", Some(Kind::Unsupported)),
            ("ter:InvalidArgVal</e:Value><e:Value>ter:SpaceNotSupported", "", Some(Kind::Invalid)),
            ("ter:InvalidArgVal</e:Value><e:Value>ter:NoToken", "", Some(Kind::Invalid)),
            ("ter:Action", "busy", Some(Kind::Refused)),
        ] {
            for status in [200, 400, 401, 500] {
                assert_eq!(
                    outcome(status, &fault(code, reason)),
                    Err(kind),
                    "{code} {reason} {status}"
                );
            }
        }
        let old = "<S:Envelope><S:Body><S:Fault><faultcode>S:Client</faultcode><faultstring>not authorized\
                   </faultstring></S:Fault></S:Body></S:Envelope>";
        assert_eq!(outcome(500, old), Err(None), "SOAP 1.1");
    }

    #[test]
    fn a_login_alone_is_refused_for_long() {
        let long = |status, body: &str| match read("test", "GetX", &answer(status, body)) {
            Ok(_) => panic!("it has passed"),
            Err(failure) => passing(failure.into_error()).kind == Kind::Refused,
        };
        for (status, body) in
            [(401, String::new()), (403, String::new()), (400, fault("ter:NotAuthorized", ""))]
        {
            assert!(long(status, &body), "{status} {body}");
        }
        for (status, body) in [
            (500, String::new()),
            (503, "<html>".into()),
            (429, String::new()),
            (500, fault("ter:Action", "busy")),
        ] {
            assert!(!long(status, &body), "{status} {body}");
        }
        assert_eq!(
            passing(Error::new("test", Kind::Refused)).kind,
            Kind::Refused,
            "a login that rests"
        );
    }

    #[test]
    fn what_is_no_answer_is_told_by_the_status() {
        for (status, body, kind) in [
            (401, "", None),
            (403, "<html>", None),
            (401, "<E:Envelope><E:Body/></E:Envelope>", None),
            (404, "<html></html>", Some(Kind::Unsupported)),
            (500, "", Some(Kind::Refused)),
            (200, "", Some(Kind::Other)),
            (200, "garbage", Some(Kind::Other)),
            (200, "<html></html>", Some(Kind::Other)),
            (200, "<!DOCTYPE a><Envelope/>", Some(Kind::Other)),
            (200, "<E:Envelope><E:Body/></E:Envelope>", Some(Kind::Other)),
            (200, "<E:Envelope><E:Body><x/></E:Body></E:Envelope>", Some(Kind::Other)),
        ] {
            assert_eq!(outcome(status, body), Err(kind), "{status} {body}");
        }
        let good = "<a:Envelope><a:Header/>\n<a:Body>\n<b:GetXResponse/></a:Body></a:Envelope>";
        assert_eq!(outcome(200, good), Ok("GetXResponse".into()));
        assert!(read("test", "Stop", &answer(200, "")).is_ok(), "an order needs no answer");
        assert!(read("test", "Stop", &answer(204, "")).is_ok());
    }
}
