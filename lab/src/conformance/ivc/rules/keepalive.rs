//! Keepalive: when it comes, and what it tells.

use std::time::Duration;

use serde_json::Value;

use crate::conformance::ivc::bench::Bench;
use crate::conformance::ivc::finding::{Outcome, fail};
use crate::conformance::ivc::rule::Rule;

const KEEPALIVE: &str = "Keepalive";
/// Number of intervals that are measured.
const INTERVALS: usize = 2;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "keepalive.content",
            KEEPALIVE,
            "A Keepalive tells the state of the device and of each channel",
            |b| Box::pin(content(b)),
        ),
        Rule::new(
            "keepalive.channels",
            "名词解释 (terms): Channel",
            "Every channel is told of once; that of a camera is 0",
            |b| Box::pin(channels(b)),
        ),
        Rule::new(
            "keepalive.period",
            "流程 (flow), step 3",
            "A Keepalive comes every 10 s",
            |b| Box::pin(period(b)),
        ),
    ]
}

/// The params of the newest Keepalive; of the next one where none came yet.
async fn newest(b: &mut Bench) -> Outcome<Value> {
    let newest = |b: &Bench| b.heard.newest(KEEPALIVE).last().map(|told| told.params.clone());
    let limit = b.limits.keepalive + b.limits.slack;
    let end = std::time::Instant::now() + limit;
    loop {
        if let Some(params) = newest(b) {
            return Ok(params);
        }
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return fail(format!("no Keepalive came within {limit:?}"));
        }
        b.until(left, |_| Some(())).await?;
    }
}

async fn content(b: &mut Bench) -> Outcome {
    let params = newest(b).await?;
    let within = |value: &Value, range: std::ops::RangeInclusive<i64>| {
        value.as_i64().is_some_and(|number| range.contains(&number))
    };
    if !within(&params["state"], 1..=3) {
        return fail(format!("`state` is 1, 2 or 3, and it is {}", params["state"]));
    }
    let Some(channels) = params["channels"].as_array() else {
        return fail(format!("`channels` is a list, and it is {}", params["channels"]));
    };
    for channel in channels {
        if !within(&channel["channel"], 0..=i64::from(u32::MAX))
            || !within(&channel["state"], 0..=2)
        {
            return fail(format!("`channel` is a number, `state` 0, 1 or 2: {channel}"));
        }
        for name in ["stream_id", "record_session"] {
            if !matches!(channel[name], Value::Null | Value::String(_)) {
                return fail(format!("`{name}` is a string or absent: {channel}"));
            }
        }
        if !channel["alarm"].is_null() && !within(&channel["alarm"], 0..=i64::from(u32::MAX)) {
            return fail(format!("`alarm` is a number or absent: {channel}"));
        }
    }
    Ok(())
}

async fn channels(b: &mut Bench) -> Outcome {
    let params = newest(b).await?;
    let list = params["channels"].as_array().cloned().unwrap_or_default();
    let numbers: Vec<i64> = list.iter().filter_map(|channel| channel["channel"].as_i64()).collect();
    let mut once = numbers.clone();
    once.sort_unstable();
    once.dedup();
    match numbers.as_slice() {
        [] => fail("the Keepalive tells of no channel"),
        _ if once.len() < numbers.len() => fail(format!("a channel is told of twice: {numbers:?}")),
        [0] => Ok(()),
        [only] => fail(format!("the only channel has number {only}, and that of a camera is 0")),
        _ => Ok(()),
    }
}

async fn period(b: &mut Bench) -> Outcome {
    let skip = b.heard.newest(KEEPALIVE).count().saturating_sub(1);
    let logins = b.heard.logins();
    let (period, slack) = (b.limits.keepalive, b.limits.slack);
    let longest = period.mul_f64(1.2) + slack;
    let limit = longest * (INTERVALS as u32 + 1);
    let end = std::time::Instant::now() + limit;
    let times = loop {
        let times: Vec<_> = b.heard.newest(KEEPALIVE).skip(skip).map(|told| told.at).collect();
        let left = end.saturating_duration_since(std::time::Instant::now());
        if times.len() > INTERVALS || left.is_zero() {
            break times;
        }
        if b.heard.logins() > logins {
            return fail("the device logged in anew meanwhile");
        }
        b.until(left, |_| Some(())).await?;
    };
    if times.len() <= INTERVALS {
        return fail(format!("{} Keepalives came within {limit:?}", times.len()));
    }
    let shortest = period.mul_f64(0.5);
    for pair in times.windows(2).take(INTERVALS) {
        let interval: Duration = pair[1].duration_since(pair[0]);
        if interval < shortest || interval > longest {
            return fail(format!(
                "expected {period:?} between two Keepalives, it was {interval:.1?}"
            ));
        }
    }
    Ok(())
}
