//! A wireless network that does not bring the cloud back gives way to the one before, also over a power cut.
#![allow(clippy::unwrap_used)] // Helpers fail the test they help.

use std::path::Path;
use std::time::Duration;

use ivt_agent::config::Config;
use ivt_sim::camera::{CameraOptions, CameraSim, Credentials};
use ivt_sim::cloud::{CloudOptions, CloudSim, Faults, LinkFaults};
use ivt_tests::{DEVICE, hasty, soon};
use serde_json::json;

/// The agent of a camera whose web interface tells its password, with a short trial.
fn config(cloud: &CloudSim, camera: &CameraSim, state: &Path) -> Config {
    let text = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'cgi'\nprofile = 'uapi'\nusername = 'admin'\npassword = 'pass'\nweb = 'http://{}'\n",
        cloud.device_url(),
        camera.http_addr(),
    );
    let mut config: Config = text.parse().unwrap();
    config.state_dir = Some(state.to_owned());
    // Two minutes in the field.
    config.network.wifi_trial = Duration::from_secs(3);
    config
}

#[tokio::test]
async fn a_network_without_the_cloud_gives_way_to_the_one_before_also_over_a_power_cut() {
    let state = tempfile::tempdir().unwrap();
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let credentials = Some(Credentials { user: "admin".into(), password: "pass".into() });
    let options = CameraOptions { credentials, ..CameraOptions::default() };
    let camera = CameraSim::start(options).await.unwrap();
    let joined = async |ssid: &str| {
        let wifi = camera.unit(0).unwrap().channel.wifi.clone().unwrap();
        let mut look = tokio::time::interval(Duration::from_millis(50));
        soon(&format!("the camera joins {ssid}"), async {
            while wifi.status().await.unwrap().ssid != ssid {
                look.tick().await;
            }
        })
        .await;
    };
    let config = config(&cloud, &camera, state.path());
    let device = cloud.device(DEVICE);
    joined("office").await;
    for power_cut in [false, true] {
        let mut agent = hasty(&config);
        soon("the agent logs in", device.wait_online()).await;
        let params = json!({ "channel": 0, "ssid": "guests", "password": "" });
        soon("the answer", device.call("SetWifiConfig", Some(params))).await.unwrap();
        let link = LinkFaults { refuse_login: Some(503), ..LinkFaults::default() };
        cloud.set_faults(Faults { link, ..Faults::default() });
        device.hang_up().await.unwrap();
        joined("guests").await;
        if power_cut {
            drop(agent);
            agent = hasty(&config);
        }
        joined("office").await;
        cloud.set_faults(Faults::default());
        soon("the cloud is there again", device.wait_online()).await;
        agent.stop().await;
        soon("the cloud notices", device.wait_offline()).await;
    }
}
