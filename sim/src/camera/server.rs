//! The listener of the RTSP port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::device::Camera;
use super::session::serve;

/// Most connections held at once; more are closed when they are accepted.
const MAX_CONNECTIONS: usize = 256;
/// Pause before the next attempt to listen or to accept.
const REBIND_AFTER: Duration = Duration::from_millis(50);

/// Accepts clients for ever. A reboot drops them all, closes the listener, and opens it again at the same
/// address when the outage is over.
pub async fn run(
    mut listener: TcpListener,
    address: SocketAddr,
    camera: Arc<Camera>,
    mut reboots: mpsc::Receiver<Duration>,
) {
    loop {
        let Some(outage) = accept(&listener, &camera, &mut reboots).await else { return };
        drop(listener);
        camera.away.send_replace(true);
        camera.stop();
        sleep(outage).await;
        camera.away.send_replace(false);
        listener = bind(address).await;
    }
}

/// Accepts clients until a reboot is due and returns its outage; `None` when the simulator is gone.
async fn accept(
    listener: &TcpListener,
    camera: &Arc<Camera>,
    reboots: &mut mpsc::Receiver<Duration>,
) -> Option<Duration> {
    let mut clients = JoinSet::new();
    let outage = loop {
        tokio::select! {
            outage = reboots.recv() => break outage,
            Some(_) = clients.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if clients.len() < MAX_CONNECTIONS => {
                    let number = camera.connections.fetch_add(1, Ordering::Relaxed) + 1;
                    clients.spawn(serve(stream, camera.clone(), number));
                }
                Ok((_, peer)) => log::warn!(
                    target: "camera",
                    "{peer}: refused, {MAX_CONNECTIONS} connections are open"
                ),
                Err(error) => {
                    log::warn!(target: "camera", "accept: {error}");
                    sleep(REBIND_AFTER).await; // Without a pause this would spin while descriptors are lacking.
                }
            },
        }
    };
    clients.shutdown().await;
    outage
}

/// Listens again at an address that this camera had before.
pub async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => log::warn!(target: "camera", "cannot listen on {address} again: {error}"),
        }
        sleep(REBIND_AFTER).await;
    }
}
