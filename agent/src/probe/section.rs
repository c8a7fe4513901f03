//! The `[[channel]]` section for a camera that was found.

use ivt_base::secret::Secret;
use ivt_hal::Credentials;
use ivt_hal::onvif::DEVICE_PATH;
use serde_json::{Value, json};

use super::Target;
use super::find::Found;
use crate::backend::Backend;
use crate::config::Channel;
use crate::settings::value;

/// The keys of a section for the camera, without the password; empty where nothing is known of it.
pub(super) fn settings(target: &Target, found: &Found) -> Vec<(&'static str, Value)> {
    if let Some(address) = &target.stream {
        return of_stream(address, target.login.as_ref());
    }
    let Found { family, onvif } = found;
    let (web, at) = (&target.web, &target.onvif);
    let backend = match (family, onvif) {
        (Some(_), Some(_)) => json!(["cgi", "onvif"]),
        (Some(_), None) => "cgi".into(),
        (None, Some(_)) => "onvif".into(),
        (None, None) => return Vec::new(),
    };
    let mut settings = vec![("backend", backend)];
    let url = |host: &str, port, path: &str| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = if port == 80 { String::new() } else { format!(":{port}") };
        Value::from(format!("http://{host}{port}{path}"))
    };
    if let Some((name, _)) = family {
        settings.push(("web", url(&web.host, web.port, "")));
        settings.push(("profile", (*name).into()));
    }
    let follows = family.is_some() && (&web.host, web.port) == (&at.host, at.port);
    if onvif.is_some() && !(follows && at.path == DEVICE_PATH) {
        settings.push(("onvif", url(&at.host, at.port, &at.path)));
    }
    if target.input > 1 {
        settings.push(("input", target.input.into()));
    }
    if let Some(login) = &target.login {
        settings.push(("username", login.username.clone().into()));
    }
    if family.is_some() && onvif.is_some() {
        // The camera itself names addresses and ports, which a profile supposes.
        settings.push(("abilities.streams", "onvif".into()));
    }
    settings
}

/// Whether an address is that of a stream.
pub(super) fn is_stream(address: &str) -> bool {
    let scheme = address.split("://").next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("rtsp") || scheme.eq_ignore_ascii_case("rtsps")
}

/// The keys of a section for a camera that is known by its stream alone.
pub(super) fn of_stream(address: &str, login: Option<&Credentials>) -> Vec<(&'static str, Value)> {
    let mut settings = vec![("backend", "rtsp".into()), ("main", address.into())];
    settings.extend(login.map(|login| ("username", login.username.clone().into())));
    settings
}

/// The section to paste, in which the password is to be filled in.
pub(super) fn text(settings: &[(&'static str, Value)]) -> String {
    let mut text = "[[channel]]".to_owned();
    for (key, value) in settings {
        let Some(value) = value::of_json(value) else { continue };
        text += &format!("\n{key} = {value}");
        if *key == "username" {
            text += "\n# password = \"the password of the camera\"";
        }
    }
    text
}

/// What such a section makes of the camera, with its login.
pub(super) fn backend(
    settings: &[(&'static str, Value)],
    login: Option<&Credentials>,
) -> Option<Backend> {
    let mut backend = Channel::alone(&text(settings)).ok()?.backend;
    if let Some(login) = login {
        backend.network.password = Secret::from(login.password.clone());
    }
    Some(backend)
}

#[cfg(test)]
mod tests {
    use ivt_hal::onvif::Description;

    use super::*;

    fn found(family: bool, onvif: bool) -> Found {
        Found {
            family: family.then(|| ("hikvision", "DS-1".to_owned())),
            onvif: onvif.then(Description::default),
        }
    }

    fn target(address: &str) -> Target {
        let login =
            Credentials { username: "a\"\\\n\u{e9}".into(), password: "Sect10n-canary".into() };
        Target::at(address, Some(login), 3).unwrap()
    }

    #[test]
    fn a_suggested_section_is_one_that_is_accepted_and_holds_no_password() {
        for address in ["192.0.2.1", "cam:8080", "http://[::1]:81/svc", "http://[::1]/"] {
            for (family, onvif) in [(true, false), (false, true), (true, true)] {
                let target = target(address);
                let settings = settings(&target, &found(family, onvif));
                let text = text(&settings);
                assert!(!text.contains("canary"), "{text}");
                let backend = backend(&settings, target.login.as_ref());
                let backend = backend.unwrap_or_else(|| panic!("refused:\n{text}"));
                assert_eq!(backend.network.input, 3, "{text}");
                let login = backend.network.credentials().unwrap();
                assert!(Some(login) == target.login, "{text}");
                let (web, at) = backend.places().unwrap();
                let same = (&web.host, web.port) == (&target.web.host, target.web.port);
                assert!(same, "{text}");
                assert!(!onvif || at == target.onvif, "{text}");
            }
        }
    }

    #[test]
    fn a_camera_known_by_its_stream_is_taken_without_a_login_in_its_address() {
        let target = target("rtsp://192.0.2.1:554/a");
        let settings = settings(&target, &Found::default());
        assert_eq!(
            settings[..2],
            [("backend", "rtsp".into()), ("main", "rtsp://192.0.2.1:554/a".into())]
        );
        assert!(backend(&settings, target.login.as_ref()).is_some());
        for address in ["rtsp://", "rtsp://user:Sect10n-canary@h/a", "RTSP://user@h/", "rtsp://:1/"]
        {
            let error = Target::at(address, None, 1).err().unwrap();
            assert!(
                error.contains("rtsp://HOST") && !error.contains("canary"),
                "{address}: {error}"
            );
        }
    }

    #[test]
    fn of_a_camera_that_nothing_is_known_of_no_section_is_made() {
        assert!(settings(&target("192.0.2.1"), &found(false, false)).is_empty());
    }
}
