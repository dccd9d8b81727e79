//! What shows a finding, in files: `evidence/<time>-<code>-<digest>/`, with `finding.json` and everything that was received.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use trialseal_seal::hash::sha256;
use trialseal_seal::time::Timestamp;

use crate::finding::Finding;

/// The folder below the monitor's.
pub const EVIDENCE: &str = "evidence";
/// Marks what was told to the webhook and by mail.
const TOLD: &str = ".told";

/// Where the evidence of a finding lies.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    path: PathBuf,
}

impl Kept {
    /// The folder's name below [`EVIDENCE`].
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(crate) fn is_told(&self) -> bool {
        self.path.join(TOLD).exists()
    }

    pub(crate) fn told(&self) -> io::Result<()> {
        File::create(self.path.join(TOLD))?.sync_all()
    }
}

/// Writes a finding's files, unless those of the same finding are there already: an alarm that stays is kept once.
pub(crate) fn keep(dir: &Path, finding: &Finding, now: Timestamp, policy: &[u8]) -> io::Result<Kept> {
    let root = dir.join(EVIDENCE);
    fs::create_dir_all(&root)?;
    let digest = sha256(format!("{}\n{}\n{}", finding.code, finding.record, finding.place).as_bytes());
    let ending = format!("-{}-{}", finding.code, &digest.to_string()[..12]);
    for entry in fs::read_dir(&root)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(&ending)
            && entry.path().join("finding.json").exists()
        {
            return Ok(Kept { path: entry.path() });
        }
    }
    let time: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let path = root.join(format!("{time}{ending}"));
    fs::create_dir_all(&path)?;
    for evidence in &finding.evidence {
        write(&path.join(&evidence.name), &evidence.bytes)?;
    }
    write(&path.join("policy.txt"), policy)?;
    let files: Vec<_> = finding.evidence.iter().map(|evidence| &evidence.name).collect();
    let about = json!({
        "format": "trialseal/monitor-finding/v1",
        "time": now.to_string(),
        "verdict": finding.verdict,
        "code": finding.code,
        "record": finding.record,
        "message": finding.message,
        "files": files,
    });
    // Last, so that a folder with it is whole.
    write(&path.join("finding.json"), format!("{about:#}\n").as_bytes())?;
    File::open(&path)?.sync_all()?;
    File::open(&root)?.sync_all()?;
    Ok(Kept { path })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
