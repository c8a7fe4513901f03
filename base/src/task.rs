//! Tasks of the runtime. A task's code exists once for each type of future, and costs 600 bytes each time;
//! here all tasks are of one type.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::task::{self, JoinError, JoinHandle};

/// A future of any type, as a set of tasks takes it: `tasks.spawn(work(future))`.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Makes work of a future.
pub fn work<T>(future: impl Future<Output = T> + Send + 'static) -> Work<T> {
    Box::pin(future)
}

/// Starts a task that runs until it ends or is aborted, whether or not its handle is kept.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    task::spawn(work(future))
}

/// Starts work that blocks, such as reading a file, on a thread of its own. It goes on when nobody waits for
/// its result.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Blocking<T> {
    let result = Arc::new(Mutex::new(None));
    let place = Arc::clone(&result);
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        let done = work();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    });
    Blocking { running: task::spawn_blocking(work), result }
}

/// Work that blocks, and becomes its result; an error when the work panicked, or the runtime ended before the
/// work was begun.
#[derive(Debug)]
pub struct Blocking<T> {
    running: JoinHandle<()>,
    result: Arc<Mutex<Option<T>>>,
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(Pin::new(&mut self.running).poll(context))?;
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        Poll::Ready(Ok(result.expect("work that ended has left its result")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_blocks_brings_its_result() {
        assert_eq!(spawn_blocking(|| 1 + 1).await.expect("it ends"), 2);
    }

    #[tokio::test]
    async fn work_that_blocks_is_done_though_nobody_waits() {
        let (sender, receiver) = mpsc::channel();
        drop(spawn_blocking(move || sender.send(())));
        spawn_blocking(move || receiver.recv()).await.expect("it ends").expect("it was done");
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let failed = spawn_blocking(|| -> u8 { std::panic::resume_unwind(Box::new("on purpose")) });
        assert!(failed.await.is_err_and(|e| e.is_panic()));
    }

    #[tokio::test]
    async fn a_task_brings_its_result_and_is_aborted_by_its_handle() {
        assert_eq!(spawn(async { "done" }).await.expect("it ends"), "done");
        let task = spawn(std::future::pending::<()>());
        task.abort();
        assert!(task.await.is_err_and(|e| e.is_cancelled()));
    }
}
