//! Changes of wireless networks by a person beside the device, who may end a trial either way.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use ivt_hal::{MOST_NAMED, WifiNetwork, WifiStatus};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::SetWifiConfig;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::told_by;
use super::Changes;
use crate::deadlines::CAMERA;

/// How long the answer to a person may take on its way before the change cuts it off.
const LEAVES: Duration = Duration::from_secs(1);
/// Most cameras that are asked at a time.
const AT_ONCE: usize = 16;

/// The wireless network of a channel.
pub(crate) struct Seen {
    /// The number of the channel.
    pub(crate) channel: u32,
    /// How it is, as the camera tells.
    pub(crate) status: Result<WifiStatus, RpcError>,
    /// The name of the network that is on trial, where it was told, and how long the trial still lasts.
    pub(crate) trial: Option<(Option<String>, Duration)>,
}

/// What became of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// The new network stays.
    Stays,
    /// Nothing is on trial.
    NoTrial,
    /// The new network is not joined: it cannot stay.
    NotJoined,
}

impl Changes {
    /// The channels that have a wireless network.
    pub(crate) fn channels(&self) -> Vec<u32> {
        let device = self.device.now();
        let numbered = (0..).zip(&device.channels);
        numbered.filter(|(_, camera)| camera.wifi.is_some()).map(|(number, _)| number).collect()
    }

    /// How long a trial lasts.
    pub(crate) fn trial(&self) -> Duration {
        self.config.wifi_trial
    }

    /// The wireless networks of all channels, each as far as its camera answers within [`CAMERA`].
    pub(crate) async fn look(&self) -> Vec<Seen> {
        let until = Instant::now() + CAMERA;
        let each = async |channel| {
            let status = match self.wifi(channel) {
                Ok(wifi) => told_by(until, channel, wifi.status()).await,
                Err(error) => Err(error),
            };
            let trials = self.trials();
            let trial = trials.get(&channel).map(|running| {
                let left = running.end.saturating_duration_since(Instant::now());
                (running.trial.ssid.clone(), left)
            });
            Seen { channel, status, trial }
        };
        let each: Vec<_> = self.channels().into_iter().map(each).collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
    }

    /// The networks in reach of a channel, and the names of those that it knows the password of.
    ///
    /// # Errors
    /// The camera does not tell.
    pub(crate) async fn in_reach(
        &self,
        number: u32,
    ) -> Result<(Vec<WifiNetwork>, Vec<String>), RpcError> {
        let (wifi, until) = (self.wifi(number)?, Instant::now() + CAMERA);
        let mut networks = told_by(until, number, wifi.networks()).await?;
        networks.truncate(MOST_NAMED);
        // A list without marks is better than none.
        let known = told_by(until, number, wifi.known()).await.unwrap_or_default();
        Ok((networks, known))
    }

    /// Joins a network as the cloud would, as often as a person likes. A change that cuts the person off is made when
    /// the answer has left. False where the change stays whatever becomes of it, as nothing leads back.
    ///
    /// # Errors
    /// The camera does not take the change.
    pub(crate) async fn join_by_hand(&self, request: SetWifiConfig) -> Result<bool, RpcError> {
        let (number, wifi) = (request.channel, self.wifi(request.channel)?);
        let (left, departure) = oneshot::channel();
        ivt_base::task::spawn(async move {
            sleep(LEAVES).await;
            left.send(())
        });
        self.make(wifi.clone(), request, departure, false).await?;
        Ok(wifi.cuts_at_once() || self.trials().contains_key(&number))
    }

    /// Ends the trial of a channel: the new network stays, as the person reaches the device. Goes on where the person
    /// does not wait for the end.
    ///
    /// # Errors
    /// The camera does not tell whether the network is joined.
    pub(crate) async fn confirm(&self, number: u32) -> Result<Confirmed, RpcError> {
        let changes = self.clone();
        let work = ivt_base::task::spawn(async move { changes.stay(number).await });
        work.await.unwrap_or_else(|e| Err(RpcError::internal(format!("channel {number}: {e}"))))
    }

    async fn stay(&self, number: u32) -> Result<Confirmed, RpcError> {
        let until = Instant::now() + CAMERA;
        let Ok(_turn) = timeout_at(until, self.turn(number)).await else {
            return Ok(Confirmed::NotJoined);
        };
        let on_trial = self.trials().get(&number).map(|running| running.trial.ssid.clone());
        let Some(ssid) = on_trial else { return Ok(Confirmed::NoTrial) };
        let wifi = self.wifi(number)?;
        if !told_by(until, number, wifi.is_joined(ssid.as_deref())).await? {
            return Ok(Confirmed::NotJoined);
        }
        // From here on the trial does not end by itself.
        self.put_off(number);
        self.keep(number, "a person has confirmed it").await;
        self.end(number).await;
        Ok(Confirmed::Stays)
    }

    /// Ends the trial of a channel: the network of before is joined again, as often as it takes. False where nothing is
    /// on trial.
    pub(crate) fn give_up(&self, number: u32) -> bool {
        self.put_off(number);
        let mut trials = self.trials();
        let Some(running) = trials.get_mut(&number) else { return false };
        let (changes, trial) = (self.clone(), running.trial.clone());
        let back = ivt_base::task::spawn(async move {
            sleep(LEAVES).await;
            log::warn!("channel {number}: a person wants its wireless network of before");
            changes.go_back(number, &ivt_base::secret::Secret::untold(trial.before)).await;
        });
        running.judge = Some(back.abort_handle());
        true
    }

    /// Lets no time end the trial any longer.
    fn put_off(&self, number: u32) {
        if let Some(running) = self.trials().get_mut(&number)
            && let Some(judge) = running.judge.take()
        {
            judge.abort();
        }
    }
}
