//! Stands between camera and relay and between relay and RTMP server, and times what passes: a picture goes in when its last
//! bytes are written to the relay, and comes out when the same bytes have been read from it.
//!
//! `latency CAMERA_ADDR RTMP_ADDR` prints `rtsp PORT rtmp PORT`, where the relay has to connect, and then obeys lines on
//! standard input, answering each with one line (milliseconds):
//! `frames SECONDS` gives `frames COUNT MEDIAN P95 MAX LOST`;
//! `start HTTP_ADDR JSON` posts to `/api/call` and gives `start TOTAL WAIT`: from the post to the first key picture at the
//! server, and how much of it was waiting for the camera's key picture after PLAY (0 where the stream was running already).
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ivt_bench_tools::pictures::{Picture, Pictures, TAIL};
use ivt_bench_tools::proxy;

/// How long a picture may be on its way, at most as long as a ring holds a picture.
const PENDING: Duration = Duration::from_secs(3);
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Log {
    /// Pictures that went in and have not come out yet, the oldest first.
    pending: VecDeque<(Instant, Picture)>,
    delays: Vec<Duration>,
    lost: u64,
    play: Option<Instant>,
    first_key_in: Option<Instant>,
    first_key_out: Option<Instant>,
}

type Shared = Arc<Mutex<Log>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [camera, server] = arguments.as_slice() else {
        return Err("usage: latency CAMERA_ADDR RTMP_ADDR".into());
    };
    let log = Shared::default();
    let rtsp = proxy::start(camera.clone(), {
        let log = log.clone();
        move || (requests(log.clone()), went_in(log.clone()))
    })?;
    let rtmp = proxy::start(server.clone(), {
        let log = log.clone();
        move || (came_out(log.clone()), Box::new(|_, _| ()))
    })?;
    println!("rtsp {rtsp} rtmp {rtmp}");
    for line in io::stdin().lines() {
        match line?.splitn(3, ' ').collect::<Vec<_>>().as_slice() {
            ["frames", seconds] => {
                println!("{}", frames(&log, Duration::from_secs_f64(seconds.parse()?)))
            }
            ["start", http, body] => println!("{}", start(&log, http, body)?),
            _ => return Err("expected `frames SECONDS` or `start HTTP_ADDR JSON`".into()),
        }
    }
    Ok(())
}

/// Notes when the relay asks the camera to play.
fn requests(log: Shared) -> proxy::Tap {
    Box::new(move |bytes, at| {
        if bytes.starts_with(b"PLAY ") {
            let mut log = lock(&log);
            log.play = Some(at);
            log.first_key_in = None;
        }
    })
}

fn went_in(log: Shared) -> proxy::Tap {
    let mut reader = Pictures::default();
    Box::new(move |bytes, _| {
        let pictures = reader.read(bytes);
        let mut log = lock(&log);
        // The time that reading took here is not part of the relay's delay.
        let now = Instant::now();
        while log.pending.front().is_some_and(|(at, _)| now - *at > PENDING) {
            log.pending.pop_front();
            log.lost += 1;
        }
        for picture in pictures {
            if picture.key {
                log.first_key_in.get_or_insert(now);
            }
            log.pending.push_back((now, picture));
        }
    })
}

fn came_out(log: Shared) -> proxy::Tap {
    // Another thread searches, which takes long when a ring is emptied at once; here it would delay the next
    // read.
    let (bytes, searched) = mpsc::channel::<(Vec<u8>, Instant)>();
    thread::spawn(move || {
        // The end of the bytes before is kept, since the end of a picture may lie across two reads.
        let mut window: Vec<u8> = Vec::new();
        for (bytes, at) in searched {
            window.extend_from_slice(&bytes);
            search(&mut lock(&log), &window, at);
            window.drain(..window.len().saturating_sub(TAIL - 1));
        }
    });
    Box::new(move |read, at| {
        // Sending fails only when the thread is gone, at the end of the program.
        let _ = bytes.send((read.to_vec(), at));
    })
}

fn search(log: &mut Log, window: &[u8], at: Instant) {
    let Log { pending, delays, first_key_out, .. } = log;
    pending.retain(|(since, picture)| {
        let here = *since <= at && window.windows(TAIL).any(|part| part == picture.tail);
        if here {
            delays.push(at - *since);
            if picture.key {
                first_key_out.get_or_insert(at);
            }
        }
        !here
    });
}

fn frames(log: &Shared, time: Duration) -> String {
    *lock(log) = Log::default();
    thread::sleep(time);
    let (mut delays, lost) = {
        let mut log = lock(log);
        (std::mem::take(&mut log.delays), log.lost)
    };
    delays.sort();
    let at = |share: f64| {
        delays.get((delays.len() as f64 * share) as usize).copied().map_or(f64::NAN, milliseconds)
    };
    let max = delays.last().copied().map_or(f64::NAN, milliseconds);
    format!("frames {} {:.3} {:.3} {max:.3} {lost}", delays.len(), at(0.5), at(0.95))
}

fn start(log: &Shared, http: &str, body: &str) -> Result<String, Box<dyn Error>> {
    {
        let mut log = lock(log);
        (log.play, log.first_key_in, log.first_key_out) = (None, None, None);
    }
    let began = Instant::now();
    let answer = post(http, body)?;
    if !answer.contains("\"resp\"") {
        return Err(format!("the call was refused: {answer}").into());
    }
    while began.elapsed() < PATIENCE {
        let first_key_out = lock(log).first_key_out;
        if let Some(out) = first_key_out {
            let log = lock(log);
            let wait = log
                .play
                .zip(log.first_key_in)
                .map_or(Duration::ZERO, |(play, key)| key.saturating_duration_since(play));
            return Ok(format!("start {:.3} {:.3}", milliseconds(out - began), milliseconds(wait)));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err("no key picture reached the server".into())
}

fn post(address: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let length = body.len();
    write!(
        stream,
        "POST /api/call HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn lock(log: &Shared) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
