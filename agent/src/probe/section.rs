//! The `[[channel]]` section for a camera that was found.

use ivt_base::secret::Secret;
use ivt_hal::onvif::DEVICE_PATH;

use super::Target;
use super::find::Found;
use crate::backend::Backend;
use crate::config::Channel;
use crate::settings::value::quoted;

/// The section to paste, without the password; `None` where nothing is known of the camera.
pub(super) fn section(target: &Target, found: &Found) -> Option<String> {
    let Found { family, onvif } = found;
    let (web, at) = (&target.web, &target.onvif);
    let mut lines = vec!["[[channel]]".to_owned()];
    let backend = match (family, onvif) {
        (Some(_), Some(_)) => "[\"cgi\", \"onvif\"]",
        (Some(_), None) => "\"cgi\"",
        (None, Some(_)) => "\"onvif\"",
        (None, None) => return None,
    };
    lines.push(format!("backend = {backend}"));
    let url = |host: &str, port, path: &str| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = if port == 80 { String::new() } else { format!(":{port}") };
        quoted(&format!("http://{host}{port}{path}"))
    };
    if let Some((name, _)) = family {
        lines.push(format!("web = {}", url(&web.host, web.port, "")));
        lines.push(format!("profile = {}", quoted(name)));
    }
    let follows = family.is_some() && (&web.host, web.port) == (&at.host, at.port);
    if onvif.is_some() && !(follows && at.path == DEVICE_PATH) {
        lines.push(format!("onvif = {}", url(&at.host, at.port, &at.path)));
    }
    if target.input > 1 {
        lines.push(format!("input = {}", target.input));
    }
    if let Some(login) = &target.login {
        lines.push(format!("username = {}", quoted(&login.username)));
        lines.push("# password = \"the password of the camera\"".to_owned());
    }
    if family.is_some() && onvif.is_some() {
        // The camera itself names addresses and ports, which a profile supposes.
        lines.push("[channel.abilities]\nstreams = \"onvif\"".to_owned());
    }
    Some(lines.join("\n"))
}

/// What such a section makes of the camera, with its login.
pub(super) fn backend(text: &str, target: &Target) -> Option<Backend> {
    let mut backend = Channel::alone(text).ok()?.backend;
    if let Some(login) = &target.login {
        backend.network.password = Secret::from(login.password.clone());
    }
    Some(backend)
}

#[cfg(test)]
mod tests {
    use ivt_hal::Credentials;
    use ivt_hal::onvif::Description;

    use super::*;

    fn found(family: bool, onvif: bool) -> Found {
        Found {
            family: family.then(|| ("hikvision", "DS-1".to_owned())),
            onvif: onvif.then(Description::default),
        }
    }

    fn target(address: &str) -> Target {
        let login = Credentials { username: "a\"\\\n\u{e9}".into(), password: "canary".into() };
        Target::at(address, Some(login), 3).unwrap()
    }

    #[test]
    fn a_suggested_section_is_one_that_is_accepted_and_holds_no_password() {
        for address in ["192.0.2.1", "cam:8080", "http://[::1]:81/svc", "http://[::1]/"] {
            for (family, onvif) in [(true, false), (false, true), (true, true)] {
                let target = target(address);
                let text = section(&target, &found(family, onvif)).unwrap();
                assert!(!text.contains("canary"), "{text}");
                let backend = backend(&text, &target);
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
    fn of_a_camera_that_nothing_is_known_of_no_section_is_made() {
        assert_eq!(section(&target("192.0.2.1"), &found(false, false)), None);
    }
}
