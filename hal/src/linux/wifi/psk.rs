//! The key of a network from its passphrase (IEEE 802.11, annex J.4): PBKDF2 with HMAC-SHA1.

use sha1::{Digest as _, Sha1};

const ROUNDS: usize = 4096;

/// The key in hexadecimal digits. A passphrase has at most 64 bytes.
pub(super) fn psk(passphrase: &str, ssid: &[u8]) -> String {
    let keyed = |pad: u8| {
        let mut block = [pad; 64];
        for (byte, key) in block.iter_mut().zip(passphrase.bytes()) {
            *byte ^= key;
        }
        Sha1::new_with_prefix(block)
    };
    let (inner, outer) = (keyed(0x36), keyed(0x5c));
    let hmac = |text: &[u8]| {
        outer.clone().chain_update(inner.clone().chain_update(text).finalize()).finalize()
    };
    let block = |number: u8| {
        let mut last = hmac(&[ssid, &[0, 0, 0, number]].concat());
        let mut sum = last;
        for _ in 1..ROUNDS {
            last = hmac(&last);
            sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
        }
        sum
    };
    [1, 2].map(block).iter().flatten().take(32).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_standard() {
        for (passphrase, ssid, key) in [
            (
                "password",
                "IEEE",
                "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e",
            ),
            (
                "ThisIsAPassword",
                "ThisIsASSID",
                "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
            ),
        ] {
            assert_eq!(psk(passphrase, ssid.as_bytes()), key);
        }
    }
}
