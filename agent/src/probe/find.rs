//! Finds out which family a camera is of, and whether it has ONVIF.

use std::time::Duration;

use ivt_hal::http::{Http, Limits, Request};
use ivt_hal::onvif::{Description, Onvif, Options};
use ivt_hal::profile::Profile;
use ivt_hal::{Bitrates, Kind, Transport};

use super::{Probe, Target, Trouble, plain};

/// Longest time for the web server to answer at all, and for one family to be recognised.
const ANSWER: Duration = Duration::from_secs(4);
/// Longest time for what ONVIF says about the camera.
const DESCRIPTION: Duration = Duration::from_secs(10);

/// What a camera was found to be.
#[derive(Default)]
pub(super) struct Found {
    /// The name of its profile, and its model where it says one.
    pub(super) family: Option<(&'static str, String)>,
    pub(super) onvif: Option<Description>,
}

impl Found {
    /// Maker, model and firmware, as the camera says them.
    pub(super) fn names(&self) -> (String, String, String) {
        let family = self.family.as_ref().map(|(name, model)| ((*name).to_owned(), model.clone()));
        let (name, model) = family.unwrap_or_default();
        match &self.onvif {
            None => (name, model, String::new()),
            Some(camera) => {
                let said = [&camera.manufacturer, &camera.model, &camera.firmware].map(plain);
                let [maker, told, firmware] = said;
                (maker, if told.is_empty() { model } else { told }, firmware)
            }
        }
    }
}

/// Asks the camera by the clients of its web server and of its ONVIF device service.
pub(super) async fn find(probe: &mut Probe<'_>, target: &Target, clients: [Http; 2]) -> Found {
    let mut found = Found::default();
    let web = &target.web;
    let name = format!("{}:{}", web.host, web.port);
    let open =
        Http::new(&web.host, web.port, None, Limits { deadline: ANSWER, ..Limits::default() });
    let asked = async { Ok(open.send("probe", &Request::get("/")).await?) };
    match probe.step(ANSWER, Box::pin(asked)).await {
        Ok(answer) => probe.tell(&format!("web server at {name}: HTTP {}", answer.status)),
        Err(trouble) => {
            probe.fail(&format!("web server at {name}: {}", trouble.text));
            if target.web == target.onvif {
                probe.outcome.is_silent = true;
                return found;
            }
        }
    }
    let [client, device] = clients;
    found.family = family(probe, &client, target).await;
    found.onvif = onvif(probe, target, device).await;
    found
}

async fn family(
    probe: &mut Probe<'_>,
    client: &Http,
    target: &Target,
) -> Option<(&'static str, String)> {
    for name in Profile::names() {
        let profile = Profile::builtin(name)?;
        let asked = async { Ok::<_, Trouble>(profile.recognise(client).await) };
        let asked = probe.step(ANSWER, Box::pin(asked)).await;
        let said = match asked {
            Ok(said) => said,
            Err(trouble) => {
                probe.fail(&format!("family: {name}: {}", trouble.text));
                return None;
            }
        };
        match said {
            Ok(None) => {}
            Ok(Some(model)) => {
                let model = plain(&model);
                probe.tell(&format!("family: {name} {model}"));
                return Some((name, model));
            }
            Err(e) if e.kind == Kind::Refused => {
                probe.refused = target.login.is_some();
                let open = "family: it asks for a login before it says: give --username";
                let closed = "family: it refuses the login";
                probe.outcome.wants_login = !probe.refused;
                probe.tell(if probe.refused { closed } else { open });
                return None;
            }
            Err(e) if matches!(e.kind, Kind::Offline | Kind::Timeout) => {
                probe.fail(&format!("family: {}", Trouble::from(e).text));
                return None;
            }
            Err(_) => {}
        }
    }
    let names = Profile::names().join(", ");
    probe.tell(&format!("family: none of {names}"));
    None
}

async fn onvif(probe: &mut Probe<'_>, target: &Target, http: Http) -> Option<Description> {
    if probe.refused {
        probe.tell("ONVIF: not asked, as the login was refused");
        return None;
    }
    let options =
        Options { transport: Transport::Auto, bitrates: Bitrates::default(), input: target.input };
    let camera = Onvif::new(http, &target.onvif.path, target.login.clone(), options);
    let asked = async { Ok(camera.describe().await?) };
    match probe.step(DESCRIPTION, Box::pin(asked)).await {
        Ok(camera) => {
            let made = [&camera.manufacturer, &camera.model, &camera.firmware];
            let made: Vec<_> = made.into_iter().map(plain).collect();
            probe.tell(&format!("ONVIF: {}", made.join(" ")));
            for media in camera.profiles.iter().take(8) {
                let (name, codec) = (plain(&media.name), plain(&media.codec));
                let ptz = if media.has_ptz() { ", PTZ" } else { "" };
                let size = format!("{}x{}", media.width, media.height);
                probe.tell(&format!("ONVIF profile {name}: {codec} {size}{ptz}"));
            }
            if let Some(ahead) = camera.clock_ahead.filter(|ahead| ahead.unsigned_abs() > 60) {
                probe.tell(&format!("its clock is wrong by {ahead} s"));
            }
            Some(camera)
        }
        Err(trouble) => {
            if trouble.refused && target.login.is_none() {
                probe.refused = false;
                probe.outcome.wants_login = true;
                probe.tell("ONVIF: it asks for a login: give --username");
            } else {
                probe.tell(&format!("ONVIF: {}", trouble.text));
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_does_not_say_what_it_is_in_time_is_told_of() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let mut told = Vec::new();
        let mut say = |text: &str| told.push(text.to_owned());
        let until = Instant::now() + Duration::from_secs(1);
        let mut probe = Probe::new(&mut say, until);
        let client = Http::new("127.0.0.1", address.port(), None, Limits::default());
        let target = Target::at(&address.to_string(), None, 1).unwrap();
        assert!(family(&mut probe, &client, &target).await.is_none());
        assert!(probe.failed);
        assert_eq!(told, ["family: uapi: it did not answer in time"]);
    }
}
