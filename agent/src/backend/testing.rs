//! Cameras of a configuration, for tests.

use super::*;
use crate::config::{self, Config, Error};

fn parsed(keys: &str) -> Result<config::Channel, Error> {
    let text = format!(
        "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n[[channel]]\n{keys}"
    );
    Ok(text.parse::<Config>()?.channels.remove(0))
}

/// The backend of a channel with these keys.
pub(super) fn described(keys: &str) -> Backend {
    parsed(keys).unwrap().backend
}

/// Why a channel with these keys is refused. Line 5 is its header.
pub(super) fn refused(keys: &str) -> String {
    parsed(keys).err().unwrap_or_else(|| panic!("accepted: {keys}")).to_string()
}

/// The camera of a channel with these keys.
pub(super) fn camera(keys: &str) -> Camera {
    limited(keys, 1 << 20)
}

/// The same with so many bytes for an answer to the hosted service.
pub(super) fn limited(keys: &str, reply_limit: usize) -> Camera {
    let channel = parsed(keys).unwrap();
    let servers = Servers::default();
    let options =
        CameraOptions { bitrates: channel.bitrates, reply_limit, number: 0, servers: &servers };
    channel.backend.camera(options).unwrap()
}
