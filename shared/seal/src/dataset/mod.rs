//! A dataset: the events of a trial, all of them, offline (section 9 of the format).
//!
//! Checking one streams: [`Dataset::open`] takes the two small files that say what has to be there, the others are fed
//! through. Memory stays constant but for what uniqueness needs: an id of 16 bytes an event, and a hash and a number a
//! stream, of no more events than the head says.

mod lineage;
mod manifest;
mod record;

use std::collections::HashSet;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

pub use lineage::LineageChecker;
pub use manifest::{ExportKey, ExportSigner, MAX_MANIFEST_SIGNATURES, Manifest};
pub use record::RecordChecker;

use crate::canonical::{MAX_DEPTH, parse};
use crate::hash::Hash;
use crate::policy::Policy;
use crate::proof::{HeadProof, SealReport};
use crate::refused::{At, Code, Refused, Result, ensure};

/// The events, one a line.
pub const RECORD: &str = "record.ndjson";
/// The head proof.
pub const HEAD: &str = "head.json";
/// The signed list of all other files.
pub const MANIFEST: &str = "manifest.dsse.json";
/// The policy the exporter suggests.
pub const POLICY: &str = "policy.txt";
/// Where each row of the tables comes from.
pub const LINEAGE: &str = "lineage.ndjson";
/// The RO-Crate description.
pub const RO_CRATE: &str = "ro-crate-metadata.json";
/// The folder of tables, with its slash.
pub const TABLES: &str = "data/";
/// What every dataset has.
const REQUIRED: [&str; 3] = [RECORD, HEAD, MANIFEST];

/// Something wrong with a dataset, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as the dataset spells it.
    pub file: String,
    /// The line in it, counted from 1.
    pub line: Option<u64>,
    /// The id of the event that the line is about, where it could be read.
    pub event: Option<String>,
    /// What is wrong.
    pub refused: Refused,
}

impl Finding {
    fn file(file: impl Into<String>, code: Code) -> Self {
        Self { file: file.into(), line: None, event: None, refused: Refused::new(code) }
    }

    /// The 0-based place in the trial that a line of the record stands for.
    pub fn trialseq(&self) -> Option<u64> {
        self.line.filter(|_| self.file == RECORD).map(|line| line - 1)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, " line {line}"))?;
        match (self.trialseq(), &self.event) {
            (Some(trialseq), Some(event)) => write!(f, " (trialseq {trialseq}, event {event})")?,
            (Some(trialseq), None) => write!(f, " (trialseq {trialseq})")?,
            (None, _) => {}
        }
        write!(f, ": {}", self.refused)
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 6)?;
        finding.serialize_field("file", &self.file)?;
        finding.serialize_field("line", &self.line)?;
        finding.serialize_field("trialseq", &self.trialseq())?;
        finding.serialize_field("event", &self.event)?;
        finding.serialize_field("code", &self.refused.code())?;
        finding.serialize_field("text", &self.refused.to_string())?;
        finding.end()
    }
}

/// A dataset whose manifest and head hold: it is known what its other files have to be.
#[derive(Clone, Debug)]
pub struct Dataset {
    manifest: Manifest,
    head: HeadProof,
    seal: SealReport,
}

impl Dataset {
    /// Checks the manifest and the head proof, given as the bytes of their files, for a reader who trusts `policy` for
    /// the log and `export_key` for the ledger's exports. It stops at the first refusal; who wants all of them calls
    /// [`Manifest::open`] and [`HeadProof::verify_all`].
    pub fn open(manifest: &[u8], head: &[u8], export_key: &ExportKey, policy: &Policy) -> Result<Self> {
        export_key.check_unused(policy)?;
        let manifest = Manifest::open(manifest, export_key).at(MANIFEST)?;
        let head = parse(head, MAX_DEPTH).and_then(|value| HeadProof::parse(&value)).at(HEAD)?;
        let seal = head.verify(policy).at(HEAD)?;
        ensure(export_key.origin() == seal.ledger, Code::AnotherLedger).at(MANIFEST)?;
        Ok(Self { manifest, head, seal })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The head that the record has to give.
    pub fn head(&self) -> &HeadProof {
        &self.head
    }

    /// The seal as of which the dataset is complete.
    pub fn seal(&self) -> &SealReport {
        &self.seal
    }

    /// A checker for the lines of the record.
    pub fn record_checker(&self) -> RecordChecker {
        RecordChecker::new(&self.head)
    }

    /// A checker for the lines of the lineage.
    pub fn lineage_checker(&self) -> LineageChecker<'_> {
        LineageChecker::new(&self.manifest, self.head.head.size)
    }

    /// Checks the names of all files that are there, links and such counted as what they are not: the caller leaves out
    /// what is no plain file and reports it as [`Code::FileUnknown`].
    pub fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Finding> {
        self.manifest.check_names(names)
    }

    /// Checks the SHA-256 of one file against the manifest.
    pub fn check_digest(&self, name: &str, digest: &Hash) -> Option<Finding> {
        self.manifest.check_digest(name, digest)
    }
}

/// Checks the names of a dataset's files by themselves: their spelling, that each belongs in a dataset, that no two are
/// equal but for case, that what must be there is, and that tables and lineage come together.
pub fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Finding> {
    let (mut seen, mut exact) = (HashSet::new(), HashSet::new());
    let mut findings = Vec::new();
    let mut tables = false;
    for name in names {
        exact.insert(name);
        tables |= name.starts_with(TABLES);
        if let Err(refused) = check_name(name) {
            findings.push(Finding::file(name, refused.code()));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            findings.push(Finding::file(name, Code::FileTwice));
        }
    }
    let missing = REQUIRED.into_iter().filter(|name| !exact.contains(*name));
    findings.extend(missing.map(|name| Finding::file(name, Code::FileMissing)));
    if tables != exact.contains(LINEAGE) {
        findings.push(Finding::file(LINEAGE, Code::Lineage));
    }
    findings
}

/// Checks one name: a path of plain segments that cannot leave the folder, and one of the files a dataset has.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    ensure(name.split('/').all(segment), Code::FilePath)?;
    let known =
        [RECORD, HEAD, MANIFEST, POLICY, LINEAGE, RO_CRATE].contains(&name) || name.starts_with(TABLES);
    ensure(known, Code::FileUnknown)
}
