use std::sync::{Arc, MutexGuard};

use tempfile::TempDir;

use super::*;
use crate::conformance;
use fake::State;

/// A device whose wpa_supplicant has the networks "home", in use, and "yard", which is enabled, too.
struct Rig {
    root: TempDir,
    state: Arc<Mutex<State>>,
    wifi: SystemWifi,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| None)
    }

    fn with(manners: impl Fn(&str) -> Option<Vec<Vec<u8>>> + Send + 'static) -> Self {
        let root = tempfile::tempdir().unwrap();
        let state = fake::start(root.path(), Box::new(manners));
        let mut begin = state.lock().unwrap();
        begin.current = Some(begin.with(b"home", "\"home-psk\""));
        begin.with(b"yard", "\"yard-psk\"");
        begin.saved = Some(Box::new(begin.clone()));
        drop(begin);
        let wifi = SystemWifi::new(root.path(), None);
        Self { root, state, wifi }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn text(message: &str) -> Option<Vec<Vec<u8>>> {
    Some(vec![message.as_bytes().to_vec()])
}

fn secret(text: &str) -> Secret {
    Secret::untold(text.to_owned())
}

#[tokio::test]
async fn the_connection_is_told_with_its_name_encryption_and_signal() {
    let rig = Rig::with(|command| match command {
        "STATUS" => text(
            "bssid=02:00:00:00:00:01\nfreq=2412\nssid=\\xe5\\x8a\\x9e \\\"5G\\\"\nid=0\n\
            pairwise_cipher=CCMP\nkey_mgmt=SAE\nwpa_state=COMPLETED\nip_address=192.0.2.7\n",
        ),
        "SIGNAL_POLL" => text("RSSI=-54\nLINKSPEED=65\nNOISE=9999\n"),
        _ => None,
    });
    let status = rig.wifi.status().await.unwrap();
    assert_eq!(status.ssid, "\u{529e} \"5G\"");
    assert_eq!(
        (&*status.encrypt, &*status.status, status.signal),
        ("WPA3-SAE", "connected", Some(-54))
    );
    assert_eq!((status.enable, &*status.interface.name, status.password), (true, "wlan0", None));
}

#[tokio::test]
async fn without_a_connection_the_state_is_told_and_no_signal() {
    for (state, enable, status, ssid) in [
        ("SCANNING", true, "scanning", "home"),
        ("4WAY_HANDSHAKE", true, "connecting", "home"),
        ("DISCONNECTED", true, "disconnected", "home"),
        ("INTERFACE_DISABLED", false, "", ""),
    ] {
        let rig = Rig::with(move |command| match command {
            "STATUS" => text(&format!("wpa_state={state}\naddress=02:00:00:00:00:02\n")),
            _ => None,
        });
        let told = rig.wifi.status().await.unwrap();
        assert_eq!(
            (told.enable, &*told.status, &*told.ssid, told.signal),
            (enable, status, ssid, None)
        );
    }
}

#[tokio::test]
async fn networks_in_reach_are_those_of_a_scan_that_has_ended() {
    let rig = Rig::with(|command| {
        match command {
        // The end of the scan is told before the answer to its beginning.
        "SCAN" => Some(vec![b"<2>CTRL-EVENT-SCAN-STARTED ".to_vec(), b"<3>CTRL-EVENT-SCAN-RESULTS ".to_vec(), b"OK\n".to_vec()]),
        "SCAN_RESULTS" => Some(vec![
            b"<3>CTRL-EVENT-BSS-ADDED 3 02:00:00:00:00:01".to_vec(),
            b"bssid / frequency / signal level / flags / ssid\nb\t2412\t-70\t[WPA2-PSK-CCMP][ESS]\thome\n".to_vec(),
        ]),
        _ => None,
    }
    });
    let networks = rig.wifi.networks().await.unwrap();
    assert_eq!((networks.len(), &*networks[0].ssid), (1, "home"));
    let commands = rig.state().commands.clone();
    assert_eq!(commands, ["ATTACH", "SCAN", "DETACH", "SCAN_RESULTS"]);
}

#[tokio::test]
async fn a_network_is_joined_beside_the_others_and_is_kept_when_that_is_said() {
    let rig = Rig::new();
    let quoted = " a#b\"\\ '; $(x)";
    rig.wifi.join(Some("\u{529e} \"5G\""), Some(&secret(quoted))).await.unwrap();
    {
        let state = rig.state();
        let joined = &state.networks[&2];
        assert_eq!(joined["ssid"], "e58a9e2022354722");
        assert_eq!(joined["psk"], format!("\"{quoted}\""));
        assert_eq!(joined["key_mgmt"], "WPA-PSK WPA-PSK-SHA256 SAE");
        assert_eq!((state.current, &*state.disabled), (Some(2), &[0, 1][..]));
        assert_eq!(state.saved.as_ref().unwrap().networks.len(), 2, "not kept yet");
    }
    rig.wifi.keep().await.unwrap();
    assert_eq!(rig.state().saved.as_ref().unwrap().networks.len(), 3);
    rig.state().restart();
    assert_eq!(rig.state().used(), Some(&*format!("\"{quoted}\"")));
}

#[tokio::test]
async fn a_power_cut_brings_the_networks_of_before_back() {
    let rig = Rig::new();
    rig.wifi.join(Some("elsewhere"), Some(&secret("12345678"))).await.unwrap();
    rig.state().restart();
    assert_eq!(rig.state().used(), Some("\"home-psk\""));
    assert_eq!(rig.state().networks.len(), 2);
}

#[tokio::test]
async fn going_back_leaves_nothing_of_the_new_network() {
    let rig = Rig::new();
    let before = rig.wifi.before().await.unwrap().unwrap();
    rig.wifi.join(Some("elsewhere"), Some(&secret("12345678"))).await.unwrap();
    rig.wifi.join(Some("open"), Some(&secret(""))).await.unwrap();
    rig.wifi.go_back(&before).await.unwrap();
    let state = rig.state();
    assert_eq!(state.networks.keys().collect::<Vec<_>>(), [&0, &1]);
    assert_eq!((state.used(), &*state.disabled), (Some("\"home-psk\""), &[][..]));
}

#[tokio::test]
async fn the_file_counts_again_when_the_networks_before_are_gone() {
    let rig = Rig::new();
    let before = rig.wifi.before().await.unwrap().unwrap();
    rig.wifi.join(Some("elsewhere"), Some(&secret("12345678"))).await.unwrap();
    rig.state().networks.retain(|id, _| *id == 2);
    rig.wifi.go_back(&before).await.unwrap();
    {
        let state = rig.state();
        assert_eq!((state.networks.len(), state.used()), (2, Some("\"home-psk\"")));
    }
    let nonsense = rig.wifi.go_back(&secret("1;2")).await.unwrap_err();
    assert_eq!(nonsense.kind, Kind::Invalid);
}

#[tokio::test]
async fn a_wpa_supplicant_that_numbers_its_networks_anew_is_not_led_to_another_one() {
    let rig = Rig::new();
    {
        let mut state = rig.state();
        // The file has home and yard, which have the ids 1 and 2 until the next start.
        state.networks.clear();
        state.current = Some(state.with(b"home", "\"home-psk\""));
        let yard = state.with(b"yard", "\"yard-psk\"");
        state.disabled = vec![yard];
        state.saved = None;
        state.saved = Some(Box::new(state.clone()));
        assert_eq!(state.networks.keys().collect::<Vec<_>>(), [&2, &3]);
    }
    let before = rig.wifi.before().await.unwrap().unwrap();
    rig.wifi.join(Some("third"), Some(&secret("12345678"))).await.unwrap();
    rig.state().restart();
    rig.wifi.go_back(&before).await.unwrap();
    let state = rig.state();
    assert_eq!(state.networks.keys().collect::<Vec<_>>(), [&0, &1]);
    assert_eq!((state.used(), &*state.disabled), (Some("\"home-psk\""), &[1][..]));
}

#[tokio::test]
async fn the_way_back_is_taken_before_anything_is_removed() {
    for answer in ["FAIL\n", "garbage"] {
        let rig = Rig::with(move |command| {
            command.starts_with("REMOVE_NETWORK").then(|| vec![answer.as_bytes().to_vec()])
        });
        let before = rig.wifi.before().await.unwrap().unwrap();
        rig.wifi.join(Some("elsewhere"), Some(&secret("12345678"))).await.unwrap();
        rig.wifi.go_back(&before).await.unwrap();
        let state = rig.state();
        assert!(state.used() == Some("\"home-psk\"") && !state.disabled.contains(&1));
    }
}

#[tokio::test]
async fn a_network_is_joined_when_wpa_supplicant_says_so_of_its_name() {
    for (state, ssid, wanted, joined) in [
        ("COMPLETED", "new", Some("new"), true),
        ("COMPLETED", "\\xe5\\x8a\\x9e", Some("\u{529e}"), true),
        ("COMPLETED", "new", None, true),
        ("COMPLETED", "home", Some("new"), false),
        ("4WAY_HANDSHAKE", "new", Some("new"), false),
        ("SCANNING", "new", None, false),
        ("", "", None, false),
    ] {
        let rig = Rig::with(move |command| match command {
            "STATUS" => text(&format!("ssid={ssid}\nwpa_state={state}\n")),
            _ => None,
        });
        assert_eq!(rig.wifi.is_joined(wanted).await.unwrap(), joined, "{state} {ssid} {wanted:?}");
    }
    let root = tempfile::tempdir().unwrap();
    assert!(SystemWifi::new(root.path(), None).is_joined(None).await.is_err());
}

#[tokio::test]
async fn the_same_name_takes_the_place_of_the_network_before() {
    let rig = Rig::new();
    rig.wifi.join(Some("home"), Some(&secret("another one"))).await.unwrap();
    assert_eq!(rig.state().networks.len(), 3, "until it is kept");
    rig.wifi.keep().await.unwrap();
    assert_eq!(rig.state().networks.keys().collect::<Vec<_>>(), [&1, &2]);
}

#[tokio::test]
async fn what_is_left_out_stays_as_it_is() {
    let rig = Rig::new();
    rig.wifi.join(None, Some(&secret("another one"))).await.unwrap();
    assert_eq!(rig.state().networks[&2]["ssid"], "686f6d65");
    rig.wifi.join(Some("elsewhere"), None).await.unwrap();
    assert_eq!(rig.state().networks[&3]["psk"], "\"another one\"");
    rig.wifi.join(Some("yard"), None).await.unwrap();
    let state = rig.state();
    assert_eq!((state.current, state.networks.len()), (Some(1), 4), "known already");
}

#[tokio::test]
async fn only_keys_that_a_network_can_have_reach_wpa_supplicant() {
    let rig = Rig::new();
    for (ssid, password) in [
        ("", "12345678"),
        ("thirty-three bytes, one too many!", "12345678"),
        ("s", "1234567"),
        ("s", "12345"),
        ("s", &"x".repeat(64)),
        ("s", "line\nbreak"),
        ("s", "12345678\0"),
        ("s", "12345678\x7f"),
        // The real one would not read its file again.
        ("a\"b#c", "12345678"),
    ] {
        let error = rig.wifi.join(Some(ssid), Some(&secret(password))).await.unwrap_err();
        assert_eq!(error.kind, Kind::Invalid, "{ssid:?} {password:?}");
        let checked = rig.wifi.check(Some(ssid), Some(&secret(password))).await.unwrap_err();
        assert_eq!(checked.kind, Kind::Invalid);
    }
    assert!(rig.state().commands.is_empty());
    for (ssid, password) in [("a#b\"c", "12#34\"5678"), ("\u{e9}\"#", "12345678")] {
        rig.wifi.check(Some(ssid), Some(&secret(password))).await.unwrap();
    }
    // A passphrase that its file cannot hold goes there as the key.
    rig.wifi.join(Some("IEEE"), Some(&secret("pass\"w#ord"))).await.unwrap();
    let joined = rig.state().networks[&2].clone();
    assert_eq!((joined["psk"].len(), &*joined["key_mgmt"]), (64, "WPA-PSK"));
    rig.state().networks.remove(&2);
    let raw = "0F".repeat(32);
    rig.wifi.join(Some("raw"), Some(&secret(&raw))).await.unwrap();
    let joined = rig.state().networks[&3].clone();
    assert_eq!((&*joined["psk"], &*joined["key_mgmt"]), (&*raw, "WPA-PSK"));
    rig.wifi.join(Some("open"), Some(&secret(""))).await.unwrap();
    assert_eq!(rig.state().networks[&4]["key_mgmt"], "NONE");
}

#[tokio::test]
async fn one_without_wpa3_joins_without_it_and_one_that_refuses_keeps_nothing() {
    let rig = Rig::with(|command| command.ends_with("SAE").then(|| vec![b"FAIL\n".to_vec()]));
    rig.wifi.join(Some("s"), Some(&secret("12345678"))).await.unwrap();
    assert_eq!(rig.state().networks[&2]["key_mgmt"], "WPA-PSK");
    for refused in ["ADD_NETWORK", "SET_NETWORK", "SELECT_NETWORK", "LIST_NETWORKS"] {
        for answer in ["FAIL\n", "UNKNOWN COMMAND\n", "", "OK and more\n", "-7\n", "99999999999\n"]
        {
            let rig = Rig::with(move |command| {
                command.starts_with(refused).then(|| vec![answer.as_bytes().to_vec()])
            });
            let joined = rig.wifi.join(None, Some(&secret("pa55-w0rd-odd"))).await;
            let error = joined.unwrap_err();
            assert_eq!(error.kind, Kind::Refused, "{refused}: {answer:?}");
            let reason = std::error::Error::source(&error).unwrap().to_string();
            assert!(!reason.contains("odd"), "{reason}");
            if ["SET_NETWORK", "SELECT_NETWORK"].contains(&refused) {
                assert_eq!(rig.state().networks.len(), 2, "{refused}: {answer:?}");
            }
        }
    }
    let rig = Rig::with(|command| (command == "SAVE_CONFIG").then(|| vec![b"FAIL\n".to_vec()]));
    let error = rig.wifi.keep().await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("update_config=1"));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_silent_garbles_or_floods_is_left_in_time() {
    let silent = Rig::with(|_| Some(Vec::new()));
    let start = Instant::now();
    assert_eq!(silent.wifi.status().await.unwrap_err().kind, Kind::Timeout);
    assert_eq!(silent.wifi.networks().await.unwrap_err().kind, Kind::Timeout);
    assert_eq!(silent.wifi.join(Some("s"), None).await.unwrap_err().kind, Kind::Timeout);
    assert!(start.elapsed() <= 3 * DEADLINE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn garbage_and_floods_are_no_answers() {
    let huge = vec![b'x'; 100_000];
    let garbage = Rig::with(move |command| match command {
        "STATUS" => Some(vec![vec![0xff; 3000]]),
        "SCAN_RESULTS" => Some(vec![huge.clone()]),
        "ATTACH" => Some(vec![Vec::new()]),
        _ => Some(vec![b"\xff\0\xfe=\t\t\t\n".to_vec()]),
    });
    assert_eq!(garbage.wifi.status().await.unwrap(), WifiStatus::default());
    assert_eq!(garbage.wifi.networks().await.unwrap(), []);
    assert!(garbage.wifi.join(None, Some(&secret("12345678"))).await.is_err());
    assert!(garbage.wifi.keep().await.is_err());

    let event = b"<3>CTRL-EVENT-BSS-ADDED 1 02:00:00:00:00:01".to_vec();
    let many = Rig::with(move |command| {
        let mut messages = vec![event.clone(); 2_000];
        messages
            .push(if command == "STATUS" { &b"wpa_state=SCANNING\n"[..] } else { b"\n" }.to_vec());
        Some(messages)
    });
    assert_eq!(many.wifi.status().await.unwrap().status, "scanning");
}

#[tokio::test]
async fn a_device_without_wpa_supplicant_is_told_so() {
    let root = tempfile::tempdir().unwrap();
    let wifi = SystemWifi::new(root.path(), None);
    assert_eq!(wifi.status().await.unwrap_err().kind, Kind::Unsupported);
    let rig = Rig::new();
    let other = SystemWifi::new(rig.root.path(), Some("wlan1".into()));
    let error = other.status().await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("wlan1"));
    // A socket that nobody listens at, as of a wpa_supplicant that was killed.
    let path = rig.root.path().join("run/wpa_supplicant/wlan1");
    drop(std::os::unix::net::UnixDatagram::bind(path).unwrap());
    assert_eq!(other.status().await.unwrap_err().kind, Kind::Offline);
}

#[tokio::test]
async fn it_passes_conformance() {
    let rig = Rig::with(|command| match command {
        "STATUS" => text("wpa_state=SCANNING\n"),
        "SCAN" => Some(vec![b"OK\n".to_vec(), b"<3>CTRL-EVENT-SCAN-RESULTS ".to_vec()]),
        "SCAN_RESULTS" => text("b\t2412\t-70\t[ESS]\tx\nb\t2412\t-60\t[ESS]\ty\n"),
        _ => None,
    });
    conformance::wifi(&rig.wifi).await;
}

#[tokio::test]
async fn the_networks_that_need_no_password_are_known_by_name() {
    let rig = Rig::new();
    rig.state().with(b"\xb0\xec", "\"no text\"");
    assert_eq!(rig.wifi.known().await.unwrap(), ["home", "yard"]);
}
