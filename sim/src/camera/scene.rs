//! What an emulated camera's test pattern shows.

use std::sync::Arc;

use bytes::Bytes;
use ivt_hal::emulator::World;
use ivt_media::pattern::{PatternOpener, Scene, Size, View, picture};

use super::channel::ChannelOptions;

/// An emulated camera as its picture shows it.
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

/// The streams of a channel that shows this camera live.
pub fn streams(world: &Arc<World>) -> ChannelOptions {
    let scene = Arc::new(Shown(world.clone()));
    ChannelOptions {
        main: Arc::new(PatternOpener::new(scene.clone(), Size::Main)),
        sub: Arc::new(PatternOpener::new(scene, Size::Sub)),
    }
}

/// A JPEG file of this camera at the moment.
pub fn still(world: &Arc<World>) -> Bytes {
    picture(&Shown(world.clone()).view(), Size::Main)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_changes_with_the_camera() {
        let world = Arc::new(World::default());
        let view = Shown(world.clone()).view();
        assert!(view.present && !view.motion);
        world.trigger(ivt_hal::Trigger::Motion, true);
        assert!(Shown(world.clone()).view().motion);
        assert!(still(&world).starts_with(b"\xff\xd8"));
    }
}
