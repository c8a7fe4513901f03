//! Tells which methods and events of the cloud a camera can honour, and why not the others.

use std::time::Duration;

use bytes::Bytes;
use ivt_hal::{Channel, Stream};

use super::find::Found;
use super::{Ability, Probe, Trouble};

/// Longest time for one question.
const QUESTION: Duration = Duration::from_secs(5);

/// The slots with the methods and events that they are for.
const SERVED: &[(&str, &str)] = &[
    ("streams", "RTMPPublish, SetRTMPPublishConfig, StartCloudRecord"),
    ("snapshot", "single pictures for the hosted service"),
    ("ptz", "CtrlPTZ"),
    ("presets", "GetPTZPresetList, GotoPTZPreset"),
    ("tours", "GetPTZPresetTourList, CtrlPTZPresetTour"),
    ("patrol", "CtrlPTZPatrol"),
    ("motion", "AlarmMoveDetectConfig"),
    ("tripwire", "AlarmRectIntrusionDetectConfig"),
    ("network", "GetNetConfig"),
    ("wifi", "GetWifiStatusAndConfig, SetWifiConfig, GetWifiSSIDList"),
    ("power", "RebootChannel"),
];

/// Asks for what can be read without changing the camera, one question after the other, and tells the rest as
/// it is known.
pub(super) async fn tell(
    probe: &mut Probe<'_>,
    channel: &Channel,
    fillers: &[(&'static str, Option<&'static str>)],
    found: &Found,
) {
    probe.tell("");
    // A camera that has taken the login refuses what the user may not do, and not the login.
    let taken = !probe.refused && (found.family.is_some() || found.onvif.is_some());
    for (slot, methods) in SERVED {
        let filler = fillers.iter().find(|(of, _)| of == slot).and_then(|(_, word)| *word);
        let said = match filler {
            None => Err("no: none of its backends has this".to_owned()),
            Some(word) if word == "onvif" && denied(found, slot) => {
                Err("no: the camera says by ONVIF that it has none".to_owned())
            }
            Some(word) if probe.refused => Ok(format!("{word}, not asked: the login was refused")),
            Some(word) => match probe.step(QUESTION, Box::pin(ask(channel, slot))).await {
                Ok((detail, picture)) => {
                    probe.outcome.picture = picture.or(probe.outcome.picture.take());
                    Ok(format!("{word}{detail}"))
                }
                Err(trouble) => {
                    probe.refused &= !taken;
                    Err(format!("no, {word}: {}", trouble.text))
                }
            },
        };
        let is_there = said.is_ok();
        let (Ok(said) | Err(said)) = said;
        probe.tell(&format!("{slot:9} {said}: {methods}"));
        probe.outcome.abilities.push(Ability { slot, is_there, said });
    }
}

/// Whether the camera said of itself that it lacks the ability.
fn denied(found: &Found, slot: &str) -> bool {
    found.onvif.as_ref().is_some_and(|camera| match slot {
        "snapshot" => !camera.snapshot,
        "ptz" => !camera.ptz,
        "presets" => !camera.presets,
        "tours" => !camera.tours,
        "network" => !camera.network,
        _ => false,
    })
}

/// What the camera answers to a question that changes nothing, with its picture where it was asked for one; empty for
/// an ability that has no such question.
async fn ask(channel: &Channel, slot: &str) -> Result<(String, Option<Bytes>), Trouble> {
    let Channel { snapshot, presets, tours, network, wifi, .. } = channel;
    let said = match slot {
        "snapshot" => match snapshot {
            Some(camera) => {
                let picture = camera.jpeg(Stream::Main).await?;
                return Ok((format!(", a picture of {} bytes", picture.len()), Some(picture)));
            }
            None => String::new(),
        },
        "presets" => match presets {
            Some(camera) => format!(", {} presets", camera.list().await?.len()),
            None => String::new(),
        },
        "tours" => match tours {
            Some(camera) => format!(", {} tours", camera.list().await?.len()),
            None => String::new(),
        },
        "network" => match network {
            Some(camera) => format!(", {} interfaces", camera.interfaces().await?.len()),
            None => String::new(),
        },
        "wifi" => match wifi {
            Some(camera) if camera.status().await?.enable => ", on".to_owned(),
            Some(_) => ", off".to_owned(),
            None => String::new(),
        },
        "streams" => String::new(),
        _ => ", not tried as that would change something".to_owned(),
    };
    Ok((said, None))
}
