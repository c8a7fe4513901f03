use std::error::Error as _;

use bytes::Bytes;
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
        let board = Self { folder };
        board.runs("0");
        board
    }

    /// The image with this counter runs from now on.
    fn runs(&self, counter: &str) {
        fs::write(self.path("runs"), counter).unwrap();
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
            running: self.script("cat runs"),
            limit: Duration::from_secs(20),
        }
    }

    /// Those of a device without trials.
    fn once(&self, text: &str) -> Programs {
        Programs { commit: Vec::new(), roll_back: Vec::new(), ..self.programs(text) }
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
    // What the boot loader starts: 7 on trial, 7, 8 on trial, 7 again, 9.
    let mut starts = ["7", "7", "8", "7", "9"].into_iter();
    let restart = || {
        board.runs(starts.next().unwrap());
        board.restart();
    };
    conformance::firmware(&program, true, restart).await;
    assert_eq!(board.read("marks"), "good\nbad\ngood\n");
    let board = Board::new();
    let once = Programs { running: Vec::new(), ..board.once("cp \"$1\" next") };
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
    assert_eq!(program.running().await.unwrap(), running(false, Some(0), None));
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

/// A program that a signal ends may have a service that goes on: what it has installed is on trial when it starts.
#[tokio::test]
async fn a_killed_installation_is_judged_by_what_starts_next() {
    for text in ["kill -9 $$", "sh -c 'kill -9 $$'; exit $?", "sleep 60"] {
        for (starts, trial) in [("1", true), ("0", false)] {
            let board = Board::new();
            let limit = Duration::from_millis(300);
            let killed = board.program(Programs { limit, ..board.programs(text) });
            assert!(install(&killed, 1).await.is_err(), "{text}");
            assert_eq!(killed.running().await.unwrap(), running(false, Some(0), None), "{text}");
            // The service is still busy with it.
            let busy = board.program(board.programs("echo 'already processing'; exit 1"));
            assert_eq!(why(install(&busy, 1).await.err()).0, Kind::Refused);
            board.runs(starts);
            board.restart();
            let seen = running(trial, Some(starts.parse().unwrap()), None);
            assert_eq!(busy.running().await.unwrap(), seen, "{text}");
            busy.commit().await.unwrap();
            assert_eq!(board.read("marks"), if trial { "good\n" } else { "" });
            assert_eq!(busy.running().await.unwrap(), Running { trial: false, ..seen }, "{text}");
        }
    }
}

#[tokio::test]
async fn what_was_installed_stays_on_its_way_when_the_next_image_is_refused() {
    let board = Board::new();
    install(&board.program(board.programs("true")), 1).await.unwrap();
    let refusing = board.program(board.programs("exit 1"));
    assert_eq!(why(install(&refusing, 2).await.err()).0, Kind::Refused);
    board.runs("1");
    board.restart();
    assert_eq!(refusing.running().await.unwrap(), running(true, Some(1), None));
}

#[tokio::test]
async fn without_trials_an_interrupted_installation_leaves_the_device_free() {
    let text = "echo tick >> ticks; sleep 60";
    for (told, counter) in [(None, None), (Some("0"), Some(0)), (Some("1"), Some(1))] {
        let board = Board::new();
        let programs = |text| match told {
            None => Programs { running: Vec::new(), ..board.once(text) },
            Some(_) => board.once(text),
        };
        install(&board.program(programs("true")), 0).await.unwrap();
        board.restart();
        let program = board.program(programs(text));
        let given_up = tokio::time::timeout(Duration::from_millis(500), install(&program, 1)).await;
        assert!(given_up.is_err() && !board.read("ticks").is_empty());
        quiet(&board).await;
        board.runs(told.unwrap_or_default());
        board.restart();
        assert_eq!(program.running().await.unwrap(), running(false, counter, None));
        program.commit().await.unwrap();
        assert_eq!(why(program.roll_back().await.err()).0, Kind::Refused);
        install(&board.program(programs("true")), 2).await.unwrap();
    }
}

#[tokio::test]
async fn an_unsigned_image_is_on_trial_whatever_the_device_counts() {
    let board = Board::new();
    let program = board.program(board.programs("true"));
    let unsigned = Image { counter: None, sha256: None, ..image(0, b"an image") };
    let mut incoming = program.open(&unsigned).await.unwrap();
    incoming.write(Bytes::from_static(b"an image")).await.unwrap();
    incoming.install().await.unwrap();
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(true, Some(0), None));
    program.commit().await.unwrap();
    assert_eq!(program.running().await.unwrap(), running(false, Some(0), None));
}

/// `ivt-agent firmware verify` asks beside an agent that runs.
#[tokio::test]
async fn asking_what_runs_writes_nothing() {
    let board = Board::new();
    let program = board.program(board.programs("true"));
    program.running().await.unwrap();
    assert_eq!(board.left(), Vec::<String>::new());
    install(&program, 1).await.unwrap();
    let note = board.read("images/installed");
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(false, Some(0), Some(1)));
    assert_eq!(board.read("images/installed"), note);
}

#[tokio::test]
async fn an_installation_that_is_given_up_ends_the_program() {
    let board = Board::new();
    let text = "(while :; do echo tick >> ticks; sleep 0.05; done) & wait";
    let program = board.program(board.programs(text));
    let given_up = tokio::time::timeout(Duration::from_millis(500), install(&program, 1)).await;
    assert!(given_up.is_err(), "it goes on for ever");
    quiet(&board).await;
    board.runs("1");
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(true, Some(1), None));
    program.commit().await.unwrap();
    assert_eq!(program.running().await.unwrap(), running(false, Some(1), None));
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
    board.runs("41\n");
    let program = board.program(board.programs("true"));
    assert_eq!(program.running().await.unwrap(), running(false, Some(41), None));
    install(&program, 42).await.unwrap();
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(false, Some(41), Some(42)));
    install(&program, 43).await.unwrap();
    board.runs("43\n");
    board.restart();
    assert_eq!(program.running().await.unwrap(), running(true, Some(43), Some(42)));
    program.commit().await.unwrap();
    assert_eq!(program.running().await.unwrap(), running(false, Some(43), None));
    board.runs("v43\n");
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
    board.runs("1");
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
    board.runs("1");
    board.restart();
    let note = fs::read(board.path("images/installed")).unwrap();
    assert_eq!(program.running().await.unwrap(), running(true, Some(1), None));
    for at in 0..note.len() {
        let mut damaged = note.clone();
        damaged[at] ^= 0x91;
        fs::write(board.path("images/installed"), &damaged).unwrap();
        let nothing = running(false, Some(1), None);
        assert_eq!(program.running().await.unwrap(), nothing, "byte {at}");
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
    told(Programs { running: Vec::new(), ..board.programs("") }, "commit needs running");
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
