//! `/api/v1/network` and `/api/v1/wifi`: the interfaces of the device and of its cameras, and the wireless networks,
//! which are joined on trial.

use futures::FutureExt as _;
use hyper::StatusCode;
use ivt_base::secret::Secret;
use ivt_hal::{Interface, WifiStatus};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::SetWifiConfig;
use serde_json::{Value, json};

use crate::console::Console;
use crate::dispatch::{Confirmed, WifiSeen, fits_password, fits_ssid, interfaces_of};
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/network", |call| network(call).boxed()),
    Route::get("/api/v1/wifi", |call| wifi(call).boxed()),
    Route::put("/api/v1/wifi", |call| join(call).boxed()),
    Route::post("/api/v1/wifi/scan", |call| scan(call).boxed()),
    Route::post("/api/v1/wifi/confirm", |call| confirm(call).boxed()),
    Route::post("/api/v1/wifi/back", |call| back(call).boxed()),
];

/// What a camera did not do, as a person is told.
pub(super) fn refused(error: RpcError) -> Refusal {
    let RpcError { code, msg, .. } = error;
    match code {
        RpcError::UNSUPPORTED => lacking("device_unsupported", msg),
        RpcError::NO_CHANNEL => Refusal::not_found(),
        RpcError::OFFLINE => Refusal::failed("device_offline", msg),
        _ => Refusal::failed("device_refused", msg),
    }
}

/// The same for a camera among others.
pub(super) fn trouble(error: RpcError) -> Value {
    let Refusal { code, message, .. } = refused(error);
    json!({ "code": code, "message": message })
}

/// 501: what the device or its configuration lacks.
pub(super) fn lacking(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, code, message)
}

async fn network(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let own = own().await;
    let own = own.unwrap_or_default();
    let device = console.device.now();
    let mut cameras = Vec::new();
    for (channel, told) in interfaces_of(&device).await {
        let (interfaces, error) = match told {
            // The board that the agent runs on is no camera.
            Ok(told) if told == own => continue,
            Ok(told) => (Some(told), None),
            Err(error) => (None, Some(trouble(error))),
        };
        let interfaces: Option<Vec<_>> =
            interfaces.map(|all| all.iter().map(|it| interface(it, None)).collect());
        cameras.push(json!({ "channel": channel, "interfaces": interfaces, "error": error }));
    }
    let interfaces: Vec<_> = own.iter().map(|it| interface(it, link(&it.name))).collect();
    Ok(Reply::json(&json!({ "interfaces": interfaces, "cameras": cameras })))
}

async fn wifi(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let channels = console.wifi.look().await.into_iter().map(seen).collect::<Vec<_>>();
    let trial_seconds = console.wifi.trial().as_secs();
    Ok(Reply::json(&json!({ "channels": channels, "trial_seconds": trial_seconds })))
}

async fn scan(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let channel = channel(&call, &console)?;
    let (networks, known) = console.wifi.in_reach(channel).await.map_err(refused)?;
    let networks = networks.iter().map(|network| {
        json!({
            "ssid": network.ssid,
            "signal": network.signal,
            "security": network.encrypt,
            "is_known": known.contains(&network.ssid),
            // A name that is no UTF-8 is shown, and nobody can write it down.
            "is_text": !network.ssid.contains(char::REPLACEMENT_CHARACTER),
        })
    });
    let networks: Vec<_> = networks.collect();
    Ok(Reply::json(&json!({ "channel": channel, "networks": networks })))
}

async fn join(mut call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let channel = channel(&call, &console)?;
    let body = call.json().await?;
    let text = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::invalid(name, "must be text")),
    };
    let ssid = text("ssid")?;
    if !ssid.as_deref().is_none_or(fits_ssid) {
        return Err(Refusal::invalid("ssid", "the name of a network has 1 to 32 bytes"));
    }
    let password = text("password")?.map(Secret::new);
    if !password.as_ref().is_none_or(fits_password) {
        let rule =
            "a password has 8 to 63 characters, or 64 hexadecimal digits; an open network has none";
        return Err(Refusal::invalid("password", rule));
    }
    if ssid.is_none() && password.is_none() {
        return Err(Refusal::invalid("ssid", "name the network, or give another password"));
    }
    let joined = console.wifi.join_by_hand(SetWifiConfig { channel, ssid, password }).await;
    let seconds = joined.map_err(refused)?.then(|| console.wifi.trial().as_secs());
    let reply = Reply::json(&json!({ "channel": channel, "trial_seconds": seconds }));
    Ok(reply.with_status(StatusCode::ACCEPTED))
}

async fn confirm(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    match console.wifi.confirm(channel(&call, &console)?).await.map_err(refused)? {
        Confirmed::Stays => Ok(Reply::nothing()),
        Confirmed::NoTrial => Err(no_trial()),
        Confirmed::NotJoined => Err(Refusal::conflict(
            "wifi_not_joined",
            "the new network is not joined yet: wait, or check its name and password",
        )),
    }
}

async fn back(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    match console.wifi.give_up(channel(&call, &console)?) {
        true => Ok(Reply::nothing().with_status(StatusCode::ACCEPTED)),
        false => Err(no_trial()),
    }
}

fn no_trial() -> Refusal {
    Refusal::conflict("no_wifi_trial", "no wireless network is on trial: it was kept or left")
}

/// The channel that a call names, or the first one that has a wireless network.
fn channel(call: &Call, console: &Console) -> Result<u32, Refusal> {
    let channels = console.wifi.channels();
    match call.query("channel") {
        None => channels
            .first()
            .copied()
            .ok_or_else(|| lacking("no_wifi", "no camera of this device has a wireless network")),
        Some(named) => {
            let named: u32 =
                named.parse().map_err(|_| Refusal::invalid("channel", "must be a number"))?;
            channels.into_iter().find(|channel| *channel == named).ok_or_else(Refusal::not_found)
        }
    }
}

fn seen(seen: WifiSeen) -> Value {
    let WifiSeen { channel, status, trial } = seen;
    let (state, error) = match status {
        Ok(status) => (Some(state(&status)), None),
        Err(error) => (None, Some(trouble(error))),
    };
    let trial = trial.map(|(ssid, left)| json!({ "ssid": ssid, "seconds_left": left.as_secs() }));
    json!({ "channel": channel, "state": state, "error": error, "trial": trial })
}

/// The password is never told.
fn state(status: &WifiStatus) -> Value {
    json!({
        "is_on": status.enable,
        "ssid": status.ssid,
        "status": status.status,
        "security": status.encrypt,
        "signal": status.signal,
        "interface": interface(&status.interface, None),
    })
}

fn interface(interface: &Interface, link: Option<bool>) -> Value {
    let Interface { name, ip, gateway, netmask, dns, mac, dhcp } = interface;
    let servers: Vec<_> = dns.iter().filter(|server| !server.is_empty()).collect();
    json!({
        "name": name,
        "ip": ip,
        "netmask": netmask,
        "gateway": gateway,
        "name_servers": servers,
        "mac": mac,
        "dhcp": dhcp,
        "link": link,
    })
}

/// The interfaces of the system that the agent runs on; `None` where the system, or a program without its part for the
/// board, does not tell.
async fn own() -> Option<Vec<Interface>> {
    #[cfg(feature = "linux")]
    {
        use ivt_hal::Network as _;
        system().interfaces().await.ok()
    }
    #[cfg(not(feature = "linux"))]
    None
}

fn link(name: &str) -> Option<bool> {
    #[cfg(feature = "linux")]
    return system().link(name);
    #[cfg(not(feature = "linux"))]
    {
        let _ = name;
        None
    }
}

#[cfg(feature = "linux")]
fn system() -> ivt_hal::linux::SystemNetwork {
    ivt_hal::linux::SystemNetwork::new(std::path::Path::new("/"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::Method;

    use super::*;
    use crate::web::testing::Bench;

    const CAMERA: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n[network]\nwifi_trial_seconds = 10\n";

    async fn get(bench: &Bench, path: &str) -> Value {
        let (status, body) = bench.call(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    #[tokio::test]
    async fn the_interfaces_of_the_system_and_of_each_camera_are_told() {
        let bench = Bench::start(CAMERA);
        let told = get(&bench, "/api/v1/network").await;
        assert!(told["interfaces"].is_array(), "{told}");
        let camera = &told["cameras"][0];
        assert_eq!((&camera["channel"], &camera["error"]), (&json!(0), &Value::Null));
        assert_eq!(camera["interfaces"][0]["name_servers"], json!(["192.0.2.1", "192.0.2.2"]));
        let none = get(&Bench::start("[web]\nenable = true\n"), "/api/v1/network").await;
        assert_eq!(none["cameras"], json!([]));
    }

    #[tokio::test]
    async fn networks_in_reach_and_the_one_in_use_are_told_without_a_password() {
        let bench = Bench::start(CAMERA);
        let told = get(&bench, "/api/v1/wifi").await;
        assert_eq!(told["trial_seconds"], 10);
        assert_eq!(told["channels"][0]["state"]["ssid"], "office");
        assert!(!told.to_string().contains("office-password"), "{told}");
        let (status, found) = bench.call(Method::POST, "/api/v1/wifi/scan", "").await;
        assert_eq!((status, &found["networks"][0]["ssid"]), (StatusCode::OK, &json!("office")));
        assert_eq!(found["networks"][3]["security"], "OPEN");
    }

    #[tokio::test]
    async fn what_cannot_be_joined_is_refused_at_its_field() {
        let bench = Bench::start(CAMERA);
        for (body, field) in [
            (r#"{"ssid":""}"#, "ssid"),
            (r#"{"ssid":7}"#, "ssid"),
            (r#"{}"#, "ssid"),
            (r#"[]"#, "ssid"),
            (r#"{"ssid":"123456789012345678901234567890123"}"#, "ssid"),
            (r#"{"ssid":"s","password":"x9-Q!"}"#, ""),
            (r#"{"ssid":"s","password":"x9-Q!z"}"#, "password"),
            (r#"{"ssid":"s","password":true}"#, "password"),
        ] {
            let (status, error) = bench.call(Method::PUT, "/api/v1/wifi", body).await;
            match field {
                // Five characters are a key of WEP, which this camera does not take.
                "" => assert_eq!(error["error"]["code"], "device_refused", "{body}"),
                _ => {
                    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
                    assert_eq!(error["error"]["field"], field, "{body}: {error}");
                }
            }
        }
        for (path, code) in [
            ("/api/v1/wifi/scan?channel=1", StatusCode::NOT_FOUND),
            ("/api/v1/wifi/scan?channel=x", StatusCode::UNPROCESSABLE_ENTITY),
            ("/api/v1/wifi/confirm", StatusCode::CONFLICT),
            ("/api/v1/wifi/back", StatusCode::CONFLICT),
        ] {
            assert_eq!(bench.call(Method::POST, path, "").await.0, code, "{path}");
        }
        let none = Bench::start("[web]\nenable = true\n");
        let (status, _) = none.call(Method::POST, "/api/v1/wifi/scan", "").await;
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    }

    #[tokio::test]
    async fn a_network_is_on_trial_until_the_person_keeps_or_leaves_it() {
        let bench = Bench::start(CAMERA);
        let trial = async || get(&bench, "/api/v1/wifi").await["channels"][0]["trial"].clone();
        let name =
            async || get(&bench, "/api/v1/wifi").await["channels"][0]["state"]["ssid"].clone();
        for (ends, ssid) in [("confirm", "guests"), ("back", "guests")] {
            let body = r#"{"ssid":"guests","password":""}"#;
            let (status, said) = bench.call(Method::PUT, "/api/v1/wifi", body).await;
            assert_eq!((status, &said["trial_seconds"]), (StatusCode::ACCEPTED, &json!(10)));
            assert_eq!(trial().await["ssid"], "guests");
            // More often than the cloud may.
            for _ in 0..5 {
                let (status, _) = bench.call(Method::PUT, "/api/v1/wifi", body).await;
                assert_eq!(status, StatusCode::ACCEPTED);
            }
            let path = format!("/api/v1/wifi/{ends}");
            assert!(bench.call(Method::POST, &path, "").await.0.is_success());
            while !trial().await.is_null() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(name().await, ssid);
            let again = bench.call(Method::POST, &path, "").await;
            assert_eq!(again.1["error"]["code"], "no_wifi_trial");
        }
    }
}
