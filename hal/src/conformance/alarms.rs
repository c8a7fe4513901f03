//! Checks of the alarms that a camera raises by itself.

use std::pin::pin;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{ANSWER_LIMIT, away};
use crate::{Alarm, Alarms, Error, Heard, LONGEST_WHAT, Signal, Trigger};

/// Alarms that a listener of these checks may be behind.
const BEHIND: usize = 32;

/// Checks the alarms of a camera that is there and has each of `triggers`. `raise` makes the camera raise a
/// trigger, or end it, and returns when it was told to. Nothing is active in the beginning, and nothing else
/// is raised meanwhile.
pub async fn alarms(alarms: &dyn Alarms, triggers: &[Trigger], raise: impl AsyncFn(Trigger, bool)) {
    let (first, mut first_hears) = mpsc::channel(BEHIND);
    let (second, mut second_hears) = mpsc::channel(BEHIND);
    let mut one = pin!(alarms.listen(&first));
    {
        let other = alarms.listen(&second);
        let both = async {
            listening(&mut first_hears).await;
            listening(&mut second_hears).await;
            for &trigger in triggers {
                round(trigger, &raise, &mut [&mut first_hears, &mut second_hears]).await;
            }
        };
        tokio::select! {
            error = &mut one => ended(&error),
            error = other => ended(&error),
            () = both => {}
        }
    }
    // The second listener has gone, which is nothing to the first.
    let alone = async {
        for &trigger in triggers {
            round(trigger, &raise, &mut [&mut first_hears]).await;
        }
    };
    tokio::select! {
        error = &mut one => ended(&error),
        () = alone => {}
    }
    drop(first_hears);
    let gone = timeout(ANSWER_LIMIT, one).await;
    assert!(gone.is_ok(), "alarms: it listens on, though nobody hears it for {ANSWER_LIMIT:?}");
    again(alarms, triggers, &raise).await;
}

/// Checks the alarms of a camera that is away.
pub async fn offline_alarms(alarms: &dyn Alarms) {
    let (heard, mut hears) = mpsc::channel(BEHIND);
    match timeout(ANSWER_LIMIT, alarms.listen(&heard)).await {
        Ok(error) => away(Some(error)),
        Err(_) => panic!("alarms: the camera is away, yet it listens for {ANSWER_LIMIT:?}"),
    }
    let told = hears.try_recv().ok();
    assert_eq!(told, None, "alarms: the camera is away, yet something is heard");
}

/// A listener that comes after all others have gone hears as the first did.
async fn again(alarms: &dyn Alarms, triggers: &[Trigger], raise: &impl AsyncFn(Trigger, bool)) {
    let (heard, mut hears) = mpsc::channel(BEHIND);
    let hearing = async {
        listening(&mut hears).await;
        for &trigger in triggers {
            round(trigger, raise, &mut [&mut hears]).await;
        }
    };
    tokio::select! {
        error = alarms.listen(&heard) => ended(&error),
        () = hearing => {}
    }
}

/// Raises a trigger and ends it, which every listener has to hear.
async fn round(
    trigger: Trigger,
    raise: &impl AsyncFn(Trigger, bool),
    listeners: &mut [&mut mpsc::Receiver<Heard>],
) {
    raise(trigger, true).await;
    let mut holds = false;
    for hears in listeners.iter_mut() {
        let begin = until(hears, trigger, |signal| signal != Signal::Ends).await;
        holds |= begin.signal == Signal::Begins;
    }
    raise(trigger, false).await;
    for hears in listeners.iter_mut().filter(|_| holds) {
        until(hears, trigger, |signal| signal == Signal::Ends).await;
    }
}

/// The next alarm of a trigger with such a signal. A camera may repeat the others.
async fn until(
    hears: &mut mpsc::Receiver<Heard>,
    trigger: Trigger,
    is_it: impl Fn(Signal) -> bool,
) -> Alarm {
    let next = async {
        loop {
            match hears.recv().await {
                Some(Heard::Alarm(alarm)) => {
                    check(&alarm);
                    if alarm.trigger == trigger && is_it(alarm.signal) {
                        return alarm;
                    }
                }
                Some(Heard::Listening) => {}
                None => panic!("alarms: the listener was left"),
            }
        }
    };
    match timeout(ANSWER_LIMIT, next).await {
        Ok(alarm) => alarm,
        Err(_) => panic!("alarms: {trigger:?} is not heard for {ANSWER_LIMIT:?}"),
    }
}

/// The first thing to be heard.
async fn listening(hears: &mut mpsc::Receiver<Heard>) {
    match timeout(ANSWER_LIMIT, hears.recv()).await {
        Ok(heard) => assert_eq!(heard, Some(Heard::Listening), "alarms: Listening comes first"),
        Err(_) => panic!("alarms: the camera is there, yet it is not heard for {ANSWER_LIMIT:?}"),
    }
}

fn check(alarm: &Alarm) {
    let length = alarm.what.chars().count();
    assert!(length <= LONGEST_WHAT, "alarms: a description of {length} characters");
    let plain = !alarm.what.contains(char::is_control);
    assert!(plain, "alarms: control characters in {:?}", alarm.what);
}

fn ended(error: &Error) {
    panic!("alarms: the camera is there, yet listening ends: {}", super::reason(error));
}
