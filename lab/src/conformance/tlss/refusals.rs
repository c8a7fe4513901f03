//! What no device should do, whoever asks: the protocol authenticates nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::call::{Broken, Call};
use super::commands::{good, usual};
use super::facts::Finding;

/// What only an executed command writes.
const SUM: &str = "tlss4242";

type Outcome = Result<Finding, Broken>;

pub(super) async fn unknown(call: &mut Call) -> Outcome {
    let reply = call.ask(b"/uapi-cgi/no-such-command.cgi?a=b").await?;
    Ok(match good(&reply) {
        false => Finding::pass(),
        true => Finding::fail("a command that there is not is answered as if there were"),
    })
}

pub(super) async fn path(call: &mut Call) -> Outcome {
    for path in [
        "/uapi-cgi/../../../../etc/passwd",
        "/..%2f..%2f..%2f..%2fetc/passwd",
        "//uapi-cgi/param.fcgi?action=list&group=USER",
        "/uapi-cgi/%2e%2e/%2e%2e/etc/passwd",
    ] {
        let reply = call.ask(path.as_bytes()).await?;
        if good(&reply) {
            return Ok(Finding::fail(format!("{path} is answered as if it were a CGI")));
        }
    }
    Ok(Finding::pass())
}

pub(super) async fn shell(call: &mut Call) -> Outcome {
    let pause = call.timing.sleep;
    let seconds = pause.as_secs_f32();
    for command in [
        format!("/uapi-cgi/param.fcgi?action=list&group=VERSION;sleep {seconds}"),
        format!("/uapi-cgi/param.fcgi?action=list&group=$(sleep {seconds})"),
        format!("/uapi-cgi/param.fcgi?action=list&group=`sleep {seconds}`"),
        format!("/uapi-cgi/param.fcgi?action=list&group=VERSION|sleep${{IFS}}{seconds}"),
        "/uapi-cgi/param.fcgi?action=list&group=VERSION;echo tlss$((2121*2))".to_owned(),
    ] {
        let asked = Instant::now();
        let reply = call.ask(command.as_bytes()).await?;
        let text = String::from_utf8_lossy(&reply.raw);
        if text.contains(SUM) || asked.elapsed() >= pause.mul_f32(0.9) {
            return Ok(Finding::fail(format!("a shell has executed {command:?}")));
        }
    }
    Ok(Finding::pass())
}

pub(super) async fn lines(call: &mut Call) -> Outcome {
    let list = usual(call).await?;
    for tail in
        [" HTTP/1.1\r\nX-Injected: 1\r\n\r\n", "\r\nX-Injected: 1", "\n\nGET / HTTP/1.0\n\nx"]
    {
        let reply = call.ask(format!("{list}{tail}").as_bytes()).await?;
        if good(&reply) {
            return Ok(Finding::fail(format!(
                "{:?} behind a command is taken: headers and requests can be put into it",
                tail
            )));
        }
    }
    Ok(Finding::pass())
}

pub(super) async fn url(call: &mut Call) -> Outcome {
    let bait = Bait::lay(call).await?;
    let at = bait.address.clone();
    let mut answered = None;
    for command in [
        format!("http://{at}/bait"),
        format!("//{at}/bait"),
        format!("/@{at}/bait"),
        format!("/http://{at}/bait"),
    ] {
        let reply = call.ask(command.as_bytes()).await?;
        if good(&reply) {
            answered.get_or_insert(command);
        }
    }
    // A device may answer first and fetch then.
    sleep(Duration::from_millis(300)).await;
    Ok(match (bait.taken.load(Relaxed), answered) {
        (0, None) => Finding::pass(),
        (0, Some(command)) => Finding::fail(format!("{command} is answered as if it were a CGI")),
        (count, _) => {
            Finding::fail(format!("the device called another server {count} times, at {at}"))
        }
    })
}

/// A listener that nobody should call.
struct Bait {
    address: String,
    taken: Arc<AtomicU64>,
    task: tokio::task::AbortHandle,
}

impl Bait {
    async fn lay(call: &Call) -> Result<Self, Broken> {
        let listener = TcpListener::bind((call.local()?.ip(), 0)).await?;
        let address = listener.local_addr()?.to_string();
        let taken = Arc::new(AtomicU64::default());
        let count = taken.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Relaxed);
                drop(stream);
            }
        });
        Ok(Self { address, taken, task: task.abort_handle() })
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        self.task.abort();
    }
}
