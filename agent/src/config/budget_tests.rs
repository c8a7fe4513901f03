use proptest::prelude::*;

use super::super::Config;
use super::*;

/// A device with these channels, each the text of its section, and other sections.
fn text(channels: &[String], sections: &str) -> String {
    let channels: String = channels.iter().map(|keys| format!("[[channel]]\n{keys}\n")).collect();
    format!(
        "{sections}\n[cloud]\nurl = 'ws://h/'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [device]\nmodel = 'nvr'\n{channels}"
    )
}

/// The section of a camera without a sub stream, with further keys.
fn camera(keys: &str) -> String {
    format!("backend = 'rtsp'\nmain = 'rtsp://h/a'\n{keys}")
}

fn budget(channels: &[String], sections: &str) -> Budget {
    text(channels, sections).parse::<Config>().unwrap().budget
}

fn refusal(channels: &[String], sections: &str) -> String {
    text(channels, sections).parse::<Config>().unwrap_err().to_string()
}

fn limit(mib: u64) -> String {
    format!("[runtime]\nmemory_limit = {}", mib << 20)
}

const TLSS: &str = "[tlss]\nenable = true\nserver = 'h'\nport = 1\n";
const SUB: &str = "sub = 'rtsp://h/b'";

#[test]
fn by_default_a_camera_has_40_mib_and_each_further_one_8_more() {
    for (count, mib) in [(1, 40), (4, 64), (32, 288), (256, 2080)] {
        let budget = budget(&vec![camera(SUB); count], "");
        assert_eq!(budget.limit, mib << 20, "{count} channels");
        assert_eq!(budget.rings, vec![1 << 20; count], "{count} channels");
    }
}

#[test]
fn by_default_each_channel_can_record_something() {
    for count in [1, 4, 32, 256] {
        let each = budget(&vec![camera(SUB); count], "").recordings / count as u64;
        assert!(each > 3 << 20, "{count} channels: {each}");
    }
    // Clouds ask for three segments of 8 MiB; the rest are the buffers of the session.
    let usual = 26 << 20;
    for sections in ["", "[record]\nspool_dir = '/s'", TLSS, "[runtime]\nworker_threads = 4"] {
        let recordings = budget(&[camera(SUB)], sections).recordings;
        assert!(recordings >= usual, "{sections}: {recordings}");
    }
}

#[test]
fn what_not_every_device_has_raises_the_default() {
    let limit = |sections: &str| budget(&[camera("")], sections).limit;
    let plain = limit("");
    let replies = |bytes: u64| limit(&format!("{TLSS}reply_limit = {bytes}")) - plain;
    assert_eq!(replies(10 << 20), 11 << 20);
    assert_eq!(replies(20 << 20), 22 << 20);
    let spool = limit("[record]\nspool_dir = '/s'") - plain;
    assert!(spool > QUEUE_BYTES as u64, "{spool}");
    assert_eq!(limit("[runtime]\nworker_threads = 10") - plain, 33 << 20);
}

#[test]
fn a_clip_file_is_counted_once_for_each_stream() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(10 << 20).unwrap();
    let path = file.path().display();
    let limit = |keys: &str| budget(&[format!("backend = 'emulator'\n{keys}")], "").limit;
    assert_eq!(limit(&format!("main = '{path}'")) - limit(""), 11 << 20);
    assert_eq!(limit(&format!("main = '{path}'\nsub = '{path}'")) - limit(""), 22 << 20);
    assert_eq!(limit("main = '/gone'"), limit(""));
}

#[test]
fn rings_shrink_with_the_limit_down_to_a_quarter_mebibyte() {
    let rings = |mib| budget(&[camera(SUB)], &limit(mib)).rings[0];
    assert_eq!([13, 15, 16, 18, 100].map(rings), [1, 2, 3, 4, 4].map(|n| n << 18));
    let message = refusal(&[camera(SUB)], &limit(12));
    assert!(message.contains("2 of 0.25 MiB"), "{message}");
}

#[test]
fn a_stream_that_is_always_on_has_a_ring_for_a_group_of_pictures() {
    let warm = camera("always_on = ['main']");
    assert_eq!(budget(&[warm.clone(), camera("")], "").rings, [2 << 20, 1 << 20]);
    assert_eq!(budget(&[warm], &limit(13)).rings, [1 << 18], "where there is room");
}

#[test]
fn a_ring_that_is_given_stays_as_given() {
    let given = camera("ring_bytes = 5000000");
    let channels = [given, camera("")];
    assert_eq!(budget(&channels, "").rings, [5_000_000, 1 << 20]);
    assert_eq!(budget(&channels, &limit(30)).rings, [5_000_000, 1 << 20]);
    assert!(budget(&channels, &limit(24)).rings[1] < 1 << 20, "others make room");
    let message = refusal(&channels, &limit(20));
    assert!(message.contains("channel 0: 1 of 4.77 MiB (ring_bytes)"), "{message}");
    assert!(message.contains("or lower channel.ring_bytes"), "{message}");
}

#[test]
fn streams_that_nobody_can_ask_for_have_no_ring() {
    let one = budget(&[camera("")], "");
    let two = budget(&[camera(SUB)], "");
    assert_eq!(one.recordings - two.recordings, 1 << 20);
    let all_main = camera(&format!("{SUB}\nquality = {{ ld = 'main', sd = 'main' }}"));
    assert_eq!(budget(&[all_main], ""), one);
    let warm = camera(&format!(
        "{SUB}\nring_bytes = 1048576\nalways_on = ['sub']\nquality = {{ ld = 'main', sd = 'main' }}"
    ));
    assert_eq!(budget(&[warm], "").recordings, two.recordings);
}

#[test]
fn what_does_not_fit_is_refused_with_the_sum() {
    let mut channels = vec![camera(""); 3];
    channels.push(camera("ring_bytes = 8388608"));
    let sections = format!("{TLSS}[record]\nspool_dir = '/s'\n{}", limit(40));
    let want = "\
configuration:6: runtime.memory_limit is 40.00 MiB, which does not hold the least:
    6.00 MiB  the program
    3.00 MiB  4 channels
    4.00 MiB  the hosted service: tlss.reply_limit
    7.00 MiB  the spool: its queue and its list of files
    1.50 MiB  rings of each of channels 0 to 2: 1 of 0.25 MiB, and as much as one for a slow server
   16.00 MiB  rings of channel 3: 1 of 8.00 MiB (ring_bytes), and as much as one for a slow server
    4.00 MiB  one recording at least
    4.15 MiB  left between blocks by the allocator
   45.65 MiB  in all
set runtime.memory_limit to 47867495 or more, or lower channel.ring_bytes, or lower \
tlss.reply_limit, or have fewer channels";
    let got = refusal(&channels, &sections);
    assert_eq!(got.split_once(": ").unwrap().1, want.split_once(": ").unwrap().1);
    let enough = sections.replace(&(40u64 << 20).to_string(), "47867495");
    assert_eq!(budget(&channels, &enough).limit, 47_867_495);
}

#[test]
fn the_parts_are_shown_with_their_sum() {
    let shown = budget(&[camera(SUB)], "").to_string();
    let want = "
    6.00 MiB  the program
    0.75 MiB  1 channel
    3.00 MiB  rings of channel 0: 2 of 1.00 MiB, and as much as one for a slow server
   26.61 MiB  recordings; what they leave, rings may take while key frames are large
    3.64 MiB  left between blocks by the allocator
   40.00 MiB  runtime.memory_limit";
    assert_eq!(format!("\n{shown}"), want);
    let both = [camera("always_on = ['main']"), camera("")];
    assert_eq!(
        budget(&both, "").summary(),
        "memory_limit 48.00 MiB: 30.14 MiB for recordings, rings of 1.00 to 2.00 MiB, more while key \
         frames are large"
    );
    let given = budget(&[camera("ring_bytes = 1048576")], "");
    assert!(given.summary().ends_with("rings of 1.00 MiB"), "{}", given.summary());
    assert!(given.to_string().contains(" MiB  recordings\n"), "{given}");
}

fn any_channel() -> impl Strategy<Value = String> {
    let ring = prop_oneof![Just(None), (65_536u32..20_000_000).prop_map(Some)];
    (ring, any::<bool>(), any::<bool>()).prop_map(|(ring, sub, warm)| {
        let ring = ring.map(|bytes| format!("ring_bytes = {bytes}\n")).unwrap_or_default();
        let sub = if sub { SUB } else { "" };
        let warm = if warm { "\nalways_on = ['main']" } else { "" };
        camera(&format!("{ring}{sub}{warm}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is configured, the parts add up to the limit, or the refusal names a limit that
    /// holds them.
    #[test]
    fn the_parts_never_exceed_the_limit(
        channels in prop::collection::vec(any_channel(), 1..6),
        memory in (1u64 << 20)..200 << 20,
        tlss in any::<bool>(),
        threads in 0u32..4,
    ) {
        let tlss = if tlss { TLSS } else { "" };
        let with = |limit: u64| {
            let runtime = format!("[runtime]\nworker_threads = {threads}\nmemory_limit = {limit}");
            text(&channels, &format!("{tlss}{runtime}")).parse::<Config>()
        };
        let (budget, memory) = match with(memory) {
            Ok(config) => (config.budget, memory),
            Err(refusal) => {
                let refusal = refusal.to_string();
                let advised = refusal.split("memory_limit to ").nth(1).unwrap();
                let advised: u64 = advised.split(' ').next().unwrap().parse().unwrap();
                prop_assert!(advised > memory);
                prop_assert!(with(advised - advised / 100).is_err(), "less would do");
                (with(advised).unwrap().budget, advised)
            }
        };
        prop_assert_eq!((sum(&budget.parts), budget.limit), (memory, memory));
        prop_assert!(budget.recordings >= RECORDING);
        let held: u64 = budget.rings.iter().map(|ring| *ring as u64).sum();
        prop_assert!(held + budget.recordings < memory);
    }
}
