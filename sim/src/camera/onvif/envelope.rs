//! Envelopes of SOAP 1.2: the request that is in one, and the answer that goes into one.

use ivt_hal::xml::{self, Element, Limits};

use super::fault::Fault;
use super::node::{Node, leaf, node};

/// The bounds of a request.
const LIMITS: Limits =
    Limits { bytes: 64 << 10, depth: 24, nodes: 2000, attributes: 64, text: 8192 };
const SOAP: [&str; 2] =
    ["http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"];

/// The service that an operation belongs to, by the namespace of its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Device,
    Media,
    Media2,
    Ptz,
    Events,
    DeviceIo,
    /// PullMessages, Renew and Unsubscribe are WS-BaseNotification.
    Subscription,
}

/// A request.
#[derive(Debug)]
pub struct Call {
    envelope: Element,
    /// The service that is called.
    pub service: Service,
}

impl Service {
    /// The namespace of its operations.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Device => "http://www.onvif.org/ver10/device/wsdl",
            Self::Media => "http://www.onvif.org/ver10/media/wsdl",
            Self::Media2 => "http://www.onvif.org/ver20/media/wsdl",
            Self::Ptz => "http://www.onvif.org/ver20/ptz/wsdl",
            Self::Events => "http://www.onvif.org/ver10/events/wsdl",
            Self::DeviceIo => "http://www.onvif.org/ver10/deviceIO/wsdl",
            Self::Subscription => "http://docs.oasis-open.org/wsn/b-2",
        }
    }

    fn of(namespace: &str) -> Option<Self> {
        [
            Self::Device,
            Self::Media,
            Self::Media2,
            Self::Ptz,
            Self::Events,
            Self::DeviceIo,
            Self::Subscription,
        ]
        .into_iter()
        .find(|service| service.namespace() == namespace)
    }
}

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    /// It is no envelope, or its operation is in no namespace that the camera knows.
    pub fn read(body: &[u8]) -> Result<Self, Fault> {
        let envelope = xml::parse(body, &LIMITS)
            .map_err(|error| Fault::sender("ter:WellFormed", error.to_string()))?;
        if envelope.local_name() != "Envelope"
            || !namespace(&[&envelope]).is_some_and(|uri| SOAP.contains(&uri))
        {
            return Err(Fault::sender("ter:Tag", "expected an Envelope of SOAP"));
        }
        let inner = envelope.child("Body");
        let inner = inner.ok_or_else(|| Fault::sender("ter:Tag", "an Envelope without a Body"))?;
        let operation = inner.elements().next();
        let operation =
            operation.ok_or_else(|| Fault::sender("ter:Tag", "a Body without an operation"))?;
        let service = namespace(&[operation, inner, &envelope]).and_then(Service::of);
        let unknown = || {
            let reason = format!("no service has the namespace of {}", operation.local_name());
            Fault::sender("ter:Namespace", reason)
        };
        let service = service.ok_or_else(unknown)?;
        Ok(Self { envelope, service })
    }

    /// The operation's element.
    pub fn operation(&self) -> &Element {
        let body = self.envelope.child("Body");
        body.and_then(|body| body.elements().next()).unwrap_or(&self.envelope)
    }

    /// The operation's name, such as `GetProfiles`.
    pub fn name(&self) -> &str {
        self.operation().local_name()
    }

    /// An element of the envelope's header, by a path of local names.
    pub fn header(&self, path: &str) -> Option<&Element> {
        self.envelope.child("Header")?.find(path)
    }

    /// The text of an argument; an error names it where it is missing or empty.
    ///
    /// # Errors
    /// [`Fault::arguments`].
    pub fn argument(&self, path: &str) -> Result<&str, Fault> {
        let text = self.operation().text_at(path);
        let missing = || Fault::arguments(format!("{} needs {path}", self.name()));
        if text.is_empty() { Err(missing()) } else { Ok(text) }
    }

    /// The text of an argument that may be left out.
    pub fn optional(&self, path: &str) -> Option<&str> {
        Some(self.operation().text_at(path)).filter(|text| !text.is_empty())
    }
}

/// The envelope of an answer. A request that has a WS-Addressing header gets one back.
pub fn envelope(call: Option<&Call>, content: Node) -> Node {
    let addressed = call.and_then(|call| Some((call, call.header("MessageID")?)));
    let header = addressed.map(|(call, id)| {
        let mut header = vec![leaf("wsa5:RelatesTo", id.text())];
        if let Some(action) = call.header("Action") {
            header.insert(0, leaf("wsa5:Action", format!("{}Response", action.text())));
        }
        node("env:Header", header)
    });
    node("env:Envelope", header.into_iter().chain([node("env:Body", [content])]))
}

/// The namespace of the first of these elements, which are followed by its ancestors.
fn namespace<'a>(path: &[&'a Element]) -> Option<&'a str> {
    let prefix = path.first()?.name.split_once(':').map(|(prefix, _)| prefix);
    let wanted = prefix.map_or("xmlns".to_owned(), |prefix| format!("xmlns:{prefix}"));
    let declared = |element: &'a Element| {
        element.attributes.iter().find(|(name, _)| *name == wanted).map(|(_, uri)| uri.as_str())
    };
    path.iter().find_map(|element| declared(element))
}

#[cfg(test)]
mod tests {
    use super::super::node::Spelling;
    use super::*;

    fn read(text: &str) -> Result<Call, Fault> {
        Call::read(text.as_bytes())
    }

    #[test]
    fn an_operation_is_known_by_its_namespace_under_any_prefix() {
        let ptz = "http://www.onvif.org/ver20/ptz/wsdl";
        let soap = SOAP[0];
        for text in [
            format!(
                r#"<s:Envelope xmlns:s="{soap}"><s:Body><Stop xmlns="{ptz}"/></s:Body></s:Envelope>"#
            ),
            format!(
                r#"<Envelope xmlns="{soap}" xmlns:x="{ptz}"><Body><x:Stop/></Body></Envelope>"#
            ),
            format!(
                r#"<a:Envelope xmlns:a="{soap}"><a:Body xmlns="{ptz}"><Stop/></a:Body></a:Envelope>"#
            ),
        ] {
            let call = read(&text).unwrap();
            assert_eq!((call.service, call.name()), (Service::Ptz, "Stop"), "{text}");
        }
    }

    #[test]
    fn what_is_no_request_is_a_fault_of_the_sender() {
        let soap = SOAP[0];
        for (text, subcode) in [
            ("".to_owned(), "ter:WellFormed"),
            ("<a>".to_owned(), "ter:WellFormed"),
            ("<Envelope/>".to_owned(), "ter:Tag"),
            (format!(r#"<s:Envelope xmlns:s="{soap}"/>"#), "ter:Tag"),
            (format!(r#"<s:Envelope xmlns:s="{soap}"><s:Body/></s:Envelope>"#), "ter:Tag"),
            (
                format!(r#"<s:Envelope xmlns:s="{soap}"><s:Body><Stop/></s:Body></s:Envelope>"#),
                "ter:Namespace",
            ),
        ] {
            let fault = read(&text).unwrap_err();
            let shown = fault.node().document(Spelling::Usual);
            assert!(shown.contains(subcode) && fault.status() == 400, "{text}: {shown}");
        }
    }

    #[test]
    fn an_addressed_request_gets_an_addressed_answer() {
        let text = format!(
            r#"<s:Envelope xmlns:s="{}"><s:Header><w:Action>urn:a</w:Action><w:MessageID>urn:1</w:MessageID>
               </s:Header><s:Body><Stop xmlns="{}"/></s:Body></s:Envelope>"#,
            SOAP[0],
            Service::Ptz.namespace()
        );
        let call = read(&text).unwrap();
        let answer = envelope(Some(&call), node("tptz:StopResponse", []));
        let shown = answer.document(Spelling::Usual);
        assert!(shown.contains("<wsa5:Action>urn:aResponse</wsa5:Action>"), "{shown}");
        assert!(shown.contains("<wsa5:RelatesTo>urn:1</wsa5:RelatesTo>"), "{shown}");
    }
}
