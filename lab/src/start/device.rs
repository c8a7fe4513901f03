//! The agent's program as a device of the lab: its configuration, and its process.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ivt_base::process_group::Group;
use tempfile::TempDir;
use tokio::process::Command;

use super::picture::found;

/// The agent's program.
const PROGRAM: &str = "ivt-agent";
/// How long the agent has to say goodbye to its cloud.
const GRACE: Duration = Duration::from_secs(5);

/// What an agent is told. Every text is one of ours, without quotation marks.
pub(super) struct Plan<'a> {
    /// The cloud's URL, and the device's login code and password.
    pub(super) cloud: Option<(&'a str, &'a str, &'a str)>,
    /// Where the camera's web server is, with its user and password.
    pub(super) camera: (String, &'a str, &'a str),
    /// Host and port of the hosted service.
    pub(super) hosted: Option<(&'a str, u16)>,
    /// Whether the hosted service's commands go to the camera's web server.
    pub(super) web_cgi: bool,
    /// Where the device's own page is, and its password.
    pub(super) page: (String, &'a str),
    /// Networks of servers that the cloud may name.
    pub(super) allow: &'a [String],
}

/// A running agent. Its processes end with it.
pub(super) struct Device {
    process: Option<Group>,
    program: PathBuf,
    config: PathBuf,
    log: String,
    /// Where the state is, until the end.
    _folder: Option<TempDir>,
}

impl Device {
    /// Writes the configuration into `state`, or a folder that is gone at the end, and starts the program.
    ///
    /// # Errors
    /// The folder cannot be written, or there is no program. The text says what to do.
    pub(super) fn start(
        program: Option<&Path>,
        state: Option<&Path>,
        log: &str,
        plan: &Plan<'_>,
    ) -> Result<Self, String> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => usual().ok_or_else(|| {
                format!("there is no {PROGRAM} beside this program or in PATH: install the package ivt-agent, or name it by --agent")
            })?,
        };
        let folder = match state {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("ivt-lab-")
                    .tempdir()
                    .map_err(|error| refusal(&std::env::temp_dir(), &error))?,
            ),
        };
        let place = folder.as_ref().map(TempDir::path).or(state).unwrap_or(Path::new("."));
        let config = write(place, &text(plan)).map_err(|error| refusal(place, &error))?;
        let mut device =
            Self { process: None, program, config, log: log.to_owned(), _folder: folder };
        device.run()?;
        Ok(device)
    }

    /// Starts the program, again where it has ended.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).stdin(Stdio::null());
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", &self.log);
        }
        // What a service manager gives to this program is not meant for the agent.
        command.env_remove("NOTIFY_SOCKET").env_remove("STATE_DIRECTORY");
        let child = command.process_group(0).kill_on_drop(true).spawn().map_err(|error| {
            format!(
                "{} does not start: {error}; another agent can be named by --agent",
                self.program.display()
            )
        })?;
        self.process = Some(Group::of(child));
        Ok(())
    }

    /// Waits for the end of the program, and returns how it was. Cancel safe.
    ///
    /// # Errors
    /// The system does not tell.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        match &mut self.process {
            Some(process) => process.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Asks the program to end, and waits until it has.
    pub(super) async fn stop(mut self) {
        if let Some(process) = self.process.take() {
            process.ask();
            process.over(GRACE).await;
        }
    }
}

/// The agent beside this program, or in `PATH`.
fn usual() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
    let beside = beside.filter(|program| program.is_file());
    beside.or_else(|| found(PROGRAM).then(|| PROGRAM.into()))
}

/// What a person can do where a folder cannot be written.
fn refusal(folder: &Path, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: make room (`df -h` tells of it), or name another folder by --state"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "it may not be written: name another folder by --state"
        }
        _ => "name another folder by --state",
    };
    format!("cannot write the device's configuration into {}: {error}; {cure}", folder.display())
}

/// Writes a configuration that only this user may read, as the agent demands of a file with passwords.
fn write(folder: &Path, text: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join("agent.toml");
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(path)
}

fn text(plan: &Plan<'_>) -> String {
    // What JSON escapes, TOML escapes in the same way.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = String::new();
    if let Some((url, code, password)) = plan.cloud {
        text += &format!(
            "[cloud]\nurl = {}\nlogin_code = {}\nlogin_passwd = {}\nhardware_model = \"ivt-lab\"\nallow_hosts = {}\n\n",
            quoted(url),
            quoted(code),
            quoted(password),
            serde_json::Value::from(plan.allow)
        );
    }
    let (camera, user, password) = &plan.camera;
    text += &format!(
        "[[channel]]\nbackend = \"onvif\"\nweb = \"http://{camera}\"\nweb_cgi = {}\nusername = {}\npassword = {}\n\n",
        plan.web_cgi,
        quoted(user),
        quoted(password)
    );
    if let Some((host, port)) = plan.hosted {
        text += &format!(
            "[tlss]\nenable = true\nserver = {}\nport = {port}\ninterval_minutes = 1\n\n",
            quoted(host)
        );
    }
    let (listen, password) = &plan.page;
    text += &format!(
        "[web]\nenable = true\nlisten = \"{listen}\"\nfirst_password = {}\nreset_file = \"reset\"\n",
        quoted(password)
    );
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn plan() -> Plan<'static> {
        Plan {
            cloud: Some(("ws://127.0.0.1:1/ivc", "demo", "a\"b\\c")),
            camera: ("127.0.0.1:2".into(), "admin", "p"),
            hosted: Some(("127.0.0.1", 3)),
            web_cgi: true,
            page: ("127.0.0.1:4".into(), "page-page"),
            allow: &[],
        }
    }

    #[test]
    fn a_configuration_holds_every_text_as_it_was() {
        let table: toml::Table = text(&plan()).parse().unwrap();
        assert_eq!(table["cloud"]["login_passwd"].as_str(), Some("a\"b\\c"));
        assert_eq!(table["tlss"]["port"].as_integer(), Some(3));
        assert_eq!(table["web"]["listen"].as_str(), Some("127.0.0.1:4"));
    }

    #[test]
    fn passwords_are_for_this_user_only_also_the_second_time() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let path = write(folder.path(), "x").unwrap();
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_full_disk_and_a_missing_program_say_what_to_do() {
        let full = refusal(Path::new("/s"), &io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.contains("the disk is full") && full.contains("--state"), "{full}");
        let error = Device::start(Some(Path::new("/nonexistent/agent")), None, "warn", &plan());
        let error = error.err().unwrap();
        assert!(error.contains("/nonexistent/agent") && error.contains("--agent"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Device::start(Some(Path::new("/bin/true")), Some(&file), "warn", &plan());
        assert!(error.err().unwrap().contains("--state"));
    }

    #[tokio::test]
    async fn an_agent_that_ends_is_noticed_and_a_running_one_is_stopped() {
        let script = |body: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("agent");
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            (folder, path)
        };
        let (_kept, program) = script("exit 3");
        let mut device = Device::start(Some(&program), None, "warn", &plan()).unwrap();
        assert_eq!(device.ended().await.unwrap().code(), Some(3));
        let (_kept, program) = script("exec sleep 600");
        let device = Device::start(Some(&program), None, "warn", &plan()).unwrap();
        let begun = tokio::time::Instant::now();
        device.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
