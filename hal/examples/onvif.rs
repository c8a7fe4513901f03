//! Asks an ONVIF camera everything that the agent asks, and tells what came of it, a line each:
//! `onvif HOST:PORT [USER PASSWORD]`. The password is never printed.

use std::fmt::{Debug, Display};
use std::time::Duration;

use ivt_hal::http::{Http, Limits};
use ivt_hal::onvif::{DEVICE_PATH, Onvif, Options};
use ivt_hal::{Credentials, Direction, Movement, Source, Stream};
use tokio::sync::mpsc;

/// Time that the camera moves.
const MOVE: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let address = words.first().ok_or("expected HOST:PORT [USER PASSWORD]")?;
    let (host, port) = address.rsplit_once(':').ok_or("expected HOST:PORT")?;
    let login = match &words[1..] {
        [username, password] => {
            Some(Credentials { username: username.clone(), password: password.as_str().into() })
        }
        _ => None,
    };
    let http = Http::new(host, port.parse()?, login.clone(), Limits::default());
    let onvif = Onvif::new(http, DEVICE_PATH, login, Options::default());
    let channel = onvif.channel();
    told(
        "describe",
        onvif.describe().await.map(|of| {
            let profiles =
                of.profiles.iter().map(|one| format!("{} {}x{}", one.token, one.width, one.height));
            let profiles = profiles.collect::<Vec<_>>().join(",");
            format!(
                "{} [{profiles}] ptz={} presets={} tours={}",
                of.model, of.ptz, of.presets, of.tours
            )
        }),
    );
    for stream in [Stream::Main, Stream::Sub] {
        told(
            &format!("stream {stream}"),
            channel.encoder.source(stream).await.map(|source| match source {
                Source::Rtsp(source) => source.url,
                _ => "no RTSP".into(),
            }),
        );
    }
    told("reach", channel.encoder.reach().await.map(|()| "yes"));
    if let Some(snapshot) = &channel.snapshot {
        let picture = snapshot.jpeg(Stream::Main).await;
        told("snapshot", picture.map(|picture| format!("{} bytes", picture.len())));
    }
    if let Some(ptz) = &channel.ptz {
        let movement = Movement { direction: Direction::Right, speed: 50 };
        told("move", ptz.start(movement).await.map(|()| "done"));
        tokio::time::sleep(MOVE).await;
        told("stop", ptz.stop().await.map(|()| "done"));
    }
    if let Some(presets) = &channel.presets {
        let list = presets.list().await;
        let first = list.as_ref().ok().and_then(|list| list.first().cloned());
        told("presets", list.map(|list| list.len()));
        if let Some(first) = first {
            told("preset", presets.go_to(&first.token).await.map(|()| first.token));
        }
    }
    if let Some(tours) = &channel.tours {
        told("tours", tours.list().await.map(|list| list.len()));
    }
    if let Some(network) = &channel.network {
        told("network", network.interfaces().await.map(|list| list.len()));
    }
    if let Some(clock) = &channel.clock {
        told("clock", clock.now().await);
    }
    if let Some(alarms) = &channel.alarms {
        let (heard, mut hears) = mpsc::channel(8);
        tokio::select! {
            error = alarms.listen(&heard) => told("alarms", Err::<&str, _>(error)),
            first = hears.recv() => told("alarms", first.map(|_| "listening").ok_or("nothing")),
        }
    }
    if let Some(power) = &channel.power {
        told("reboot", power.reboot().await.map(|()| "done"));
    }
    Ok(())
}

fn told<T: Display, E: Debug>(what: &str, outcome: Result<T, E>) {
    match outcome {
        Ok(said) => println!("{what}: {said}"),
        Err(error) => println!("{what}: failed: {error:?}"),
    }
}
