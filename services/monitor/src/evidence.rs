//! What shows a finding, in files: `evidence/<time>-<code>-<digest>/`, with `finding.json` and everything that was received;
//! beside them, as empty files, who still has to be told of it (`.untold-<mark>`) and who was (`.told-<mark>`).

use std::fmt::Display;
use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use trialseal_seal::hash::sha256;
use trialseal_seal::time::Timestamp;

use crate::finding::Finding;
use crate::notice::{Kind, Notice, Untold};

/// The folder below the monitor's.
pub const EVIDENCE: &str = "evidence";
const FINDING: &str = "finding.json";
/// Marks what was told, when there was one way of telling and no mark for each.
const TOLD_OF_BEFORE: &str = ".told";

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

    /// Remembers that whoever has this mark has to be told, unless that has been done.
    pub(crate) fn owe(&self, mark: &str) -> io::Result<()> {
        if self.path.join(TOLD_OF_BEFORE).exists() || self.path.join(told(mark)).exists() {
            return Ok(());
        }
        File::create(self.path.join(untold(mark)))?.sync_all()
    }

    /// Remembers that whoever has this mark was told.
    pub(crate) fn told(&self, mark: &str) -> io::Result<()> {
        fs::rename(self.path.join(untold(mark)), self.path.join(told(mark)))?;
        File::open(&self.path)?.sync_all()
    }

    /// What there is to tell, as it was first seen.
    pub(crate) fn notice(&self, ledger: &str) -> Result<Notice, Untold> {
        let file = self.path.join(FINDING);
        let refused = |error: &dyn Display| Untold::Refused(format!("{}: {error}", file.display()));
        let about = fs::read(&file).map_err(|error| refused(&error))?;
        let about: About = serde_json::from_slice(&about).map_err(|error| refused(&error))?;
        let (evidence, folder) = (self.name(), std::path::absolute(&self.path));
        Ok(Notice {
            kind: Kind::Alarm,
            id: Notice::id(&evidence),
            ledger: ledger.to_owned(),
            code: about.code,
            record: about.record,
            message: about.message,
            evidence,
            folder: folder.unwrap_or_else(|_| self.path.clone()).display().to_string(),
            time: about.time,
        })
    }
}

/// What is told of a `finding.json`.
#[derive(Deserialize)]
struct About {
    time: Timestamp,
    code: String,
    record: String,
    message: String,
}

fn told(mark: &str) -> String {
    format!(".told-{mark}")
}

fn untold(mark: &str) -> String {
    format!(".untold-{mark}")
}

/// What whoever has this mark still has to be told, the oldest first.
pub(crate) fn owed(dir: &Path, mark: &str) -> io::Result<Vec<Kept>> {
    let entries = match fs::read_dir(dir.join(EVIDENCE)) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let untold = untold(mark);
    let mut owed: Vec<_> =
        entries.iter().map(DirEntry::path).filter(|path| path.join(&untold).exists()).collect();
    owed.sort();
    Ok(owed.into_iter().map(|path| Kept { path }).collect())
}

/// Writes a finding's files, unless those of the same finding are there already: an alarm that stays is kept once.
pub(crate) fn keep(dir: &Path, finding: &Finding, now: Timestamp, policy: &[u8]) -> io::Result<Kept> {
    let root = dir.join(EVIDENCE);
    fs::create_dir_all(&root)?;
    let digest = sha256(format!("{}\n{}\n{}", finding.code, finding.record, finding.place).as_bytes());
    let ending = format!("-{}-{}", finding.code, &digest.to_string()[..12]);
    for entry in fs::read_dir(&root)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(&ending) && entry.path().join(FINDING).exists() {
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
    write(&path.join(FINDING), format!("{about:#}\n").as_bytes())?;
    File::open(&path)?.sync_all()?;
    File::open(&root)?.sync_all()?;
    Ok(Kept { path })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
