//! Makes the hardware that the configuration describes.

use ivt_hal::http::Limits;
use ivt_hal::rtsp::UrlError;
use ivt_hal::{Device, Model};

use crate::backend::{CameraOptions, Servers};
use crate::config::Config;

/// Makes the camera or NVR of the configuration, without talking to anybody. `servers` has the clients of its web servers.
///
/// # Errors
/// The address of a camera cannot be used.
pub fn device(config: &Config, servers: &Servers) -> Result<Device, UrlError> {
    let reply_limit = reply_limit(config);
    let (mut channels, mut cgi) = (Vec::new(), Vec::new());
    for (number, channel) in config.channels.iter().enumerate() {
        let options = CameraOptions { bitrates: channel.bitrates, reply_limit, number, servers };
        let camera = channel.backend.camera(options)?;
        channels.push(camera.channel);
        cgi.push(camera.cgi);
    }
    // With several cameras no web server can speak for the whole device.
    let cgi = match (config.model, cgi.len()) {
        (Model::Camera, 1) => cgi.pop().flatten(),
        _ => None,
    };
    Ok(Device { model: config.model, channels, cgi })
}

/// The device after a change of its configuration from `old` to `new`, of the same model and with as
/// many channels. A channel that is described alike is taken over from `running`: its web server's
/// client remembers a refused login. The others share the clients of `servers` with those, as one stream of alarms
/// serves all inputs of a recorder. Talks to nobody.
///
/// # Errors
/// A camera's address that cannot be used; the device and its `servers` stay as they were.
pub(crate) fn changed(
    running: &Device,
    old: &Config,
    new: &Config,
    servers: &mut Servers,
) -> Result<Device, UrlError> {
    let mut next = servers.next();
    let mut device = device(new, &next)?;
    next.settle();
    *servers = next;
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
        device(&config(text), &Servers::default()).unwrap()
    }

    /// Which channels, and whether the web server, are the same ones after a change.
    fn kept(old: &str, new: &str) -> (Vec<bool>, bool) {
        let (old, new) = (config(old), config(new));
        let mut servers = Servers::default();
        let running = device(&old, &servers).unwrap();
        let device = changed(&running, &old, &new, &mut servers).unwrap();
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

    #[tokio::test]
    async fn a_changed_input_shares_the_client_of_the_others() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let challenges = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&challenges);
        let port = crate::testing::web_server(move |request| {
            if request.contains("\r\nauthorization: Digest") {
                return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xd8".to_vec();
            }
            asked.fetch_add(1, Ordering::Relaxed);
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"n\", qop=\"auth\"\r\n\
              Content-Length: 0\r\n\r\n"
                .to_vec()
        })
        .await;
        let channel = format!(
            "[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://h/a'\nweb = 'http://127.0.0.1:{port}'\n\
             snapshot = '/a.jpg'\nusername = 'u'\npassword = 'p'\n"
        );
        let both =
            |keys: &str| config(&format!("[device]\nmodel = 'nvr'\n{channel}{channel}{keys}"));
        let [old, new] = [both(""), both("bitrate = 1\n")];
        let mut servers = Servers::default();
        let mut running = device(&old, &servers).unwrap();
        let picture = async |device: &Device| {
            let camera = device.channels[1].snapshot.clone().unwrap();
            camera.jpeg(ivt_hal::Stream::Main).await.unwrap();
        };
        picture(&running).await;
        for (from, to) in [(&old, &new), (&new, &old)] {
            let was = Arc::clone(running.channels[1].snapshot.as_ref().unwrap());
            running = changed(&running, from, to, &mut servers).unwrap();
            assert!(!Arc::ptr_eq(&was, running.channels[1].snapshot.as_ref().unwrap()));
            picture(&running).await;
        }
        assert_eq!(challenges.load(Ordering::Relaxed), 1, "one challenge for all of them");
        // A server that is no longer spoken to is forgotten.
        let elsewhere = config(
            "[device]\nmodel = 'nvr'\n[[channel]]\nbackend = 'emulator'\n[[channel]]\nbackend = 'emulator'\n",
        );
        running = changed(&running, &old, &elsewhere, &mut servers).unwrap();
        picture(&changed(&running, &elsewhere, &old, &mut servers).unwrap()).await;
        assert_eq!(challenges.load(Ordering::Relaxed), 2);
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
