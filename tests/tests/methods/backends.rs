//! The backends, and for each an agent with one camera whose true state can be looked at.

use std::sync::Arc;

use ivt_agent::config::Config;
use ivt_hal::emulator::World;
use ivt_hal::{Channel, Source, Stream, Trigger};
use ivt_sim::camera::{self, CameraOptions, CameraSim, Credentials};
use ivt_sim::cloud::{CloudOptions, CloudSim};
use ivt_tests::board::Board;
use ivt_tests::{DEVICE, Stage, hasty, soon};
use serde_json::Value;

/// A backend with the camera it drives.
#[derive(Clone, Copy)]
pub struct Backend {
    /// The head of its column.
    pub name: &'static str,
    /// The family of `camera-sim`; `None` for the agent's own emulator.
    family: Option<&'static str>,
    /// The keys of the channel, without those of the address.
    keys: &'static str,
    /// What the family tells of.
    pub triggers: &'static [Trigger],
}

/// An agent with one camera behind a backend.
pub struct Rig {
    pub stage: Stage,
    /// The emulated camera at the other end, asked directly.
    pub camera: Channel,
    /// The state of that camera.
    pub world: Arc<World>,
    /// The storage of the device itself.
    pub board: Board,
    /// What the backend tells of.
    pub triggers: &'static [Trigger],
}

impl Backend {
    pub const ALL: [Self; 5] = [
        Self {
            name: "emulator",
            family: None,
            keys: "backend = 'emulator'",
            triggers: &Trigger::ALL,
        },
        Self {
            name: "cgi, uapi",
            family: Some("uapi"),
            keys: "backend = 'cgi'\nprofile = 'uapi'",
            triggers: &[Trigger::Motion, Trigger::Line],
        },
        Self {
            name: "cgi, merlin",
            family: Some("merlin"),
            keys: "backend = 'cgi'\nprofile = 'merlin'",
            triggers: &Trigger::ALL,
        },
        Self {
            name: "cgi, hikvision",
            family: Some("hikvision"),
            keys: "backend = 'cgi'\nprofile = 'hikvision'",
            triggers: &Trigger::ALL,
        },
        Self {
            name: "onvif",
            family: Some("uapi"),
            keys: "backend = 'onvif'",
            triggers: &Trigger::ALL,
        },
    ];
    /// A family that tells of its alarms and has no column in the tables.
    pub const DAHUA: Self = Self {
        name: "cgi, dahua",
        family: Some("dahua"),
        keys: "backend = 'cgi'\nprofile = 'dahua'",
        triggers: &Trigger::ALL,
    };

    /// Starts cloud, camera and agent.
    pub async fn start(self) -> Rig {
        self.start_beside("").await
    }

    /// As [`start`](Self::start); `others` are further channels of the configuration.
    pub async fn start_beside(self, others: &str) -> Rig {
        self.start_with(others, CameraOptions::default()).await
    }

    /// As [`start_beside`](Self::start_beside), with these settings of the camera beside its family and login.
    pub async fn start_with(self, others: &str, options: CameraOptions) -> Rig {
        let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
        let mut cameras = Vec::new();
        let mut keys = self.keys.to_owned();
        if let Some(family) = self.family {
            let credentials = Some(Credentials { user: "admin".into(), password: "pass".into() });
            let family = family.parse().unwrap();
            let options = CameraOptions { family, credentials, ..options };
            let camera = CameraSim::start(options).await.unwrap();
            keys += "\nusername = 'admin'\npassword = 'pass'";
            for stream in [camera::Stream::Main, camera::Stream::Sub] {
                keys += &format!("\n{} = '{}'", stream.as_str(), camera.rtsp_url(0, stream));
            }
            keys += &match self.name {
                "onvif" => format!("\nonvif = '{}'", camera.onvif_url()),
                _ => format!("\nweb = 'http://{}'", camera.http_addr()),
            };
            cameras.push(camera);
        }
        let board = Board::new();
        let text = format!(
            "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n{}\
             [[channel]]\n{keys}\n{others}",
            cloud.device_url(),
            board.settings(),
        );
        let mut config: Config = text.parse().unwrap();
        config.state_dir = Some(board.path("state"));
        let stage = Stage { agent: hasty(&config), cloud, cameras };
        soon("the agent logs in", stage.device().wait_online()).await;
        let (camera, world) = match stage.cameras.first() {
            Some(camera) => {
                let emulator = &camera.unit(0).unwrap().emulator;
                (emulator.channel(), Arc::clone(&emulator.world))
            }
            None => own(&stage).await,
        };
        Rig { stage, camera, world, board, triggers: self.triggers }
    }
}

impl Rig {
    /// What the agent keeps of the detection that sets off alarms of this name, as the cloud has set it up.
    pub fn kept(&self, trigger: &str) -> Option<Value> {
        let rows = std::fs::read(self.board.path("state").join("alarms.json")).ok()?;
        let rows: Vec<Value> = serde_json::from_slice(&rows).unwrap();
        rows.into_iter().find(|row| row["channel"] == 0 && row["trigger"] == trigger)
    }

    /// What a camera of the uapi family tells of itself by this name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.stage.cameras.first()?.parameter(name)
    }
}

/// The agent's own emulated camera.
async fn own(stage: &Stage) -> (Channel, Arc<World>) {
    let camera = stage.agent.camera(0).unwrap();
    let Ok(Source::Pattern { world, .. }) = camera.encoder.source(Stream::Main).await else {
        panic!("an emulated camera shows its pattern");
    };
    (camera, world)
}
