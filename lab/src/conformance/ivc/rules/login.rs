//! Login, and coming back.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use ivt_sim::cloud::Direction;
use tokio::time::sleep;
use url::Url;

use crate::conformance::ivc::bench::{Bench, ended};
use crate::conformance::ivc::finding::{Finding, Outcome, deviation, fail};
use crate::conformance::ivc::rule::Rule;

const URL: &str = "协议特性 (protocol): the URL of the login";
const MINIMUM: &str = "最小实现 (least implementation), 2";
/// The status of a refused login: after a wrong password devices may wait for minutes.
const BUSY: u16 = 503;
/// How the note of a refused login begins.
const REFUSED: &str = "login refused";
/// The hardware model of the other device that logs in, by which its logins are told apart.
const OTHER: &str = "conformance, a second device";
/// Time between two logins of the other device.
const OTHER_AGAIN: Duration = Duration::from_millis(100);
/// Most logins within the time of the watch, some four seconds, of a device that does not storm.
const KNOCKS: usize = 5;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new("login.models", URL, "The login names hardware_model and firmware_model", |b| {
            Box::pin(models(b))
        }),
        Rule::new(
            "login.first_request",
            "流程 (flow), step 3",
            "The first request after the login is a Keepalive, and it comes at once",
            |b| Box::pin(first_request(b)),
        ),
        Rule::new(
            "login.pong",
            "协议特性 (protocol): WebSocket (RFC 6455, 5.5.2)",
            "A ping of the WebSocket is answered by a pong",
            |b| Box::pin(pong(b)),
        ),
        Rule::new(
            "login.again",
            MINIMUM,
            "A device that is hung up on comes back by itself",
            |b| Box::pin(again(b)),
        ),
        Rule::new(
            "login.refused",
            MINIMUM,
            "A login that is refused is tried again, and not in a storm",
            |b| Box::pin(refused(b)),
        ),
        Rule::new(
            "login.duplicate",
            MINIMUM,
            "A device whose login another one takes over comes back, and does not fight for it",
            |b| Box::pin(duplicate(b)),
        ),
    ]
}

async fn models(b: &mut Bench) -> Outcome {
    let models = b.device.info().models;
    for (name, value) in
        [("hardware_model", models.hardware_model), ("firmware_model", models.firmware_model)]
    {
        if value.is_empty() {
            return fail(format!("the query of the login has no {name}"));
        }
    }
    Ok(())
}

async fn first_request(b: &mut Bench) -> Outcome {
    let limit = b.limits.keepalive + 2 * b.limits.slack;
    let end = Instant::now() + limit;
    let (method, after) = loop {
        if let Some(first) = first(b) {
            break first;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return fail(format!("no request came within {limit:?} of the login"));
        }
        b.until(left, |_| Some(())).await?;
    };
    let late = format!("the first Keepalive came {after:.1?} after the login");
    match method.as_str() {
        "preview_server" => {
            deviation("the first request is preview_server, as that of the public SDK")
        }
        "Keepalive" if after > b.limits.keepalive + b.limits.slack => {
            fail(format!("{late}, and one is due every {:?}", b.limits.keepalive))
        }
        // The protocol says how often one comes, and not when the first; the devices that are in use send it at once.
        "Keepalive" if after > b.limits.slack => deviation(format!("{late}, not at once")),
        "Keepalive" => Ok(()),
        method => fail(format!("expected a Keepalive, the first request is {method}")),
    }
}

/// The method of the first request of the newest connection, and how long after the login it came.
fn first(b: &Bench) -> Option<(String, Duration)> {
    let newest = b.heard.connections().last()?;
    let first = newest.requests.first()?;
    let after = Duration::from_millis(first.time_ms.saturating_sub(newest.login_ms));
    Some((first.method.clone(), after))
}

async fn pong(b: &mut Bench) -> Outcome {
    let sent = b.device.ping().await;
    sent.map_err(|error| Finding::Fail(error.msg))?;
    b.note("a ping was sent");
    let limit = b.limits.quiet + b.limits.slack;
    let came = b.until(limit, |packet| {
        let gone = ended(packet).map(|why| Some(why.to_owned()));
        (packet.text == ivt_sim::cloud::PONG).then_some(None).or(gone)
    });
    match came.await? {
        Some(None) => Ok(()),
        Some(Some(why)) => fail(format!("the connection ended after the ping: {why}")),
        None => {
            b.alive("the ping").await?;
            deviation(
                "no pong came, as from the public SDK; deployed clouds live by Keepalive alone",
            )
        }
    }
}

async fn again(b: &mut Bench) -> Outcome {
    let _ = b.device.hang_up().await;
    b.note("the cloud has hung up");
    let limit = b.limits.reconnect;
    let before = b.heard.logins();
    came_back(b, before, limit).await
}

/// Waits for a login after the `before`th.
async fn came_back(b: &mut Bench, before: usize, limit: Duration) -> Outcome {
    let came = b.until(limit, |packet| packet.text.starts_with("logged in").then_some(())).await?;
    match came {
        Some(()) => Ok(()),
        None if b.heard.logins() > before => Ok(()),
        None => Err(Finding::Over(format!("the device did not come back within {limit:?}"))),
    }
}

async fn refused(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.link.refuse_login = Some(BUSY));
    let _ = b.device.hang_up().await;
    let limit = b.limits.reconnect;
    let first = b.until(limit, |packet| packet.text.starts_with(REFUSED).then_some(())).await?;
    if first.is_none() {
        return Err(Finding::Over(format!("the device did not come back within {limit:?}")));
    }
    // Whoever knocks again at once will knock for ever.
    let mut knocks = 1;
    let watch = b.limits.quiet * 3 + b.limits.slack / 2;
    let _: Option<()> = b
        .until(watch, |packet| {
            knocks += usize::from(packet.text.starts_with(REFUSED));
            None
        })
        .await?;
    b.fault(|faults| faults.link.refuse_login = None);
    let before = b.heard.logins();
    if knocks > KNOCKS {
        b.online().await?;
        return fail(format!("{knocks} logins within {watch:?} of the first refusal"));
    }
    came_back(b, before, limit).await
}

/// The cloud ends the older of two connections. The other device fights for the login while it is watched; then it leaves.
async fn duplicate(b: &mut Bench) -> Outcome {
    let Some(url) = other(b) else { return fail("the cloud has no address for another device") };
    let mut fighting = tokio::spawn(fight(url));
    let watch = b.limits.quiet * 3 + b.limits.slack / 2;
    let (mut others, mut knocks) = (0, 0);
    let seen = b.until(watch, |packet| {
        let login = packet.direction == Direction::Note && packet.text.starts_with("logged in");
        let other = packet.text.contains(OTHER);
        others += usize::from(login && other);
        knocks += usize::from(login && !other);
        None::<()>
    });
    let seen = seen.await;
    fighting.abort();
    // Its connection is closed by then.
    let _ = (&mut fighting).await;
    seen?;
    b.note("the other device has left");
    own_again(b).await?;
    if others == 0 {
        return fail("the other device could not log in");
    }
    if knocks > KNOCKS {
        return fail(format!("the device logged in {knocks} times within {watch:?}"));
    }
    Ok(())
}

/// Where another device logs in with the same code.
fn other(b: &Bench) -> Option<Url> {
    let mut url = b.cloud.login_url(b.device.code(), &b.password);
    if b.cloud.http_addr().ip().is_unspecified() {
        url.set_host(Some("localhost")).ok()?;
    }
    url.query_pairs_mut().append_pair("hardware_model", OTHER);
    Some(url)
}

/// Logs in again and again, and says nothing.
async fn fight(url: Url) {
    loop {
        if let Ok((mut socket, _)) = tokio_tungstenite::connect_async(url.as_str()).await {
            while let Some(Ok(_)) = socket.next().await {}
        }
        sleep(OTHER_AGAIN).await;
    }
}

/// Waits until the connection of the code is one of the device that is tried.
async fn own_again(b: &mut Bench) -> Outcome {
    let limit = b.limits.reconnect;
    let end = Instant::now() + limit;
    loop {
        let info = b.device.info();
        if info.online && info.models.hardware_model != OTHER {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Finding::Over(format!("the device did not come back within {limit:?}")));
        }
        b.until(left, |packet| packet.text.starts_with("logged in").then_some(())).await?;
    }
}
