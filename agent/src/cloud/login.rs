//! Whom to dial and by which account, as the URL of the login.

use std::fmt::Write as _;

use ivt_base::secret::Secret;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::client::Request;

use crate::config;

/// Address and account of a login. Only [`CloudLogin::request`] reveals the password.
#[derive(Clone, Debug)]
pub struct CloudLogin {
    /// `wss`, or `ws` in clear.
    pub secure: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    uri: Secret,
}

impl CloudLogin {
    /// The login that the configuration describes.
    pub fn new(cloud: &config::Cloud) -> Self {
        let url = &cloud.url;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let mut uri = url.to_string();
        let parameters = [
            ("login_code", cloud.login_code.as_str()),
            ("login_passwd", cloud.login_passwd.expose()),
            ("hardware_model", &cloud.hardware_model),
            ("firmware_model", &cloud.firmware_model),
        ];
        for (i, (name, value)) in parameters.into_iter().enumerate() {
            uri.push(if i == 0 { '?' } else { '&' });
            uri.push_str(name);
            uri.push('=');
            percent_encode(value, &mut uri);
        }
        Self {
            secure: url.scheme() == "wss",
            host: host.to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            // The password in it is known by itself, and the rest is no secret.
            uri: Secret::untold(uri),
        }
    }

    /// The opening handshake. Its address holds the password: never log it.
    ///
    /// # Errors
    ///
    /// The address cannot be made into an HTTP request.
    pub fn request(&self) -> Result<Request, Box<tungstenite::Error>> {
        self.uri.expose().into_client_request().map_err(Box::new)
    }
}

/// Appends `value` to `out` with everything but unreserved characters encoded (RFC 3986, 2.3).
/// A space becomes `%20`, since peers differ on `+`.
fn percent_encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str, code: &str, passwd: &str) -> CloudLogin {
        let text = format!(
            "[cloud]\nurl = {url:?}\nlogin_code = '{code}'\nlogin_passwd = '{passwd}'\n\
             hardware_model = 'HW 1'\nfirmware_model = '1.0+b'\n[[channel]]\nbackend = 'emulator'"
        );
        CloudLogin::new(&text.parse::<config::Config>().unwrap().cloud)
    }

    #[test]
    fn every_value_is_percent_encoded() {
        let login = login("ws://cloud.example:8080/ivc", "a&b=c", "p ss/?#%+ü");
        let request = login.request().unwrap();
        assert_eq!(
            request.uri().to_string(),
            "ws://cloud.example:8080/ivc?login_code=a%26b%3Dc\
             &login_passwd=p%20ss%2F%3F%23%25%2B%C3%BC&hardware_model=HW%201&firmware_model=1.0%2Bb"
        );
        assert_eq!(request.headers()["host"], "cloud.example:8080");
    }

    #[test]
    fn scheme_decides_port_and_security() {
        let plain = login("ws://cloud.example/ivc", "a", "b");
        assert_eq!((plain.secure, plain.port), (false, 80));
        let secure = login("wss://[::1]/ivc", "a", "b");
        assert_eq!((secure.secure, secure.port, &*secure.host), (true, 443, "::1"));
    }

    #[test]
    fn the_password_is_not_printed() {
        let login = login("ws://cloud.example/ivc", "a", "canary");
        assert!(!format!("{login:?}").contains("canary"));
    }
}
