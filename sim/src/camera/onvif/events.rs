//! The events service (`http://www.onvif.org/ver10/events/wsdl`): pull points without messages yet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::clock::{parse_utc, utc_text};
use super::envelope::{Call, Service};
use super::fault::Fault;
use super::node::{Node, leaf, node};
use super::site::Site;
use super::span;
use crate::camera::web::calendar::Date;

/// Most subscriptions at a time.
const MAX_SUBSCRIPTIONS: usize = 8;
/// Time after which a subscription ends that does not say.
const DEFAULT_TIME: Duration = Duration::from_secs(60);
const MAX_TIME: Duration = Duration::from_secs(3600);
/// Longest time that a pull waits.
const MAX_PULL: Duration = Duration::from_secs(60);

/// The subscriptions of one camera: their numbers, and when each ends.
#[derive(Default)]
pub struct Subscriptions(Mutex<(u32, HashMap<u32, Instant>)>);

impl Subscriptions {
    fn add(&self, time: Duration) -> Option<u32> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, all) = &mut *held;
        all.retain(|_, end| *end > Instant::now());
        if all.len() == MAX_SUBSCRIPTIONS {
            return None;
        }
        *last = last.wrapping_add(1);
        all.insert(*last, Instant::now() + time);
        Some(*last)
    }

    /// Moves the end of a subscription; `None` where there is none.
    fn renew(&self, number: u32, time: Duration) -> Option<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = held.1.get_mut(&number).filter(|end| **end > Instant::now())?;
        *end = Instant::now() + time;
        Some(())
    }

    /// The time that is left of a subscription.
    fn left(&self, number: u32) -> Option<Duration> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = held.1.get(&number)?.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    fn remove(&self, number: u32) -> Option<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.1.remove(&number).map(|_| ())
    }
}

/// The answer to a call at `target`, whose query names a subscription.
///
/// # Errors
/// What the operation refuses.
pub async fn answer(
    site: &Site,
    host: IpAddr,
    subscriptions: &Subscriptions,
    target: &str,
    call: &Call,
) -> Result<Node, Fault> {
    let number = target.split_once("?subscription=").and_then(|(_, number)| number.parse().ok());
    let unknown = || Fault::sender("wsrf:ResourceUnknownFault", "there is no such subscription");
    let number = || number.ok_or_else(unknown);
    Ok(match call.name() {
        "GetServiceCapabilities" => node("tev:GetServiceCapabilitiesResponse", [own()]),
        "GetEventProperties" => node(
            "tev:GetEventPropertiesResponse",
            [
                leaf(
                    "tev:TopicNamespaceLocation",
                    "http://www.onvif.org/onvif/ver10/topics/topicns.xml",
                ),
                leaf("wsnt:FixedTopicSet", true),
                node("wstop:TopicSet", []),
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
        ),
        "CreatePullPointSubscription" => {
            let time = lifetime(site, call.optional("InitialTerminationTime"))?;
            let full = || Fault::receiver("ter:Action", "there are 8 subscriptions");
            let number = subscriptions.add(time).ok_or_else(full)?;
            let address = site.service(host, Service::Subscription);
            let address = leaf("wsa5:Address", format!("{address}?subscription={number}"));
            let mut content = vec![node("tev:SubscriptionReference", [address])];
            content.extend(times(site, time, ["wsnt:CurrentTime", "wsnt:TerminationTime"]));
            node("tev:CreatePullPointSubscriptionResponse", content)
        }
        "PullMessages" => {
            let number = number()?;
            let left = subscriptions.left(number).ok_or_else(unknown)?;
            let wait = span::parse(call.argument("Timeout")?);
            let wait = wait.ok_or_else(|| Fault::arguments("Timeout is no duration"))?;
            sleep(wait.min(MAX_PULL).min(left)).await;
            let left = subscriptions.left(number).ok_or_else(unknown)?;
            let content = times(site, left, ["tev:CurrentTime", "tev:TerminationTime"]);
            node("tev:PullMessagesResponse", content)
        }
        "SetSynchronizationPoint" => {
            subscriptions.left(number()?).ok_or_else(unknown)?;
            node("tev:SetSynchronizationPointResponse", [])
        }
        "Renew" => {
            let time = lifetime(site, call.optional("TerminationTime"))?;
            subscriptions.renew(number()?, time).ok_or_else(unknown)?;
            let [now, end] = times(site, time, ["wsnt:CurrentTime", "wsnt:TerminationTime"]);
            node("wsnt:RenewResponse", [end, now])
        }
        "Unsubscribe" => {
            subscriptions.remove(number()?).ok_or_else(unknown)?;
            node("wsnt:UnsubscribeResponse", [])
        }
        name => return Err(Fault::unsupported(name)),
    })
}

/// The capabilities of this service.
pub fn own() -> Node {
    node("tev:Capabilities", [])
        .with("WSSubscriptionPolicySupport", false)
        .with("WSPausableSubscriptionManagerInterfaceSupport", false)
        .with("MaxPullPoints", MAX_SUBSCRIPTIONS)
}

/// The time that a subscription shall last, told as a duration or as the time of its end.
fn lifetime(site: &Site, text: Option<&str>) -> Result<Duration, Fault> {
    let Some(text) = text else { return Ok(DEFAULT_TIME) };
    let until = || {
        let seconds = parse_utc(text)? - site.clock.now(&site.quirks);
        u64::try_from(seconds).ok().map(Duration::from_secs)
    };
    let time = span::parse(text).or_else(until).filter(|time| !time.is_zero());
    let fault = || Fault::sender("ter:InvalidArgVal", "no time for a subscription");
    time.map(|time| time.min(MAX_TIME)).ok_or_else(fault)
}

fn times(site: &Site, time: Duration, [current, end]: [&'static str; 2]) -> [Node; 2] {
    let now = site.clock.now(&site.quirks);
    let ends = now.saturating_add_unsigned(time.as_secs());
    [(current, now), (end, ends)].map(|(name, time)| leaf(name, utc_text(Date::from_unix(time))))
}
