//! Profiles over real sockets.

use super::*;

#[test]
fn every_built_in_profile_is_right() {
    for name in Profile::names() {
        let text = Profile::text(name).unwrap();
        let profile = Profile::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        assert!(!profile.description.recognise.is_empty(), "{name}");
        assert!(profile.dry_run().len() > 4, "{name}");
    }
}
