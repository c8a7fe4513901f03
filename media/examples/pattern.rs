//! Measures the test pattern: `pattern main|sub SECONDS`. Prints bits per second of a scene at rest and of one in
//! which everything moves, both in real time; run it by a program that tells the time it took of the processor.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ivt_media::pattern::{PatternOpener, Scene, Size, Sound, View};
use ivt_media::source::{Opener as _, SourceError};

struct Moving(Instant);

impl Scene for Moving {
    fn view(&self) -> View {
        let way = self.0.elapsed().as_secs_f64();
        View {
            present: true,
            title: "CH0 measured".to_owned(),
            pan: way.sin(),
            tilt: way.cos(),
            zoom: (way / 3.0).sin().abs(),
            moving: true,
            ..View::default()
        }
    }
}

struct Still;

impl Scene for Still {
    fn view(&self) -> View {
        View { present: true, title: "CH0 measured".to_owned(), ..View::default() }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (size, seconds) = match &arguments[..] {
        [size, seconds] if size == "main" => (Size::Main, seconds.parse()),
        [size, seconds] if size == "sub" => (Size::Sub, seconds.parse()),
        _ => (Size::Main, "".parse::<u64>()),
    };
    let Ok(seconds) = seconds else {
        eprintln!("usage: pattern main|sub SECONDS");
        return ExitCode::FAILURE;
    };
    let scenes: [(&str, Arc<dyn Scene>); 2] =
        [("at rest", Arc::new(Still)), ("moving", Arc::new(Moving(Instant::now())))];
    for (name, scene) in scenes {
        match bits(scene, size, seconds).await {
            Ok(bits) => println!("{name}: {} bit/s", bits / seconds.max(1)),
            Err(error) => eprintln!("pattern: {error}"),
        }
    }
    ExitCode::SUCCESS
}

/// Bits of so many seconds.
async fn bits(scene: Arc<dyn Scene>, size: Size, seconds: u64) -> Result<u64, SourceError> {
    let mut source = PatternOpener::new(scene, size).with_sound(Sound::None).open().await?;
    let mut bits = 0;
    loop {
        let frame = source.frame().await?;
        if frame.dts >= seconds as i64 * 90_000 {
            return Ok(bits);
        }
        bits += 8 * frame.data.len() as u64;
    }
}
