//! Makes the hardware that the configuration describes.

use ivt_hal::http::Limits;
use ivt_hal::rtsp::UrlError;
use ivt_hal::{Device, Model};

use crate::backend::CameraOptions;
use crate::config::Config;

/// Makes the camera or NVR of the configuration, without talking to anybody.
///
/// # Errors
/// The address of a camera cannot be used.
pub fn device(config: &Config) -> Result<Device, UrlError> {
    let usual = Limits::default().body;
    let reply_limit = config.tlss.as_ref().map_or(usual, |tlss| tlss.reply_limit);
    let (mut channels, mut servers) = (Vec::new(), Vec::new());
    for channel in &config.channels {
        let options = CameraOptions { bitrates: channel.bitrates, reply_limit };
        let camera = channel.backend.described().camera(options)?;
        channels.push(camera.channel);
        servers.push(camera.cgi);
    }
    // With several cameras no web server can speak for the whole device.
    let cgi = match (config.model, servers.len()) {
        (Model::Camera, 1) => servers.pop().flatten(),
        _ => None,
    };
    Ok(Device { model: config.model, channels, cgi })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTSP: &str = "[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://h/a'\nweb = 'http://h'\n";

    fn described(text: &str) -> Device {
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n";
        device(&format!("{cloud}{text}").parse().unwrap()).unwrap()
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
