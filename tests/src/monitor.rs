//! The monitor, run as the program that somebody else runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, Service, Witnesses, program};

/// A monitor of one service, with a folder of its own.
#[derive(Debug)]
pub struct Monitor {
    folder: TempDir,
    arguments: Vec<String>,
}

/// What one pass came to.
#[derive(Debug)]
pub struct Pass {
    /// The exit code.
    pub code: i32,
    /// The report; null where there is none.
    pub report: Value,
    /// What it said to its standard error.
    pub said: String,
}

impl Monitor {
    /// Takes the policy from a service, as a reader would once, to follow one trial as `reader`.
    pub fn of(service: &Service, trial: &str, reader: &Client) -> Self {
        let folder = tempfile::Builder::new().prefix("trialseal-monitor-").tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let policy = file("policy", &service.anonymous().get("/v1/policy").expect(200).body);
        let token = file("token", reader.token().as_bytes());
        let arguments = ["--policy", &policy, "--token-file", &token, "--trial", trial];
        Self { arguments: arguments.map(str::to_owned).to_vec(), folder }
    }

    /// The same, comparing with witnesses.
    pub fn beside(mut self, witnesses: &Witnesses) -> Self {
        for witness in &witnesses.all {
            self.arguments.extend(["--witness".to_owned(), witness.address.clone()]);
        }
        self
    }

    /// Takes the policy from the service anew, as a reader does when a key is changed.
    pub fn change_policy(&self, service: &Service) {
        self.set_policy(&service.anonymous().get("/v1/policy").expect(200).text());
    }

    /// Has it trust another policy.
    pub fn set_policy(&self, policy: &str) {
        fs::write(self.folder.path().join("policy"), policy).unwrap();
    }

    /// The folder of its place.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("place")
    }

    /// One pass.
    pub fn check(&self, service: &Service, more: &[&str]) -> Pass {
        self.check_at(&service.address(), more)
    }

    /// One pass, at an address where somebody may answer who is not the service.
    pub fn check_at(&self, ledger: &str, more: &[&str]) -> Pass {
        let mut command = Command::new(program("trialseal-monitor"));
        command.args(["check", "--json", "--ledger", ledger, "--folder"]).arg(self.dir());
        let output = command.args(&self.arguments).args(more).output().unwrap();
        Pass {
            code: output.status.code().unwrap(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Pass {
    /// All is well.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert_eq!(self.code, 0, "{:#}\n{}", self.report, self.said);
    }

    /// There is an alarm with this code.
    #[track_caller]
    pub fn assert_alarm(&self, code: &str) {
        assert_eq!(self.code, 1, "{:#}\n{}", self.report, self.said);
        let findings = self.report["findings"].as_array().unwrap();
        assert!(findings.iter().any(|it| it["code"] == code), "no {code}: {:#}", self.report);
    }
}
