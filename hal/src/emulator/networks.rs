//! The wireless networks around the emulated camera.

/// A wireless network in reach of the emulated camera.
#[derive(Clone, Copy, Debug)]
pub struct KnownNetwork {
    /// Its name.
    pub ssid: &'static str,
    /// Its password; empty for an open network. It opens nothing but the emulator.
    pub password: &'static str,
    /// How strong it is, in dBm.
    pub signal: i32,
    /// How it encrypts.
    pub encrypt: &'static str,
}

/// The networks in reach, the strongest first.
pub const KNOWN: [KnownNetwork; 4] = [
    network("office", "office-password", -41, "WPA2-PSK"),
    network("workshop 5G", "\"quoted\" & spaced", -58, "WPA3-SAE"),
    network("\u{529e}\u{516c}\u{5ba4}", "p\u{e4}ssw\u{f6}rd \u{5bc6}\u{7801}", -66, "WPA2-PSK"),
    network("guests", "", -79, "OPEN"),
];

const fn network(
    ssid: &'static str,
    password: &'static str,
    signal: i32,
    encrypt: &'static str,
) -> KnownNetwork {
    KnownNetwork { ssid, password, signal, encrypt }
}
