//! The floor under a relay's CPU time: reassembles RTP from RTSP over TCP and re-chunks the same bytes to RTMP, one write per
//! frame, one blocking thread per stream; no ring, no statistics, no mercy.
//!
//! `floor RTSP_URL RTMP_URL [RTSP_URL RTMP_URL]...` runs until it is ended or a stream breaks.
#![forbid(unsafe_code)]

use std::io;
use std::thread;

use ivt_bench_tools::h264::{AccessUnit, aac, parameters, rtp};
use ivt_bench_tools::rtmp::Publisher;
use ivt_bench_tools::rtsp::Session;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;

fn main() {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    let streams = urls.chunks_exact(2).map(|pair| {
        let (from, to) = (pair[0].clone(), pair[1].clone());
        thread::spawn(move || {
            relay(&from, &to).map_err(|error| eprintln!("{from} to {to}: {error}"))
        })
    });
    // A stream that breaks costs nothing, so it ends the measurement.
    for stream in streams.collect::<Vec<_>>() {
        if !matches!(stream.join(), Ok(Ok(()))) {
            std::process::exit(1);
        }
    }
}

fn relay(from: &str, to: &str) -> io::Result<()> {
    let mut publisher = Publisher::open(to)?;
    let mut session = Session::open(from)?;
    let (record, config) = parameters(&session.sdp)
        .ok_or_else(|| io::Error::other("no parameters in the description"))?;
    publisher.send(VIDEO, 1, 0, &[&[0x17, 0, 0, 0, 0], &record])?;
    publisher.send(AUDIO, 1, 0, &[&[0xaf, 0], &config])?;

    let rate = session.sdp.lines().find_map(|line| {
        line.trim()
            .to_ascii_lowercase()
            .split("mpeg4-generic/")
            .nth(1)?
            .split('/')
            .next()?
            .parse()
            .ok()
    });
    let rate: u32 = rate.unwrap_or(90_000);
    let (mut video_start, mut audio_start) = (None, None);
    let mut unit = AccessUnit::default();
    let mut packet = Vec::with_capacity(1 << 16);
    loop {
        let channel = session.packet(&mut packet)?;
        let Some((payload, marker, time)) = rtp(&packet) else { continue };
        match channel {
            0 => {
                unit.push(payload);
                if marker {
                    let time = time.wrapping_sub(*video_start.get_or_insert(time)) / 90;
                    let head = [if unit.key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
                    publisher.send(VIDEO, 1, time, &[&head, &unit.data])?;
                    unit.data.clear();
                    unit.key = false;
                }
            }
            2 => {
                let start = *audio_start.get_or_insert(time);
                for (n, data) in aac(payload).enumerate() {
                    let ticks = u64::from(time.wrapping_sub(start)) + 1024 * n as u64;
                    publisher.send(
                        AUDIO,
                        1,
                        (ticks * 1000 / u64::from(rate)) as u32,
                        &[&[0xaf, 1], data],
                    )?;
                }
            }
            _ => {}
        }
    }
}
