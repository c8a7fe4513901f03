use std::cell::Cell;

use rustls::ClientConfig;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::tls::testing::{CaFile, Day, Issuer, authority, valid};
use crate::tls::{client_config, connect};

/// 2026-11-21, in seconds since 1970.
const BUILT: u64 = 1_795_219_200;
/// 2030-01-01.
const LATER: u64 = 1_893_456_000;

thread_local! {
    static DEVICE: Cell<u64> = const { Cell::new(0) };
}

fn clock() -> Clock {
    let device = || UNIX_EPOCH + Duration::from_secs(DEVICE.get());
    Clock::new(device, UNIX_EPOCH + Duration::from_secs(BUILT))
}

async fn handshake(config: &Arc<ClientConfig>, server: &TlsAcceptor) -> Result<(), String> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (client, _) = tokio::join!(connect(config.clone(), "localhost", near), server.accept(far));
    client.map(|_| ()).map_err(|error| error.to_string())
}

fn trusting(issuer: &Issuer, name: &str) -> Arc<ClientConfig> {
    let ca = CaFile::new(name, &issuer.pem());
    client_config(Some(ca.path()), clock()).unwrap()
}

#[tokio::test]
async fn validity_is_judged_as_on_the_day_of_the_build_while_the_clock_is_behind_it() {
    let issuer = authority();
    let config = trusting(&issuer, "behind");
    for device in [0, 100, BUILT - 1] {
        DEVICE.set(device);
        let yesterday = valid(&issuer, "localhost", (2026, 11, 20), (2027, 1, 1));
        handshake(&config, &yesterday).await.unwrap();

        let tomorrow = valid(&issuer, "localhost", (2026, 11, 22), (2027, 1, 1));
        let error = handshake(&config, &tomorrow).await.unwrap_err();
        for part in [
            "the certificate is valid from 2026-11-22T00:00:00Z; ",
            &format!("clock says {}", Utc::from(clock().device())),
            "the date of this program, 2026-11-21T00:00:00Z, counts instead",
        ] {
            assert!(error.contains(part), "want {part}, got {error}");
        }

        let expired = valid(&issuer, "localhost", (1970, 1, 1), (2026, 11, 20));
        let error = handshake(&config, &expired).await.unwrap_err();
        assert!(error.contains("the certificate was valid until 2026-11-20T00:00:00Z"), "{error}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_counts_from_then_on() {
    let issuer = authority();
    let config = trusting(&issuer, "set");
    let server = |from: Day, until: Day| valid(&issuer, "localhost", from, until);
    // New servers each time: a session must not be resumed.
    let old = || server((2026, 1, 1), (2027, 1, 1));
    let new = || server((2029, 1, 1), (2031, 1, 1));
    DEVICE.set(100);
    handshake(&config, &old()).await.unwrap();
    handshake(&config, &new()).await.unwrap_err();

    DEVICE.set(LATER);
    handshake(&config, &new()).await.unwrap();
    let error = handshake(&config, &old()).await.unwrap_err();
    assert!(error.contains("valid until 2027-01-01T00:00:00Z"), "{error}");
    assert!(error.ends_with("the device's clock says 2030-01-01T00:00:00Z"), "{error}");
}

#[tokio::test]
async fn a_clock_before_1970_breaks_nothing() {
    let issuer = authority();
    let ca = CaFile::new("before", &issuer.pem());
    let clock = Clock::new(|| UNIX_EPOCH - Duration::from_secs(1), clock().now());
    let config = client_config(Some(ca.path()), clock).unwrap();
    let server = valid(&issuer, "localhost", (2026, 11, 20), (2027, 1, 1));
    handshake(&config, &server).await.unwrap();
}

#[tokio::test]
async fn no_clock_makes_a_stranger_trusted() {
    let (issuer, stranger) = (authority(), authority());
    let config = trusting(&issuer, "stranger");
    let server = valid(&stranger, "localhost", (2026, 1, 1), (2031, 1, 1));
    for device in [100, LATER] {
        DEVICE.set(device);
        let error = handshake(&config, &server).await.unwrap_err();
        assert!(error.contains("invalid peer certificate: BadSignature"), "{error}");
    }
    let other = valid(&issuer, "example.org", (2026, 1, 1), (2031, 1, 1));
    let error = handshake(&config, &other).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}
