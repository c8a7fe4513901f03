//! What a person reads at the start: the addresses, the logins, and the QR code of the page.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};

use super::qr::{Paint, code};
use super::{Lab, Part, Settings};

impl Lab {
    /// The addresses of all that was started, as lines for a person.
    pub fn addresses(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "{name:<15}{text}"); // A String takes everything.
        };
        if let (true, Some((camera, login))) = (self.parts.contains(&Part::Camera), &self.camera) {
            for host in &self.addresses {
                let at = |address: SocketAddr| SocketAddr::from((*host, address.port()));
                line("camera", format!("rtsp://{}/ch0/main", at(camera.addr())));
                line("  ONVIF", format!("http://{}/onvif/device_service", at(camera.http_addr())));
                if let Some(control) = self.control {
                    line("  its faults", format!("http://{}/", at(control)));
                }
            }
            line("  login", format!("{} / {}", login.user, login.password));
            if let Some(address) = camera.discovery_addr() {
                line("  discovery", format!("WS-Discovery at port {}", address.port()));
            }
        }
        if let Some(cloud) = &self.cloud {
            for host in &self.addresses {
                let port = cloud.http_addr().port();
                line("cloud", format!("http://{host}:{port}/"));
                line("  for devices", format!("ws://{host}:{port}/ivc"));
            }
        }
        if let Some(hosted) = &self.hosted {
            for host in &self.addresses {
                line("hosted service", format!("http://{host}:{}/", hosted.http_addr().port()));
                line("  for devices", format!("{host}:{}", hosted.addr().port()));
            }
        }
        if self.device.is_some() {
            for host in &self.addresses {
                line("device", format!("http://{host}:{}/", self.page.port()));
            }
            line("  password", self.page_password.clone());
            line("  login code", self.login.code.clone());
        }
        out
    }

    /// The page that a phone should open, by the first address: that of the device in the cloud, else the cloud's, the device's
    /// own, the camera's, the hosted service's.
    pub fn page_url(&self) -> String {
        let host = self.addresses.first().copied().unwrap_or(Ipv4Addr::LOCALHOST);
        let at = |address: SocketAddr| format!("http://{host}:{}/", address.port());
        let cloud = self.cloud.as_ref().map(|cloud| at(cloud.http_addr()));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair("login_code", &self.login.code).finish();
        let hosted = || self.hosted.as_ref().map(|hosted| at(hosted.http_addr()));
        match (&self.device, cloud) {
            (Some(_), Some(cloud)) => format!("{cloud}?{query}"),
            (None, Some(cloud)) => cloud,
            (Some(_), None) => at(self.page),
            (None, None) => self.control.map(at).or_else(hosted).unwrap_or_default(),
        }
    }

    /// All that is printed at the start.
    pub fn printed(&self, settings: &Settings) -> String {
        let page = self.page_url();
        let mut out = self.addresses();
        if !settings.loopback {
            out.push_str("Everyone on this network can open the pages; --loopback keeps them to this machine.\n");
        }
        let _ = writeln!(out, "\nOpen {page}");
        let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
        let usual = if plain { Paint::LightOnDark } else { Paint::Colours };
        if let Some(paint) = settings.qr.unwrap_or(Some(usual)) {
            match code(&page, paint) {
                Some(code) => out.push_str(&code),
                None => out.push_str("(The address is too long for a QR code of 80 columns.)\n"),
            }
        }
        out
    }
}
