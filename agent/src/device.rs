//! Makes the hardware that the configuration describes.

use ivt_hal::http::Limits;
use ivt_hal::rtsp::UrlError;
use ivt_hal::{Device, Model};

use crate::backend::{CameraOptions, Servers};
use crate::config::Config;

/// Makes the camera or NVR of the configuration, without talking to anybody.
///
/// # Errors
/// The address of a camera cannot be used.
pub fn device(config: &Config) -> Result<Device, UrlError> {
    let reply_limit = reply_limit(config);
    let servers = Servers::default();
    let (mut channels, mut cgi) = (Vec::new(), Vec::new());
    for (number, channel) in config.channels.iter().enumerate() {
        let options =
            CameraOptions { bitrates: channel.bitrates, reply_limit, number, servers: &servers };
        let camera = channel.backend.camera(options)?;
        channels.push(camera.channel);
        cgi.push(camera.cgi);
    }
    // With several cameras no web server can speak for the whole device.
    let cgi = match (config.model, cgi.len()) {
        (Model::Camera, 1) => cgi.pop().flatten(),
        _ => None,
    };
    Ok(Device { model: config.model, channels, cgi, firmware: None })
}

/// The device after a change of its configuration from `old` to `new`, of the same model and with as
/// many channels. A channel that is described alike is taken over from `running`: its web server's
/// client remembers a refused login. Talks to nobody.
///
/// # Errors
/// A camera's address that cannot be used.
pub(crate) fn changed(running: &Device, old: &Config, new: &Config) -> Result<Device, UrlError> {
    let mut device = device(new)?;
    if reply_limit(old) != reply_limit(new) {
        return Ok(device);
    }
    let alike: Vec<_> = old
        .channels
        .iter()
        .zip(&new.channels)
        .map(|(old, new)| old.backend == new.backend && old.bitrates == new.bitrates)
        .collect();
    let channels = device.channels.iter_mut().zip(&running.channels);
    for ((channel, running), _) in channels.zip(&alike).filter(|(_, alike)| **alike) {
        channel.clone_from(running);
    }
    if alike.iter().all(|alike| *alike) {
        device.cgi.clone_from(&running.cgi);
    }
    Ok(device)
}

/// Bytes of an answer of a camera's web server to the hosted service.
fn reply_limit(config: &Config) -> usize {
    config.tlss.as_ref().map_or(Limits::default().body, |tlss| tlss.reply_limit)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const RTSP: &str = "[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://h/a'\nweb = 'http://h'\n";

    fn config(text: &str) -> Config {
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n";
        format!("{cloud}{text}").parse().unwrap()
    }

    fn described(text: &str) -> Device {
        device(&config(text)).unwrap()
    }

    /// Which channels, and whether the web server, are the same ones after a change.
    fn kept(old: &str, new: &str) -> (Vec<bool>, bool) {
        let (old, new) = (config(old), config(new));
        let running = device(&old).unwrap();
        let device = changed(&running, &old, &new).unwrap();
        let same = |(a, b): (&ivt_hal::Channel, &ivt_hal::Channel)| {
            let (before, now) = (a.snapshot.as_ref().unwrap(), b.snapshot.as_ref().unwrap());
            Arc::ptr_eq(&a.encoder, &b.encoder) && Arc::ptr_eq(before, now)
        };
        let channels = running.channels.iter().zip(&device.channels).map(same).collect();
        let cgi = running.cgi.as_ref().zip(device.cgi.as_ref());
        (channels, cgi.is_some_and(|(before, now)| Arc::ptr_eq(before, now)))
    }

    #[test]
    fn a_camera_that_stays_the_same_keeps_its_login() {
        let nvr = format!("[device]\nmodel = 'nvr'\n{}", RTSP.repeat(2));
        let tlss = "[tlss]\nenable = true\nserver = 'h'\nport = 1\n";
        assert_eq!(kept(&nvr, &format!("{nvr}username = 'u'\n")), (vec![true, false], false));
        assert_eq!(kept(&nvr, &format!("{nvr}bitrate = 1\n")), (vec![true, false], false));
        assert_eq!(kept(&nvr, &format!("{nvr}{tlss}")), (vec![true, true], false));
        assert_eq!(kept(RTSP, &format!("{RTSP}{tlss}")), (vec![true], true));
        assert_eq!(kept(RTSP, &format!("{RTSP}username = 'u'\n")), (vec![false], false));
        let limited = format!("{RTSP}{tlss}reply_limit = 65536\n");
        assert_eq!(kept(RTSP, &limited), (vec![false], false));
    }

    #[test]
    fn a_camera_has_the_web_server_of_its_only_channel() {
        let device = described(RTSP);
        assert_eq!((device.model, device.channels.len()), (Model::Camera, 1));
        assert!(device.cgi.is_some());
        assert!(described("[[channel]]\nbackend = 'emulator'\ncommand = ['sh']").cgi.is_none());
        assert!(described(&format!("{RTSP}web_cgi = false\n")).cgi.is_none());
    }

    #[test]
    fn no_web_server_speaks_for_several_cameras() {
        let nvr = "[device]\nmodel = 'nvr'\n";
        for cameras in 1..=2 {
            let device = described(&format!("{nvr}{}", RTSP.repeat(cameras)));
            assert_eq!((device.model, device.channels.len()), (Model::Nvr, cameras));
            assert!(device.cgi.is_none());
            assert!(device.channels.iter().all(|channel| channel.snapshot.is_some()));
        }
    }
}
