//! The process groups of the programs that were started, and how they end.

use std::io;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// How long a program has to end by itself after SIGTERM, until SIGKILL.
pub const GRACE: Duration = Duration::from_millis(500);
/// Pause between two looks at whether the processes have ended.
const PAUSE: Duration = Duration::from_millis(10);

/// The groups of this process that may have processes, and whether they were asked to end.
static GROUPS: Mutex<Vec<(Pid, bool)>> = Mutex::new(Vec::new());

/// Asks all programs to end, waits for them half a second at most, and kills what is left. To be called in a
/// runtime, and before it is shut down.
pub async fn end_all() {
    groups().iter_mut().for_each(ask);
    let ended = async {
        while !groups().is_empty() {
            sleep(PAUSE).await;
        }
    };
    timeout(GRACE, ended).await.ok();
    kill_all();
}

/// Kills all programs at once.
pub fn kill_all() {
    groups().iter().for_each(|(number, _)| signal(*number, Signal::KILL));
}

/// A process group. It is killed when this is dropped.
pub struct Group {
    leader: Child,
    /// The group's number, which is that of its leader. It belongs to nobody else until the leader was waited for
    /// and no other process is left. `None` from then on.
    number: Option<Pid>,
}

impl Group {
    /// The group of a process that was started as the leader of its own.
    pub fn of(leader: Child) -> Self {
        let number = leader.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        groups().extend(number.map(|number| (number, false)));
        Self { leader, number }
    }

    /// Asks its processes to end, unless they were asked already.
    pub fn ask(&self) {
        groups().iter_mut().filter(|(number, _)| Some(*number) == self.number).for_each(ask);
    }

    /// Waits for the end of the leader. The others go on.
    ///
    /// # Errors
    /// The system cannot tell how it ended.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.leader.wait().await
    }

    /// Lets the processes go on that are left.
    pub fn leave(mut self) {
        let number = self.number.take();
        groups().retain(|(other, _)| Some(*other) != number);
    }

    /// Asks its processes to end, and does not wait: those that are left after `grace` are killed.
    pub fn end(self, grace: Duration) {
        self.ask();
        if let Ok(runtime) = Handle::try_current() {
            // At the end of the runtime the task is dropped, and the group with it.
            runtime.spawn(self.over(grace));
        }
    }

    /// How the leader ended, if it has. The others are killed then.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.leader.try_wait().ok().flatten()?;
        self.kill();
        Some(ended)
    }

    /// Returns when no process is left, and after `grace` at most. Those that are left then are killed.
    pub async fn over(mut self, grace: Duration) {
        let ended = async {
            self.leader.wait().await.ok();
            while self.number.is_some_and(|number| test_kill_process_group(number).is_ok()) {
                sleep(PAUSE).await;
            }
        };
        timeout(grace, ended).await.ok();
    }

    fn kill(&mut self) {
        if let Some(number) = self.number.take() {
            signal(number, Signal::KILL);
            groups().retain(|(other, _)| *other != number);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn groups() -> MutexGuard<'static, Vec<(Pid, bool)>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask((number, asked): &mut (Pid, bool)) {
    if !*asked {
        signal(*number, Signal::TERM);
        *asked = true;
    }
}

fn signal(group: Pid, signal: Signal) {
    // The only error is that all of its processes have ended.
    kill_process_group(group, signal).ok();
}
