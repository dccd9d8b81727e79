//! The offline verifier, run as the program that strangers run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Service, program};

/// The verifier with the policy and the export key of one ledger.
#[derive(Debug)]
pub struct Verifier {
    folder: TempDir,
}

/// What it said.
#[derive(Debug)]
pub struct Verdict {
    /// 0 sound, 1 not sound, 2 cannot tell.
    pub code: i32,
    /// Its report.
    pub report: Value,
}

impl Verifier {
    /// Takes policy and export key from a service, as a reader would once, from a source they trust.
    pub fn of(service: &Service) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let anonymous = service.anonymous();
        fs::write(folder.path().join("policy"), anonymous.get("/v1/policy").expect(200).body).unwrap();
        fs::write(folder.path().join("key"), anonymous.get("/v1/export-key").expect(200).body).unwrap();
        Self { folder }
    }

    /// With the export keys of another as well.
    pub fn and_keys_of(&self, other: &Self) -> Self {
        let read = |from: &Self, name: &str| fs::read_to_string(from.folder.path().join(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy"), read(self, "policy")).unwrap();
        fs::write(folder.path().join("key"), read(self, "key") + &read(other, "key")).unwrap();
        Self { folder }
    }

    /// Checks a receipt, a growth proof or an absence proof.
    pub fn document(&self, kind: &str, document: &Value) -> Verdict {
        let file = self.folder.path().join("document.json");
        fs::write(&file, document.to_string()).unwrap();
        self.run(kind, &file, &[])
    }

    /// Checks a dataset, a ZIP or a folder.
    pub fn dataset(&self, dataset: &Path) -> Verdict {
        let key = self.folder.path().join("key");
        self.run("dataset", dataset, &["--export-key".as_ref(), key.as_path()])
    }

    /// Checks a dataset, whose senders sign with these keys.
    pub fn dataset_signed_with(&self, dataset: &Path, keys: &[String]) -> Verdict {
        let key = self.folder.path().join("key");
        let mut more: Vec<&Path> = vec!["--export-key".as_ref(), key.as_path()];
        for key in keys {
            more.extend::<[&Path; 2]>(["--submission-key".as_ref(), key.as_ref()]);
        }
        self.run("dataset", dataset, &more)
    }

    /// Checks a published log.
    pub fn log(&self, log: &Path) -> Verdict {
        self.run("log", log, &[])
    }

    /// Checks a published log with its timestamps, by the authorities in a file.
    pub fn log_with(&self, log: &Path, authorities: &Path) -> Verdict {
        self.run("log", log, &["--tsa".as_ref(), authorities])
    }

    /// Checks a timestamp of a note.
    pub fn timestamp(&self, reply: &Path, note: &Path, authorities: &Path) -> Verdict {
        self.run("timestamp", reply, &["--note".as_ref(), note, "--tsa".as_ref(), authorities])
    }

    fn run(&self, kind: &str, what: &Path, more: &[&Path]) -> Verdict {
        let mut command = Command::new(program("trialseal-verify"));
        command
            .args(["--json", kind])
            .arg(what)
            .arg("--policy")
            .arg(self.folder.path().join("policy"))
            .args(more);
        let output = command.output().unwrap();
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
        Verdict { code: output.status.code().unwrap(), report }
    }

    /// A folder that goes with the verifier.
    pub fn room(&self, name: &str) -> PathBuf {
        let room = self.folder.path().join(name);
        fs::create_dir_all(&room).unwrap();
        room
    }
}

impl Verdict {
    /// Everything was checked and holds.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert_eq!(self.code, 0, "{:#}", self.report);
        assert_eq!(self.report["verdict"], "sound");
    }

    /// Something is wrong, and a finding names this.
    #[track_caller]
    pub fn assert_names(&self, what: &str) {
        assert_eq!(self.code, 1, "{what} is damaged, and the verifier says: {:#}", self.report);
        let findings = self.report["findings"].as_array().unwrap();
        let named = findings.iter().any(|finding| finding["record"].as_str().unwrap().contains(what));
        assert!(named, "no finding names {what}: {:#}", self.report);
    }
}
