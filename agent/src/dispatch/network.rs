//! GetNetConfig, GetWifiStatusAndConfig, SetWifiConfig and GetWifiSSIDList.

use ivt_base::secret::Secret;
use ivt_hal::{Interface, MOST_NAMED};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{
    GetNetConfig, GetWifiSsidList, GetWifiStatusAndConfig, NetConfig, SetWifiConfig, WifiNetwork,
    WifiStatus, to_value,
};
use serde_json::Value;

use super::{Departure, Dispatch, told};

const WIRELESS: &str = "wireless network";

pub(super) async fn interfaces(
    dispatch: &Dispatch,
    request: GetNetConfig,
) -> Result<Value, RpcError> {
    let network =
        dispatch.ability(request.channel, "network settings", |camera| &camera.network)?;
    let mut interfaces = told(request.channel, network.interfaces()).await?;
    interfaces.truncate(MOST_NAMED);
    to_value(&interfaces.into_iter().map(net_config).collect::<Vec<_>>())
}

/// The interfaces of all cameras that tell them, each as far as it answers in time.
#[cfg(feature = "ui")]
pub(crate) async fn interfaces_of(
    device: &ivt_hal::Device,
) -> Vec<(u32, Result<Vec<Interface>, RpcError>)> {
    use futures::StreamExt as _;
    let until = tokio::time::Instant::now() + crate::deadlines::CAMERA;
    let cameras = (0..).zip(&device.channels);
    let cameras = cameras.filter_map(|(number, camera)| Some((number, camera.network.clone()?)));
    let each: Vec<_> = cameras
        .map(|(number, network)| async move {
            let mut told = super::told_by(until, number, network.interfaces()).await;
            if let Ok(interfaces) = &mut told {
                interfaces.truncate(MOST_NAMED);
            }
            (number, told)
        })
        .collect();
    futures::stream::iter(each).buffered(16).collect().await
}

/// The wireless network's password is told where the configuration says so.
pub(super) async fn wifi(
    dispatch: &Dispatch,
    request: GetWifiStatusAndConfig,
) -> Result<Value, RpcError> {
    let wifi = dispatch.ability(request.channel, WIRELESS, |camera| &camera.wifi)?;
    #[cfg(any(feature = "alarms", feature = "linux"))]
    let tell = dispatch.wifi.tell_password();
    #[cfg(not(any(feature = "alarms", feature = "linux")))]
    let tell = false;
    to_value(&status(told(request.channel, wifi.status()).await?, tell))
}

/// Answers what the camera says; where the change may end the connection that the answer leaves by, before it is made.
pub(super) async fn join(
    dispatch: &Dispatch,
    request: SetWifiConfig,
    departure: Departure,
) -> Result<(), RpcError> {
    let SetWifiConfig { channel, ssid, password } = &request;
    if !ssid.as_deref().is_none_or(fits_ssid) {
        let msg = "SetWifiConfig: params.ssid must have 1 to 32 bytes";
        return Err(RpcError::internal(msg));
    }
    if !password.as_ref().is_none_or(fits_password) {
        return Err(RpcError::internal(
            "SetWifiConfig: params.password must have 8 to 63 bytes, 64 hexadecimal digits, 5 bytes (WEP), or none",
        ));
    }
    if ssid.is_none() && password.is_none() {
        let msg = "SetWifiConfig: params.ssid and params.password are both missing";
        return Err(RpcError::internal(msg));
    }
    let wifi = dispatch.ability(*channel, WIRELESS, |camera| &camera.wifi)?;
    #[cfg(any(feature = "alarms", feature = "linux"))]
    return dispatch.wifi.change(wifi, request, departure).await;
    // No camera of this program has a wireless network.
    #[cfg(not(any(feature = "alarms", feature = "linux")))]
    {
        drop(departure);
        told(*channel, wifi.join(ssid.as_deref(), password.as_ref())).await
    }
}

pub(super) async fn in_reach(
    dispatch: &Dispatch,
    request: GetWifiSsidList,
) -> Result<Value, RpcError> {
    let wifi = dispatch.ability(request.channel, WIRELESS, |camera| &camera.wifi)?;
    let mut networks = told(request.channel, wifi.networks()).await?;
    networks.truncate(MOST_NAMED);
    let networks = networks.into_iter().map(|network| WifiNetwork {
        ssid: network.ssid,
        signal: network.signal.into(),
        encrypt: network.encrypt,
    });
    to_value(&networks.collect::<Vec<_>>())
}

fn net_config(interface: Interface) -> NetConfig {
    let Interface { name, ip, gateway, netmask, dns: [dns1, dns2], mac, dhcp } = interface;
    NetConfig { name, ip, gateway, netmask, dns1, dns2, mac, dhcp }
}

fn status(status: ivt_hal::WifiStatus, tell_password: bool) -> WifiStatus {
    if !status.enable {
        return WifiStatus::default();
    }
    let Interface { ip, gateway, netmask, dhcp, .. } = status.interface;
    WifiStatus {
        enable: true,
        ip: Some(ip),
        gateway: Some(gateway),
        netmask: Some(netmask),
        dhcp: Some(dhcp),
        ssid: Some(status.ssid),
        password: status.password.filter(|_| tell_password),
        encrypt: Some(status.encrypt),
        status: Some(status.status),
        signal: status.signal.map(i64::from),
    }
}

/// Whether it can be the name of a network: IEEE 802.11 knows names of up to 32 bytes.
pub(crate) fn fits_ssid(ssid: &str) -> bool {
    (1..=32).contains(&ssid.len())
}

/// Whether it can be the password of a network: WPA knows passphrases of 8 to 63 bytes and keys of 64 hexadecimal
/// digits, WEP keys of 5 or 13 bytes, or of 10 or 26 hexadecimal digits; an open network has none.
pub(crate) fn fits_password(password: &Secret) -> bool {
    let password = password.expose();
    match password.len() {
        0 | 5 | 8..=63 => true,
        64 => password.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use ivt_hal::{Error, Kind, Network, Wifi};
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::deadlines::HANDLER;
    use crate::dispatch::testing::{answer, one};

    /// Keeps what it was told to join. Its list of networks is empty, and its wired network never answers.
    #[derive(Default)]
    struct Camera {
        joined: Mutex<Vec<(Option<String>, Option<String>)>>,
    }

    #[async_trait]
    impl Network for Camera {
        async fn interfaces(&self) -> ivt_hal::Result<Vec<Interface>> {
            pending().await
        }
    }

    #[async_trait]
    impl Wifi for Camera {
        async fn status(&self) -> ivt_hal::Result<ivt_hal::WifiStatus> {
            let password = Some(Secret::new("hunter2 hunter2".to_owned()));
            let ssid = "home".to_owned();
            Ok(ivt_hal::WifiStatus { enable: true, ssid, password, ..Default::default() })
        }

        async fn networks(&self) -> ivt_hal::Result<Vec<ivt_hal::WifiNetwork>> {
            Ok(Vec::new())
        }

        async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> ivt_hal::Result<()> {
            if ssid == Some("refused") {
                return Err(Error::new("wifi join", Kind::Refused));
            }
            let password = password.map(|password| password.expose().clone());
            self.joined.lock().unwrap().push((ssid.map(str::to_owned), password));
            Ok(())
        }
    }

    fn camera() -> (Arc<Camera>, Dispatch) {
        let camera = Arc::new(Camera::default());
        let dispatch = one(|channel| {
            channel.network = Some(camera.clone());
            channel.wifi = Some(camera.clone());
        });
        (camera, dispatch)
    }

    /// What the camera was told to join, once the answer has left.
    async fn joined(camera: &Camera) -> (Option<String>, Option<String>) {
        loop {
            if let Some(told) = camera.joined.lock().unwrap().pop() {
                return told;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_camera_is_unreachable_within_the_limit() {
        let (_camera, dispatch) = camera();
        let start = Instant::now();
        let error = answer(&dispatch, "GetNetConfig", json!({ "channel": 0 })).await.unwrap_err();
        assert_eq!(error.code, RpcError::OFFLINE);
        assert_eq!(error.msg, "channel 0: its camera did not answer within 7.5 s");
        assert!(start.elapsed() < HANDLER, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn name_and_password_arrive_exactly_and_what_is_absent_stays() {
        let long = "\u{00fc} \"'&<%".repeat(5);
        let longest = "p".repeat(63);
        for (ssid, password) in [
            (Some("a b\"'\\"), Some(long.as_str())),
            (Some("\u{529e}\u{516c}"), Some(longest.as_str())),
            (Some("open"), Some("")),
            (Some("s"), None),
            (None, Some("12345678")),
            (Some("wep"), Some("12345")),
            (Some("wep"), Some("1234567890abc")),
        ] {
            let params = json!({ "channel": 0, "ssid": ssid, "password": password });
            let (camera, dispatch) = camera();
            assert_eq!(answer(&dispatch, "SetWifiConfig", params).await, Ok(json!({})));
            let told = joined(&camera).await;
            assert_eq!(told, (ssid.map(str::to_owned), password.map(str::to_owned)));
        }
    }

    #[tokio::test]
    async fn what_the_camera_refuses_is_the_answer() {
        let (camera, dispatch) = camera();
        let params = json!({ "channel": 0, "ssid": "refused" });
        let error = answer(&dispatch, "SetWifiConfig", params).await.unwrap_err();
        assert_eq!(error.code, 1);
        assert!(error.msg.starts_with("channel 0: wifi join"), "{error}");
        assert!(camera.joined.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_password_is_told_where_the_configuration_says_so() {
        let (_camera, mut dispatch) = camera();
        let link = tokio::sync::watch::channel(crate::channel::Link::down()).1;
        let config = crate::config::Network { tell_wifi_password: true, ..Default::default() };
        dispatch = dispatch.with_wifi(link, config);
        let params = json!({ "channel": 0 });
        let told = answer(&dispatch, "GetWifiStatusAndConfig", params).await.unwrap();
        assert_eq!(told["password"], "hunter2 hunter2");
    }

    #[tokio::test]
    async fn what_no_network_can_have_is_refused_by_its_name() {
        let (camera, dispatch) = camera();
        let (hex, other) = ("a1".repeat(32), "g1".repeat(32));
        let params = json!({ "channel": 0, "password": hex });
        assert_eq!(answer(&dispatch, "SetWifiConfig", params).await, Ok(json!({})));
        joined(&camera).await;
        for (member, value) in [
            ("ssid", json!("")),
            ("ssid", json!("s".repeat(33))),
            ("ssid", json!(5)),
            ("password", json!("1234")),
            ("password", json!("123456")),
            ("password", json!("1234567")),
            ("password", json!(other)),
            ("password", json!("p".repeat(65))),
        ] {
            let mut params = json!({ "channel": 0 });
            params[member] = value.clone();
            let error = answer(&dispatch, "SetWifiConfig", params).await.unwrap_err();
            assert!(error.code == 1 && error.msg.contains(member), "{value}: {error}");
            let said = value.as_str().filter(|said| !said.is_empty());
            assert!(said.is_none_or(|said| !error.msg.contains(said)), "{error}");
        }
        let nothing = json!({ "channel": 0, "ssid": null });
        let error = answer(&dispatch, "SetWifiConfig", nothing).await.unwrap_err();
        assert_eq!(error.code, 1);
        assert!(error.msg.contains("params.ssid and params.password"), "{error}");
        assert!(camera.joined.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_password_stays_with_the_camera_and_no_network_is_an_empty_list() {
        let (_camera, dispatch) = camera();
        let params = json!({ "channel": 0 });
        let told = answer(&dispatch, "GetWifiStatusAndConfig", params.clone()).await.unwrap();
        assert_eq!(told["ssid"], "home");
        assert!(!told.to_string().contains("hunter2"), "{told}");
        assert_eq!(answer(&dispatch, "GetWifiSSIDList", params).await, Ok(json!([])));
        assert_eq!(status(Default::default(), true), WifiStatus::default());
    }
}
