use std::error::Error as _;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::*;
use crate::conformance;

/// A device whose program is a script. What runs is the file `runs`, what starts next the file `next`.
struct Board {
    folder: TempDir,
}

impl Board {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("images")).unwrap();
        fs::write(folder.path().join("boot"), "1").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn script(&self, text: &str) -> Vec<String> {
        let text = format!("cd '{}' && {text}", self.folder.path().display());
        ["/bin/sh", "-c", &text, "sh"].map(str::to_owned).to_vec()
    }

    /// `text` finds the path of the image in `$1`.
    fn programs(&self, text: &str) -> Programs {
        let mut install = self.script(text);
        install.push(PLACE.to_owned());
        Programs {
            folder: self.path("images"),
            install,
            commit: self.script("echo good >> marks"),
            roll_back: self.script("echo bad >> marks"),
            running: Vec::new(),
            limit: Duration::from_secs(20),
        }
    }

    fn program(&self, programs: Programs) -> Program {
        let Program { device, restart } = Program::new(programs, Restart::Nothing).unwrap();
        let Device { programs, .. } = Arc::into_inner(device).unwrap();
        Program { device: Arc::new(Device { programs, boot: self.path("boot") }), restart }
    }

    fn restart(&self) {
        let before: u32 = self.read("boot").parse().unwrap();
        fs::write(self.path("boot"), (before + 1).to_string()).unwrap();
    }

    /// What is left of an installation that has ended.
    fn left(&self) -> Vec<String> {
        let left = fs::read_dir(self.path("images")).unwrap();
        let mut left: Vec<_> =
            left.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        left
    }
}

fn image(counter: u64, bytes: &[u8]) -> Image {
    let sha256 = Some(Sha256::digest(bytes).into());
    Image { version: counter.to_string(), counter: Some(counter), size: bytes.len() as u64, sha256 }
}

async fn install(program: &Program, counter: u64) -> Result<Installed> {
    let mut incoming = program.open(&image(counter, b"an image")).await?;
    if incoming.kept() == 0 {
        incoming.write(Bytes::from_static(b"an image")).await?;
    }
    incoming.install().await
}

fn why(error: Option<Error>) -> (Kind, String) {
    let error = error.expect("it was taken");
    (error.kind, error.source().map(ToString::to_string).unwrap_or_default())
}

fn running(trial: bool, counter: Option<u64>, failed: Option<u64>) -> Running {
    Running { trial, counter, failed }
}

#[tokio::test]
async fn a_program_is_firmware_with_and_without_trial() {
    let board = Board::new();
    let program = board.program(board.programs("cp \"$1\" next"));
    conformance::firmware(&program, true, || board.restart()).await;
    assert_eq!(board.read("marks"), "good\nbad\ngood\n");
    let board = Board::new();
    let once = Programs { commit: Vec::new(), ..board.programs("cp \"$1\" next") };
    conformance::firmware(&board.program(once), false, || board.restart()).await;
}

#[tokio::test]
async fn the_program_gets_the_path_in_any_word_and_no_shell_sees_it() {
    let board = Board::new();
    let mut programs = board.programs("printf '%s\\n' \"$@\" > words; cat \"${1#at=}\" > next");
    programs.install.pop();
    programs.install.extend(
        ["at={image}", "$(id)", "`id`;id", "two words", "{image}{image}"].map(str::to_owned),
    );
    assert_eq!(install(&board.program(programs), 1).await.unwrap(), Installed::Done);
    let place = board.path("images/image").display().to_string();
    assert_eq!(
        board.read("words"),
        format!("at={place}\n$(id)\n`id`;id\ntwo words\n{place}{place}\n")
    );
    assert_eq!(board.read("next"), "an image");
    assert_eq!(board.left(), ["installed", "lock"], "the image has done its duty");
}

#[tokio::test]
async fn what_the_program_refuses_is_refused_and_its_last_words_are_told() {
    let board = Board::new();
    let program = board.program(board.programs("echo one; echo 'signature is wrong' >&2; exit 3"));
    let (kind, words) = why(install(&program, 1).await.err());
    assert_eq!(kind, Kind::Refused);
    assert_eq!(words, "sh: ended with exit status: 3: signature is wrong");
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(false, None, None));
    assert_eq!(board.left(), ["installed", "lock"]);
    let program = board.program(board.programs("kill -9 $$"));
    assert_eq!(why(install(&program, 1).await.err()).0, Kind::Other);
    let missing =
        Programs { install: vec!["/no/program".into(), PLACE.into()], ..board.programs("") };
    let (kind, words) = why(install(&board.program(missing), 1).await.err());
    assert!(kind == Kind::Other && words.starts_with("program: it does not start"), "{words}");
}

#[tokio::test]
async fn a_program_beyond_its_time_is_killed_with_all_that_it_has_started() {
    let board = Board::new();
    let text =
        "trap '' TERM; (trap '' TERM; while :; do echo tick >> ticks; sleep 0.05; done) & wait";
    let programs = Programs { limit: Duration::from_millis(300), ..board.programs(text) };
    let begun = Instant::now();
    let (kind, words) = why(install(&board.program(programs), 1).await.err());
    assert!(kind == Kind::Timeout && words.contains("killed with all"), "{words}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    quiet(&board).await;
}

#[tokio::test]
async fn an_installation_that_is_given_up_ends_the_program() {
    let board = Board::new();
    let text = "(while :; do echo tick >> ticks; sleep 0.05; done) & wait";
    let program = board.program(board.programs(text));
    let given_up = tokio::time::timeout(Duration::from_millis(500), install(&program, 1)).await;
    assert!(given_up.is_err(), "it goes on for ever");
    quiet(&board).await;
    board.restart();
    // Whether it was installed is not known, so it is on trial; its counter is not believed.
    assert_eq!(program.running().await.unwrap(), running(true, None, None));
    program.commit().await.unwrap();
    assert_eq!(program.running().await.unwrap(), running(false, None, None));
}

/// Waits until nothing ticks.
async fn quiet(board: &Board) {
    let begun = Instant::now();
    let mut before = (board.read("ticks"), Instant::now());
    assert!(!before.0.is_empty(), "it was started");
    while before.1.elapsed() < Duration::from_millis(500) {
        sleep(Duration::from_millis(20)).await;
        if board.read("ticks") != before.0 {
            before = (board.read("ticks"), Instant::now());
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it goes on");
    }
}

#[tokio::test]
async fn what_a_good_program_leaves_behind_goes_on() {
    let board = Board::new();
    let program = board.program(board.programs("(sleep 0.3; echo later > later) & echo done"));
    install(&program, 1).await.unwrap();
    let begun = Instant::now();
    while board.read("later").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was ended");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_program_that_outlives_the_agent_keeps_the_next_image_away() {
    let board = Board::new();
    // Like an agent that was killed, the shell leaves a process that has the lock as its standard input.
    let path = board.path("images/lock");
    let locked = open(&path).unwrap();
    lock(&locked, &path).unwrap();
    let mut orphan = std::process::Command::new("sleep").arg("60").stdin(locked).spawn().unwrap();
    let program = board.program(board.programs("true"));
    let (kind, words) = why(install(&program, 1).await.err());
    assert!(kind == Kind::Refused && words.contains("still written, or installed"), "{words}");
    orphan.kill().unwrap();
    orphan.wait().unwrap();
    install(&program, 1).await.unwrap();
}

#[tokio::test]
async fn a_device_that_goes_back_by_itself_says_so_by_its_counter() {
    let board = Board::new();
    fs::write(board.path("runs"), "41\n").unwrap();
    let programs = Programs { running: board.script("cat runs"), ..board.programs("true") };
    let program = board.program(programs);
    assert_eq!(program.running().await.unwrap(), running(false, Some(41), None));
    install(&program, 42).await.unwrap();
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(false, Some(41), Some(42)));
    install(&program, 43).await.unwrap();
    fs::write(board.path("runs"), "43\n").unwrap();
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(true, Some(43), Some(42)));
    program.commit().await.unwrap();
    assert_eq!(program.running().await.unwrap(), running(false, Some(43), None));
    fs::write(board.path("runs"), "v43\n").unwrap();
    let (kind, words) = why(program.running().await.err());
    assert!(kind == Kind::Other && words.contains("printed \"v43\""), "{words}");
}

#[tokio::test]
async fn a_verdict_that_is_not_noted_by_the_program_leaves_the_trial() {
    let board = Board::new();
    let programs = Programs {
        commit: board.script("exit 1"),
        roll_back: Vec::new(),
        ..board.programs("true")
    };
    let program = board.program(programs);
    install(&program, 1).await.unwrap();
    board.restart();
    assert_eq!(why(program.commit().await.err()).0, Kind::Refused);
    assert_eq!(why(program.roll_back().await.err()).0, Kind::Unsupported);
    assert_eq!(program.running().await.unwrap(), running(true, Some(1), None));
}

#[tokio::test]
async fn a_damaged_note_is_no_note() {
    let board = Board::new();
    let program = board.program(board.programs("true"));
    install(&program, 1).await.unwrap();
    board.restart();
    let note = fs::read(board.path("images/installed")).unwrap();
    assert_eq!(program.running().await.unwrap(), running(true, Some(1), None));
    for at in 0..note.len() {
        let mut damaged = note.clone();
        damaged[at] ^= 0x91;
        fs::write(board.path("images/installed"), &damaged).unwrap();
        assert_eq!(program.running().await.unwrap(), Running::default(), "byte {at}");
    }
}

#[tokio::test]
async fn what_is_missing_is_told_at_the_start() {
    let board = Board::new();
    let told = |programs: Programs, words: &str| {
        let error = Program::new(programs, Restart::Nothing).err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    told(Programs { install: Vec::new(), ..board.programs("") }, "names no program");
    told(
        Programs { install: vec![String::new(), PLACE.into()], ..board.programs("") },
        "names no program",
    );
    told(Programs { install: vec!["rauc".into()], ..board.programs("") }, "no {image}");
    told(Programs { folder: board.path("none"), ..board.programs("") }, "needs a folder");
}

#[tokio::test]
async fn a_device_is_restarted_by_a_program_or_says_that_it_cannot() {
    let board = Board::new();
    Restart::Program(board.script("echo now > restarted")).restart().await.unwrap();
    assert_eq!(board.read("restarted"), "now\n");
    let (kind, words) = why(Restart::Nothing.restart().await.err());
    assert!(kind == Kind::Unsupported && words.contains("(restart)"), "{words}");
    assert_eq!(
        why(Restart::Program(board.script("exit 1")).restart().await.err()).0,
        Kind::Refused
    );
}
