use super::super::camera::{PCMA, PLAIN, PLAIN_SPS, PPS, h264, rtp, sdp};
use super::super::sdp::Description;
use super::super::tracks;
use super::*;

const KEY: &[u8] = b"\x65\x88\x84key";
const OTHER: &[u8] = b"\x41\x9a\x24other";

fn media() -> Media {
    of(&[&h264(PLAIN)])
}

fn of(tracks: &[&str]) -> Media {
    let description = Description::parse(sdp(tracks).as_bytes()).unwrap();
    Media::new(tracks::choose(&description).unwrap(), Identity { ssrc: 1, name: 1 })
}

/// A session with pictures on channels 0 and 1, and sound on 2 and 3.
fn with_sound() -> Media {
    let mut media = of(&[&h264(PLAIN), PCMA]);
    media.set_path(TrackKind::Video, Path::Channels(0, 1));
    media.set_path(TrackKind::Audio, Path::Channels(2, 3));
    media
}

/// A sender report of the track with this number (its SSRC is one more).
fn sender_report(track: u8, ntp_ms: u64, timestamp: u32) -> Vec<u8> {
    let (seconds, ms) = (3_900_000_000 + ntp_ms / 1000, ntp_ms % 1000);
    let ntp = (seconds << 32) + (ms << 32) / 1000;
    let mut report = vec![0x80, 200, 0, 6, 0, 0, 0, track + 1];
    report.extend(ntp.to_be_bytes());
    report.extend(timestamp.to_be_bytes());
    report.extend([0; 8]);
    report
}

fn times(media: &mut Media) -> Vec<(bool, i64)> {
    std::iter::from_fn(|| media.poll()).map(|frame| (frame.is_video(), frame.pts)).collect()
}

fn send(media: &mut Media, number: u16, nal: &[u8], size: usize) {
    let mut nal = nal.to_vec();
    nal.resize(size.max(nal.len()), b'x');
    let packet = rtp(0, number, u32::from(number) * 3600, true, &nal);
    media.handle_packet(TrackKind::Video, &packet, Instant::now());
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

#[test]
fn the_camera_is_told_every_five_seconds_how_each_track_is_received() {
    let (mut media, start) = (with_sound(), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(media.poll_reports(at(0)).is_empty());
    assert_eq!(media.poll_timeout(), Some(at(5)));
    assert!(media.poll_reports(at(5)).is_empty(), "there is nothing to tell");
    media.handle_interleaved(0, &rtp(0, 7, 0, true, KEY), at(6));
    media.handle_interleaved(2, &rtp(1, 9, 0, true, &[0; 160]), at(6));
    let reports = media.poll_reports(at(10));
    let told: Vec<_> =
        reports.iter().map(|(track, path, bytes)| (*track, *path, bytes[1])).collect();
    let want = [
        (TrackKind::Video, Path::Channels(0, 1), 201),
        (TrackKind::Audio, Path::Channels(2, 3), 201),
    ];
    assert_eq!(told, want);
    assert_eq!(reports[0].2[8..12], [0, 0, 0, 1], "of the picture's source");
    assert_eq!(reports[1].2[16..20], [0, 0, 0, 9], "the newest packet of the sound");
    assert!(media.poll_reports(at(14)).is_empty());
    assert_eq!(media.poll_reports(at(15)).len(), 2);
}

#[test]
fn what_is_missing_for_a_picture_is_told() {
    let mut media = of(&["m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"]);
    let mut after = |packets: &[&[u8]]| {
        for nal in packets {
            let number = media.packets as u16;
            let packet = rtp(0, number, u32::from(number) * 3600, true, nal);
            media.handle_packet(TrackKind::Video, &packet, Instant::now());
        }
        (media.stage(), media.has_arrived())
    };
    assert_eq!(after(&[]), (Stage::Silent, false));
    assert_eq!(after(&[b"\x06\x05\x01\xff\x80"]), (Stage::Packets, false));
    assert_eq!(after(&[OTHER]), (Stage::NoParameterSets, false));
    assert_eq!(after(&[PLAIN_SPS, PPS]), (Stage::NoKey, true));
    assert_eq!(after(&[KEY, OTHER, OTHER]), (Stage::Flowing, true));
    let mut described = self::media();
    described.handle_packet(
        TrackKind::Video,
        &rtp(0, 1, 0, true, b"\x06\x05\x01\xff\x80"),
        Instant::now(),
    );
    assert_eq!(described.stage(), Stage::NoPictures);
}

#[test]
fn a_payload_type_that_was_not_described_is_told_and_then_believed() {
    let mut media = media();
    let other = |number: u16| {
        let mut packet = rtp(0, number, u32::from(number) * 3600, true, KEY);
        packet[1] = 0x80 | 97;
        packet
    };
    media.handle_packet(TrackKind::Video, &other(0), Instant::now());
    assert_eq!(media.stage(), Stage::Foreign(97, 96));
    assert!(media.stage().to_string().contains("97"));
    for number in 1..40 {
        media.handle_packet(TrackKind::Video, &other(number), Instant::now());
    }
    assert_eq!(media.stage(), Stage::Flowing);
}

#[test]
fn a_track_that_has_its_payload_type_keeps_it() {
    let mut media = media();
    send(&mut media, 0, KEY, 0);
    for number in 1..100u16 {
        let mut packet = rtp(0, number, 0, true, b"something else");
        packet[1] = 97;
        media.handle_packet(TrackKind::Video, &packet, Instant::now());
    }
    send(&mut media, 100, OTHER, 0);
    send(&mut media, 101, OTHER, 0);
    assert_eq!(times(&mut media).len(), 2, "and what it passed over was not missing");
    assert_eq!((media.losses().packets, media.losses().skipped), (0, 99));
}

#[test]
fn channels_nobody_settled_count_only_where_no_other_is_used() {
    let now = Instant::now();
    let mut media = with_sound();
    media.handle_interleaved(8, &rtp(0, 1, 0, true, KEY), now);
    media.handle_interleaved(8, &rtp(0, 2, 3600, true, OTHER), now);
    assert_eq!(times(&mut media).len(), 1, "some cameras use others than they say");
    let mut media = with_sound();
    media.handle_interleaved(0, &rtp(0, 1, 0, true, KEY), now);
    media.handle_interleaved(8, &rtp(0, 500, 0, true, OTHER), now);
    media.handle_interleaved(0, &rtp(0, 2, 3600, true, OTHER), now);
    media.handle_interleaved(0, &rtp(0, 3, 7200, true, OTHER), now);
    assert_eq!(times(&mut media), [(true, 0), (true, 3600)]);
    assert_eq!(media.losses().skipped, 1);
}

#[test]
fn both_tracks_on_one_channel_are_told_apart_by_their_payload_types() {
    let (mut media, now) = (with_sound(), Instant::now());
    for n in 0..3u16 {
        media.handle_interleaved(
            0,
            &rtp(0, n, u32::from(n) * 3600, true, if n == 0 { KEY } else { OTHER }),
            now,
        );
        media.handle_interleaved(0, &rtp(1, n, u32::from(n) * 320, true, &[0; 320]), now);
    }
    let frames = times(&mut media);
    assert_eq!(frames.iter().filter(|(video, _)| *video).count(), 2);
    assert_eq!(frames.iter().filter(|(video, _)| !*video).count(), 3);
}

#[test]
fn sender_reports_bring_sound_and_picture_together() {
    let (mut media, start) = (with_sound(), Instant::now());
    // The sound begins with the picture by its timestamps, and 300 ms before it by the wall clock.
    let mut last = Vec::new();
    for n in 0..200u16 {
        let now = start + Duration::from_millis(40) * n.into();
        let (video, audio) = (u32::from(n) * 3600, u32::from(n) * 320);
        if n % 100 == 0 {
            let ms = u64::from(n) * 40;
            media.handle_interleaved(1, &sender_report(0, 1_000 + ms, video), now);
            media.handle_interleaved(3, &sender_report(1, 700 + ms, audio), now);
        }
        media.handle_interleaved(0, &rtp(0, n, video, true, if n == 0 { KEY } else { OTHER }), now);
        media.handle_interleaved(2, &rtp(1, n, audio, true, &[0; 320]), now);
        last.extend(times(&mut media));
    }
    let newest = |video| last.iter().rev().find(|(is, _)| *is == video).unwrap().1;
    let apart = newest(true) - newest(false);
    assert!((apart - 27_000).abs() <= 3600, "{apart} ticks, 300 ms are 27000");
    let sounds: Vec<_> = last.iter().filter(|(video, _)| !*video).map(|(_, pts)| *pts).collect();
    assert!(sounds.windows(2).all(|pair| pair[0] < pair[1]), "never back");
}

#[test]
fn a_wrong_beginning_of_the_picture_makes_that_of_the_sound_worthless() {
    let now = Instant::now();
    for (told, want) in [(0, 8 * 1000 / 8 * 90), (4_000_000_000, 0)] {
        let mut media = with_sound();
        media.start_at(&[Some(told), Some(0)]);
        media.handle_interleaved(2, &rtp(1, 0, 7680, true, &[0; 320]), now);
        media.handle_interleaved(0, &rtp(0, 0, 90_000, true, KEY), now);
        media.handle_interleaved(0, &rtp(0, 1, 93_600, true, OTHER), now);
        media.handle_interleaved(2, &rtp(1, 1, 8000, true, &[0; 320]), now);
        media.handle_interleaved(0, &rtp(0, 2, 97_200, true, OTHER), now);
        let sound = times(&mut media).into_iter().find(|(video, _)| !video).unwrap();
        assert_eq!(sound.1, want, "the picture begins at {told}, it is said");
    }
}
