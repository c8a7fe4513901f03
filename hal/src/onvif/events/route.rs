//! Which video input of a device an alarm belongs to.

use super::message::CAMERA;
use crate::onvif::media::Media;

/// Whether an alarm with these names of a video input, the most telling first, is one of the input of `media`. A device
/// with one input has all of them. Those that name no input, as those of the contacts of a recorder, and those that
/// name one which no profile has, are the first input's.
pub(super) fn is_mine(media: &Media, names: &[String]) -> bool {
    if media.is_single() {
        return true;
    }
    for name in names {
        let number = name.strip_prefix(CAMERA).and_then(|number| number.parse().ok());
        let inputs: Vec<u16> = media.inputs_of(name).chain(number).collect();
        if !inputs.is_empty() {
            return inputs.contains(&media.input());
        }
    }
    media.input() == 1
}
