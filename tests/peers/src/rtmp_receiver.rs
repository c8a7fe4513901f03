//! The `rtmp` crate's server as an independent receiver: takes one publisher and writes what its session hands out to an FLV
//! file, tag by tag, so that any decoder can judge it.
//!
//! `rtmp-receiver OUT.flv` prints `listening PORT`, then `publish APP/STREAM`, and `end VIDEO KEY AUDIO` (counts of messages) when
//! the publisher has left.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};

use rtmp::session::server_session::ServerSession;
use streamhub::define::{FrameData, FrameDataReceiver, StreamHubEvent, StreamHubEventReceiver};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: rtmp-receiver OUT.flv")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?.port());

    let (stream, _) = listener.accept().await?;
    let (events, hub) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        if let Err(error) = ServerSession::new(stream, events, 0, None, None).run().await {
            eprintln!("session: {error}");
        }
    });
    let counts = record(hub, &path).await?;
    println!("end {} {} {}", counts.video, counts.key, counts.audio);
    Ok(())
}

#[derive(Default)]
struct Counts {
    video: u64,
    key: u64,
    audio: u64,
}

/// Plays the crate's hub: admits the first publisher and drains it until it has left.
async fn record(mut hub: StreamHubEventReceiver, path: &str) -> Result<Counts, Box<dyn Error>> {
    while let Some(event) = hub.recv().await {
        if let StreamHubEvent::Publish { identifier, result_sender, .. } = event {
            let (frames, received) = mpsc::unbounded_channel();
            let (statistics, mut ignored) = mpsc::unbounded_channel();
            tokio::spawn(async move { while ignored.recv().await.is_some() {} });
            result_sender
                .send(Ok((Some(frames), None, Some(statistics))))
                .map_err(|_| "the publisher left before it was admitted")?;
            println!("publish {identifier}");
            return write_flv(received, hub, path).await;
        }
    }
    Err("the client left without publishing".into())
}

async fn write_flv(
    mut frames: FrameDataReceiver,
    mut hub: StreamHubEventReceiver,
    path: &str,
) -> Result<Counts, Box<dyn Error>> {
    let mut file = File::create(path)?;
    file.write_all(b"FLV\x01\x05\0\0\0\x09\0\0\0\0")?;
    let mut counts = Counts::default();
    loop {
        tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some(FrameData::Video { timestamp, data }) => {
                    counts.video += 1;
                    counts.key += u64::from(data.first().is_some_and(|byte| byte & 0x70 == 0x10));
                    write_tag(&mut file, VIDEO, timestamp, &data)?;
                }
                Some(FrameData::Audio { timestamp, data }) => {
                    counts.audio += 1;
                    write_tag(&mut file, AUDIO, timestamp, &data)?;
                }
                Some(FrameData::MetaData { .. } | FrameData::MediaInfo { .. }) => {}
                None => return Ok(counts),
            },
            event = hub.recv() => if matches!(event, None | Some(StreamHubEvent::UnPublish { .. })) {
                return Ok(counts);
            },
        }
    }
}

fn write_tag(file: &mut File, kind: u8, timestamp: u32, data: &[u8]) -> io::Result<()> {
    let size = u32::try_from(data.len()).map_err(io::Error::other)?.to_be_bytes();
    let time = timestamp.to_be_bytes();
    let mut tag = Vec::with_capacity(data.len() + 15);
    tag.extend_from_slice(&[
        kind, size[1], size[2], size[3], time[1], time[2], time[3], time[0], 0, 0, 0,
    ]);
    tag.extend_from_slice(data);
    tag.extend_from_slice(&(data.len() as u32 + 11).to_be_bytes());
    file.write_all(&tag)
}
