//! One connection to a device, over which several listeners hear its alarms, such as those of the inputs of an NVR. No
//! task runs for it: one of the listeners leads, which means that it drives the connection while it listens itself, and
//! another one takes the lead when that one goes.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::{Alarm, Error, Heard, Kind, Signal, Trigger};

/// Events that wait for one listener. Beyond that the device waits.
const WAITING: usize = 16;
/// How long a listener whose queue is full may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most alarms that are held at the same time and counted, of one listener.
const MOST_HELD: usize = 64;
/// The same of all listeners together.
const MOST_KEPT: usize = 512;
/// How long an alarm without a further word counts as held, since devices forget ends.
const LONGEST_HELD: Duration = Duration::from_secs(600);

/// Drives the connection until it ends, and returns why.
pub(crate) type Lead<'a> = Pin<Box<dyn Future<Output = Error> + Send + 'a>>;

/// What a device tells of an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    /// The device's names of the video input, the most telling first; empty where it names none.
    pub(crate) input: Vec<String>,
    /// Equal for the begin and the end of the same alarm alone. An input of the device has several at a time, as rules
    /// overlap; it is heard to end when the last of a trigger does.
    pub(crate) key: u64,
    /// The alarm.
    pub(crate) alarm: Alarm,
}

/// The listeners of one device.
#[derive(Default)]
pub(crate) struct Shared {
    /// Held by the listener that leads.
    turn: tokio::sync::Mutex<()>,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    list: Vec<(u64, mpsc::Sender<Event>)>,
    next: u64,
    /// Whether the device is heard at the moment.
    is_heard: bool,
    /// Why the connection ended last.
    ended: Option<Kind>,
    /// The alarms that have begun and not ended, the oldest first, each with when it was told last.
    held: VecDeque<(Arc<Raised>, Instant)>,
}

#[derive(Clone)]
enum Event {
    Listening,
    Raised(Arc<Raised>),
}

impl Shared {
    /// Hears the alarms of the inputs that `is_mine` names until the connection ends, and returns why. `lead` drives
    /// the connection if no other listener does; it is not polled before.
    pub(crate) async fn listen(
        &self,
        op: &'static str,
        heard: &mpsc::Sender<Heard>,
        is_mine: &(dyn Fn(&[String]) -> bool + Send + Sync),
        lead: Lead<'_>,
    ) -> Error {
        let (to, mut events) = mpsc::channel(WAITING);
        let (seat, mut first) = self.sit_down(to);
        let gone = || Error::new(op, Kind::Other);
        let hear = async {
            let mut held = Held::default();
            loop {
                let event = match first.pop_front() {
                    Some(event) => event,
                    None => match events.recv().await {
                        Some(event) => event,
                        None => return Ok(()),
                    },
                };
                let next = match event {
                    Event::Listening => {
                        held = Held::default();
                        Heard::Listening
                    }
                    Event::Raised(raised) if is_mine(&raised.input) && held.passes(&raised) => {
                        Heard::Alarm(raised.alarm.clone())
                    }
                    Event::Raised(_) => continue,
                };
                if heard.send(next).await.is_err() {
                    return Err(gone());
                }
            }
        };
        // The one that leads drives the connection for the others while it is slow to hear itself.
        let (mut hear, mut led) = (pin!(hear), pin!(self.lead(seat.number, lead)));
        let mut outcome = None;
        loop {
            tokio::select! {
                biased;
                () = heard.closed() => return gone(),
                end = &mut hear => return match end {
                    Err(error) => error,
                    Ok(()) => outcome.unwrap_or_else(|| {
                        let kind = self.seats().ended.unwrap_or(Kind::Other);
                        Error::new(op, kind).because(Ended)
                    }),
                },
                // What was told before the end is heard yet.
                error = &mut led, if outcome.is_none() => outcome = Some(error),
            }
        }
    }

    /// Says, for the one that leads, that the device is heard from now on. What is held is told again, unless the
    /// connection `is_new`: then it may have ended unheard.
    pub(crate) async fn listening(&self, is_new: bool) {
        let events = {
            let mut seats = self.seats();
            seats.is_heard = true;
            if is_new {
                seats.held.clear();
            }
            seats.now()
        };
        for event in events {
            self.pass_on(event).await;
        }
    }

    /// Says, for the one that leads, what the device told. It waits while a listener is busy; one that keeps others waiting
    /// for too long loses its place, and its `listen` ends once it has heard what it was told.
    pub(crate) async fn tell(&self, raised: Raised) {
        let raised = Arc::new(raised);
        self.seats().note(&raised);
        self.pass_on(Event::Raised(raised)).await;
    }

    /// Whether nobody listens.
    pub(crate) fn is_deserted(&self) -> bool {
        self.seats().list.is_empty()
    }

    async fn lead(&self, number: u64, lead: Lead<'_>) -> Error {
        let _turn = self.turn.lock().await;
        // A connection that has just ended is not opened again before its listeners have had their pauses.
        if !self.seats().list.iter().any(|(other, _)| *other == number) {
            return std::future::pending().await;
        }
        let _leading = Leading(self);
        let error = lead.await;
        let mut seats = self.seats();
        seats.ended = Some(error.kind);
        seats.list.clear();
        drop(seats);
        error
    }

    async fn pass_on(&self, event: Event) {
        let listeners = self.seats().list.clone();
        let is_alone = listeners.len() == 1;
        for (number, to) in listeners {
            // One that has gone hears nothing.
            let told = timeout(PATIENCE, to.send(event.clone()));
            if is_alone {
                let _ = to.send(event.clone()).await;
            } else if told.await.is_err() {
                self.seats().list.retain(|(other, _)| *other != number);
            }
        }
    }

    /// A seat for a listener, and what it is told first.
    fn sit_down(&self, to: mpsc::Sender<Event>) -> (Seat<'_>, VecDeque<Event>) {
        let mut seats = self.seats();
        let first = if seats.is_heard { seats.now() } else { VecDeque::new() };
        let number = seats.next;
        seats.next += 1;
        seats.list.push((number, to));
        (Seat { shared: self, number }, first)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// Notes what has begun and what has ended.
    fn note(&mut self, raised: &Arc<Raised>) {
        if raised.alarm.signal == Signal::Detected {
            return;
        }
        self.held.retain(|(other, _)| other.key != raised.key);
        if raised.alarm.signal == Signal::Begins {
            if self.held.len() == MOST_KEPT {
                self.held.pop_front();
            }
            self.held.push_back((Arc::clone(raised), Instant::now()));
        }
    }

    /// How things are: what a listener hears that was not there before. An input may be closed for days; the end of
    /// anything else has been forgotten at some time.
    fn now(&mut self) -> VecDeque<Event> {
        let now = Instant::now();
        self.held.retain(|(raised, at)| {
            raised.alarm.trigger == Trigger::Input || now - *at < LONGEST_HELD
        });
        let held = self.held.iter().map(|(raised, _)| Event::Raised(Arc::clone(raised)));
        [Event::Listening].into_iter().chain(held).collect()
    }
}

/// A listener, as long as it is there.
struct Seat<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.shared.seats().list.retain(|(number, _)| *number != self.number);
    }
}

/// The lead. The device is not heard while nobody has it.
struct Leading<'a>(&'a Shared);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.seats().is_heard = false;
    }
}

/// Why another listener than the one that led has heard the end, as the source of an error.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the device, which its inputs share, has ended")]
struct Ended;

/// The alarms of one listener that have begun, the oldest first.
#[derive(Default)]
struct Held(Vec<(u64, Trigger, Instant)>);

impl Held {
    /// Notes what was told. False for the end of one alarm while another of the trigger is held.
    fn passes(&mut self, raised: &Raised) -> bool {
        let (now, trigger) = (Instant::now(), raised.alarm.trigger);
        if raised.alarm.signal == Signal::Detected {
            return true;
        }
        self.0.retain(|(key, _, at)| *key != raised.key && now - *at < LONGEST_HELD);
        if raised.alarm.signal == Signal::Ends {
            return !self.0.iter().any(|(_, other, _)| *other == trigger);
        }
        if self.0.len() == MOST_HELD {
            self.0.remove(0);
        }
        self.0.push((raised.key, trigger, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OP: &str = "alarms listen";

    fn raised(input: &str, key: u64, signal: Signal) -> Raised {
        let alarm = Alarm { trigger: Trigger::Motion, signal, what: String::new() };
        Raised { input: vec![input.to_owned()], key, alarm }
    }

    /// A device that tells what is put into the channel, and how often it was connected to.
    struct Device {
        shared: Shared,
        says: tokio::sync::Mutex<mpsc::Receiver<Option<Raised>>>,
        connections: Mutex<usize>,
    }

    impl Device {
        fn new() -> (Arc<Self>, mpsc::Sender<Option<Raised>>) {
            let (say, says) = mpsc::channel(64);
            let says = tokio::sync::Mutex::new(says);
            let (shared, connections) = (Shared::default(), Mutex::new(0));
            (Arc::new(Self { shared, says, connections }), say)
        }

        fn connections(&self) -> usize {
            *self.connections.lock().unwrap()
        }

        async fn lead(&self) -> Error {
            *self.connections.lock().unwrap() += 1;
            let mut says = self.says.lock().await;
            self.shared.listening(true).await;
            while let Some(Some(raised)) = says.recv().await {
                self.shared.tell(raised).await;
            }
            Error::new(OP, Kind::Offline)
        }

        /// Listens to one input in a task.
        fn listen(
            self: &Arc<Self>,
            input: &'static str,
            depth: usize,
        ) -> (tokio::task::JoinHandle<Error>, mpsc::Receiver<Heard>) {
            let (heard, hears) = mpsc::channel(depth);
            let device = Arc::clone(self);
            let task = tokio::spawn(async move {
                let is_mine = |names: &[String]| names[0] == input;
                device.shared.listen(OP, &heard, &is_mine, Box::pin(device.lead())).await
            });
            (task, hears)
        }
    }

    async fn signal(hears: &mut mpsc::Receiver<Heard>) -> Option<Signal> {
        match hears.recv().await {
            Some(Heard::Alarm(alarm)) => Some(alarm.signal),
            Some(Heard::Listening) => None,
            None => panic!("it has ended"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn several_listeners_share_one_connection_and_hear_their_own_input() {
        let (device, say) = Device::new();
        let (one, mut one_hears) = device.listen("1", 8);
        assert_eq!(signal(&mut one_hears).await, None);
        let (two, mut two_hears) = device.listen("2", 8);
        assert_eq!(signal(&mut two_hears).await, None, "a later one is told at once");
        for input in ["1", "2", "3"] {
            say.send(Some(raised(input, 1, Signal::Detected))).await.unwrap();
        }
        assert_eq!(signal(&mut one_hears).await, Some(Signal::Detected));
        assert_eq!(signal(&mut two_hears).await, Some(Signal::Detected));
        assert!(one_hears.try_recv().is_err() && two_hears.try_recv().is_err());
        assert_eq!(device.connections(), 1);
        // What was told before the end is heard by all.
        say.send(Some(raised("1", 1, Signal::Begins))).await.unwrap();
        say.send(Some(raised("2", 1, Signal::Begins))).await.unwrap();
        say.send(None).await.unwrap();
        assert_eq!(signal(&mut one_hears).await, Some(Signal::Begins));
        assert_eq!(signal(&mut two_hears).await, Some(Signal::Begins));
        assert_eq!(one.await.unwrap().kind, Kind::Offline);
        assert_eq!(two.await.unwrap().kind, Kind::Offline);
        assert!(device.shared.is_deserted());
    }

    #[tokio::test(start_paused = true)]
    async fn another_listener_takes_the_lead_of_one_that_goes() {
        let (device, say) = Device::new();
        let (one, mut one_hears) = device.listen("1", 8);
        assert_eq!(signal(&mut one_hears).await, None);
        let (two, mut two_hears) = device.listen("2", 8);
        assert_eq!(signal(&mut two_hears).await, None);
        one.abort();
        assert_eq!(signal(&mut two_hears).await, None, "heard anew");
        assert_eq!(device.connections(), 2);
        say.send(Some(raised("2", 1, Signal::Detected))).await.unwrap();
        assert_eq!(signal(&mut two_hears).await, Some(Signal::Detected));
        drop(two_hears);
        assert_eq!(two.await.unwrap().kind, Kind::Other);
        assert!(device.shared.is_deserted());
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_listener_and_a_new_leader_are_told_what_is_held() {
        let shared = Arc::new(Shared::default());
        let (say, says) = mpsc::channel::<Raised>(64);
        let says = Arc::new(tokio::sync::Mutex::new(says));
        let listen = |input: &'static str| {
            let (heard, hears) = mpsc::channel(8);
            let (shared, says) = (Arc::clone(&shared), Arc::clone(&says));
            let task = tokio::spawn(async move {
                let lead = async {
                    // The connection outlives its leader.
                    let mut says = says.lock().await;
                    shared.listening(false).await;
                    while let Some(raised) = says.recv().await {
                        shared.tell(raised).await;
                    }
                    Error::new(OP, Kind::Offline)
                };
                let is_mine = |names: &[String]| names[0] == input;
                shared.listen(OP, &heard, &is_mine, Box::pin(lead)).await
            });
            (task, hears)
        };
        let (one, mut one_hears) = listen("1");
        assert_eq!(signal(&mut one_hears).await, None);
        for (input, key, word) in [
            ("2", 1, Signal::Begins),
            ("2", 2, Signal::Begins),
            ("2", 2, Signal::Ends),
            ("3", 3, Signal::Begins),
            ("2", 4, Signal::Detected),
            ("1", 5, Signal::Detected),
        ] {
            say.send(raised(input, key, word)).await.unwrap();
        }
        assert_eq!(signal(&mut one_hears).await, Some(Signal::Detected));
        let (two, mut two_hears) = listen("2");
        assert_eq!(signal(&mut two_hears).await, None);
        assert_eq!(signal(&mut two_hears).await, Some(Signal::Begins), "it began before");
        assert!(two_hears.try_recv().is_err(), "nothing else of it is held");
        one.abort();
        assert_eq!(signal(&mut two_hears).await, None);
        assert_eq!(signal(&mut two_hears).await, Some(Signal::Begins), "and it is held yet");
        tokio::time::advance(LONGEST_HELD).await;
        two.abort();
        let (_three, mut three_hears) = listen("3");
        assert_eq!(signal(&mut three_hears).await, None);
        assert!(three_hears.try_recv().is_err(), "its end has been forgotten");
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut seats = Seats::default();
        for key in 0..10_000 {
            seats.note(&Arc::new(raised("1", key, Signal::Begins)));
        }
        assert_eq!(seats.held.len(), MOST_KEPT);
        assert_eq!(seats.held[0].0.key, 10_000 - 512);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_reads_slowly_makes_the_device_wait() {
        let (device, say) = Device::new();
        let (_one, mut one_hears) = device.listen("1", 1);
        let much = async {
            for _ in 0..1000 {
                say.send(Some(raised("1", 1, Signal::Detected))).await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), much).await;
        assert!(waited.is_err(), "everything was taken, though nobody reads");
        assert_eq!(signal(&mut one_hears).await, None);
        assert_eq!(signal(&mut one_hears).await, Some(Signal::Detected));
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_does_not_read_keeps_the_others_waiting_once() {
        // The first one leads, and neither that nor another one may starve the rest.
        for resting in 0..2 {
            let (device, say) = Device::new();
            let mut listeners = Vec::new();
            for depth in [1, 1, 1] {
                let (task, mut hears) = device.listen("1", depth);
                assert_eq!(signal(&mut hears).await, None);
                listeners.push((task, hears));
            }
            let (slow, mut rests) = listeners.remove(resting);
            let begun = Instant::now();
            let much = async {
                for _ in 0..200 {
                    say.send(Some(raised("1", 1, Signal::Detected))).await.unwrap();
                }
            };
            let [(_, one), (_, two)] = &mut listeners[..] else { unreachable!() };
            let read = async |hears: &mut mpsc::Receiver<Heard>| {
                for _ in 0..200 {
                    assert_eq!(signal(hears).await, Some(Signal::Detected));
                }
            };
            tokio::join!(much, read(one), read(two));
            assert!(begun.elapsed() <= PATIENCE + Duration::from_millis(100));
            assert_eq!(device.connections(), 1);
            let mut heard = 0;
            while rests.recv().await.is_some() {
                heard += 1;
            }
            assert!((WAITING..WAITING + 4).contains(&heard), "{heard}: what it was told, it hears");
            assert_eq!(slow.await.unwrap().kind, Kind::Other);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_ends_with_the_last_of_its_alarms() {
        let mut held = Held::default();
        let mut passes = |key, signal| held.passes(&raised("1", key, signal));
        assert!(
            passes(1, Signal::Begins) && passes(2, Signal::Begins) && passes(1, Signal::Begins)
        );
        assert!(!passes(1, Signal::Ends), "the other one is held");
        assert!(passes(3, Signal::Detected));
        assert!(passes(2, Signal::Ends) && passes(2, Signal::Ends));
        assert!(passes(4, Signal::Begins));
        tokio::time::advance(LONGEST_HELD).await;
        assert!(passes(5, Signal::Begins));
        assert!(passes(5, Signal::Ends), "the end of the other one was forgotten");
        for key in 0..1000 {
            assert!(held.passes(&raised("1", key, Signal::Begins)));
        }
        assert_eq!(held.0.len(), MOST_HELD);
    }
}
