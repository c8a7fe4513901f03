//! WS-Addressing, which calls of the event service alone carry: some cameras refuse events without it, and others
//! refuse it on the other services.

use crate::onvif::address::Endpoint;
use crate::onvif::service::Service;
use crate::xml::{Element, Node, escape};

const NAMESPACE: &str = "http://www.w3.org/2005/08/addressing";
const EVENTS: &str = "http://www.onvif.org/ver10/events/wsdl";
/// Longest headers that a subscription may want, in bytes.
const LONGEST: usize = 4096;

/// The address of an action, as headers and the content type have it.
pub(in crate::onvif) fn action(service: Service, action: &str) -> String {
    match (service, action) {
        (Service::Events, "CreatePullPointSubscription") => {
            format!("{EVENTS}/EventPortType/{action}Request")
        }
        (Service::Events, _) => format!("{EVENTS}/PullPointSubscription/{action}Request"),
        (Service::Subscription, _) => {
            format!("http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/{action}Request")
        }
        _ => format!("{}/{action}", service.namespace()),
    }
}

/// The headers of a call.
pub(in crate::onvif) fn headers(service: Service, name: &str, at: &Endpoint) -> String {
    let id = rand::random::<u128>() & !(0xf << 76 | 3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{id:032x}");
    let (action, to) = (action(service, name), escape(&at.told));
    format!(
        "<wsa:Action xmlns:wsa=\"{NAMESPACE}\">{action}</wsa:Action>\
         <wsa:To xmlns:wsa=\"{NAMESPACE}\">{to}</wsa:To>\
         <wsa:MessageID xmlns:wsa=\"{NAMESPACE}\">urn:uuid:{}-{}-{}-{}-{}</wsa:MessageID>{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
        at.headers
    )
}

/// The headers that each call of a subscription repeats: its reference parameters, with the namespaces that they
/// were told in. Some cameras tell their subscriptions apart by these alone. `answer` has the declarations of the
/// elements around it.
pub(in crate::onvif) fn reference(answer: &Element) -> String {
    let mut text = String::new();
    let Some(reference) = answer.child("SubscriptionReference") else { return text };
    for name in ["ReferenceParameters", "ReferenceProperties"] {
        let Some(parameters) = reference.child(name) else { continue };
        for parameter in parameters.elements() {
            let mut header = parameter.clone();
            for around in [parameters, reference, answer] {
                declare(&mut header, around);
            }
            header.attributes.retain(|(name, _)| name != "xmlns:wsa");
            header.attributes.push(("xmlns:wsa".into(), NAMESPACE.into()));
            header.attributes.push(("wsa:IsReferenceParameter".into(), "true".into()));
            header.write(&mut text);
        }
    }
    if text.len() > LONGEST { String::new() } else { text }
}

/// Declares what `header` uses of the namespaces that are declared at an element around it.
fn declare(header: &mut Element, around: &Element) {
    for (name, value) in &around.attributes {
        let prefix = match name.strip_prefix("xmlns") {
            Some("") => "",
            Some(rest) if rest.starts_with(':') => &rest[1..],
            _ => continue,
        };
        let is_declared = header.attributes.iter().any(|(other, _)| other == name);
        if !is_declared && uses(header, prefix) {
            header.attributes.push((name.clone(), value.clone()));
        }
    }
}

/// Whether an element, or one inside it, has this prefix in its name or in that of an attribute.
fn uses(element: &Element, prefix: &str) -> bool {
    let of = |name: &str| name.rsplit_once(':').map_or("", |(prefix, _)| prefix) == prefix;
    of(&element.name)
        || !prefix.is_empty() && element.attributes.iter().any(|(name, _)| of(name))
        || element.nodes.iter().any(|node| match node {
            Node::Element(inner) => uses(inner, prefix),
            Node::Text(_) => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, parse};

    fn of(answer: &str) -> String {
        reference(&parse(answer.as_bytes(), &Limits::default()).unwrap())
    }

    #[test]
    fn reference_parameters_are_repeated_with_their_namespaces() {
        let axis = of(
            "<R><SubscriptionReference xmlns:x='unused'><wsa5:Address>http://a</wsa5:Address>\
             <wsa5:ReferenceParameters><dom0:SubscriptionId xmlns:dom0='http://www.axis.com/2009/event'>43\
             </dom0:SubscriptionId></wsa5:ReferenceParameters></SubscriptionReference></R>",
        );
        assert_eq!(
            axis,
            "<dom0:SubscriptionId xmlns:dom0=\"http://www.axis.com/2009/event\" \
             xmlns:wsa=\"http://www.w3.org/2005/08/addressing\" wsa:IsReferenceParameter=\"true\">43\
             </dom0:SubscriptionId>"
        );
        let far = of(
            "<R xmlns:v='urn:v' xmlns='urn:d' xmlns:n='urn:n'><SubscriptionReference><ReferenceParameters>\
             <Id n:k='1'><v:In>a&amp;b</v:In></Id><v:Two/></ReferenceParameters></SubscriptionReference></R>",
        );
        for piece in [
            "<Id n:k=\"1\" xmlns:v=\"urn:v\" xmlns=\"urn:d\" xmlns:n=\"urn:n\" ",
            "<v:In>a&amp;b</v:In></Id><v:Two xmlns:v=\"urn:v\" xmlns:wsa=",
        ] {
            assert!(far.contains(piece), "{far}");
        }
        assert_eq!(of("<R><SubscriptionReference/></R>") + &of("<R/>"), "");
        let long = format!(
            "<R><SubscriptionReference><ReferenceParameters><a>{}</a></ReferenceParameters></SubscriptionReference></R>",
            "x".repeat(LONGEST)
        );
        assert_eq!(of(&long), "");
    }
}
