//! The trusted comment of a firmware's signature: what is read is within its bounds, and the same after being printed and read again.
#![no_main]

use ivt_hal::manifest::{LONGEST, Manifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|comment: &[u8]| {
    let Ok(text) = std::str::from_utf8(comment) else { return };
    let manifest = match text.parse::<Manifest>() {
        Ok(manifest) => manifest,
        Err(error) => {
            assert!(error.to_string().len() < 200, "{error}");
            return;
        }
    };
    assert!(text.len() <= LONGEST && text.is_ascii());
    for name in [&manifest.model, &manifest.version] {
        assert!((1..=128).contains(&name.len()) && !name.contains(' '), "{name:?}");
    }
    assert!(manifest.size > 0);
    let printed = manifest.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(&manifest), "{printed}");
});
