//! Sets up what a camera detects, for the cloud and for the device's page.
//!
//! The agent's own rule decides what it reports of the alarms that a camera raises. So such a camera need not know
//! about hours and `delay`, nor be one that can be set up.

use ivt_hal::{Area, Armed, Channel, Detection, Error, Kind, Trigger};

use super::settings::{By, Settings};

/// What is to be set up.
pub(crate) struct Wish {
    /// Number of the channel.
    pub(crate) channel: usize,
    /// What sets off the alarms: motion or a line.
    pub(crate) trigger: Trigger,
    pub(crate) detection: Detection,
    /// The area of the tripwire; without one, the one that the camera has stays.
    pub(crate) area: Option<Area>,
    /// Who wishes it.
    pub(crate) by: By,
}

/// What was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arranged {
    /// The camera has taken all that it has a place for.
    Camera,
    /// The camera detects all day, and the agent reports within the window.
    AllDay,
    /// The detection at the camera stays as it is: the wish counts for the reports alone.
    Reports,
}

/// Sets the camera up as far as it can be, and keeps the terms for the reports of its alarms; without `settings`
/// nothing is reported, and nothing is kept.
///
/// # Errors
/// What the camera says. `Unsupported` where it can neither be set up nor raises alarms.
pub(crate) async fn arrange(
    camera: &Channel,
    settings: Option<&Settings>,
    wish: Wish,
) -> Result<Arranged, Error> {
    let Wish { detection, channel, .. } = wish;
    let lacks = |error: &Error| error.kind == Kind::Unsupported;
    let is_heard = settings.is_some() && camera.alarms.is_some();
    if (is_heard || can_be_set_up(camera, wish.trigger)) && !detection.enable {
        // From now on nothing is reported, whatever the camera says.
        keep(settings, &wish).await;
    }
    let mut taken = configure(camera, &wish, detection).await.map(|()| Arranged::Camera);
    let all_day = Detection { armed: Armed::ALWAYS, ..detection };
    if is_heard
        && can_be_set_up(camera, wish.trigger)
        && taken.as_ref().is_err_and(lacks)
        && detection.armed.windows() != all_day.armed.windows()
    {
        taken = configure(camera, &wish, all_day).await.map(|()| Arranged::AllDay);
    }
    let arranged = match taken {
        Err(error) if is_heard && lacks(&error) => {
            log::info!(
                "channel {channel}: what is set up counts for the reports alone, and the detection at the camera stays \
                 as it is: {error}"
            );
            Arranged::Reports
        }
        taken => taken?,
    };
    keep(settings, &wish).await;
    Ok(arranged)
}

/// Whether the camera can be told what to detect.
pub(crate) fn can_be_set_up(camera: &Channel, trigger: Trigger) -> bool {
    match trigger {
        Trigger::Motion => camera.motion.is_some(),
        Trigger::Line => camera.tripwire.is_some(),
        Trigger::Input => false,
    }
}

async fn configure(camera: &Channel, wish: &Wish, detection: Detection) -> Result<(), Error> {
    match (wish.trigger, &camera.motion, &camera.tripwire) {
        (Trigger::Motion, Some(motion), _) => motion.configure(detection).await,
        (Trigger::Line, _, Some(tripwire)) => tripwire.configure(detection, wish.area).await,
        (Trigger::Motion, None, _) => Err(Error::new("motion configure", Kind::Unsupported)),
        _ => Err(Error::new("tripwire configure", Kind::Unsupported)),
    }
}

async fn keep(settings: Option<&Settings>, wish: &Wish) {
    let Wish { channel, trigger, detection, area, by } = *wish;
    if let Some(settings) = settings {
        settings.set(channel, trigger, detection, area, by).await;
    }
}
