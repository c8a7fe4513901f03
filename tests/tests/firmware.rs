//! Firmware, from UpgradeFirmware to the slot that starts next and its commit.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ivt_agent::Agent;
use ivt_agent::config::Config;
use ivt_hal::Firmware as _;
use ivt_proto::rpc::message::DeviceState;
use ivt_sim::cloud::{
    Answers, CloudOptions, CloudSim, Device, Faults, FirmwareFaults, FirmwareRequest, RecordFault,
    StepFault,
};
use ivt_tests::board::{Board, FACTORY, Signer, image};
use ivt_tests::{DEVICE, hasty, soon, until};
use minisign::KeyPair;

/// A device with two slots of files, and a cloud.
struct Bench {
    board: Board,
    cloud: CloudSim,
}

impl Bench {
    async fn new() -> Self {
        let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
        Self { board: Board::new(), cloud }
    }

    fn config(&self) -> Config {
        let text = format!(
            "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n{}\
             [[channel]]\nbackend = 'emulator'\n",
            self.cloud.device_url(),
            self.board.settings(),
        );
        let mut config: Config = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        config.state_dir = Some(self.board.path("state"));
        // Five minutes in the field.
        config.firmware.rules.commit = Duration::from_secs(2);
        config
    }

    fn offer(&self, image: &[u8], signer: Option<&Signer<'_>>) {
        let signature = signer.map(|signer| signer.sign(image));
        let signature = signature.as_deref().map(str::as_bytes);
        self.cloud.host_firmware("2.0.1", "fw.img", image, signature).unwrap();
    }

    /// Starts the device's program and waits for its login.
    async fn start(&self) -> Agent {
        let agent = hasty(&self.config());
        soon("the agent logs in", self.device().wait_online()).await;
        agent
    }

    fn device(&self) -> Arc<Device> {
        self.cloud.device(DEVICE)
    }

    async fn upgrade(&self) {
        self.device().notify("UpgradeFirmware", None).await.unwrap();
    }

    fn set(&self, firmware: FirmwareFaults) {
        self.cloud.set_faults(Faults { firmware, ..Faults::default() });
    }

    async fn becomes(&self, state: DeviceState) {
        let mut keepalives = self.device().keepalive();
        let known = keepalives.wait_for(|k| k.as_ref().is_some_and(|k| k.state == state));
        soon(&format!("a keepalive of {state:?}"), known).await.unwrap();
    }

    /// Returns when a keepalive that comes after the next one says that the device is well.
    async fn settles(&self) {
        let mut keepalives = self.device().keepalive();
        keepalives.borrow_and_update();
        soon("a keepalive", keepalives.changed()).await.unwrap();
        keepalives.borrow_and_update();
        self.becomes(DeviceState::Online).await;
    }

    async fn restarts(&self) {
        until("the device is restarted", || self.board.is_restarted()).await;
    }

    /// The requests for the image that were answered with bytes of it.
    fn downloads(&self) -> Vec<FirmwareRequest> {
        let requests = self.cloud.firmware().requests;
        requests.into_iter().filter(|request| !request.signature && request.sent > 0).collect()
    }
}

#[tokio::test]
async fn an_upgrade_is_loaded_verified_started_and_kept() {
    let bench = Bench::new().await;
    let image = image(200_000);
    bench.offer(&image, Some(&bench.board.signer()));
    bench.set(FirmwareFaults { bytes_per_second: Some(20_000), ..FirmwareFaults::default() });
    let agent = bench.start().await;
    bench.becomes(DeviceState::Online).await;
    bench.upgrade().await;
    bench.becomes(DeviceState::Upgrading).await;
    bench.restarts().await;
    let sent: u64 = bench.downloads().iter().map(|request| request.sent).sum();
    assert_eq!(sent, image.len() as u64, "each byte is loaded once");
    assert!(bench.board.slot_b().starts_with(&image));
    assert_eq!(fs::read(bench.board.path("a")).unwrap(), FACTORY);
    agent.stop().await;

    // The boot script starts the other slot.
    fs::write(bench.board.path("started"), "b").unwrap();
    let running = bench.board.slots().running().await.unwrap();
    assert!(running.trial && running.counter == Some(42), "{running:?}");
    let _agent = bench.start().await;
    let slots = bench.board.slots();
    let mut look = tokio::time::interval(Duration::from_millis(50));
    soon("it is kept", async {
        while slots.running().await.unwrap().trial {
            look.tick().await;
        }
    })
    .await;
    assert_eq!(slots.running().await.unwrap().counter, Some(42));
    bench.becomes(DeviceState::Online).await;
}

#[tokio::test]
async fn what_nobody_vouches_for_is_not_installed() {
    type Offer = fn(&Bench, &[u8]);
    // Whether the image itself is asked for.
    let offers: [(&str, bool, Offer); 7] = [
        ("no signature", false, |bench, image| bench.offer(image, None)),
        ("another key", false, |bench, image| {
            let keys = KeyPair::generate_unencrypted_keypair().unwrap();
            bench.offer(image, Some(&Signer { keys: &keys, ..bench.board.signer() }));
        }),
        ("another model", false, |bench, image| {
            bench.offer(image, Some(&Signer { model: "IPC-2", ..bench.board.signer() }));
        }),
        ("expired", false, |bench, image| {
            bench.offer(image, Some(&Signer { expires: "2020-01-01", ..bench.board.signer() }));
        }),
        ("damaged on its way", true, |bench, image| {
            bench.offer(image, Some(&bench.board.signer()));
            bench.set(FirmwareFaults { damage_at: Some(70_000), ..FirmwareFaults::default() });
        }),
        ("the signature of another image", true, |bench, image| {
            let signature = bench.board.signer().sign(&image[1..]);
            let signature = Some(signature.as_bytes());
            bench.cloud.host_firmware("2.0.1", "fw.img", image, signature).unwrap();
        }),
        ("elsewhere", true, |bench, image| {
            bench.offer(image, Some(&bench.board.signer()));
            let image = StepFault::always(RecordFault::Redirect("http://127.0.0.2:9/fw".into()));
            bench.set(FirmwareFaults { image, ..FirmwareFaults::default() });
        }),
    ];
    join_all(offers.map(async |(what, loads, offer)| {
        let bench = Bench::new().await;
        let image = image(100_000);
        offer(&bench, &image);
        let _agent = bench.start().await;
        bench.upgrade().await;
        // The last that is asked for is the signature where that is refused, and else the image.
        until(&format!("{what}: it is asked for"), || {
            let requests = bench.cloud.firmware().requests;
            requests
                .iter()
                .any(|r| r.signature != loads && (!loads || r.status != 200 || r.sent > 0))
        })
        .await;
        bench.settles().await;
        assert!(!bench.board.slot_b().starts_with(&image), "{what}: it lies in the slot");
        let running = bench.board.slots().running().await.unwrap();
        assert!(!running.trial && running.counter.is_none(), "{what}: {running:?}");
        assert!(!bench.board.is_restarted(), "{what}");
        assert_eq!(bench.device().logins(), 1, "{what}: the cloud was lost");
        bench.becomes(DeviceState::Online).await;
    }))
    .await;
}

#[tokio::test]
async fn a_download_that_is_cut_goes_on_where_it_ended() {
    let busy = RecordFault::Busy { status: 503, retry_after: "1".into() };
    let each = [
        ("a cut", FirmwareFaults { cut_after: Some(120_000), ..FirmwareFaults::default() }),
        (
            "a busy server",
            FirmwareFaults { image: StepFault::times(1, busy), ..FirmwareFaults::default() },
        ),
    ];
    join_all(each.map(async |(what, faults)| {
        let bench = Bench::new().await;
        let image = image(200_000);
        bench.offer(&image, Some(&bench.board.signer()));
        bench.set(faults);
        let _agent = bench.start().await;
        bench.upgrade().await;
        bench.restarts().await;
        assert!(bench.board.slot_b().starts_with(&image), "{what}");
        let sent: u64 = bench.downloads().iter().map(|request| request.sent).sum();
        assert_eq!(sent, image.len() as u64, "{what}: each byte is loaded once");
    }))
    .await;
}

#[tokio::test]
async fn a_download_from_a_server_without_ranges_begins_anew_after_a_cut() {
    let bench = Bench::new().await;
    let image = image(200_000);
    bench.offer(&image, Some(&bench.board.signer()));
    let faults = FirmwareFaults { ignore_range: true, ..FirmwareFaults::default() };
    bench.set(FirmwareFaults { cut_after: Some(120_000), ..faults.clone() });
    let _agent = bench.start().await;
    bench.upgrade().await;
    until("the first download is cut", || !bench.downloads().is_empty()).await;
    bench.set(faults);
    bench.restarts().await;
    assert!(bench.board.slot_b().starts_with(&image));
    let downloads = bench.downloads();
    let [first, .., last] = &downloads[..] else { panic!("one download is cut: {downloads:?}") };
    assert!(first.range.is_empty() && first.sent < image.len() as u64, "{first:?}");
    assert!(!last.range.is_empty() && last.status == 200, "{last:?}");
    assert_eq!(last.sent, image.len() as u64);
}

#[tokio::test]
async fn nothing_is_done_where_the_cloud_has_nothing() {
    join_all(["", "ftp://h/fw.img", "file:///etc/passwd"].map(async |url| {
        let bench = Bench::new().await;
        let agent = bench.start().await;
        let answers =
            Answers { firmware_model: "2".into(), firmware_url: url.into(), ..Answers::default() };
        bench.cloud.set_answers(answers);
        bench.upgrade().await;
        until(&format!("the cloud is asked, and answers {url:?}"), || {
            let (packets, _) = bench.device().packets();
            packets.iter().any(|packet| packet.text.contains("GetFirmware"))
        })
        .await;
        bench.settles().await;
        assert_eq!(bench.board.slot_b(), FACTORY, "{url}");
        assert_eq!((agent.view().device().events.unknown, bench.device().logins()), (0, 1));
    }))
    .await;
}
