//! Takes leave of cameras: a session that is not torn down holds one of the few places a camera
//! has.

use std::time::Duration;

use ivt_base::byte_stream::ByteStream;
use ivt_base::task::work;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connection::Connection;

/// Longest time that taking leave of a camera may take.
const LIMIT: Duration = Duration::from_secs(1);

/// The sessions that are being ended.
#[derive(Debug)]
pub(super) struct Leaving(watch::Sender<usize>);

impl Default for Leaving {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Leaving {
    /// Ends the session of a connection. Without a runtime there is nobody to do it.
    pub(super) fn say_goodbye(&self, connection: Connection) {
        let Ok(runtime) = Handle::try_current() else { return };
        let Some((io, bytes)) = connection.into_teardown() else { return };
        self.0.send_modify(|leaving| *leaving += 1);
        let leaving = self.0.clone();
        runtime.spawn(work(async move {
            // Whether TEARDOWN arrived makes no difference any more.
            timeout(LIMIT, goodbye(io, &bytes)).await.ok();
            leaving.send_modify(|leaving| *leaving -= 1);
        }));
    }

    /// Waits until every session is ended, for at most two seconds.
    pub(super) async fn settle(&self) {
        let mut leaving = self.0.subscribe();
        timeout(2 * LIMIT, leaving.wait_for(|leaving| *leaving == 0)).await.ok();
    }
}

async fn goodbye(mut io: Box<dyn ByteStream>, bytes: &[u8]) {
    if io.write_all(bytes).await.is_err() || io.flush().await.is_err() {
        return;
    }
    // The kernel would reset a connection with unread bytes of the camera, and the camera might
    // lose the request.
    let mut rest = vec![0; 4096];
    while let Ok(read) = io.read(&mut rest).await {
        if read == 0 || answers(rest.get(..read).unwrap_or_default()) {
            return;
        }
    }
}

/// Whether an answer begins within the bytes. A packet may hold the same letters, which only makes
/// the leave shorter.
fn answers(bytes: &[u8]) -> bool {
    bytes.windows(9).any(|window| window == b"RTSP/1.0 ")
}
