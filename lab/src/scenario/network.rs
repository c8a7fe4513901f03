//! The network between the device and its peers.

use std::net::SocketAddr;

use ivt_sim::camera::CameraSim;
use ivt_sim::cloud::CloudSim;

use super::format::{Line, NetworkOrder, NetworkPart};
use crate::badnet::{BadNet, BadNetOptions, LinkOptions, WrongLink};

/// A network that runs.
pub(super) struct Network(BadNet);

impl Network {
    /// Starts the links of a scenario; `None` where it has none. Those of the uplink share one line.
    ///
    /// # Errors
    /// When a link cannot be made, or has conditions that no line can have.
    pub(super) async fn start(
        part: &NetworkPart,
        cloud: &CloudSim,
        cameras: &[CameraSim],
    ) -> Result<Option<Self>, String> {
        if part.lines.is_empty() {
            return Ok(None);
        }
        let links = links(part, cloud, cameras).map_err(|error| error.to_string())?;
        let mut options = BadNetOptions { links, ..BadNetOptions::default() };
        options.seed = part.seed.unwrap_or(options.seed);
        let net = BadNet::start(options).await.map_err(|error| error.to_string())?;
        for (line, conditions) in &part.lines {
            let set = net.set(line.name(), conditions.clone());
            set.map_err(|error| format!("[network.{}]: {error}", line.name()))?;
        }
        Ok(Some(Self(net)))
    }

    /// Where a link listens: `cloud`, `rtmp`, `store`, `rtsp0`, `web0`.
    pub(super) fn address(&self, link: &str) -> Option<SocketAddr> {
        self.0.addr(link)
    }

    /// The seed of its chances.
    pub(super) fn seed(&self) -> u64 {
        self.0.seed()
    }

    /// Changes a piece of it.
    ///
    /// # Errors
    /// When the scenario has no such piece.
    pub(super) fn change(&self, line: Line, order: &NetworkOrder) -> Result<(), String> {
        let name = line.name();
        let done = match order {
            NetworkOrder::Cut(cut) => self.0.cut(name, *cut),
            NetworkOrder::Heal => self.0.heal(name),
            NetworkOrder::Conditions(conditions) => self.0.set(name, (**conditions).clone()),
        };
        done.map_err(|error| error.to_string())
    }
}

fn links(
    part: &NetworkPart,
    cloud: &CloudSim,
    cameras: &[CameraSim],
) -> Result<Vec<LinkOptions>, WrongLink> {
    let link = |name: &str, to: SocketAddr| LinkOptions::tcp(name, "127.0.0.1:0", &to.to_string());
    let (http, rtmp) = (cloud.http_addr(), cloud.rtmp_addr());
    let mut links = Vec::new();
    for (line, to) in [(Line::Cloud, http), (Line::Rtmp, rtmp), (Line::Store, http)] {
        if part.has(line) {
            links.push(link(line.name(), to)?);
        } else if part.has(Line::Uplink) {
            links.push(link(line.name(), to)?.over(Line::Uplink.name()));
        }
    }
    if part.has(Line::Camera) {
        for (number, camera) in cameras.iter().enumerate() {
            let line = Line::Camera.name();
            links.push(link(&format!("rtsp{number}"), camera.addr())?.over(line));
            links.push(link(&format!("web{number}"), camera.http_addr())?.over(line));
        }
    }
    Ok(links)
}
