//! The events service (`http://www.onvif.org/ver10/events/wsdl`): pull points.

mod message;
mod point;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{parse_utc, utc_text};
use super::envelope::{Call, Service};
use super::fault::Fault;
use super::node::{Node, leaf, node};
use super::quirk::Quirk;
use super::site::Site;
use super::span;
use crate::camera::web::calendar::Date;
use point::{MAX_SUBSCRIPTIONS, Point};

pub use message::token;
pub use point::Subscriptions;

/// Time after which a subscription ends that does not say.
const DEFAULT_TIME: Duration = Duration::from_secs(60);
const MAX_TIME: Duration = Duration::from_secs(3600);
/// Longest time that a pull waits.
const MAX_PULL: Duration = Duration::from_secs(60);
/// Most messages of an answer.
const MAX_MESSAGES: usize = 100;

/// The answer to a call at `target`, which may name a subscription; `None` where the camera hangs up in its place.
///
/// # Errors
/// What the operation refuses.
pub async fn answer(
    site: &Site,
    host: IpAddr,
    subscriptions: &Subscriptions,
    target: &str,
    call: &Call,
) -> Result<Option<Node>, Fault> {
    let addressed = ["Action", "MessageID", "To"].iter().all(|name| call.header(name).is_some());
    if site.quirks.has(Quirk::NeedsAddressing) && !addressed {
        return Err(Fault::sender("ter:InvalidArgs", "expected headers of WS-Addressing"));
    }
    let unknown = || Fault::sender("wsrf:ResourceUnknownFault", "there is no such subscription");
    let point = || -> Result<Arc<Point>, Fault> {
        let number = number(site, target, call).ok_or_else(unknown)?;
        subscriptions.find(site, number).ok_or_else(unknown)
    };
    Ok(Some(match call.name() {
        "GetServiceCapabilities" => node("tev:GetServiceCapabilitiesResponse", [own()]),
        "GetEventProperties" => properties(),
        "CreatePullPointSubscription" => {
            let time = lifetime(site, call.optional("InitialTerminationTime"))?;
            let full = || match site.quirks.has(Quirk::FewSubscriptions) {
                true => {
                    Fault::receiver("wsntw:SubscribeCreationFailedFault", "too many subscriptions")
                }
                false => Fault::receiver("ter:Action", "there are 8 subscriptions"),
            };
            let point = subscriptions.add(site, time).ok_or_else(full)?;
            let mut content = vec![reference(site, host, point.number)];
            content.extend(times(site, time, ["wsnt:CurrentTime", "wsnt:TerminationTime"]));
            node("tev:CreatePullPointSubscriptionResponse", content)
        }
        "PullMessages" => {
            let point = point()?;
            let wait = span::parse(call.argument("Timeout")?);
            let wait = wait.ok_or_else(|| Fault::arguments("Timeout is no duration"))?;
            let most = call.argument("MessageLimit")?.parse::<usize>();
            let most = most.map_err(|_| Fault::arguments("MessageLimit is no number"))?;
            if site.quirks.has(Quirk::PullExtends) {
                point.renew(DEFAULT_TIME);
            }
            let wait = match site.quirks.has(Quirk::PullReturns) {
                true => Duration::ZERO,
                false => wait.min(MAX_PULL).min(point.left(site)),
            };
            let messages = point.pull(site, most.clamp(1, MAX_MESSAGES), wait).await;
            // A subscription that ended meanwhile is unknown, whatever was heard.
            let left = subscriptions.find(site, point.number).ok_or_else(unknown)?.left(site);
            if messages.is_empty() && site.quirks.has(Quirk::PullCloses) {
                return Ok(None);
            }
            let times = times(site, left, ["tev:CurrentTime", "tev:TerminationTime"]);
            node("tev:PullMessagesResponse", times.into_iter().chain(messages))
        }
        "SetSynchronizationPoint" if site.quirks.has(Quirk::SyncFaults) => {
            return Err(Fault::unsupported("SetSynchronizationPoint"));
        }
        "SetSynchronizationPoint" => {
            point()?.synchronize();
            node("tev:SetSynchronizationPointResponse", [])
        }
        "Renew" if site.quirks.has(Quirk::RenewFaults) => return Err(Fault::unsupported("Renew")),
        "Renew" => {
            let point = point()?;
            let mut time = lifetime(site, call.optional("TerminationTime"))?;
            match site.quirks.has(Quirk::RenewStays) {
                true => time = point.left(site),
                false => point.renew(time),
            }
            let [now, end] = times(site, time, ["wsnt:CurrentTime", "wsnt:TerminationTime"]);
            node("wsnt:RenewResponse", [end, now])
        }
        "Unsubscribe" => {
            subscriptions.remove(site, point()?.number);
            node("wsnt:UnsubscribeResponse", [])
        }
        name => return Err(Fault::unsupported(name)),
    }))
}

/// The capabilities of this service.
pub fn own() -> Node {
    node("tev:Capabilities", [])
        .with("WSSubscriptionPolicySupport", false)
        .with("WSPausableSubscriptionManagerInterfaceSupport", false)
        .with("MaxPullPoints", MAX_SUBSCRIPTIONS)
}

/// The reference of a new subscription: its address, as the camera's quirks spell it.
fn reference(site: &Site, host: IpAddr, number: u32) -> Node {
    let usual = site.service(host, Service::Subscription);
    let shared = is_by_reference(site);
    let (base, path) = usual.split_once("/onvif/").unwrap_or((&usual, ""));
    let (scheme, authority) = base.split_once("://").unwrap_or(("http", base));
    let (name, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let authority = match () {
        () if site.quirks.has(Quirk::EventPort) => format!("{name}:{}", site.other),
        () if site.quirks.has(Quirk::SubscriptionHost) => {
            format!("{}:{port}", super::site::NOWHERE)
        }
        () if site.quirks.has(Quirk::DoubledPort) => format!("{name}:{port}:{port}"),
        () => authority.to_owned(),
    };
    let path = match () {
        () if shared => path.to_owned(),
        () if site.quirks.has(Quirk::SubscriptionPath) => format!("event-{number}_{port}"),
        () => format!("{path}?subscription={number}"),
    };
    let mut content = vec![leaf("wsa5:Address", format!("{scheme}://{authority}/onvif/{path}"))];
    if shared {
        let id = leaf("axe:SubscriptionId", number);
        content.push(node("wsa5:ReferenceParameters", [id]));
    }
    node("tev:SubscriptionReference", content)
}

/// Whether all subscriptions have one address and are told apart by reference parameters.
fn is_by_reference(site: &Site) -> bool {
    site.quirks.has(Quirk::Reference) || site.quirks.has(Quirk::Axis)
}

/// The number of the subscription that a call is for.
fn number(site: &Site, target: &str, call: &Call) -> Option<u32> {
    if is_by_reference(site) {
        let id = call.header("SubscriptionId")?;
        let is_parameter = id.attributes.iter().any(|(name, value)| {
            name.rsplit(':').next() == Some("IsReferenceParameter")
                && matches!(value.as_str(), "true" | "1")
        });
        return is_parameter.then(|| id.text().parse().ok())?;
    }
    let by_path =
        || target.strip_prefix("/onvif/event-")?.split_once('_').map(|(number, _)| number);
    let by_query = target.split_once("?subscription=").map(|(_, number)| number);
    by_query.or_else(by_path)?.parse().ok()
}

/// The time that a subscription shall last, told as a duration or as the time of its end.
fn lifetime(site: &Site, text: Option<&str>) -> Result<Duration, Fault> {
    let Some(text) = text else { return Ok(DEFAULT_TIME) };
    let until = || {
        let seconds = parse_utc(text)? - site.clock.now(&site.quirks);
        u64::try_from(seconds).ok().map(Duration::from_secs)
    };
    let relative = span::parse(text).filter(|_| !site.quirks.has(Quirk::AbsoluteOnly));
    let absolute = until().filter(|_| !site.quirks.has(Quirk::RelativeOnly));
    let fault = || Fault::sender("ter:InvalidArgVal", "no time for a subscription");
    let time = relative.or(absolute).filter(|time| !time.is_zero());
    time.map(|time| time.min(MAX_TIME)).ok_or_else(fault)
}

fn times(site: &Site, time: Duration, [current, end]: [&'static str; 2]) -> [Node; 2] {
    let now = site.clock.now(&site.quirks);
    let ends = now.saturating_add_unsigned(time.as_secs());
    [(current, now), (end, ends)].map(|(name, time)| leaf(name, utc_text(Date::from_unix(time))))
}

fn properties() -> Node {
    let topic = |name, items: [(&'static str, &'static str); 2]| {
        let [source, data] = items;
        let item = |(name, kind)| {
            node("tt:SimpleItemDescription", []).with("Name", name).with("Type", kind)
        };
        let content = [node("tt:Source", [item(source)]), node("tt:Data", [item(data)])];
        let state = name != "Crossed";
        let message = node("tt:MessageDescription", content).with("IsProperty", state);
        node(name, [message]).with("wstop:topic", true)
    };
    let video = ("VideoSourceConfigurationToken", "tt:ReferenceToken");
    let motion = topic("Motion", [video, ("IsMotion", "xs:boolean")]);
    let crossed = topic("Crossed", [video, ("ObjectId", "xs:integer")]);
    let input = [("InputToken", "tt:ReferenceToken"), ("LogicalState", "xs:boolean")];
    let rules = [node("CellMotionDetector", [motion]), node("LineDetector", [crossed])];
    let device = [node("Trigger", [topic("DigitalInput", input)])];
    let topics = [node("tns1:RuleEngine", rules), node("tns1:Device", device)];
    node(
        "tev:GetEventPropertiesResponse",
        [
            leaf(
                "tev:TopicNamespaceLocation",
                "http://www.onvif.org/onvif/ver10/topics/topicns.xml",
            ),
            leaf("wsnt:FixedTopicSet", true),
            node("wstop:TopicSet", topics),
            leaf(
                "wsnt:TopicExpressionDialect",
                "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet",
            ),
            leaf(
                "wsnt:TopicExpressionDialect",
                "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete",
            ),
            leaf(
                "tev:MessageContentFilterDialect",
                "http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter",
            ),
            leaf(
                "tev:MessageContentSchemaLocation",
                "http://www.onvif.org/onvif/ver10/schema/onvif.xsd",
            ),
        ],
    )
}
