//! What ends a session: the two timers, `done`, and lengths that lie.

use std::time::Duration;

use ivt_proto::tlss::frame;

use super::call::{Broken, Call, Rest};
use super::commands::usual;
use super::facts::Finding;

type Outcome = Result<Finding, Broken>;

/// The 7 s after the identity or the last reply.
pub(super) async fn timer(call: &mut Call) -> Outcome {
    let most = call.timing.rule + call.timing.beyond;
    let rest = call.silence(most).await;
    Ok(on_time(call, rest))
}

pub(super) async fn zero(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    call.send_as(0, b"").await?;
    match call.rest(Duration::from_millis(300)).await {
        Rest::Open => {}
        Rest::Closed(_) => {
            return Ok(Finding::deviation("the device ends the session at a length of zero"));
        }
        Rest::Spoke(_) => {
            return Ok(Finding::deviation("the device answers a message without a command"));
        }
    }
    call.send(&[&frame(list.as_bytes())]).await?;
    match call.reply().await {
        Ok(_) => Ok(Finding::pass()),
        Err(broken) => Ok(Finding::fail(format!("after a length of zero, a command: {broken}"))),
    }
}

pub(super) async fn oversize(call: &mut Call) -> Outcome {
    usual(call).await?;
    call.send_as(u32::MAX as usize, b"/uapi-cgi/param.fcgi?action=list&group=VERSION").await?;
    let most = call.timing.rule + call.timing.slack;
    Ok(match call.rest(most).await {
        Rest::Closed(_) => Finding::pass(),
        Rest::Spoke(_) => {
            Finding::fail("the device answers a command whose length of 4 GiB cannot have come")
        }
        Rest::Open => Finding::fail(format!(
            "the device still waits for 4 GiB after {:.0} s",
            most.as_secs_f32()
        )),
    })
}

pub(super) async fn unfinished(call: &mut Call) -> Outcome {
    usual(call).await?;
    call.send_as(60, b"/uapi-cgi/par").await?;
    let most = call.timing.rule + call.timing.beyond;
    let rest = call.rest(most).await;
    Ok(match rest {
        Rest::Spoke(_) => {
            Finding::fail("the device answers a command of which only a part has come")
        }
        rest => on_time(call, rest),
    })
}

pub(super) async fn done(call: &mut Call, word: &[u8]) -> Outcome {
    usual(call).await?;
    call.send(&[&frame(word)]).await?;
    Ok(match call.rest(call.timing.close).await {
        Rest::Closed(_) => Finding::pass(),
        Rest::Spoke(_) => Finding::fail("the device answers done as if it were a command"),
        Rest::Open => Finding::fail(format!(
            "the connection is still open {:.0} s after done",
            call.timing.close.as_secs_f32()
        )),
    })
}

/// Whether the device acted at the time of the rule.
fn on_time(call: &Call, rest: Rest) -> Finding {
    let timing = call.timing;
    let rule = timing.rule.as_secs_f32();
    match rest {
        Rest::Closed(after) => {
            let off = after.abs_diff(timing.rule);
            let seconds = after.as_secs_f32();
            match () {
                () if off <= timing.slack => Finding::pass(),
                () if off <= timing.rule / 2 => Finding::deviation(format!(
                    "the device connects anew after {seconds:.1} s, not {rule:.0} s"
                )),
                () => Finding::fail(format!(
                    "the device gives up after {seconds:.1} s, not {rule:.0} s"
                )),
            }
        }
        Rest::Spoke(after) if after.abs_diff(timing.rule) <= timing.slack => Finding::deviation(
            "the device sends its identity again on the same connection, not on a new one",
        ),
        Rest::Spoke(_) => Finding::fail("the device sends something that it was not asked for"),
        Rest::Open => Finding::fail(format!(
            "the device does nothing for {:.0} s, {rule:.0} s are due",
            (timing.rule + timing.beyond).as_secs_f32()
        )),
    }
}
