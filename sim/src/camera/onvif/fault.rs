//! Faults of SOAP 1.2 with the subcodes of the ONVIF core specification (5.11.2) and of the PTZ and media
//! services.

use super::node::{Node, leaf, names, node};

/// The refusal of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    code: &'static str,
    subcodes: Vec<&'static str>,
    reason: String,
}

impl Fault {
    /// The request is wrong; the subcode is one such as `ter:InvalidArgVal`.
    pub fn sender(subcode: &'static str, reason: impl Into<String>) -> Self {
        Self { code: "env:Sender", subcodes: vec![subcode], reason: reason.into() }
    }

    /// The request is right, and the camera cannot do it.
    pub fn receiver(subcode: &'static str, reason: impl Into<String>) -> Self {
        Self { code: "env:Receiver", subcodes: vec![subcode], reason: reason.into() }
    }

    /// Adds the subcode within the last one.
    pub fn within(mut self, subcode: &'static str) -> Self {
        self.subcodes.push(subcode);
        self
    }

    /// An argument has a value that the camera does not take; `subcode` says which.
    pub fn argument(subcode: &'static str, reason: impl Into<String>) -> Self {
        Self::sender("ter:InvalidArgVal", reason).within(subcode)
    }

    /// An argument is missing or is not of its type.
    pub fn arguments(reason: impl Into<String>) -> Self {
        Self::sender("ter:InvalidArgs", reason)
    }

    /// The login is missing or wrong.
    pub fn not_authorized() -> Self {
        Self::sender("ter:NotAuthorized", "Sender not Authorized")
    }

    /// The camera does not have this optional operation.
    pub fn unsupported(operation: &str) -> Self {
        let reason = format!("{operation} is not supported by this device");
        Self::receiver("ter:ActionNotSupported", reason)
    }

    /// Whether the login is the reason.
    pub fn is_login(&self) -> bool {
        self.subcodes.contains(&"ter:NotAuthorized")
    }

    /// Status of HTTP: SOAP 1.2 part 2, 7.5.2.2.
    pub fn status(&self) -> u16 {
        if self.code == "env:Sender" { 400 } else { 500 }
    }

    /// The content of the body of the answer.
    pub fn node(&self) -> Node {
        let mut code = vec![names("env:Value", &[self.code])];
        let inner = self.subcodes.iter().rev().fold(None, |inner: Option<Node>, subcode| {
            let value = names("env:Value", &[subcode]);
            Some(node("env:Subcode", std::iter::once(value).chain(inner)))
        });
        code.extend(inner);
        let text = leaf("env:Text", &self.reason).with("xml:lang", "en");
        node("env:Fault", [node("env:Code", code), node("env:Reason", [text])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::onvif::node::Spelling;

    #[test]
    fn subcodes_lie_within_each_other() {
        let fault = Fault::argument("ter:NoProfile", "no profile <x>");
        let text = fault.node().document(Spelling::Usual);
        let inner = "<env:Code><env:Value>env:Sender</env:Value><env:Subcode>\
                     <env:Value>ter:InvalidArgVal</env:Value><env:Subcode>\
                     <env:Value>ter:NoProfile</env:Value></env:Subcode></env:Subcode></env:Code>\
                     <env:Reason><env:Text xml:lang=\"en\">no profile &lt;x&gt;</env:Text></env:Reason>";
        assert!(text.contains(inner), "{text}");
        assert_eq!((fault.status(), Fault::unsupported("X").status()), (400, 500));
        assert!(Fault::not_authorized().is_login() && !fault.is_login());
    }
}
