//! The demonstration that `./run` builds and starts: once through, once more on what it left, and until Ctrl-C.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use trialseal_tests::{all_files, program};

/// How long a demonstration may take on a busy machine.
const WITHIN: Duration = Duration::from_mins(5);

/// What it says when it has shown everything and serves on.
const SERVING_ON: &str = "goes on until you press Ctrl-C";

/// A demonstration under way.
struct Demonstration<'a> {
    folder: &'a Path,
    child: Child,
}

impl<'a> Demonstration<'a> {
    fn start(folder: &'a Path, options: &[&str]) -> Self {
        let words = File::create(folder.join("words")).unwrap();
        let mut command = Command::new(program("xtask"));
        command.args(["demo", "--port", "0", "--dir"]).arg(folder.join("var")).args(options);
        // Settings of a service of one's own, which must not reach the demonstration's.
        command.env("TRIALSEAL_DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing");
        command.env("TRIALSEAL_ORIGIN", "somebody.else.example.org");
        command.stdin(Stdio::null()).stdout(words.try_clone().unwrap()).stderr(words);
        // In a group of its own, as a shell starts it.
        let child = command.process_group(0).spawn().unwrap();
        Self { folder, child }
    }

    fn words(&self) -> String {
        fs::read_to_string(self.folder.join("words")).unwrap()
    }

    fn wait<T>(&mut self, mut ask: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(found) = ask(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain:\n{}", self.words());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&mut self) -> ExitStatus {
        self.wait(|it| it.child.try_wait().unwrap())
    }

    /// As a terminal does it: to every process of the group.
    fn press_ctrl_c(&self) {
        let group = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -INT \"-$0\"", &group]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }
}

impl Drop for Demonstration<'_> {
    fn drop(&mut self) {
        // It takes its service along.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_verifies_goes_on_where_it_was_and_ends_at_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Demonstration::start(folder.path(), &["--once"]);
    let status = first.end();
    assert_eq!(status.code(), Some(0), "{}", first.words());
    assert!(!first.words().contains(SERVING_ON));
    assert_left_behind(&folder.path().join("var"));
    let checkpoint = size_of_log(folder.path());

    let mut second = Demonstration::start(folder.path(), &["--once"]);
    let status = second.end();
    assert_eq!(status.code(), Some(0), "{}", second.words());
    assert!(second.words().contains("recorded already"), "{}", second.words());
    assert!(size_of_log(folder.path()) >= checkpoint, "the log began anew");

    let mut third = Demonstration::start(folder.path(), &[]);
    third.wait(|it| {
        assert!(it.child.try_wait().unwrap().is_none(), "it ended by itself:\n{}", it.words());
        it.words().contains(SERVING_ON).then_some(())
    });
    third.press_ctrl_c();
    let status = third.end();
    assert_eq!(status.code(), Some(0), "{}", third.words());
}

/// What a demonstration leaves, for those who want to look at it afterwards.
fn assert_left_behind(dir: &Path) {
    let tokens = dir.join("demo/tokens.json");
    assert_eq!(fs::metadata(&tokens).unwrap().permissions().mode() & 0o777, 0o600);
    let tokens: BTreeMap<String, String> = serde_json::from_slice(&fs::read(tokens).unwrap()).unwrap();
    let roles: Vec<&str> = tokens.keys().map(String::as_str).collect();
    assert_eq!(roles, ["admin", "investigator", "irb", "monitor", "researcher", "sponsor"]);
    for file in ["dataset.zip", "trust.txt", "receipt.json"] {
        assert!(fs::metadata(dir.join("demo").join(file)).unwrap().len() > 0, "{file}");
    }
    let log = dir.join("log");
    let names: Vec<String> = all_files(&log)
        .iter()
        .map(|file| file.strip_prefix(&log).unwrap().to_str().unwrap().to_owned())
        .collect();
    for part in ["checkpoint", "tile/0/", "tile/entries/", "notes/"] {
        assert!(names.iter().any(|name| name.starts_with(part)), "no {part} among {names:?}");
    }
}

fn size_of_log(folder: &Path) -> u64 {
    let checkpoint = fs::read_to_string(folder.join("var/log/checkpoint")).unwrap();
    checkpoint.lines().nth(1).unwrap().parse().unwrap()
}
