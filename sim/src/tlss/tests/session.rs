//! Sessions of well-behaved devices and servers, and of others.

use super::*;

#[tokio::test]
async fn the_typical_session_is_read_as_deployed_servers_do() {
    let reading = Reading::Silence(Duration::from_millis(150));
    let sim = sim(TlssOptions { reading, ..TlssOptions::default() }).await;
    let fake = FakeDevice::call(&sim).await;
    let missing = b"HTTP/1.1 404 Not Found\r\n\r\nNo input file specified.\n";
    let answer = |command: &str| match command {
        c if c.contains("network.cgi") => missing.to_vec(),
        c if c.contains("snapshot") => [&ok("")[..], b"\xff\xd8\xff\xe0\0\xff\xd9"].concat(),
        c if c.contains("countreport") => ok("Records:0 Counter:1,0:A\n"),
        _ => ok("VERSION.firmware=1\n"),
    };
    let commands = fake.answer_all(answer).await;
    assert_eq!(commands.len(), 8, "{commands:?}");
    assert!(commands[2].starts_with("/nvc-cgi/admin/debug"), "the third family is the camera's");
    assert!(commands[3..5].iter().all(|command| command.starts_with("/nvc-cgi/admin/")));
    assert_eq!(commands[7], "done");

    let device = sim.device("00:13:23:a0:07:ad");
    let info = timeout(LONG, device.wait_done(1)).await.unwrap();
    assert_eq!((info.brand.as_str(), info.model.as_str()), ("CAP", "NS202HD"));
    assert_eq!((info.sessions, info.replies, info.open), (1, 7, 0));
    assert_eq!(info.last_end, "done");
    let all = device.exchanges();
    let status: Vec<_> = all.iter().map(|e| e.outcome.as_ref().unwrap().status()).collect();
    assert_eq!(status[1..3], [None, Some(200)], "the reply to the probe of IPAI is read whole");
    let snapshot = all[5].outcome.as_ref().unwrap();
    assert!(snapshot.is_jpeg() && snapshot.body.len() == 7);
    assert_eq!(snapshot.declared as usize, snapshot.raw.len());
    assert!(matches!(all[3].stored(), Some(Err(Unstored::Dies(_)))), "no address of the hardware");
    assert_eq!(all[6].stored(), Some(Ok(Stored::Counts(0))));
}

#[tokio::test]
async fn a_mortal_server_ends_the_session_where_a_deployed_one_dies() {
    let faults = TlssFaults { mortal: true, ..TlssFaults::default() };
    let script = Script::of(&["/uapi-cgi/param.fcgi?action=list", "/b"]);
    let sim = sim(TlssOptions { faults, ..quick(script) }).await;
    let commands = FakeDevice::call(&sim).await.answer_all(|_| ok("A.b=1\nC.d=2\n")).await;
    assert_eq!(commands.len(), 1);
    let info = timeout(LONG, sim.device(MAC).wait_ended(1)).await.unwrap();
    assert_eq!((info.done, info.replies), (0, 1));
    assert!(info.last_end.starts_with("the server dies: no NETWORK.Eth0.mac"), "{info:?}");
}

#[tokio::test]
async fn the_replies_of_an_ipai_device_are_taken_whole() {
    let sim = sim(quick(Script::typical())).await;
    let picture = b"\xff\xd8\xff\n\r\xff\xd9";
    let answer = |command: &str| match command {
        c if c.contains("uapi-cgi") => b"No input file specified.\n".to_vec(),
        c if c.contains("snapshot") => picture.to_vec(),
        c if c.contains("countreport") => ok("Records:0 Counter:1,0:A\n"),
        _ => b"NETWORK.Eth0.mac=0\n".to_vec(),
    };
    let commands = FakeDevice::call(&sim).await.answer_all(answer).await;
    assert_eq!(commands.len(), 6, "{commands:?}");
    assert!(commands[1..5].iter().all(|command| command.starts_with("/cgi-bin/")));
    timeout(LONG, sim.device(MAC).wait_done(1)).await.unwrap();
    let all = sim.device(MAC).exchanges();
    let body = |n: usize| all[n].outcome.as_ref().unwrap().body.clone();
    assert_eq!((&body(2)[..], &body(3)[..]), (&b"NETWORK.Eth0.mac=0\n"[..], &picture[..]));
    assert!(all[4].stored().unwrap().is_err(), "a head is no report");
}

#[tokio::test]
async fn lines_for_another_family_are_left_out() {
    let script: Script = "probe IPN /n\nprobe IPE /e\nIPN /a\nIPE /b\n/c\ndone".parse().unwrap();
    let sim = sim(quick(script)).await;
    for (answered, expected) in [
        ("/n", &["/n", "/a", "/c", "done"][..]),
        ("/e", &["/n", "/e", "/b", "/c", "done"]),
        ("", &["/n", "/e", "/c", "done"]),
    ] {
        let answer = |command: &str| match command == answered {
            true => ok("1"),
            false => b"No input file specified.".to_vec(),
        };
        assert_eq!(FakeDevice::call(&sim).await.answer_all(answer).await, expected);
    }
}

#[tokio::test]
async fn a_reply_with_a_wrong_length_is_read_to_its_silence() {
    let reading = Reading::Silence(Duration::from_millis(100));
    let options = TlssOptions { reading, script: Script::of(&["/a"]), ..TlssOptions::default() };
    let sim = sim(options).await;
    let mut fake = FakeDevice::call(&sim).await;
    fake.command().await.unwrap();
    fake.0.write_all(&[&[1, 0, 0, 0][..], &ok("A.b=1\n")].concat()).await.unwrap();
    let all = timeout(LONG, sim.device(MAC).wait_replies(1)).await.unwrap();
    let reply = all[0].outcome.as_ref().unwrap();
    assert_eq!((reply.declared, reply.parameters()), (1, vec![("A.b", "1")]));
}

#[tokio::test]
async fn who_does_not_say_who_it_is_makes_no_session() {
    let sim = sim(quick(Script::typical())).await;
    for identity in ["brand=CAP&mac=001323A007AD&model=x", "hello", &"x".repeat(2000)] {
        let mut fake = FakeDevice(TcpStream::connect(sim.addr()).await.unwrap());
        fake.say(identity.as_bytes()).await;
        assert_eq!(fake.command().await, None, "{identity}");
    }
    timeout(LONG, sim.wait_rejected(3)).await.unwrap();
    assert!(sim.devices().is_empty());
    assert_eq!(sim.connections(), 3);
}

#[tokio::test]
async fn a_script_of_its_own_goes_before_that_of_all() {
    let sim = sim(quick(Script::of(&["/all"]))).await;
    let device = sim.device(MAC);
    for (own, expected) in [(None, "/all"), (Some(Script::of(&["/own"])), "/own"), (None, "/all")] {
        device.set_script(own);
        let commands = FakeDevice::call(&sim).await.answer_all(|_| ok("")).await;
        assert_eq!(commands, [expected, "done"]);
    }
    sim.set_script(Script::of(&[]));
    assert_eq!(FakeDevice::call(&sim).await.answer_all(|_| ok("")).await, ["done"]);
    timeout(LONG, device.wait_done(4)).await.unwrap();
    assert_eq!(device.calls().len(), 4);
}

#[tokio::test]
async fn a_command_sent_by_hand_goes_out_at_once_or_at_the_next_call() {
    let faults = TlssFaults { never_done: true, ..TlssFaults::default() };
    let sim = sim(TlssOptions { faults, ..quick(Script::of(&["/script"])) }).await;
    let device = sim.device(MAC);
    assert!(device.send(Command::new("/waited")));
    let mut fake = FakeDevice::call(&sim).await;
    for expected in ["/waited", "/script"] {
        assert_eq!(fake.command().await.as_deref(), Some(expected));
        fake.say(&ok("")).await;
    }
    timeout(LONG, device.wait_replies(2)).await.unwrap();
    assert!(device.send(Command::new("/now")));
    assert_eq!(fake.command().await.as_deref(), Some("/now"));
    fake.say(&ok("")).await;
    assert!(device.send(Command::new("done\0")));
    assert_eq!(fake.command().await.as_deref(), Some("done\0"));
    drop(fake);
    timeout(LONG, device.wait_done(1)).await.unwrap();
}

#[tokio::test]
async fn commands_come_in_every_deployed_dress() {
    let sim = sim(quick(Script::of(&["/a?b"]))).await;
    for (ending, done_nul, no_slash, expected) in [
        (Ending::Nul, true, true, ["a?b\0", "done\0"]),
        (Ending::Newline, false, false, ["/a?b\n", "done"]),
        (Ending::CrLf, false, true, ["a?b\r\n", "done"]),
    ] {
        sim.set_faults(TlssFaults { ending, done_nul, no_slash, ..TlssFaults::default() });
        let commands = FakeDevice::call(&sim).await.answer_all(|_| ok("")).await;
        assert_eq!(commands, expected);
    }
}

#[tokio::test]
async fn pipelined_commands_are_there_before_the_first_reply() {
    let faults = TlssFaults { pipelined: true, ..TlssFaults::default() };
    let sim = sim(TlssOptions { faults, ..quick(Script::of(&["/a", "/b", "/c"])) }).await;
    let mut fake = FakeDevice::call(&sim).await;
    for expected in ["/a", "/b", "/c"] {
        assert_eq!(fake.command().await.as_deref(), Some(expected));
    }
    for body in ["1", "2", "3"] {
        fake.say(&ok(body)).await;
    }
    assert_eq!(fake.command().await.as_deref(), Some("done"));
    let all = sim.device(MAC).wait_replies(3).await;
    let pairs: Vec<_> = all
        .iter()
        .map(|e| (e.command.to_string(), e.outcome.as_ref().unwrap().body.clone()))
        .collect();
    assert_eq!(pairs[2], ("/c".to_owned(), "3".into()));
}

/// Fails unless exactly these bytes come, and then the end of the connection, or nothing for a while.
async fn expect(fake: &mut FakeDevice, bytes: &[u8], closes: bool, what: &str) {
    let mut all = vec![0; bytes.len()];
    timeout(LONG, fake.0.read_exact(&mut all)).await.expect(what).expect(what);
    assert_eq!(all, bytes, "{what}");
    let limit = if closes { LONG } else { Duration::from_millis(300) };
    match timeout(limit, fake.0.read(&mut [0])).await {
        Ok(end) => assert_eq!((end.unwrap(), closes), (0, true), "{what}"),
        Err(_) => assert!(!closes, "{what}: the connection stays"),
    }
}

#[tokio::test]
async fn each_fault_of_the_wire_takes_the_place_of_a_command() {
    let command = frame("/abcdefghij");
    for (fault, expected, closes) in [
        (WireFault::Silence, vec![], false),
        (WireFault::Length(u32::MAX), [&b"\xff\xff\xff\xff"[..], &command[4..]].concat(), false),
        (WireFault::CloseMidCommand, command[..7].to_vec(), true),
        (WireFault::DripMs(60_000), command[..1].to_vec(), false),
        (WireFault::DripMs(1), command.clone(), false),
        (WireFault::StopReading, command.clone(), false),
    ] {
        let faults = TlssFaults { wire: Some(fault), ..TlssFaults::default() };
        let sim = sim(TlssOptions { faults, ..quick(Script::of(&["/abcdefghij"])) }).await;
        let mut fake = FakeDevice::call(&sim).await;
        expect(&mut fake, &expected, closes, &format!("{fault:?}")).await;
        drop(fake);
        if fault != WireFault::StopReading {
            let info = timeout(LONG, sim.device(MAC).wait_ended(1)).await.unwrap();
            assert_eq!((info.done, info.replies), (0, 0), "{fault:?}");
            let why = sim.device(MAC).exchanges()[0].outcome.clone().unwrap_err();
            assert!(why.contains(&format!("{fault:?}")) || why.contains("closed"), "{why}");
        }
    }
}

fn frame(command: &str) -> Vec<u8> {
    ivt_proto::tlss::frame(command.as_bytes())
}

#[tokio::test]
async fn a_fault_waits_for_its_turn_and_the_silence_after_it_is_measured() {
    let faults = TlssFaults { wire: Some(WireFault::Silence), after: 1, ..TlssFaults::default() };
    let sim = sim(TlssOptions { faults, ..quick(Script::of(&["/a", "/b"])) }).await;
    let mut fake = FakeDevice::call(&sim).await;
    assert_eq!(fake.command().await.as_deref(), Some("/a"));
    fake.say(&ok("")).await;
    // The silence begins when the server has read the reply.
    timeout(LONG, sim.device(MAC).wait_replies(1)).await.unwrap();
    expect(&mut fake, &[], false, "silence").await;
    drop(fake);
    let info = timeout(LONG, sim.device(MAC).wait_ended(1)).await.unwrap();
    assert!(info.last_silence_ms >= 300, "{info:?}");
    assert_eq!(info.last_end, "closed by the device");
}

#[tokio::test]
async fn refused_connections_are_closed_before_a_byte_is_read() {
    let faults = TlssFaults { wire: Some(WireFault::Refuse), ..TlssFaults::default() };
    let sim = sim(TlssOptions { faults, ..quick(Script::typical()) }).await;
    let mut stream = TcpStream::connect(sim.addr()).await.unwrap();
    assert_eq!(timeout(LONG, stream.read(&mut [0])).await.unwrap().unwrap(), 0);
    timeout(LONG, sim.wait_rejected(1)).await.unwrap();
}

#[tokio::test]
async fn sessions_end_when_hung_up_on_and_when_the_server_is_gone() {
    let faults = TlssFaults { never_done: true, ..TlssFaults::default() };
    let sim = sim(TlssOptions { faults, ..quick(Script::of(&[])) }).await;
    let device = sim.device(MAC);
    let mut fake = FakeDevice::call(&sim).await;
    timeout(LONG, device.wait_for(|info| info.open == 1)).await.unwrap();
    device.hang_up();
    assert_eq!(fake.command().await, None);
    assert_eq!(device.wait_ended(1).await.last_end, "closed on request");

    let mut fake = FakeDevice::call(&sim).await;
    timeout(LONG, device.wait_for(|info| info.open == 1)).await.unwrap();
    let address = sim.addr();
    drop(sim);
    assert_eq!(fake.command().await, None);
    timeout(LONG, device.wait_ended(2)).await.unwrap();
    TlssSim::start(TlssOptions { bind: address, ..TlssOptions::default() }).await.unwrap();
}

#[tokio::test]
async fn a_reply_above_the_limit_ends_the_session() {
    let options = TlssOptions { max_reply: 1000, ..quick(Script::of(&["/a", "/b"])) };
    let sim = sim(options).await;
    let mut fake = FakeDevice::call(&sim).await;
    fake.command().await.unwrap();
    fake.say(&[b'x'; 1001]).await;
    let info = timeout(LONG, sim.device(MAC).wait_ended(1)).await.unwrap();
    assert_eq!(info.last_end, "the device sent more than 1000 bytes");
}
