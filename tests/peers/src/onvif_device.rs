//! A PTZ camera of the crate onvif-server: `onvif-device PORT USER PASSWORD`. Prints what it is told to do.
use std::sync::{Arc, Mutex};

use onvif_server::{
    DeviceInfo, DeviceService, MediaService, OnvifError, OnvifServer, PTZPreset, PTZService, PTZStatusResult,
};

#[derive(Clone, Default)]
struct Camera {
    presets: Arc<Mutex<Vec<(String, String)>>>,
}

#[async_trait::async_trait]
impl DeviceService for Camera {
    async fn get_device_information(&self) -> Result<DeviceInfo, OnvifError> {
        Ok(DeviceInfo {
            manufacturer: "onvif-server".into(),
            model: "foreign".into(),
            firmware_version: "1".into(),
            serial_number: "1".into(),
            hardware_id: "1".into(),
        })
    }
}

#[async_trait::async_trait]
impl MediaService for Camera {
    async fn get_stream_uri(&self, profile: &str) -> Result<String, OnvifError> {
        Ok(format!("rtsp://127.0.0.1:554/{profile}"))
    }

    async fn get_snapshot_uri(&self, profile: &str) -> Result<String, OnvifError> {
        Ok(format!("http://127.0.0.1/{profile}.jpg"))
    }
}

#[async_trait::async_trait]
impl PTZService for Camera {
    async fn continuous_move(&self, profile: &str, pan: f32, tilt: f32, zoom: f32) -> Result<(), OnvifError> {
        println!("move {profile} {pan} {tilt} {zoom}");
        Ok(())
    }

    async fn stop(&self, profile: &str, pan_tilt: bool, zoom: bool) -> Result<(), OnvifError> {
        println!("stop {profile} {pan_tilt} {zoom}");
        Ok(())
    }

    async fn get_status(&self, _profile: &str) -> Result<PTZStatusResult, OnvifError> {
        Ok(PTZStatusResult { pan_tilt_moving: false, zoom_moving: false })
    }

    async fn get_presets(&self, _profile: &str) -> Result<Vec<PTZPreset>, OnvifError> {
        let presets = self.presets.lock().expect("no holder panics");
        Ok(presets.iter().cloned().map(|(token, name)| PTZPreset { token, name }).collect())
    }

    async fn goto_preset(&self, _profile: &str, token: &str) -> Result<(), OnvifError> {
        println!("preset {token}");
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("onvif-device PORT USER PASSWORD");
    let port = word().parse().expect("a port");
    let camera = Camera::default();
    let presets = [("1", "gate"), ("2", "yard")].map(|(token, name)| (token.into(), name.into()));
    camera.presets.lock().expect("no holder panics").extend(presets);
    let server = OnvifServer::builder()
        .port(port)
        .advertised_host("127.0.0.1")
        .auth(&word(), &word())
        .device_service(camera.clone())
        .media_service(camera.clone())
        .ptz_service(camera)
        .build()
        .expect("a device service");
    server.run().await.expect("the port is free");
}
