//! `trialseal-witness` as a process.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use trialseal_seal::hash::sha256;
use trialseal_seal::note::VerifierKey;

use crate::log::Log;

pub(crate) const NAME: &str = "witness.example.org/w1";

/// A folder that a witness lives in, and goes with the test.
pub(crate) struct Home(tempfile::TempDir);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content: String,
    pub(crate) body: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.0.path().join("w1")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.dir().join("journal")
    }

    /// `run`, as for a first start with these logs.
    pub(crate) fn command(&self, logs: &[&Log]) -> Command {
        self.wrapped(Command::new(program()), logs)
    }

    /// The same behind another program, which becomes it.
    pub(crate) fn wrapped(&self, mut command: Command, logs: &[&Log]) -> Command {
        command.args(["run", "--name", NAME, "--listen", "127.0.0.1:0", "--folder"]).arg(self.dir());
        for log in logs {
            let own = log.vkey().starts_with(&format!("{}+", log.origin));
            let vkey = if own { log.vkey() } else { format!("{} {}", log.vkey(), log.origin) };
            command.args(["--log", &vkey]);
        }
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn start(&self, logs: &[&Log]) -> Running {
        Running::start(self.command(logs))
    }

    /// A start that is expected to fail: what it says.
    pub(crate) fn refused(&self, logs: &[&Log]) -> String {
        said(&finished(self.command(logs)))
    }
}

pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_trialseal-witness")
}

/// What a program that fails says, which is one line.
pub(crate) fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("trialseal-witness: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    lines[0].to_owned()
}

/// Runs a program that ends by itself.
pub(crate) fn finished(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// A witness that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) key: VerifierKey,
    /// Those that it printed after the first.
    pub(crate) further: Vec<VerifierKey>,
    pub(crate) address: String,
    agent: ureq::Agent,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut keys, mut address) = (Vec::new(), None);
        while address.is_none() {
            let line = lines.next().unwrap().unwrap();
            address = line.strip_prefix("listening on ").map(str::to_owned);
            keys.extend(line.parse::<VerifierKey>());
        }
        let (address, further) = (address.unwrap(), keys.split_off(1));
        Self { child, key: keys.remove(0), further, address, agent: agent() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.try_post(body).unwrap()
    }

    /// As [`post`](Self::post), where the witness may be gone.
    pub(crate) fn try_post(&self, body: impl AsRef<[u8]>) -> Option<Answer> {
        post(&self.agent, &self.address, body.as_ref())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(format!("{}{path}", self.address)).call()).unwrap()
    }

    /// The newest cosigned checkpoint of a log.
    pub(crate) fn newest(&self, log: &Log) -> Answer {
        self.get(&format!("/{}/checkpoint", sha256(log.origin.as_bytes())))
    }

    /// What the witness says the size of its newest checkpoint of a log is.
    pub(crate) fn size(&self, log: &Log) -> u64 {
        let answer = self.post(log.body(1999, 2000));
        assert_eq!((answer.status, answer.content.as_str()), (409, "text/x.tlog.size"), "{answer:?}");
        answer.body.strip_suffix('\n').unwrap().parse().unwrap()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        signal(self.id(), "TERM");
        self.ended()
    }

    /// Waits until it ends; its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the witness does not end")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, by the shell's own `kill`, as the standard library knows SIGKILL alone.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap();
    assert!(sent.success());
}

/// A client that keeps its connection and takes every status for an answer.
pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(30))).build().new_agent()
}

pub(crate) fn post(agent: &ureq::Agent, address: &str, body: &[u8]) -> Option<Answer> {
    answer(agent.post(format!("{address}/add-checkpoint")).send(body))
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<Answer> {
    let mut response = response.ok()?;
    let content =
        response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    Some(Answer { status, content, body: response.body_mut().read_to_string().ok()? })
}

/// A copy of what lies in a witness's folder.
pub(crate) fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap()
}
