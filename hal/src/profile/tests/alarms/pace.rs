//! Cameras that say nothing for long, and cameras that say the same again and again.

use super::*;

#[tokio::test]
async fn the_silence_of_a_stream_is_minutes_and_a_missed_heartbeat_less() {
    const BEAT: &str = "--myboundary\r\nContent-Length:9\r\n\r\nHeartbeat\r\n\r\n";
    let noise = "--myboundary\r\n\r\nCode=VideoMotionInfo;action=State;index=0\r\n";
    let (one, two) = (BEAT.to_owned(), BEAT.repeat(2));
    let hikvision = Live::talking().await;
    let dahua = Live::talking().await;
    for (live, speech, seconds) in [
        (&hikvision, alert("videoloss", "inactive", ""), 300),
        // Heartbeats may come, and one or none is not believed to be all three times.
        (&dahua, noise.into(), 15),
        (&dahua, one.clone(), 15),
        (&dahua, noise.into(), 15),
        (&dahua, noise.into(), 300),
        (&dahua, one, 300),
        (&dahua, two, 15),
        (&dahua, noise.into(), 15),
    ] {
        let name = if std::ptr::eq(live, &hikvision) { "hikvision" } else { "dahua" };
        let mut ear = Ear::new(name, live, 1).await;
        live.say(&speech);
        // Another word follows so that the first one is known to have been taken.
        let (motion, wanted) = match name {
            "dahua" => ("Code=VideoMotion;action=Start;index=0\r\n".to_owned(), BEGINS),
            _ => (alert("VMD", "active", "<channelID>1</channelID>"), DETECTED),
        };
        live.say(&motion);
        assert_eq!(ear.signal().await, (Trigger::Motion, wanted));
        pass(Duration::from_secs(seconds - 5)).await;
        sleep(Duration::from_millis(20)).await;
        assert!(!ear.task.is_finished(), "{name} after {seconds}");
        pass(Duration::from_secs(10)).await;
        assert_eq!(ear.next().await, None);
        assert_eq!(ear.task.await.unwrap().kind, Kind::Timeout, "{name} after {seconds}");
    }
}

#[tokio::test]
async fn every_line_crossing_is_told_however_soon_the_next_one_follows() {
    let live = Live::talking().await;
    let mut ear = Ear::new("hikvision", &live, 1).await;
    for _ in 0..5 {
        live.say(&alert("linedetection", "active", "<channelID>1</channelID>"));
        assert_eq!(ear.signal().await, (Trigger::Line, DETECTED));
    }
}

#[tokio::test]
async fn what_is_held_is_not_told_with_each_picture() {
    let live = Live::talking().await;
    let mut ear = Ear::new("dahua", &live, 1).await;
    for _ in 0..500 {
        live.say("Code=VideoMotion;action=Start;index=0\r\n");
    }
    live.say("Code=AlarmLocal;action=Start;index=0\r\n");
    let mut told = 0;
    while ear.signal().await == (Trigger::Motion, BEGINS) {
        told += 1;
    }
    assert!((1..50).contains(&told), "told {told} times");
    // One that has ended begins anew, however soon.
    for _ in 0..20 {
        live.say(
            "Code=VideoMotion;action=Stop;index=0\r\nCode=VideoMotion;action=Start;index=0\r\n",
        );
        assert_eq!(ear.signal().await, (Trigger::Motion, ENDS));
        assert_eq!(ear.signal().await, (Trigger::Motion, BEGINS));
    }
}
