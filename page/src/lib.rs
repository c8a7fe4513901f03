#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

/// A file that a browser is sent.
#[derive(Debug)]
pub struct Asset {
    /// Where it is found: `/parts/NAME` for a part of every page, `/NAME` for a file of the device's page.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its entity tag, which differs for any other content.
    pub tag: &'static str,
    /// Its bytes, compressed by gzip.
    pub gzip: &'static [u8],
}

mod assets {
    use super::Asset;
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

#[cfg(feature = "device")]
pub use assets::DEVICE;
pub use assets::PARTS;

#[cfg(all(test, feature = "device"))]
mod tests {
    use super::*;

    /// Most bytes of the device's page, compressed.
    const ROOM: usize = 150 << 10;

    #[test]
    fn the_page_of_the_device_fits_its_room() {
        let sizes = DEVICE.iter().chain(PARTS).map(|asset| asset.gzip.len());
        let whole: usize = sizes.sum();
        assert!(whole <= ROOM, "{whole} bytes, of {ROOM}");
    }

    #[test]
    fn the_page_of_the_device_is_complete() {
        let index = include_str!("../device/index.html");
        let named: Vec<_> = index.split('"').filter(|part| part.starts_with('/')).collect();
        for path in named.iter().chain(&["/index.html"]) {
            assert!(DEVICE.iter().chain(PARTS).any(|asset| asset.path == *path), "{path}");
        }
        assert!(named.len() >= 4, "{named:?}");
    }
}
