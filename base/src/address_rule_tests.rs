use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::resolver::testing::answer;

fn allowing(entries: &[&str]) -> AddressRule {
    let allowed = entries.iter().map(|entry| AllowedHost::parse(entry).unwrap()).collect();
    AddressRule::new(Terms { allowed, ..Terms::default() })
}

/// Whether the rule lets the cloud name this host, at port 80.
async fn takes(rule: &AddressRule, host: &str) -> bool {
    rule.check(host, 80).await.is_ok()
}

#[tokio::test]
async fn addresses_of_this_device_its_link_and_of_crowds_are_refused_in_every_notation() {
    let rule = AddressRule::default();
    for host in [
        "127.0.0.1",
        "127.255.255.254",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "0",
        "0.1.2.3",
        "169.254.169.254",
        "0xa9fea9fe",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:0.0.0.0",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::127.0.0.1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "2001:0:102:304:0:0:80ff:fffe",
        "2001:0:7f00:1::",
        "2001:db8::5efe:127.0.0.1",
        "2001:db8::200:5efe:127.0.0.1",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "ff0e::1",
    ] {
        assert!(!takes(&rule, host).await, "{host}");
    }
    for host in [
        "10.0.0.1",
        "172.16.0.9",
        "192.168.1.9",
        "100.64.0.1",
        "198.51.100.1",
        "1.1.1.1",
        "3232235786",
        "::ffff:192.168.1.9",
        "64:ff9b::c0a8:109",
        "fd00::9",
        "2001:db8::1",
        "2002:c0a8:109::1",
    ] {
        assert!(takes(&rule, host).await, "{host}");
    }
}

proptest! {
    /// No way to write an address of the loopback, alone or inside another one, is allowed.
    #[test]
    fn a_loopback_address_is_refused_however_it_is_embedded(low in 0u32..1 << 24, form in 0usize..8) {
        let v4 = Ipv4Addr::from_bits(0x7f00_0000 | low);
        let bits = u128::from(v4.to_bits());
        let v6 = match form {
            0 => bits | 0xffff << 32,
            1 => bits,
            2 => bits | 0xffff << 48,
            3 => bits | 0x64_ff9b << 96,
            4 => bits << 80 | 0x2002 << 112 | u128::from(low),
            5 => (bits ^ 0xffff_ffff) | 0x2001_0000 << 96 | 0x0102_0304 << 64,
            6 => bits | 0x5efe << 32 | 0x2001_0db8 << 96,
            _ => bits | 0x64_ff9b_0001 << 80,
        };
        for address in [IpAddr::V4(v4), IpAddr::V6(Ipv6Addr::from_bits(v6))] {
            let refusal = Terms::default().refusal("h", (address, 80).into(), &nobody());
            prop_assert!(refusal.is_some(), "{address}");
        }
    }

    /// An address is within exactly those networks that share its first bits.
    #[test]
    fn a_network_holds_what_shares_its_bits(address: u32, other: u32, length in 0u8..=32) {
        let (address, other) = (Ipv4Addr::from_bits(address), Ipv4Addr::from_bits(other));
        let shared = (address.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(length);
        for text in [format!("{address}/{length}"), format!("::ffff:{address}/{}", 96 + length)] {
            let network = AllowedHost::parse(&text).unwrap();
            prop_assert_eq!(network.covers("h", other.into()), shared);
        }
    }
}

fn nobody() -> Hosts {
    Hosts { cloud: Vec::new(), login: None, cameras: Vec::new() }
}

#[tokio::test]
async fn names_are_judged_by_what_they_resolve_to() {
    let rule = AddressRule::default();
    answer("metadata.test", &[&[[169, 254, 169, 254].into()]]);
    assert!(!takes(&rule, "metadata.test").await);
    answer("mixed.test", &[&[Ipv6Addr::LOCALHOST.into(), [192, 168, 1, 9].into()]]);
    let found = resolver::resolve("mixed.test", 80, &resolver::CLOUD).await.unwrap();
    let admitted = rule.admitted("mixed.test", found).await.unwrap();
    assert_eq!(admitted, ["192.168.1.9:80".parse().unwrap()], "only what may be connected to");
    assert!(takes(&rule, "nobody.invalid").await, "whoever connects is told");
}

#[tokio::test]
async fn the_clouds_own_host_is_always_allowed() {
    let rule = AddressRule::for_cloud("127.0.0.1");
    for host in ["127.0.0.1", "127.1", "2130706433", "::ffff:127.0.0.1", "localhost"] {
        assert!(takes(&rule, host).await, "{host}");
    }
    assert!(!takes(&rule, "127.0.0.2").await);
    assert!(!takes(&rule, "::1").await);

    answer("cloud.test", &[&[Ipv4Addr::LOCALHOST.into()]]);
    let rule = AddressRule::for_cloud("Cloud.test.");
    for host in ["cloud.test", "CLOUD.TEST."] {
        let found = vec![(Ipv4Addr::LOCALHOST, 1).into()];
        assert!(rule.admitted(host, found).await.is_ok(), "{host}");
    }
    let rule = AddressRule::for_cloud("cloud.test");
    assert!(takes(&rule, "127.0.0.1").await, "the address that the name has");
    let listed = Terms {
        cloud: "cloud.test".into(),
        allowed: vec![AllowedHost::parse("store.test").unwrap()],
        ..Terms::default()
    };
    rule.exchange(listed);
    assert!(takes(&rule, "cloud.test").await, "a list does not keep the cloud out");
    assert!(!takes(&rule, "192.168.1.9").await);
}

#[tokio::test]
async fn a_cloud_elsewhere_does_not_move_in_by_its_name() {
    answer("flip.test", &[&[Ipv4Addr::LOCALHOST.into(), [192, 168, 1, 9].into()]]);
    let rule = AddressRule::for_cloud("flip.test");
    assert!(takes(&rule, "127.0.0.1").await, "the login may go there");
    resolver::works("flip.test", [203, 0, 113, 9].into());
    let found = resolver::resolve("flip.test", 80, &resolver::CLOUD).await.unwrap();
    let admitted = rule.admitted("flip.test", found).await.unwrap();
    assert_eq!(admitted, ["192.168.1.9:80".parse().unwrap()]);
    assert!(!takes(&rule, "127.0.0.1").await);
    resolver::works("flip.test", Ipv4Addr::LOCALHOST.into());
    assert!(takes(&rule, "127.0.0.1").await);
}

#[tokio::test]
async fn cameras_are_refused_by_address_and_by_name() {
    answer("camera.test", &[&[[192, 168, 1, 51].into()]]);
    answer("alias.test", &[&[[192, 168, 1, 50].into()]]);
    let cameras = vec![("192.168.1.50".into(), 80), ("camera.test".into(), 8080)];
    let terms = Terms { cloud: "192.168.1.60".into(), cameras, ..Terms::default() };
    let rule = AddressRule::new(terms.clone());
    for host in ["192.168.1.50", "192.168.1.51", "camera.test", "alias.test", "::ffff:192.168.1.50"]
    {
        for port in [80, 8080, 443] {
            let refused = rule.check(host, port).await.unwrap_err();
            assert!(refused.to_string().contains("camera's"), "{host}:{port}: {refused}");
        }
    }
    assert!(takes(&rule, "64:ff9b::192.168.1.52").await);
    assert!(!takes(&rule, "64:ff9b::192.168.1.50").await);
    assert!(takes(&rule, "192.168.1.52").await);

    // A network is not meant for the cameras in it; an address is, but never for a web server.
    let entries = |entry: &str| vec![AllowedHost::parse(entry).unwrap()];
    rule.exchange(Terms { allowed: entries("192.168.1.0/24"), ..terms.clone() });
    assert!(takes(&rule, "192.168.1.9").await);
    assert!(rule.check("192.168.1.50", 443).await.is_err());
    rule.exchange(Terms { allowed: entries("192.168.1.50"), ..terms.clone() });
    assert!(rule.check("192.168.1.50", 443).await.is_ok());
    assert!(rule.check("192.168.1.50", 80).await.is_err());

    // The cloud may share a host with a camera, but not its web server.
    rule.exchange(Terms { cloud: "192.168.1.50".into(), ..terms });
    assert!(rule.check("192.168.1.50", 443).await.is_ok());
    assert!(rule.check("192.168.1.50", 80).await.is_err());
}

#[tokio::test]
async fn a_list_narrows_and_opens() {
    answer("store.test", &[&[[192, 168, 1, 9].into()]]);
    answer("a.cdn.test", &[&[[192, 168, 1, 9].into()]]);
    answer("trap.cdn.test", &[&[Ipv4Addr::LOCALHOST.into()]]);
    answer("nat.test", &[&[Ipv4Addr::LOCALHOST.into()]]);
    let rule =
        allowing(&["Store.test", "*.cdn.test", "10.0.0.0/8", "127.0.0.5", "nat.test", "[fd00::9]"]);
    for host in
        ["store.test", "STORE.test.", "a.cdn.test", "10.9.9.9", "127.0.0.5", "nat.test", "fd00::9"]
    {
        assert!(takes(&rule, host).await, "{host}");
    }
    for host in ["192.168.1.9", "127.0.0.1", "11.0.0.1", "fd00::8", "trap.cdn.test", "1.1.1.1"] {
        assert!(!takes(&rule, host).await, "{host}");
    }
    assert!(takes(&allowing(&["127.0.0.0/8"]), "127.1").await);
    assert!(takes(&allowing(&["::1"]), "::1").await);
}

#[tokio::test]
async fn the_devices_own_addresses_are_refused() {
    // The address from which this machine would reach the internet; a machine without a network has none.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(()) = socket.connect("198.51.100.1:9") else { return };
    let own = socket.local_addr().unwrap().ip();
    assert!(is_own(own) && !is_own([198, 51, 100, 1].into()));
    let rule = AddressRule::default();
    assert!(!takes(&rule, &own.to_string()).await);
    assert!(!takes(&rule, &format!("::ffff:{own}")).await);
    let network = allowing(&["0.0.0.0/0"]);
    assert!(!takes(&network, &own.to_string()).await);
    assert!(takes(&allowing(&[&own.to_string()]), &own.to_string()).await);
}

#[test]
fn only_names_addresses_and_networks_are_entries() {
    for text in [
        "",
        "*",
        "*.",
        ".",
        "a..b",
        "http://h",
        "h:80",
        "h/",
        "h/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "::/129",
        "::ffff:10.0.0.0/8",
        "a b",
        "*.*.b",
        "[h]",
    ] {
        assert!(AllowedHost::parse(text).is_err(), "{text}");
    }
    let name = AllowedHost::parse("*.Example.COM.").unwrap();
    let ip = IpAddr::from([192, 0, 2, 1]);
    for (host, want) in [
        ("a.example.com", true),
        ("a.b.EXAMPLE.com.", true),
        ("example.com", false),
        (".example.com", false),
        ("aexample.com", false),
        ("a.example.com.evil", false),
    ] {
        assert_eq!(name.covers(host, ip), want, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_whose_name_is_not_resolved_is_where_it_was_reached() {
    let _silent = resolver::testing::silence(&resolver::CAMERAS).await;
    let names = ["a.silent.test", "b.silent.test", "c.silent.test", "d.silent.test"];
    resolver::works(names[2], [192, 168, 1, 53].into());
    resolver::works(names[3], [192, 168, 1, 54].into());
    resolver::doubt(names[3]);
    let cameras = names.map(|name| (name.to_owned(), 80)).to_vec();
    let rule = AddressRule::new(Terms { cameras, ..Terms::default() });
    let begun = Instant::now();
    for host in ["192.168.1.53", "192.168.1.54"] {
        assert!(!takes(&rule, host).await, "{host}");
    }
    assert!(takes(&rule, "192.168.1.55").await);
    let took = begun.elapsed();
    assert!(took < LIMIT + Duration::from_millis(100), "{took:?}: the failures are remembered");

    // The first connection to a camera makes its address known.
    resolver::works(names[0], [192, 168, 1, 51].into());
    assert!(!takes(&rule, "192.168.1.51").await);
}
