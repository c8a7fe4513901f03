//! A cloud that asks an NVR for everything at once.

use ivt_agent::config::Config;
use ivt_sim::cloud::{CloudOptions, CloudSim, Direction};
use ivt_tests::{DEVICE, PATIENCE, hasty, soon};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, timeout};

const CHANNELS: usize = 40;

#[tokio::test]
async fn an_nvr_that_is_asked_for_everything_at_once_answers_in_order_and_in_time() {
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let config: Config = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n[device]\nmodel = 'nvr'\n{}",
        cloud.device_url(),
        "[[channel]]\nbackend = 'emulator'\n".repeat(CHANNELS),
    )
    .parse()
    .unwrap();
    let agent = hasty(&config);
    let device = cloud.device(DEVICE);
    soon("the agent logs in", device.wait_online()).await;

    let (_, mut packets) = device.packets();
    let asked = Instant::now();
    for seq in 0..2 * CHANNELS {
        let (channel, name) = (seq % CHANNELS, format!("s{}", seq % CHANNELS));
        let (method, params) = if seq < CHANNELS {
            let params = json!({ "channel": channel, "quality": "ld", "url": cloud.rtmp_url(&name),
                                 "stream_id": name, "max_bitrate": 0 });
            ("RTMPPublish", params)
        } else {
            let params = json!({ "channel": channel, "session_id": name, "quality": "ld",
                                 "max_bitrate": 0, "seg_duration": 5, "seg_max_size": 256 << 10,
                                 "seg_max_count": 3, "prerecord_seconds": 0, "start_ts": 0,
                                 "cbk_url": cloud.record_url(&name).as_str() });
            ("StartCloudRecord", params)
        };
        let request = json!({ "req": method, "params": params, "seq": 1000 + seq });
        device.send_raw(request.to_string()).await.unwrap();
    }
    let mut next = 0;
    while next < 2 * CHANNELS {
        let packet = timeout(PATIENCE, packets.recv()).await.unwrap().unwrap();
        assert!(packet.direction != Direction::Note, "{}", packet.text);
        let said: Value = serde_json::from_str(&packet.text).unwrap();
        if packet.direction != Direction::FromDevice || said.get("req").is_some() {
            continue;
        }
        assert_eq!(said, json!({ "seq": 1000 + next, "resp": {} }));
        next += 1;
    }
    assert!(asked.elapsed() <= Duration::from_secs(18), "{:?}", asked.elapsed());
    assert_eq!(device.logins(), 1);
    agent.stop().await;
}
