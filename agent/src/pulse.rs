//! Signs of life of the agent's main tasks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Questions that a task may leave without an answer.
const PATIENCE: u32 = 3;

/// The signs of life of all supervised tasks. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pulses(Arc<Mutex<Vec<Watched>>>);

struct Watched {
    name: String,
    /// Gone when the task has ended, which is no reason to worry: a task that fails ends the agent.
    answered: Weak<AtomicU32>,
}

/// The newest question that one task has answered.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<AtomicU32>);

impl Pulses {
    /// Watches one more task, which has answered the questions so far.
    pub(crate) fn add(&self, name: String, asked: u32) -> Pulse {
        let pulse = Arc::new(AtomicU32::new(asked));
        self.watched().push(Watched { name, answered: Arc::downgrade(&pulse) });
        Pulse(pulse)
    }

    /// The tasks that did not answer the last four of `asked` questions.
    pub(crate) fn stuck(&self, asked: u32) -> Vec<String> {
        let mut watched = self.watched();
        watched.retain(|task| task.answered.strong_count() > 0);
        let silent = watched.iter().filter(|task| {
            let answered = task.answered.upgrade();
            answered.is_some_and(|answered| {
                asked.saturating_sub(answered.load(Ordering::Relaxed)) > PATIENCE
            })
        });
        silent.map(|task| task.name.clone()).collect()
    }

    fn watched(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    /// Answers all questions so far.
    pub(crate) fn beat(&self, asked: u32) {
        self.0.store(asked, Ordering::Relaxed);
    }
}
