//! One event stream of a device that several listeners hear. One of them drives it, and hands what it hears to the queues of
//! all; when it is dropped, another one drives it anew. No task is spawned.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::{Alarm, Error, Heard, Kind};

/// Most of what waits for one listener. Beyond that the oldest that a newer one of the same trigger stands for is dropped, so
/// that a listener that rests hears the newest state of each trigger, and keeps no other listener waiting.
const LONGEST_QUEUE: usize = 64;

/// What the listeners of one stream have in common.
#[derive(Default)]
pub(crate) struct Shared {
    listeners: Mutex<Listeners>,
    /// Held by the listener that drives the stream.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Listeners {
    all: Vec<Arc<Listener>>,
    /// Whether the stream is there.
    is_listening: bool,
}

struct Listener {
    input: u16,
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Default)]
struct Queue {
    heard: VecDeque<Heard>,
    /// How the stream ended.
    end: Option<(Kind, String)>,
}

/// Why a stream ended that another listener drove, or the same one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Ended(String);

/// A listener for as long as it listens.
struct Place<'a> {
    shared: &'a Shared,
    listener: Arc<Listener>,
}

impl Shared {
    /// Listens for what is told of `input`. `drive` opens the stream, calls [`listening`](Self::listening) and
    /// [`tell`](Self::tell), and returns why it ended; it runs while nobody else drives the stream. When the stream ends, every
    /// listener returns that error once it has heard what came before. Returns when nobody reads `heard`, too.
    pub(crate) async fn listen(
        &self,
        op: &'static str,
        input: u16,
        heard: &mpsc::Sender<Heard>,
        drive: impl Future<Output = Error>,
    ) -> Error {
        let place = self.join(input);
        let listener = &*place.listener;
        let lead = async {
            let _turn = self.turn.lock().await;
            // The stream that has just ended is not opened again before its listeners have had their pauses.
            if listener.queue().end.is_none() {
                self.listeners().is_listening = false;
                self.end(&drive.await);
            }
        };
        let forward = async {
            loop {
                let ready = listener.ready.notified();
                let next = listener.queue().next();
                match next {
                    Some(Ok(next)) => {
                        if heard.send(next).await.is_err() {
                            return Error::new(op, Kind::Other);
                        }
                    }
                    Some(Err((kind, why))) => return Error::new(op, kind).because(Ended(why)),
                    None => ready.await,
                }
            }
        };
        let leads = async {
            lead.await;
            std::future::pending().await
        };
        tokio::select! {
            error = forward => error,
            error = leads => error,
            () = heard.closed() => Error::new(op, Kind::Other),
        }
    }

    /// The inputs that somebody listens to, each once.
    pub(crate) fn inputs(&self) -> Vec<u16> {
        let mut inputs: Vec<_> = self.listeners().all.iter().map(|one| one.input).collect();
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }

    /// Says that the stream is there, to all who listen and to those who come later.
    pub(crate) fn listening(&self) {
        let mut listeners = self.listeners();
        listeners.is_listening = true;
        for listener in &listeners.all {
            listener.push(Heard::Listening);
        }
    }

    /// Tells those who listen to an input.
    pub(crate) fn tell(&self, input: u16, alarm: &Alarm) {
        for listener in self.listeners().all.iter().filter(|listener| listener.input == input) {
            listener.push(Heard::Alarm(alarm.clone()));
        }
    }

    fn join(&self, input: u16) -> Place<'_> {
        let listener = Arc::new(Listener { input, queue: Mutex::default(), ready: Notify::new() });
        let mut listeners = self.listeners();
        if listeners.is_listening {
            listener.push(Heard::Listening);
        }
        listeners.all.push(Arc::clone(&listener));
        Place { shared: self, listener }
    }

    fn end(&self, error: &Error) {
        let why = error.source.as_ref().map_or_else(|| error.to_string(), ToString::to_string);
        let mut listeners = self.listeners();
        listeners.is_listening = false;
        for listener in &listeners.all {
            listener.queue().end.get_or_insert_with(|| (error.kind, why.clone()));
            listener.ready.notify_one();
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.listeners().all.retain(|other| !Arc::ptr_eq(other, &self.listener));
    }
}

impl Listener {
    fn push(&self, heard: Heard) {
        self.queue().push(heard);
        self.ready.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn next(&mut self) -> Option<Result<Heard, (Kind, String)>> {
        match self.heard.pop_front() {
            Some(heard) => Some(Ok(heard)),
            None => self.end.clone().map(Err),
        }
    }

    fn push(&mut self, heard: Heard) {
        let of = |heard: &Heard| match heard {
            Heard::Listening => None,
            Heard::Alarm(alarm) => Some(alarm.trigger),
        };
        // A detection that is told again before anybody has heard of it is the same one.
        let last = self.heard.iter().rev().find(|other| of(other) == of(&heard));
        if last == Some(&heard) && heard != Heard::Listening {
            return;
        }
        if self.heard.len() == LONGEST_QUEUE {
            let stands = |(at, one): &(usize, &Heard)| {
                self.heard.iter().skip(at + 1).any(|newer| of(newer) == of(one))
            };
            let passed = self.heard.iter().enumerate().find(stands).map_or(0, |(at, _)| at);
            self.heard.remove(passed);
        }
        self.heard.push_back(heard);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::timeout;

    use super::*;
    use crate::{Signal, Trigger};

    const OP: &str = "test listen";

    /// A stream that tells what it is given.
    struct Stream {
        shared: Shared,
        opened: AtomicUsize,
        told: tokio::sync::Mutex<mpsc::Receiver<Option<(u16, Alarm)>>>,
    }

    impl Stream {
        fn new() -> (Arc<Self>, mpsc::Sender<Option<(u16, Alarm)>>) {
            let (tell, told) = mpsc::channel(1);
            let (shared, opened) = (Shared::default(), AtomicUsize::new(0));
            (Arc::new(Self { shared, opened, told: told.into() }), tell)
        }

        async fn drive(&self) -> Error {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let mut told = self.told.lock().await;
            self.shared.listening();
            while let Some(Some((input, alarm))) = told.recv().await {
                self.shared.tell(input, &alarm);
            }
            Error::new(OP, Kind::Offline).because(Ended("it is gone".into()))
        }

        fn listen(self: &Arc<Self>, input: u16) -> (JoinHandle<Error>, mpsc::Receiver<Heard>) {
            let (heard, hears) = mpsc::channel(1);
            let this = Arc::clone(self);
            let task =
                tokio::spawn(
                    async move { this.shared.listen(OP, input, &heard, this.drive()).await },
                );
            (task, hears)
        }
    }

    fn alarm(trigger: Trigger, signal: Signal) -> Alarm {
        Alarm { trigger, signal, what: String::new() }
    }

    async fn next(hears: &mut mpsc::Receiver<Heard>) -> Option<Heard> {
        timeout(Duration::from_secs(20), hears.recv()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn inputs_share_a_stream_and_hear_what_is_theirs() {
        let (stream, tell) = Stream::new();
        let mut all: Vec<_> = [1, 2, 2].map(|input| stream.listen(input)).into();
        for (_, hears) in &mut all {
            assert_eq!(next(hears).await, Some(Heard::Listening));
        }
        assert_eq!(stream.shared.inputs(), [1, 2]);
        let (begins, ends) =
            (alarm(Trigger::Input, Signal::Begins), alarm(Trigger::Line, Signal::Ends));
        tell.send(Some((2, begins.clone()))).await.unwrap();
        tell.send(Some((1, ends.clone()))).await.unwrap();
        let (_, mut late) = stream.listen(2);
        assert_eq!(next(&mut late).await, Some(Heard::Listening));
        tell.send(None).await.unwrap();
        for ((task, mut hears), wanted) in all.into_iter().zip([ends, begins.clone(), begins]) {
            assert_eq!(next(&mut hears).await, Some(Heard::Alarm(wanted)));
            assert_eq!(next(&mut hears).await, None, "what came before the end is heard first");
            let error = task.await.unwrap();
            assert_eq!(error.kind, Kind::Offline);
            assert_eq!(error.source.unwrap().to_string(), "it is gone");
        }
        assert_eq!(stream.opened.load(Ordering::Relaxed), 1, "nobody opens it again at once");
        assert!(stream.shared.inputs().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_one_that_drives_is_dropped_another_goes_on() {
        let (stream, tell) = Stream::new();
        let (first, mut hears) = stream.listen(1);
        assert_eq!(next(&mut hears).await, Some(Heard::Listening));
        let (_second, mut others) = stream.listen(2);
        assert_eq!(next(&mut others).await, Some(Heard::Listening));
        first.abort();
        assert_eq!(next(&mut others).await, Some(Heard::Listening), "it may have missed something");
        tell.send(Some((2, alarm(Trigger::Motion, Signal::Detected)))).await.unwrap();
        assert!(matches!(next(&mut others).await, Some(Heard::Alarm(_))));
        drop(others);
        // Nobody listens any longer, and who comes opens it anew.
        while !stream.shared.inputs().is_empty() {
            yield_now().await;
        }
        let (_third, mut hears) = stream.listen(3);
        assert_eq!(next(&mut hears).await, Some(Heard::Listening));
        assert_eq!(stream.opened.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_rests_keeps_nobody_waiting_and_hears_the_newest() {
        let (stream, tell) = Stream::new();
        let (_resting, mut rests) = stream.listen(1);
        let (_reading, mut reads) = stream.listen(2);
        assert_eq!(next(&mut reads).await, Some(Heard::Listening));
        let input = alarm(Trigger::Input, Signal::Begins);
        tell.send(Some((1, input.clone()))).await.unwrap();
        for n in 0..1000 {
            for signal in [Signal::Begins, Signal::Ends] {
                let alarm = Alarm { what: n.to_string(), ..alarm(Trigger::Motion, signal) };
                tell.send(Some((1, alarm.clone()))).await.unwrap();
                tell.send(Some((2, alarm.clone()))).await.unwrap();
                assert_eq!(next(&mut reads).await, Some(Heard::Alarm(alarm)));
            }
        }
        let mut heard = Vec::new();
        while let Ok(Some(one)) = timeout(Duration::from_secs(1), rests.recv()).await {
            heard.push(one);
        }
        assert!(heard.len() <= LONGEST_QUEUE + 3, "{}", heard.len());
        assert!(heard.contains(&Heard::Alarm(input)), "no newer one stands for it");
        let last = Alarm { what: "999".into(), ..alarm(Trigger::Motion, Signal::Ends) };
        assert_eq!(heard.last(), Some(&Heard::Alarm(last)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_detection_that_is_told_again_and_again_waits_once() {
        let (stream, tell) = Stream::new();
        let (_task, mut hears) = stream.listen(1);
        for _ in 0..50 {
            tell.send(Some((1, alarm(Trigger::Motion, Signal::Detected)))).await.unwrap();
        }
        tell.send(Some((1, alarm(Trigger::Motion, Signal::Ends)))).await.unwrap();
        let mut count = 0;
        while next(&mut hears).await != Some(Heard::Alarm(alarm(Trigger::Motion, Signal::Ends))) {
            count += 1;
        }
        assert!(count <= 4, "{count}");
    }
}
