use super::super::camera::{PLAIN, h264, rtp, sdp};
use super::super::sdp::Description;
use super::super::tracks;
use super::*;

const KEY: &[u8] = b"\x65\x88\x84key";
const OTHER: &[u8] = b"\x41\x9a\x24other";

fn media() -> Media {
    let description = Description::parse(sdp(&[&h264(PLAIN)]).as_bytes()).unwrap();
    Media::new(tracks::choose(&description).unwrap(), Identity { ssrc: 1, name: 1 })
}

fn send(media: &mut Media, number: u16, nal: &[u8], size: usize) {
    let mut nal = nal.to_vec();
    nal.resize(size.max(nal.len()), b'x');
    let packet = rtp(0, number, u32::from(number) * 3600, true, &nal);
    media.handle_packet(Which::Video, &packet, Instant::now());
}

#[test]
fn pictures_that_nobody_takes_fill_no_memory() {
    for (nal, size) in [(OTHER, 60_000), (OTHER, 0)] {
        let mut media = media();
        send(&mut media, 0, KEY, 0);
        for number in 1..=20_000 {
            send(&mut media, number, nal, size);
        }
        let held: usize = media.ready.iter().map(|frame| frame.data.len() + FRAME).sum();
        assert_eq!(held, media.waiting);
        assert!((MOST_WAITING..MOST_WAITING + 100_000).contains(&held), "{held} bytes");
        let kept = std::iter::from_fn(|| media.poll()).count();
        assert!((60..20_000).contains(&kept), "{kept} pictures");
        assert_eq!(media.waiting, 0);
    }
}

#[test]
fn after_pictures_that_nobody_took_a_key_picture_is_the_next() {
    let mut media = media();
    send(&mut media, 0, KEY, 0);
    for number in 1..100 {
        send(&mut media, number, OTHER, 60_000);
    }
    while media.poll().is_some() {}
    for number in 100..110 {
        send(&mut media, number, OTHER, 0);
    }
    assert!(media.poll().is_none(), "it refers to what was lost");
    assert!(media.losses().frames > 0);
    send(&mut media, 110, KEY, 0);
    send(&mut media, 111, OTHER, 0);
    assert!(media.poll().is_some_and(|frame| frame.key));
}
