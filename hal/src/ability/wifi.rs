//! The camera's wireless network.

use async_trait::async_trait;
use ivt_base::secret::Secret;

use super::network::Interface;
use crate::{Error, Kind, Result};

/// Reads and sets the camera's wireless network.
#[async_trait]
pub trait Wifi: Send + Sync {
    /// How the wireless interface is. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn status(&self) -> Result<WifiStatus>;
    /// The networks in reach, at most [`MOST_NAMED`](super::MOST_NAMED), the strongest first. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn networks(&self) -> Result<Vec<WifiNetwork>>;
    /// The names of the networks that the camera is set up for beside the one that it uses, which can be joined without
    /// their password; none where the camera keeps one network alone. Answers within 8 s.
    ///
    /// # Errors
    /// As those of `status`.
    async fn known(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    /// Joins a network. What is `None` stays as it is; an empty password is an open network. Both are sent to
    /// the camera exactly. Answers within 8 s, before the camera has joined it.
    ///
    /// # Errors
    /// `Invalid` for a name or password that the camera cannot have, `Unsupported`, `Offline`, `Timeout`,
    /// `Refused` or `Other`.
    async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> Result<()>;
    /// Whether [`join`](Self::join) may cut the connection of this program itself before it answers, as on a board
    /// that this program runs on.
    fn cuts_at_once(&self) -> bool {
        false
    }
    /// Whether [`join`](Self::join) may be asked, as far as that is known without joining; asked where that
    /// [cuts at once](Self::cuts_at_once). Answers within 8 s.
    ///
    /// # Errors
    /// As those of `join`.
    async fn check(&self, _ssid: Option<&str>, _password: Option<&Secret>) -> Result<()> {
        Ok(())
    }
    /// What [`go_back`](Self::go_back) needs to join the network of this moment again; `None` where that is not known,
    /// mostly as the camera does not tell the password. Answers within 8 s.
    ///
    /// # Errors
    /// As those of `status`.
    async fn before(&self) -> Result<Option<Secret>> {
        Ok(self.status().await?.way_back())
    }
    /// Whether the change has worked so far: a camera still answers; a board has joined the network of this name, any
    /// for `None`. Answers within 8 s.
    ///
    /// # Errors
    /// As those of `status`.
    async fn is_joined(&self, _ssid: Option<&str>) -> Result<bool> {
        match self.status().await {
            Err(error) if error.kind != Kind::Unsupported => Err(error),
            _ => Ok(true),
        }
    }
    /// Keeps the network that was joined last, over restarts of the camera too. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`: a restart may bring the network before back.
    async fn keep(&self) -> Result<()> {
        Ok(())
    }
    /// Joins the network again that there was when [`before`](Self::before) was asked. Answers within 8 s.
    ///
    /// # Errors
    /// As those of `join`; `Invalid` for what `before` did not answer.
    async fn go_back(&self, before: &Secret) -> Result<()> {
        let Some((ssid, password)) = before.expose().split_once('\0') else {
            return Err(Error::new("wifi go back", Kind::Invalid));
        };
        self.join(Some(ssid), Some(&Secret::new(password.to_owned()))).await
    }
}

/// How a wireless interface is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WifiStatus {
    /// Whether it is on; where it is not, the rest is empty.
    pub enable: bool,
    /// Its addresses.
    pub interface: Interface,
    /// The network's name.
    pub ssid: String,
    /// The network's password, where the camera tells it.
    pub password: Option<Secret>,
    /// How the network encrypts, in the camera's words.
    pub encrypt: String,
    /// How the connection is, in the camera's words.
    pub status: String,
    /// How strong the signal is, in the camera's measure; `None` without a connection.
    pub signal: Option<i32>,
}

impl WifiStatus {
    /// Name and password for [`Wifi::go_back`]; `None` where one of them is not known. Some cameras tell asterisks for
    /// the password.
    fn way_back(&self) -> Option<Secret> {
        let is_open = ["open", "none", "off"].contains(&&*self.encrypt.to_ascii_lowercase());
        let password = match &self.password {
            Some(password) if is_masked(password) => return None,
            Some(password) => password.expose(),
            None if is_open => "",
            None => return None,
        };
        let ssid = &self.ssid;
        let is_known = self.enable && !ssid.is_empty() && !ssid.contains('\0');
        is_known.then(|| Secret::untold(format!("{ssid}\0{password}")))
    }
}

fn is_masked(password: &Secret) -> bool {
    let password = password.expose();
    !password.is_empty() && password.bytes().all(|byte| byte == b'*')
}

/// One network in reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WifiNetwork {
    /// The network's name.
    pub ssid: String,
    /// How strong the signal is, in the camera's measure.
    pub signal: i32,
    /// How the network encrypts, in the camera's words.
    pub encrypt: String,
}
