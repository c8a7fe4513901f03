//! What a stranger tries, and that none of it is ever installed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ivt_hal::Image;
use ivt_hal::manifest::Manifest;

use super::attempt::Outcome;
use super::rig::{Answer, Asked, Rig, Server, Signer, comment, image};
use super::signature::{Check, Signed};
use super::{Refusal, build_date, download};

const SIZE: usize = 200_000;

/// Asserts that an upgrade was refused with these words, and that the device was told of nothing that it would keep.
fn refused(rig: &Rig, outcome: &Result<Outcome, Refusal>, words: &str) {
    rig.forget();
    let said = outcome.as_ref().unwrap_err().to_string();
    assert!(said.contains(words), "{words}: {said}");
    assert!(!said.contains("geheim"), "{said}");
    let told = rig.device.told();
    assert!(!told.iter().any(|told| told == "install" || told == "restart"), "{told:?}");
}

/// Tries an image with this signature, which is refused with these words.
async fn tried(rig: &Rig, image: &[u8], signature: String, words: &str) -> Server {
    let file = image.to_owned();
    let (outcome, server) =
        rig.upgrade(image, signature, move |asked| Answer::part(asked, &file, usize::MAX)).await;
    refused(rig, &outcome, words);
    server
}

/// Tries an image that is signed right, of which the server answers this.
async fn served(
    rig: &Rig,
    image: &[u8],
    words: &str,
    script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> Server {
    let signature = rig.signer.sign(image, &comment(image, &[]));
    let (outcome, server) = rig.upgrade(image, signature, script).await;
    refused(rig, &outcome, words);
    server
}

/// Asserts that the image itself was never asked for.
fn unasked(server: &Server) {
    let targets = server.targets();
    assert!(targets.iter().all(|target| target.contains(".minisig")), "{targets:?}");
}

#[tokio::test]
async fn arbitrary_software_without_a_signature_is_refused() {
    for answer in ["404 Not Found", "403 Forbidden", "410 Gone"] {
        let rig = Rig::new();
        let server = Server::new(move |asked| match asked.target.contains(".minisig") {
            true => Answer::status(answer),
            false => Answer::whole(&image(SIZE)),
        })
        .await;
        rig.offer("1.5.0", &server, "/image?sign=geheim");
        refused(&rig, &rig.updater().attempt(true).await, "not signed");
        assert_eq!(server.targets(), ["/image.minisig?sign=geheim"]);
        assert!(rig.device.told().is_empty(), "nothing is opened");
    }
}

#[tokio::test]
async fn what_is_no_signature_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let good = rig.signer.sign(&file, &comment(&file, &[]));
    let lines: Vec<_> = good.lines().collect();
    for (signature, words) in [
        (String::new(), "four lines"),
        ("<html>not found</html>".into(), "four lines"),
        (format!("{good}\nmore\n"), "four lines"),
        (lines[..3].join("\n"), "four lines"),
        (good.replace("untrusted", "trusted"), "four lines"),
        (format!("untrusted comment: {}\n{}", "x".repeat(5000), lines[1..].join("\n")), "4 KiB"),
        (good.replace("\ntrusted comment: ", "\ncomment: "), "its lines are not"),
        ([lines[0], "RU!!", lines[2], lines[3]].join("\n"), "its lines are not"),
        ([lines[0], &lines[1][..40], lines[2], lines[3]].join("\n"), "its lines are not"),
    ] {
        unasked(&tried(&rig, &file, signature, words).await);
    }
}

#[tokio::test]
async fn arbitrary_software_signed_by_a_stranger_is_refused() {
    let (rig, file, stranger) = (Rig::new(), image(SIZE), Signer::new());
    let signature = stranger.sign(&file, &comment(&file, &[]));
    unasked(&tried(&rig, &file, signature, "does not stand in firmware.keys").await);
}

/// Replaces bytes of the first signature in a file: its kind, and the number of the key.
fn patched(signature: &str, change: impl FnOnce(&mut [u8])) -> String {
    let mut lines: Vec<_> = signature.lines().map(str::to_owned).collect();
    // Four digits of base64 stand for three bytes: kind and key are the first ten.
    let mut head = base64(&lines[1][..16]);
    change(&mut head);
    lines[1].replace_range(..16, &unbase64(&head));
    lines.join("\n")
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| DIGITS.iter().position(|d| *d == c).unwrap() as u32;
    let words =
        text.as_bytes().chunks(4).map(|four| four.iter().fold(0, |n, c| n << 6 | digit(*c)));
    words.flat_map(|word| word.to_be_bytes()[1..].to_owned()).collect()
}

fn unbase64(bytes: &[u8]) -> String {
    let word = |three: &[u8]| three.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte));
    let digits = |word: u32| [18, 12, 6, 0].map(|at| DIGITS[(word >> at & 63) as usize] as char);
    bytes.chunks(3).flat_map(|three| digits(word(three))).collect()
}

#[tokio::test]
async fn a_signature_of_a_stranger_under_the_name_of_a_trusted_key_is_refused() {
    let (rig, file, stranger) = (Rig::new(), image(SIZE), Signer::new());
    let ours = rig.signer.sign(&file, &comment(&file, &[]));
    let number = base64(&ours.lines().nth(1).unwrap()[..16])[2..10].to_owned();
    let theirs = stranger.sign(&file, &comment(&file, &[]));
    let signature = patched(&theirs, |head| head[2..10].copy_from_slice(&number));
    tried(&rig, &file, signature, "not those that were signed").await;
    assert!(rig.device.bytes().is_empty(), "cleared away");
    assert_eq!(rig.device.told().last().unwrap(), "clear");
}

#[tokio::test]
async fn a_signature_of_the_old_kind_is_refused_with_the_cure() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    let legacy = patched(&signature, |head| head[..2].copy_from_slice(b"Ed"));
    unasked(&tried(&rig, &file, legacy, "minisign -S -H").await);
}

#[tokio::test]
async fn a_comment_that_was_changed_after_it_was_signed_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let older = rig.signer.sign(&file, &comment(&file, &[("counter", "40")]));
    tried(&rig, &file, older.replace("counter=40", "counter=43"), "not those that were signed")
        .await;
    let other = rig.signer.sign(&file, &comment(&file, &[("model", "IPC-2")]));
    tried(&rig, &file, other.replace("IPC-2", "IPC-1"), "not those that were signed").await;
    let old = rig.signer.sign(&file, &comment(&file, &[("expires", "2020-01-01")]));
    tried(&rig, &file, old.replace("2020", "2098"), "not those that were signed").await;
}

#[tokio::test]
async fn a_comment_of_another_signature_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let [one, two] =
        ["40", "43"].map(|n| rig.signer.sign(&file, &comment(&file, &[("counter", n)])));
    let (one, two): (Vec<_>, Vec<_>) = (one.lines().collect(), two.lines().collect());
    for mixed in [[one[0], one[1], two[2], one[3]], [one[0], one[1], two[2], two[3]]] {
        // Signatures of the same key and image are the same only where the key signs without chance.
        if one[1] != two[1] || mixed[3] == one[3] {
            tried(&rig, &file, mixed.join("\n"), "not those that were signed").await;
        }
    }
}

#[tokio::test]
async fn rollback_to_an_older_counter_is_refused_though_the_cloud_insists() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[("counter", "40")]));
    unasked(&tried(&rig, &file, signature, "counter 40 is older than 41").await);
}

#[tokio::test]
async fn freeze_on_an_expired_firmware_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[("expires", "2026-01-31")]));
    unasked(&tried(&rig, &file, signature, "until 2026-01-31: sign it anew").await);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_revive_an_expired_firmware() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[("expires", "2020-01-01")]));
    let server = Server::new(move |_| Answer::whole(signature.as_bytes())).await;
    rig.offer("1.5.0", &server, "/image?sign=geheim");
    let mut updater = rig.updater();
    let built = UNIX_EPOCH + Duration::from_secs(build_date::BUILT);
    updater.clock = ivt_base::clock::Clock::new(|| UNIX_EPOCH, built);
    refused(&rig, &updater.attempt(true).await, "until 2020-01-01");
}

#[tokio::test]
async fn wrong_software_of_another_model_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[("model", "IPC-2")]));
    unasked(&tried(&rig, &file, signature, "made for model \"IPC-2\"").await);
}

#[tokio::test]
async fn mix_and_match_of_image_and_signature_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let mut other = file.clone();
    other[SIZE / 2] ^= 1;
    let signature = rig.signer.sign(&other, &comment(&other, &[]));
    tried(&rig, &file, signature, "not those that were signed").await;
    assert!(rig.device.bytes().is_empty());
    // A hash that is signed does not make up for a signature that is not of the image, nor the other way round.
    let signature = rig.signer.sign(&other, &comment(&file, &[]));
    tried(&rig, &file, signature, "not those that were signed").await;
    let signature = rig.signer.sign(&file, &comment(&other, &[]));
    tried(&rig, &file, signature, "not those that were signed").await;
}

#[tokio::test]
async fn a_key_that_was_taken_out_counts_no_more() {
    let (rig, file, new) = (Rig::new(), image(SIZE), Signer::new());
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    rig.rules.send_modify(|rules| rules.keys = vec![new.key()]);
    unasked(&tried(&rig, &file, signature, "does not stand in firmware.keys").await);
}

#[tokio::test]
async fn endless_data_ends_with_the_signed_size() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let body = file.clone();
    served(&rig, &file, "200000 were signed", move |_| Answer {
        endless: true,
        ..Answer::new("200 OK", &body)
    })
    .await;
    assert!(rig.device.0.lock().unwrap().written <= SIZE as u64);
}

#[tokio::test]
async fn an_image_with_one_byte_more_or_less_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    for size in [SIZE + 1, SIZE - 1, 1, 0, SIZE * 2] {
        let body: Vec<_> = file.iter().chain(&file).take(size).copied().collect();
        let lie = body.clone();
        let server = served(&rig, &file, "200000 were signed", move |_| Answer::whole(&lie)).await;
        assert_eq!(server.targets().len(), 2, "a lie about the size is no reason to ask again");
        // Without a length the end tells.
        let words = if size > SIZE { "200000 were signed" } else { "200000" };
        if size > SIZE {
            served(&rig, &file, words, move |_| Answer::new("200 OK", &body)).await;
        }
    }
    assert!(rig.device.bytes().is_empty());
}

#[tokio::test]
async fn a_truncated_image_is_refused_after_a_bounded_number_of_tries() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let short = file[..SIZE / 2].to_owned();
    let server =
        served(&rig, &file, "ends early; given up", move |_| Answer::new("200 OK", &short)).await;
    assert_eq!(server.targets().len(), 1 + download::MOST_TRIES);
    let short = file[..SIZE / 2].to_owned();
    served(&rig, &file, "200000 were signed", move |asked| match asked.from() {
        Some(from) => {
            Answer::new(&format!("206 P\r\ncontent-range: bytes {from}-199999/200000"), b"")
        }
        None => Answer::new("200 OK", &short),
    })
    .await;
}

#[tokio::test]
async fn slow_retrieval_is_cut_off() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let (body, start) = (file.clone(), Instant::now());
    let server =
        served(&rig, &file, "slower than 1 KiB/s for a minute; given up", move |asked| Answer {
            drip: Some((1000, Duration::from_millis(20))),
            ..Answer::part(asked, &body[..], 30_000)
        });
    // Ten tries of 0.4 s each, where the test's minute has 0.4 s.
    tokio::time::timeout(Duration::from_secs(60), server).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_image_larger_than_is_taken_is_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    rig.rules.send_modify(|rules| rules.max_size = SIZE as u64 - 1);
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    unasked(&tried(&rig, &file, signature, "more than firmware.max_size (199999)").await);
}

#[tokio::test]
async fn a_redirect_to_another_server_is_not_followed() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let other = Server::new(|_| Answer::whole(&image(SIZE))).await;
    for place in [
        format!("http://{}/image", other.address),
        "http://localhost/image".into(),
        "file:///etc/passwd".into(),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let head = format!("{status} Moved\r\nlocation: {place}\r\ncontent-length: 0");
            let answer = Answer::new(&head, b"");
            let moved = answer.clone();
            served(&rig, &file, &place[..4], move |_| answer.clone()).await;
            // That of the signature is not, either.
            let server = Server::new(move |_| moved.clone()).await;
            rig.offer("1.5.0", &server, "/image?sign=geheim");
            let outcome = rig.updater().attempt(true).await;
            refused(&rig, &outcome, &place[..4]);
            assert_eq!(server.targets().len(), 1);
        }
    }
    assert!(other.targets().is_empty());
    assert!(!rig.device.told().contains(&"install".to_owned()));
}

#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let (rig, file) = (Rig::new(), image(SIZE));
    for coding in ["gzip", "deflate", "br", "zstd", "x-unknown"] {
        let head = format!("200 OK\r\ncontent-length: {SIZE}\r\ncontent-encoding: {coding}");
        let answer = Answer::new(&head, &file);
        served(&rig, &file, "packed (Content-Encoding)", move |_| answer.clone()).await;
        assert_eq!(rig.device.0.lock().unwrap().written, 0);
    }
}

#[tokio::test]
async fn an_archive_is_written_as_it_is() {
    let rig = Rig::new();
    let mut archive = vec![0; 1024];
    archive[..23].copy_from_slice(b"../../../../etc/passwd\0");
    let signature = rig.signer.sign(&archive, &comment(&archive, &[]));
    let body = archive.clone();
    let (outcome, _) = rig.upgrade(&archive, signature, move |_| Answer::whole(&body)).await;
    assert_eq!(outcome.unwrap(), Outcome::Installed(ivt_hal::Installed::Restart));
    assert_eq!(rig.device.bytes(), archive, "nothing is unpacked");
}

#[tokio::test]
async fn a_bad_block_is_no_firmware() {
    let (rig, file) = (Rig::new(), image(SIZE));
    rig.device.0.lock().unwrap().bad = Some(SIZE / 3);
    let body = file.clone();
    served(&rig, &file, "the device: /dev/mmcblk0p3: Input/output error", move |asked| {
        Answer::part(asked, &body, usize::MAX)
    })
    .await;
}

#[tokio::test]
async fn power_cuts_leave_what_runs_and_go_on_where_they_were() {
    let file = image(SIZE * 5);
    let rig = Rig::new();
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    let body = file.clone();
    let server = Server::new(move |asked| match asked.target.contains(".minisig") {
        true => Answer::whole(signature.as_bytes()),
        false => Answer {
            drip: Some((65_536, Duration::from_millis(2))),
            ..Answer::part(asked, &body, usize::MAX)
        },
    })
    .await;
    rig.offer("1.5.0", &server, "/image?sign=geheim");
    for cut in 1..=3u64 {
        let (device, mut updater) = (rig.device.clone(), rig.updater());
        let after = async {
            while device.0.lock().unwrap().written < cut * 150_000 {
                tokio::task::yield_now().await;
            }
        };
        // What the power takes away is this future.
        tokio::select! {
            biased;
            () = after => {}
            outcome = updater.attempt(true) => panic!("whole: {outcome:?}"),
        }
        let told = rig.device.told();
        assert!(!told.iter().any(|told| told == "install" || told == "clear"), "{told:?}");
    }
    let outcome = rig.updater().attempt(true).await.unwrap();
    assert_eq!(outcome, Outcome::Installed(ivt_hal::Installed::Restart));
    assert_eq!(rig.device.bytes(), file);
    assert_eq!(rig.device.0.lock().unwrap().written, file.len() as u64, "each byte once");
    assert!(rig.device.0.lock().unwrap().largest <= 65_536);
}

#[tokio::test]
async fn what_another_attempt_left_there_is_checked_with_the_rest() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let comment = comment(&file, &[]);
    let signature = rig.signer.sign(&file, &comment);
    let manifest: Manifest = comment.parse().unwrap();
    let of = Image {
        version: manifest.version,
        counter: Some(manifest.counter),
        size: manifest.size,
        sha256: Some(manifest.sha256),
    };
    rig.device.0.lock().unwrap().place = Some((of, vec![7; SIZE / 2]));
    let body = file.clone();
    let (outcome, server) =
        rig.upgrade(&file, signature, move |asked| Answer::part(asked, &body, usize::MAX)).await;
    assert_eq!(outcome.unwrap(), Outcome::Installed(ivt_hal::Installed::Restart));
    assert_eq!(rig.device.bytes(), file, "fetched anew");
    let asked: Vec<_> = server.asked.lock().unwrap().iter().map(Asked::from).collect();
    assert_eq!(asked, [None, Some(SIZE / 2), None]);
}

/// Mutates the file of a signature in many ways: none of them may say something else and hold.
#[test]
fn no_mutation_of_a_signature_says_something_else() {
    let (signer, file) = (Signer::new(), image(5000));
    let signature = signer.sign(&file, &comment(&file, &[]));
    let (keys, good) = ([signer.key()], signature.trim_end().to_owned().into_bytes());
    let means = |text: &[u8]| {
        let signed = Signed::read(text, &keys).ok()?;
        let mut check = Check::new(Some(&signed));
        check.update(&file);
        check.finish().is_ok().then(|| signed.manifest.clone())
    };
    let truth = means(&good).unwrap();
    let rounds = std::env::var("IVT_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000);
    let (mut state, mut read) = (88_172_645_463_325_252u64, 0);
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..rounds {
        let mut text = good.clone();
        for _ in 0..=next(3) {
            let at = next(text.len());
            match next(5) {
                0 => text[at] = next(256) as u8,
                1 => text[at] ^= 1 << next(8),
                2 => drop(text.remove(at)),
                3 => text.insert(at, b" \n=0A/9"[next(7)]),
                _ => {
                    let (from, length) = (next(text.len()), next(20));
                    let part: Vec<u8> = text[from..].iter().take(length).copied().collect();
                    text.splice(at..at, part);
                }
            }
        }
        if let Some(meant) = means(&text) {
            assert_eq!(meant, truth, "{}", String::from_utf8_lossy(&text));
            read += 1;
        }
    }
    // The first line, which is not signed, may say anything.
    assert!(read > rounds / 100, "{read} of {rounds} were read");
}

#[test]
fn the_time_of_the_tests_is_before_what_they_sign_expires() {
    assert!(SystemTime::now() < UNIX_EPOCH + Duration::from_secs(4_102_444_800));
}
