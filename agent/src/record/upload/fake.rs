//! A recording service and its object store without sockets, for virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::time::{Instant, sleep, timeout};

use crate::http::{Body, HttpError};
use crate::record::service::{Announcement, RecordingApi, Target};

/// Duration of a round trip.
pub(super) const LATENCY: Duration = Duration::from_millis(20);

/// A request to the service.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Call {
    Create(Announcement),
    Put { name: String, fresh: bool },
    Save(String),
    Fail(String),
    Stat(u64, Duration),
    Time,
}

/// How the service answers a request.
pub(super) enum Answer {
    Good,
    NotNow,
    Bad(HttpError),
    /// A PUT is carried out, and answered so.
    Stored(HttpError),
    /// An error that comes after this time.
    Late(Duration, HttpError),
    /// No answer ever comes.
    Never,
}

type Script = dyn Fn(&Call) -> Answer + Send + Sync;

/// A recording service in memory. Clones are the same service.
#[derive(Clone)]
pub(super) struct Fake {
    script: Arc<Script>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<(Instant, Call)>,
    created: u64,
    /// Each segment by name: what was announced, and what came.
    files: BTreeMap<String, (Announcement, Vec<u8>)>,
    /// Names in the order in which they were confirmed, none of them twice.
    recorded: Vec<String>,
    now: f64,
    /// The answer to the PUT that is carried out.
    answer: Option<HttpError>,
}

impl Fake {
    pub(super) fn new(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), state: Arc::default() }
    }

    /// The same service later, without the calls that it remembers.
    pub(super) fn again(self, script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        self.state.lock().unwrap().calls.clear();
        Self { script: Arc::new(script), ..self }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// Each call as a short word, with what is asked or sent.
    pub(super) fn words(&self) -> Vec<String> {
        let word = |call: &Call| match call {
            Call::Create(a) => format!("create {}", a.start as f64 / 1e6),
            Call::Put { name, fresh: false } => format!("put {name}"),
            Call::Put { name, fresh: true } => format!("put {name} again"),
            Call::Save(name) => format!("save {name}"),
            Call::Fail(name) => format!("fail {name}"),
            Call::Stat(number, time) => format!("stat {number} {}", time.as_secs_f64()),
            Call::Time => "time".into(),
        };
        self.calls().iter().map(word).collect()
    }

    /// When the calls came for which `which` holds.
    pub(super) fn times(&self, which: impl Fn(&Call) -> bool) -> Vec<Instant> {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|(_, call)| which(call)).map(|(at, _)| *at).collect()
    }

    /// The confirmed segments in their order, with announcement and bytes.
    pub(super) fn recorded(&self) -> Vec<(Announcement, Vec<u8>)> {
        let state = self.state.lock().unwrap();
        state.recorded.iter().map(|name| state.files[name].clone()).collect()
    }

    pub(super) fn set_time(&self, now: f64) {
        self.state.lock().unwrap().now = now;
    }

    async fn ask(&self, call: Call) -> Result<bool, HttpError> {
        sleep(LATENCY).await;
        let answer = (self.script)(&call);
        self.state.lock().unwrap().calls.push((Instant::now(), call));
        match answer {
            Answer::Good => Ok(true),
            Answer::NotNow => Ok(false),
            Answer::Bad(fault) => Err(fault),
            Answer::Stored(fault) => {
                self.state.lock().unwrap().answer = Some(fault);
                Ok(true)
            }
            Answer::Late(after, fault) => {
                sleep(after).await;
                Err(fault)
            }
            Answer::Never => std::future::pending().await,
        }
    }

    fn confirm(&self, name: &str) {
        let state = &mut *self.state.lock().unwrap();
        let (announced, came) = &state.files[name];
        assert_eq!(announced.size, came.len() as u64, "{name} is confirmed, but not complete");
        if !state.recorded.iter().any(|recorded| recorded == name) {
            state.recorded.push(name.to_owned());
        }
    }
}

#[async_trait]
impl RecordingApi for Fake {
    async fn create(&self, segment: &Announcement) -> Result<Option<Target>, HttpError> {
        let wanted = self.ask(Call::Create(segment.clone())).await?;
        if let Some(name) = &segment.last_file_name {
            self.confirm(name);
        }
        if !wanted {
            return Ok(None);
        }
        let state = &mut *self.state.lock().unwrap();
        let name = format!("n{}", state.created);
        state.created += 1;
        state.files.insert(name.clone(), (segment.clone(), Vec::new()));
        Ok(Some(Target { uri: format!("http://store/{name}").into(), name }))
    }

    async fn put(
        &self,
        uri: &str,
        mut body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), HttpError> {
        let name = uri.trim_start_matches("http://store/").to_owned();
        self.ask(Call::Put { name: name.clone(), fresh }).await?;
        let mut bytes = Vec::new();
        let reading = async {
            while let Some(chunk) = body.chunks.next().await {
                bytes.extend_from_slice(&chunk);
            }
        };
        timeout(deadline, reading).await.expect("within the deadline");
        if bytes.len() as u64 != body.length {
            return Err(HttpError::Transport("the body ended early".into()));
        }
        sleep(LATENCY).await;
        let state = &mut *self.state.lock().unwrap();
        state.files.get_mut(&name).expect("a name we gave").1 = bytes;
        state.answer.take().map_or(Ok(()), Err)
    }

    async fn save(&self, name: &str) -> Result<(), HttpError> {
        self.ask(Call::Save(name.into())).await?;
        self.confirm(name);
        Ok(())
    }

    async fn fail(&self, name: &str) -> Result<(), HttpError> {
        self.ask(Call::Fail(name.into())).await?;
        let state = &mut *self.state.lock().unwrap();
        assert!(!state.recorded.iter().any(|recorded| recorded == name), "{name} was confirmed");
        Ok(())
    }

    async fn stat(&self, dropped: u64, time: Duration) -> Result<(), HttpError> {
        self.ask(Call::Stat(dropped, time)).await.map(drop)
    }

    async fn current_time(&self) -> Result<f64, HttpError> {
        self.ask(Call::Time).await?;
        Ok(self.state.lock().unwrap().now)
    }
}
