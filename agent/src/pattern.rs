//! The test pattern of emulated cameras: what their state looks like.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ivt_hal::emulator::{Emulator, World};
use ivt_hal::{Encoder as _, Result, Snapshot, Source, Stream};
use ivt_media::pattern::{PatternOpener, Scene, Size, View, picture};

/// The opener of a stream that shows this camera.
pub(crate) fn opener(stream: Stream, world: &Arc<World>) -> PatternOpener {
    PatternOpener::new(Arc::new(Shown(Arc::clone(world))), size(stream))
}

/// The pictures of an emulated camera: of its pattern at the moment, or its card where it shows a file or
/// what a program writes.
pub(crate) struct Pictures(pub(crate) Arc<Emulator>);

#[async_trait]
impl Snapshot for Pictures {
    async fn jpeg(&self, stream: Stream) -> Result<Bytes> {
        let card = self.0.jpeg(stream).await?;
        Ok(match self.0.source(stream).await? {
            Source::Pattern { stream, world } => picture(&Shown(world).view(), size(stream)),
            _ => card,
        })
    }
}

struct Shown(Arc<World>);

impl Scene for Shown {
    fn view(&self) -> View {
        let (position, triggers) = (self.0.position(), self.0.triggers());
        View {
            present: !self.0.is_away(),
            title: self.0.title(),
            pan: position.pan,
            tilt: position.tilt,
            zoom: position.zoom,
            moving: position.moving,
            motion: triggers.motion,
            line: triggers.line,
            input: triggers.input,
        }
    }
}

fn size(stream: Stream) -> Size {
    match stream {
        Stream::Main => Size::Main,
        Stream::Sub => Size::Sub,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ivt_hal::Trigger;
    use ivt_hal::conformance;

    use super::*;

    #[test]
    fn the_pattern_shows_the_camera() {
        let world = Arc::new(World::new("CH3"));
        world.drive([1.0, 0.0, 0.0]).unwrap();
        world.trigger(Trigger::Line, true);
        let view = Shown(world.clone()).view();
        assert!(view.present && view.moving && view.line && !view.motion);
        assert_eq!(view.title, "CH3");
        world.go_away(Duration::from_secs(60));
        assert!(!Shown(world).view().present);
    }

    #[tokio::test]
    async fn a_snapshot_is_the_pattern_of_the_moment_or_the_card() {
        let emulator = Arc::new(Emulator::default());
        let pictures = Pictures(emulator.clone());
        conformance::snapshot(&pictures).await;
        let [still, card] = [pictures.jpeg(Stream::Main).await, emulator.jpeg(Stream::Main).await];
        assert_ne!(still.unwrap(), card.unwrap());
        emulator.world.go_away(Duration::from_secs(60));
        conformance::offline_snapshot(&pictures).await;
        let command = vec!["sh".to_owned()];
        let program = Arc::new(Emulator { command, ..Emulator::default() });
        let card = program.jpeg(Stream::Main).await.unwrap();
        assert_eq!(Pictures(program).jpeg(Stream::Main).await.unwrap(), card);
    }
}
