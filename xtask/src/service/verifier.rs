//! The offline verifier, run as a program of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The verifier and what it is told to trust.
pub(crate) struct Verifier {
    program: PathBuf,
    trust: PathBuf,
}

/// What it said of one thing.
pub(crate) struct Verdict {
    /// What was verified.
    pub(crate) what: String,
    /// 0 sound, 1 not sound, 2 cannot tell.
    pub(crate) code: Option<i32>,
    /// Its own words.
    pub(crate) words: String,
}

impl Verdict {
    pub(crate) fn is_sound(&self) -> bool {
        self.code == Some(0)
    }
}

impl Verifier {
    /// `program` is the verifier, `trust` the file that says whom to trust.
    pub(crate) fn new(program: &Path, trust: &Path) -> Result<Self> {
        ensure!(program.is_file(), "{} is missing: build it as the service was built", program.display());
        Ok(Self { program: program.to_path_buf(), trust: trust.to_path_buf() })
    }

    pub(crate) fn dataset(&self, dataset: &Path) -> Result<Verdict> {
        judge("dataset.zip", self.command("dataset", dataset))
    }

    pub(crate) fn receipt(&self, receipt: &Path) -> Result<Verdict> {
        judge("receipt.json", self.command("receipt", receipt))
    }

    pub(crate) fn log(&self, log: &Path) -> Result<Verdict> {
        judge("the log", self.command("log", log))
    }

    fn command(&self, kind: &str, what: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(kind).arg(what).arg("--trust").arg(&self.trust);
        command
    }
}

fn judge(what: &str, mut command: Command) -> Result<Verdict> {
    let output = command.output().context("the verifier cannot be started")?;
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let words = words.join("\n").trim().to_owned();
    Ok(Verdict { what: what.to_owned(), code: output.status.code(), words })
}
