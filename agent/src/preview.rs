//! preview_server: now and then a picture of the device, for the lists of clouds that still want one.
//!
//! The method has no channel, so that a device sends the picture of its first camera.

use std::time::Duration;

use ivt_hal::Stream;
use ivt_proto::rpc::message::PreviewServer;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::channel::Link;
use crate::cloud::calls::{CallError, Calls};
use crate::http::Http;
use crate::http::address::{Address, LONGEST_URI};
use crate::reload::CurrentDevice;
use crate::shutdown::Stop;

/// Time between two pictures (field notes, "preview_server").
const EVERY: Duration = Duration::from_secs(15 * 60);
/// How long a camera may take for a picture.
const PICTURE: Duration = Duration::from_secs(10);
/// How long the cloud may take to receive it.
const SENDING: Duration = Duration::from_secs(30);

/// Sends the previews of a device.
pub(crate) struct Previews {
    pub(crate) device: CurrentDevice,
    pub(crate) calls: Calls,
    pub(crate) http: Http,
    pub(crate) link: watch::Receiver<Link>,
}

impl Previews {
    /// Runs until `stop` becomes true.
    pub(crate) async fn run(self, mut stop: Stop) {
        tokio::select! {
            _ = self.turns() => {}
            () = stop.requested() => {}
        }
    }

    /// Returns when the agent ends.
    async fn turns(&self) -> Option<()> {
        let (mut turns, mut told) = (Turns::new(self.link.clone()), String::new());
        loop {
            turns.due().await?;
            let sent = self.send().await;
            let why = match &sent {
                Ok(()) | Err(Failed::Offline) => "",
                Err(Failed::Because(why)) => why,
            };
            if !why.is_empty() && *why != told {
                log::warn!("no preview was sent to the cloud: {why}");
            }
            told = why.to_owned();
            turns.end(!matches!(sent, Err(Failed::Offline))).await?;
        }
    }

    /// Asks the cloud where a picture goes, takes it, and sends it. Nothing is done where the cloud wants none.
    async fn send(&self) -> Result<(), Failed> {
        let failed = |why: String| Failed::Because(why);
        let answer = self.calls.call(PreviewServer).await?;
        let url = answer.url.expose();
        if url.is_empty() {
            return Ok(());
        }
        let to = Address::parse(url, LONGEST_URI)
            .map_err(|why| failed(format!("the address of preview_server {why}")))?;
        let camera = self.device.now().channels.first().and_then(|camera| camera.snapshot.clone());
        let camera =
            camera.ok_or_else(|| failed("the camera of channel 0 has no pictures".into()))?;
        let picture = timeout(PICTURE, camera.jpeg(Stream::Sub)).await;
        let picture = picture
            .map_err(|_| failed("the camera of channel 0 gave no picture in time".into()))?
            .map_err(|error| failed(format!("the camera of channel 0: {error}")))?;
        let sent = self.http.post_picture(&to, picture, SENDING).await;
        sent.map_err(|error| failed(format!("{}: {error}", to.place())))
    }
}

/// Why no picture was sent.
enum Failed {
    /// The cloud is away: it is asked again after the next login.
    Offline,
    /// For another reason.
    Because(String),
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        match error {
            // A cloud that hangs up for it is not asked again at once.
            CallError::Offline => Self::Offline,
            other => Self::Because(other.to_string()),
        }
    }
}

/// Turns after the first login and then every 15 minutes. One that falls due while the device is not logged in is taken
/// after the next login.
struct Turns {
    link: watch::Receiver<Link>,
    /// How many connections had been lost when the last turn fell due.
    losses: u64,
}

impl Turns {
    fn new(link: watch::Receiver<Link>) -> Self {
        Self { link, losses: 0 }
    }

    /// Returns when a turn is due; `None` when the agent ends.
    async fn due(&mut self) -> Option<()> {
        let online = self.link.wait_for(|link| link.down_since.is_none()).await.ok()?;
        self.losses = online.losses;
        Some(())
    }

    /// Returns when the next turn may begin: after a pause where this one was `taken`, and otherwise when its
    /// connection is over. `None` when the agent ends.
    async fn end(&mut self, taken: bool) -> Option<()> {
        if taken {
            sleep(EVERY).await;
        } else {
            let losses = self.losses;
            self.link.wait_for(|link| link.losses != losses).await.ok()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    fn up(link: &watch::Sender<Link>) {
        link.send_modify(|link| link.down_since = None);
    }

    fn lose(link: &watch::Sender<Link>) {
        link.send_modify(|link| *link = Link { losses: link.losses + 1, ..Link::down() });
    }

    #[tokio::test(start_paused = true)]
    async fn a_preview_is_sent_after_the_login_and_every_fifteen_minutes_while_there_is_a_cloud() {
        let link = watch::Sender::new(Link::down());
        let began = Instant::now();
        let minutes = RefCell::new(Vec::new());
        let taking = async {
            let mut turns = Turns::new(link.subscribe());
            loop {
                turns.due().await.unwrap();
                let now = began.elapsed().as_secs() / 60;
                minutes.borrow_mut().push(now);
                // The connection is lost in the turn of the 17th minute.
                if now == 17 {
                    lose(&link);
                }
                turns.end(now != 17).await.unwrap();
            }
        };
        let minute = |n: u64| Duration::from_secs(60 * n + 1);
        let script = async {
            sleep(minute(2)).await;
            up(&link);
            sleep(minute(17)).await;
            up(&link);
            // A turn falls due in the 34th minute.
            sleep(minute(1)).await;
            lose(&link);
            up(&link);
            sleep(minute(10)).await;
            lose(&link);
            sleep(minute(20)).await;
            up(&link);
            sleep(minute(1)).await;
        };
        tokio::select! {
            () = taking => {}
            () = script => {}
        }
        assert_eq!(*minutes.borrow(), [2, 17, 19, 50]);
    }

    #[test]
    fn a_question_that_was_sent_is_a_turn() {
        assert!(matches!(Failed::from(CallError::Offline), Failed::Offline));
        assert!(matches!(Failed::from(CallError::Lost), Failed::Because(_)));
    }
}
