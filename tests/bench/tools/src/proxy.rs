//! A TCP proxy that shows what passes.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// A function that is called with each piece of data before it is passed on, and the time when it was read.
pub type Tap = Box<dyn FnMut(&[u8], Instant) + Send>;

/// Listens on a free port of the loopback, which it returns, and connects every client to `target`. `taps`
/// makes the two taps of a connection: towards the target, and back.
pub fn start(
    target: String,
    mut taps: impl FnMut() -> (Tap, Tap) + Send + 'static,
) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (forth, back) = taps();
            if let Err(error) = join(client, &target, forth, back) {
                eprintln!("proxy to {target}: {error}");
            }
        }
    });
    Ok(port)
}

fn join(client: TcpStream, target: &str, forth: Tap, back: Tap) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_read, server_read) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pump(client_read, server, forth));
    thread::spawn(move || pump(server_read, client, back));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut tap: Tap) {
    let mut buffer = vec![0; 1 << 18];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        tap(&buffer[..length], Instant::now());
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The end of either side ends both.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}
