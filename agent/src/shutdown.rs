//! Tells all tasks to stop at SIGTERM or SIGINT. A second signal ends the process at once.

use std::fmt::Arguments;
use std::io;

use ivt_base::process_group::kill_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

#[cfg(feature = "linux")]
use crate::pulse::{Pulse, Pulses};

/// Exit status of a program that was killed by SIGINT, by convention.
const INTERRUPTED: i32 = 130;

/// The signals that ask the program to end.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system's default. Must be called within a runtime.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns at the first signal; the second signal ends the process at once.
    pub async fn first(mut self) {
        let name = self.next().await;
        log::info!("{name}: stopping");
        ivt_base::task::spawn(async move {
            self.next().await;
            log::warn!("a second signal: stopping at once");
            kill_all();
            std::process::exit(INTERRUPTED);
        });
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Asks tasks to end, also when it is dropped.
pub struct Stopper {
    word: watch::Sender<Word>,
    #[cfg(feature = "linux")]
    pulses: Pulses,
}

/// Tells a task when it has to end. A clone is not supervised.
pub struct Stop {
    word: watch::Receiver<Word>,
    #[cfg(feature = "linux")]
    pulses: Pulses,
    #[cfg(feature = "linux")]
    pulse: Option<Pulse>,
    /// Ends the task, too, while this is not 0.
    #[cfg(feature = "ui")]
    held: Option<watch::Receiver<usize>>,
}

/// What all tasks are told.
#[derive(Clone, Copy, Default)]
struct Word {
    stop: bool,
    /// How often they were asked for a sign of life.
    #[cfg(feature = "linux")]
    asked: u32,
}

/// A stopper and the tasks' side of it, not stopped yet.
pub fn stopper() -> (Stopper, Stop) {
    let (sender, word) = watch::channel(Word::default());
    #[cfg(feature = "linux")]
    let pulses = Pulses::default();
    let stop = Stop {
        word,
        #[cfg(feature = "linux")]
        pulses: pulses.clone(),
        #[cfg(feature = "linux")]
        pulse: None,
        #[cfg(feature = "ui")]
        held: None,
    };
    let stopper = Stopper {
        word: sender,
        #[cfg(feature = "linux")]
        pulses,
    };
    (stopper, stop)
}

impl Stopper {
    /// Requests every [`Stop`] to end, from now on.
    pub fn stop(&self) {
        self.word.send_modify(|word| word.stop = true);
    }

    /// What asks all supervised tasks for signs of life.
    #[cfg(feature = "linux")]
    pub(crate) fn asker(&self) -> Asker {
        Asker(self.word.clone())
    }

    /// The signs of life of all supervised tasks.
    #[cfg(feature = "linux")]
    pub(crate) fn pulses(&self) -> Pulses {
        self.pulses.clone()
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Clone for Stop {
    fn clone(&self) -> Self {
        Self {
            word: self.word.clone(),
            #[cfg(feature = "linux")]
            pulses: self.pulses.clone(),
            #[cfg(feature = "linux")]
            pulse: None,
            #[cfg(feature = "ui")]
            held: None,
        }
    }
}

impl Stop {
    /// Returns once the task has to end, also if the stopper was dropped. Cancel safe. A supervised task gives its
    /// sign of life here.
    pub async fn requested(&mut self) {
        loop {
            let word = *self.word.borrow_and_update();
            #[cfg(feature = "linux")]
            if let Some(pulse) = &self.pulse {
                pulse.beat(word.asked);
            }
            #[cfg(feature = "ui")]
            if let (false, Some(held)) = (word.stop, &mut self.held) {
                tokio::select! {
                    changed = self.word.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                    _ = held.wait_for(|holders| *holders > 0) => return,
                }
            }
            // Waiting fails if the stopper was dropped, which counts as a request.
            if word.stop || self.word.changed().await.is_err() {
                return;
            }
        }
    }

    /// The side of a task that has to give signs of life: it has to wait for [`requested`](Self::requested) at least
    /// once a minute, beside whatever else it waits for. Without the feature `linux` nobody asks for them.
    #[must_use]
    pub(crate) fn supervised(&self, name: Arguments<'_>) -> Self {
        #[cfg(feature = "linux")]
        let supervised = {
            let pulse = self.pulses.add(name.to_string(), self.word.borrow().asked);
            Self { pulse: Some(pulse), ..self.clone() }
        };
        #[cfg(not(feature = "linux"))]
        let supervised = {
            let _ = name;
            self.clone()
        };
        supervised
    }

    /// A second side of the same task, which also ends while `held` is not 0.
    #[cfg(feature = "ui")]
    #[must_use]
    pub(crate) fn or_held(&self, held: watch::Receiver<usize>) -> Self {
        Self { held: Some(held), ..self.twin() }
    }

    /// A second side of the same task.
    #[must_use]
    pub(crate) fn twin(&self) -> Self {
        Self {
            #[cfg(feature = "linux")]
            pulse: self.pulse.clone(),
            ..self.clone()
        }
    }
}

/// Asks all tasks for a sign of life.
#[cfg(feature = "linux")]
#[derive(Clone)]
pub(crate) struct Asker(watch::Sender<Word>);

#[cfg(feature = "linux")]
impl Asker {
    /// Asks once more; tells how often it was asked so far.
    pub(crate) fn ask(&self) -> u32 {
        self.0.send_modify(|word| word.asked += 1);
        self.0.borrow().asked
    }
}
