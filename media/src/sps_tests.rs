use super::*;

fn reorder_depth(nal: &[u8]) -> Option<usize> {
    h264(nal)?.reorder_depth
}

fn nal(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|d| u8::from_str_radix(str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

// From x264 and x265, 320x180 at 25 fps.
const H264_PYRAMID: &str = "6764000cacd941419f9f011000000300100000030320f1429960";
const H264_HIGH: &str = "6764000cacb202833f3e0220000003002000000641e28549";
const H264_BASELINE: &str = "6742c00cd901419f9f011000000300100000030320f142a480";
const H265_PYRAMID: &str = "42010101600000030090000003000003003ca00a080b9f796565924caf01680800\
                            0003000800000300c840";
const H265_PLAIN: &str = "42010101600000030090000003000003003ca00a080b9f7964a924caf016808000000\
                          3008000000c84";

#[test]
fn depth_is_read_from_the_parameter_sets_of_encoders() {
    assert_eq!(reorder_depth(&nal(H264_PYRAMID)), Some(2));
    assert_eq!(reorder_depth(&nal(H264_HIGH)), Some(0));
    assert_eq!(reorder_depth(&nal(H264_BASELINE)), Some(0));
    for (hex, reorder_depth) in [(H265_PYRAMID, 2), (H265_PLAIN, 0)] {
        // Coded as 320x184: the rest is cut off by the conformance window.
        let sps = h265(&nal(hex)).unwrap();
        assert_eq!((sps.dimensions, sps.reorder_depth), (Some((320, 180)), reorder_depth));
        assert_eq!((sps.id, sps.vps, sps.chroma, sps.depths), (0, 0, 1, [0, 0]));
        assert_eq!((sps.layers, sps.nested), (1, true));
        assert_eq!(sps.profile, [1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60]);
    }
}

#[test]
fn sizes_rates_and_the_shape_of_slices_are_read() {
    for hex in [H264_PYRAMID, H264_HIGH, H264_BASELINE] {
        let sps = h264(&nal(hex)).unwrap();
        assert_eq!(
            (sps.id, sps.dimensions, sps.frame_rate),
            (0, (320, 180), Some((50, 2))),
            "{hex}"
        );
        assert!(sps.frames_only && !sps.separate_planes && sps.frame_num_bits == 4);
    }
    // Coded as 1920x1088 of fields: the rest is cut off.
    let fields = h264(&nal("674d0028da01e0111f68")).unwrap();
    assert_eq!((fields.dimensions, fields.frames_only), ((1920, 1080), false));
}

#[test]
fn what_follows_a_set_or_is_missing_at_its_end_does_not_matter() {
    let whole = nal(H264_HIGH);
    let longer = [&whole[..], b"junk"].concat();
    assert_eq!(h264(&longer), h264(&whole));
    let shorter = h264(&nal(H264_PYRAMID)[..12]).unwrap();
    assert_eq!((shorter.dimensions, shorter.reorder_depth), ((320, 180), None));
}

#[test]
fn the_rate_is_read_from_a_video_parameter_set() {
    let timed = "40010c01ffff01600000030090000003000003003c97030000030001000003001950";
    assert_eq!(h265_vps_frame_rate(&nal(timed)), Some((25, 1)));
    let plain = "40010c01ffff01600000030090000003000003003c959809";
    assert_eq!(h265_vps_frame_rate(&nal(plain)), None);
}

#[test]
fn a_stream_that_does_not_say_has_no_known_depth() {
    // Main profile, order count type 0, no VUI.
    assert_eq!(reorder_depth(&nal("674d001ee9014050")), None);
}

#[test]
fn any_cut_or_flipped_parameter_set_is_survived() {
    for hex in [H264_PYRAMID, H265_PYRAMID] {
        let whole = nal(hex);
        let read = |nal: &[u8]| (h264(nal), h265(nal), h265_vps_frame_rate(nal));
        for cut in 0..whole.len() {
            read(&whole[..cut]);
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            read(&flipped);
        }
    }
}
