//! Reads a scenario and names everything that is wrong with it.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ivt_sim::camera::{Make, Quirks};
use ivt_sim::cloud::{Answers, Faults, Login};
use serde_json::Value;
use toml::de::DeTable;

use super::action::{TCP_ONLY, action, conditions, saved};
use super::check::check;
use super::fields::{Fields, Mistake, Source};
use super::format::{
    Backend, CameraPart, CloudPart, Countable, DevicePart, Expect, Line, NetworkPart, Scenario,
    Step, Subject,
};
use super::settings::{self, Lines};
use super::subject::subject;

/// Longest file, in bytes.
const MAX_FILE: u64 = 1 << 20;
const MAX_STEPS: usize = 200;
const MAX_EXPECTS: usize = 200;
const MAX_CAMERAS: usize = 16;

/// A file that is no scenario, with every mistake in it.
#[derive(Debug)]
pub struct ReadError {
    /// The file.
    pub file: PathBuf,
    /// The mistakes, in the order of their lines.
    pub mistakes: Vec<Mistake>,
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.mistakes.iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{}: {}", self.file.display(), mistake.line, mistake.what)?;
        }
        Ok(())
    }
}

/// Reads the scenario of a file.
///
/// # Errors
/// When the file cannot be read, or for every mistake in it.
pub fn read(file: &Path) -> Result<Scenario, ReadError> {
    let refuse = |line: usize, what: String| ReadError {
        file: file.to_owned(),
        mistakes: vec![Mistake { line, what }],
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|f| f.take(MAX_FILE + 1).read_to_end(&mut bytes));
    opened.map_err(|error| refuse(1, error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(refuse(1, format!("a scenario has at most {MAX_FILE} bytes")));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(file, text),
        Err(error) => {
            let before = bytes.iter().take(error.valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            Err(refuse(line, "it is not UTF-8: save it in that encoding".into()))
        }
    }
}

/// Reads a scenario from its text; `file` is the name that mistakes are told by.
///
/// # Errors
/// As [`read`].
pub fn parse(file: &Path, text: &str) -> Result<Scenario, ReadError> {
    let source = Source::new(text);
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            source.wrong(offset, error.message());
            return Err(ReadError { file: file.to_owned(), mistakes: source.mistakes() });
        }
    };
    let scenario = scenario(file, source.fields(&table));
    check(&scenario, &source, text);
    let mistakes = source.mistakes();
    if mistakes.is_empty() {
        Ok(scenario)
    } else {
        Err(ReadError { file: file.to_owned(), mistakes })
    }
}

fn scenario(file: &Path, mut fields: Fields<'_>) -> Scenario {
    let name = fields.required("name");
    let about = fields.text("about").unwrap_or_default();
    let section = fields.text("section").unwrap_or_default();
    let time_limit = fields.time("time_limit").unwrap_or(Duration::from_secs(120));
    let device = device(fields.table("device"));
    let cloud = cloud(fields.table("cloud"));
    let cameras: Vec<_> = fields.tables("camera", MAX_CAMERAS).into_iter().map(camera).collect();
    let network = network(fields.table("network"));
    bypass(&fields, &cameras, &network);
    let count = cameras.len();
    let steps = fields.tables("step", MAX_STEPS).into_iter();
    let steps = steps.filter_map(|table| step(table, count)).collect();
    let expects = fields.tables("expect", MAX_EXPECTS).into_iter();
    let expects: Vec<_> = expects.filter_map(|table| expect(table, count)).collect();
    fields.finish();
    let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let file = file.to_owned();
    Scenario {
        file,
        id,
        name,
        about,
        section,
        time_limit,
        device,
        cloud,
        cameras,
        network,
        steps,
        expects,
    }
}

fn device(fields: Option<Fields<'_>>) -> DevicePart {
    let mut part = DevicePart {
        login: "qa-device".into(),
        password: "qa-passw0rd-7".into(),
        start: true,
        settings: toml::Table::new(),
        channel: toml::Table::new(),
        lines: Lines::new(),
    };
    let Some(mut fields) = fields else { return part };
    part.login = fields.text("login").unwrap_or(part.login);
    part.password = fields.text("password").unwrap_or(part.password);
    part.start = fields.flag("start").unwrap_or(true);
    part.lines = settings::check(&fields);
    part.settings = fields.typed("settings").unwrap_or_default();
    part.channel = fields.typed("channel").unwrap_or_default();
    if part.login.is_empty() {
        fields.wrong("login is empty");
    }
    fields.finish();
    part
}

fn cloud(fields: Option<Fields<'_>>) -> CloudPart {
    let mut part = CloudPart {
        logins: Vec::new(),
        patience: Duration::from_secs(30),
        answers: Answers::default(),
        faults: Faults::default(),
    };
    let Some(mut fields) = fields else { return part };
    for mut login in fields.tables("logins", 64) {
        let (code, password) = (login.required("login"), login.required("password"));
        login.finish();
        part.logins.push(Login { code, password });
    }
    part.patience = fields.time("patience").unwrap_or(part.patience);
    part.answers = fields.typed("answers").unwrap_or_default();
    part.faults = fields.typed("faults").unwrap_or_default();
    fields.finish();
    part
}

fn camera(mut fields: Fields<'_>) -> CameraPart {
    let backends = [("rtsp", Backend::Rtsp), ("cgi", Backend::Cgi), ("onvif", Backend::Onvif)];
    let transports = [("auto", "auto"), ("tcp", "tcp"), ("udp", "udp")];
    let backend = fields.word("backend", &backends).unwrap_or(Backend::Rtsp);
    let family = fields.parsed::<Make>("family").unwrap_or_default();
    let user = fields.text("user");
    let password = fields.text("password");
    let told_password = fields.text("told_password");
    let mut quirks = Quirks::default();
    fields.all_parsed("quirks").into_iter().for_each(|quirk| quirks.extend(quirk));
    let onvif_quirks = fields.all_parsed("onvif_quirks");
    let alarm_quirks = fields.all_parsed("alarm_quirks");
    let transport = fields.word("transport", &transports).unwrap_or("tcp");
    if user.is_none() != password.is_none() {
        fields.wrong("user and password go together");
    }
    fields.finish();
    let login = user.zip(password);
    CameraPart {
        backend,
        family,
        login,
        told_password,
        quirks,
        onvif_quirks,
        alarm_quirks,
        transport,
    }
}

/// Notes what would pass by the network, or have none.
fn bypass(fields: &Fields<'_>, cameras: &[CameraPart], network: &NetworkPart) {
    if !network.has(Line::Camera) {
        return;
    }
    if cameras.is_empty() {
        fields.wrong("[network] camera: there is none: write [[camera]]");
    }
    for (number, camera) in cameras.iter().enumerate() {
        let transport = camera.transport;
        if transport != "tcp" {
            fields.wrong(format!(
                "[[camera]] number {}: its pictures may pass by [network] camera with transport = \"{transport}\": \
                 write \"tcp\"; {TCP_ONLY}",
                number + 1
            ));
        }
    }
}

fn network(fields: Option<Fields<'_>>) -> NetworkPart {
    let mut part = NetworkPart::default();
    let Some(mut fields) = fields else { return part };
    let seed = fields.whole("seed", 0..=i64::MAX);
    part.seed = seed.map(i64::unsigned_abs);
    for (name, line) in Line::ALL {
        if let Some(mut table) = fields.table(name) {
            part.lines.extend(conditions(&mut table).map(|conditions| (line, conditions)));
            table.finish();
        }
    }
    fields.finish();
    part
}

fn step(mut fields: Fields<'_>, cameras: usize) -> Option<Step> {
    let line = fields.line();
    let id = fields.text("id");
    let at = fields.time("at");
    let after = after(&mut fields);
    let when = fields.table("when").and_then(|mut table| {
        let read = subject(&mut table, cameras);
        table.finish();
        read
    });
    let within = fields.time("within").unwrap_or(Duration::from_secs(60));
    let wait = fields.time("wait").unwrap_or_default();
    let action = action(&mut fields, cameras);
    fields.finish();
    Some(Step { line, id, at, after, when, within, wait, action: action? })
}

fn expect(mut fields: Fields<'_>, cameras: usize) -> Option<Expect> {
    let line = fields.line();
    let id = fields.text("id");
    let name = fields.required("name");
    let after = after(&mut fields);
    let within = fields.time("within").unwrap_or(Duration::from_secs(60));
    let not_before = fields.time("not_before").unwrap_or_default();
    let hold = fields.time("for");
    let at_end = fields.word("at", &[("end", ())]).is_some();
    let never = fields.flag("never").unwrap_or(false);
    let save = saved(&mut fields);
    let subject = subject(&mut fields, cameras);
    if let Some(Subject::Count(count)) = &subject
        && (count.count.is_upper() || count.rising.is_some() || count.spacing.is_some())
        && !at_end
        && hold.is_none()
    {
        fields.wrong("a count with an upper bound, rising and spacing_seconds can be judged at the end only: add at = \"end\", or for = \"10s\"");
    }
    let packet = |subject: &Subject| matches!(subject, Subject::Count(count) if matches!(count.of, Countable::FromDevice(_) | Countable::ToDevice(_)));
    if !save.is_empty() && !subject.as_ref().is_some_and(packet) {
        fields.wrong("save takes its values from a packet");
    }
    if at_end && (hold.is_some() || not_before > Duration::ZERO || !after.is_empty()) {
        fields.wrong("at = \"end\" goes without after, for and not_before");
    }
    fields.finish();
    Some(Expect {
        line,
        id,
        name,
        after,
        within,
        not_before,
        hold,
        at_end,
        never,
        save,
        subject: subject?,
    })
}

/// One event or several.
fn after(fields: &mut Fields<'_>) -> Vec<String> {
    match fields.json("after") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) if several.iter().all(Value::is_string) => {
            several.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => {
            fields.wrong("after: expected the id of a step or an expectation, or a list of them");
            Vec::new()
        }
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
