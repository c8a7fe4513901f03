//! Packets of an H.265 track. Every picture is well formed, and no more than one is held.
#![no_main]

use ivt_media::frame::VideoCodec;
use ivt_media_fuzz::video;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    video::run(VideoCodec::H265, input);
});
