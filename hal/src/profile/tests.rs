//! Profiles over real sockets, at cameras that answer as their families do.

mod alarms;
mod answers;
mod changes;
mod clock;
mod families;
mod mistakes;
mod settings;

use std::sync::{Arc, Mutex};

use super::*;
use crate::http::fake::Camera;

/// An answer of HTTP.
fn http(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A built-in profile's channel at a fake camera.
fn channel(name: &str, http: &Http, input: u16) -> Channel {
    let profile = Arc::new(Profile::builtin(name).unwrap());
    profile.channel(http, &Options { input, ..Options::default() }).unwrap()
}

/// The first lines of the requests, with their bodies.
fn lines(camera: &Camera) -> Vec<String> {
    let line = |request: String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().replace(" HTTP/1.1", "");
        format!("{line} {body}").trim_end().to_owned()
    };
    camera.requests().into_iter().map(line).collect()
}

/// Something that a fake camera keeps.
type Kept<T> = Arc<Mutex<T>>;

#[test]
fn every_built_in_profile_is_right() {
    for name in Profile::names() {
        let text = Profile::text(name).unwrap();
        let profile = Profile::parse(name, &text).unwrap_or_else(|error| panic!("{error}"));
        assert!(!profile.description.recognise.is_empty(), "{name}");
        let lines = profile.dry_run();
        assert!(lines.len() > 4, "{name}");
        for line in lines {
            // Only a direction that the family lacks is no request.
            let fails = line.lines().last().unwrap().starts_with("the ");
            let is_zoom = line.contains("zoom") && *name == "majestic";
            assert!(!fails || is_zoom, "{name}: {line}");
        }
    }
}
