//! Any challenges to a login: it is given up after a few, and what it says is one header line.
//!
//! The first piece has the user name and, behind a colon, the password. Each other one is a 401
//! with the lines of its challenges; with an odd `how`, the request after it is accepted.
#![no_main]

use ivt_base::auth::Credentials;
use ivt_base::auth::{Login, Next};
use ivt_media_fuzz::memory::Memory;
use ivt_media_fuzz::pieces::pieces;
use libfuzzer_sys::fuzz_target;

/// Most login attempts in a row, since cameras lock accounts.
const MOST_RETRIES: u32 = 12;

fuzz_target!(|input: &[u8]| {
    let memory = Memory::begin();
    let mut pieces = pieces(input);
    let named = pieces.next().map(|piece| String::from_utf8_lossy(piece.bytes).into_owned());
    let named = named.unwrap_or_default();
    let (username, password) = named.split_once(':').unwrap_or((&named, ""));
    let credentials = Credentials { username: username.into(), password: password.into() };
    let mut login = Login::new(&credentials);
    assert_eq!(login.authorization("DESCRIBE", "rtsp://camera/"), None);
    let mut retries = 0;
    for piece in pieces {
        let text = String::from_utf8_lossy(piece.bytes);
        match login.challenged(text.lines().map(str::trim)) {
            Next::Retry => retries += 1,
            Next::Unsupported(names) => {
                assert!(names.len() < 500 && !names.contains(char::is_control), "{names:?}");
                return;
            }
            Next::Refused | Next::Unsettled => return,
        }
        assert!(retries <= MOST_RETRIES, "it never gives up");
        if let Some(header) = login.authorization("DESCRIBE", "rtsp://camera/main") {
            assert!(!header.contains(['\r', '\n', '\0']), "{header:?}");
            assert!(header.len() < 8 * (input.len() + 100), "{} bytes", header.len());
        }
        if piece.how & 1 != 0 {
            login.accepted();
            retries = 0;
        }
        assert!(memory.held() <= 64 * (input.len() + 1000), "{} bytes", memory.held());
    }
});
