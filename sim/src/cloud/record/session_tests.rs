use super::*;

const SECOND: i64 = 1_000_000;

fn session() -> RecordingInfo {
    RecordingInfo { session: "s".into(), ..RecordingInfo::default() }
}

/// The announcement of ten seconds that begin at `start`, in seconds.
fn segment(start: i64, last: Option<&str>, discontinue: bool) -> Create {
    Create {
        content_type: Some("video/mp2t".into()),
        size: 100,
        start: start * SECOND,
        duration: 10 * SECOND,
        last_file_name: last.map(str::to_owned),
        discontinue: Some(discontinue),
    }
}

fn create(info: &mut RecordingInfo, create: Create) -> String {
    info.create(create, "token".into(), Instant::now())
}

fn store(info: &mut RecordingInfo, name: &str, sum: &str, answered: bool) {
    let put_at = (Instant::now(), Instant::now());
    info.store(name, Stored { received: 100, sha256: Some(sum.into()), put_at, answered });
}

fn rules(info: &RecordingInfo) -> Vec<Rule> {
    info.violations.iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_recording_by_the_rules_breaks_none() {
    let mut info = session();
    let first = create(&mut info, segment(0, None, false));
    store(&mut info, &first, "a", true);
    let second = create(&mut info, segment(10, Some(&first), false));
    assert_eq!(info.segment(&first).unwrap().state, SegmentState::Confirmed);
    store(&mut info, &second, "b", true);
    assert_eq!(info.confirm(&second), Ok(()));
    assert_eq!(info.confirm(&second), Ok(()), "its answer may have been lost");
    let third = create(&mut info, segment(50, Some(&second), true));
    info.give_up(&third).unwrap();
    let again = create(&mut info, segment(50, Some(&second), true));
    store(&mut info, &again, "c", true);
    assert_eq!(info.violations, []);
    let stored: Vec<_> = info.stored().map(|segment| segment.start_us / SECOND).collect();
    assert_eq!(stored, [0, 10, 50]);
}

#[test]
fn names_of_no_segment_are_noticed() {
    let mut info = session();
    let first = create(&mut info, segment(0, Some("other"), false));
    for name in ["", "x", "s-1", "s-000001.ts", "t-000000.ts", "s-0.ts", "-18446744073709551615.ts"]
    {
        assert_eq!(info.confirm(name).unwrap_err().0, 404, "{name}");
        assert_eq!(info.give_up(name).unwrap_err().0, 404, "{name}");
        assert!(info.segment(name).is_none());
    }
    assert_eq!(rules(&info), [Rule::UnknownName; 15]);
    assert_eq!(info.confirm(&first).unwrap_err().0, 409);
    assert_eq!(rules(&info)[15..], [Rule::NotUploaded]);
}

#[test]
fn an_upload_left_alone_is_noticed() {
    let mut info = session();
    create(&mut info, segment(0, None, false));
    create(&mut info, segment(10, None, false));
    assert_eq!(rules(&info), [Rule::Unfinished]);
}

#[test]
fn what_the_device_never_heard_of_is_no_fault_of_its() {
    let mut info = session();
    let first = create(&mut info, segment(0, None, false));
    store(&mut info, &first, "a", true);
    let lost = create(&mut info, segment(10, Some(&first), false));
    info.lose_create(&lost);
    let again = create(&mut info, segment(10, Some(&first), false));
    store(&mut info, &again, "b", false);
    store(&mut info, &again, "b", true);
    assert_eq!(info.violations, []);
    assert_eq!(info.segment(&again).unwrap().puts, 2);
}

#[test]
fn sending_again_is_noticed_when_the_device_knew() {
    let mut info = session();
    let first = create(&mut info, segment(0, None, false));
    store(&mut info, &first, "a", true);
    store(&mut info, &first, "a", true);
    assert_eq!(rules(&info), [Rule::RepeatedPut]);
    store(&mut info, &first, "b", true);
    assert_eq!(rules(&info)[1..], [Rule::RepeatedPut, Rule::ChangedBytes]);
    info.give_up(&first).unwrap();
    store(&mut info, &first, "b", true);
    assert_eq!(rules(&info)[3..], [Rule::RepeatedPut]);
    assert_eq!(info.segment(&first).unwrap().state, SegmentState::Failed);
}

#[test]
fn what_is_confirmed_stays_there_when_it_is_given_up() {
    let mut info = session();
    let first = create(&mut info, segment(0, None, false));
    store(&mut info, &first, "a", true);
    info.confirm(&first).unwrap();
    assert_eq!(info.give_up(&first).unwrap_err().0, 409);
    assert_eq!(rules(&info), [Rule::GivenUp]);
    assert_eq!(info.segment(&first).unwrap().state, SegmentState::Confirmed);
}

#[test]
fn sizes_and_types_other_than_announced_are_noticed() {
    let mut info = session();
    let picture =
        Create { content_type: Some("image/jpeg".into()), size: 99, ..segment(0, None, false) };
    let first = create(&mut info, picture);
    store(&mut info, &first, "a", true);
    assert_eq!(rules(&info), [Rule::ContentType, Rule::Size]);
}

#[test]
fn a_start_that_does_not_continue_must_say_so() {
    let mut info = session();
    for (start, discontinue, breaks) in [
        (0, Some(false), false),
        (10 * SECOND + TOLERANCE, Some(false), false),
        (20 * SECOND + 3 * TOLERANCE, Some(false), true),
        (40 * SECOND, Some(true), false),
        (60 * SECOND, None, false),
        (65 * SECOND, Some(false), true),
    ] {
        let before = info.violations.len();
        let name = create(&mut info, Create { start, discontinue, ..segment(0, None, false) });
        store(&mut info, &name, "a", true);
        assert_eq!(info.violations.len() > before, breaks, "{start}");
    }
    assert_eq!(rules(&info), [Rule::Discontinuity; 2]);
}

#[test]
fn notes_are_bounded() {
    let mut info = session();
    for _ in 0..2 * MAX_NOTES {
        let _ = info.give_up("x");
        info.report(1, 10.0);
    }
    assert_eq!((info.violations.len(), info.drops.len()), (MAX_NOTES, MAX_NOTES));
}
