//! The check of a dataset: many events, complete, as of one seal (section 9 of the format).

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use trialseal_seal::dataset::{
    ExportKey, HEAD, LINEAGE, MANIFEST, Manifest, RECORD, RecordChecker, TABLES, check_name, check_names,
};
use trialseal_seal::hash::Hash;
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::{HeadProof, SealReport};
use trialseal_seal::{Code, Refused, canonical};

mod lineage;
mod signatures;
mod submissions;
mod table;

use self::lineage::Lineage;
use self::signatures::Signatures;
use self::submissions::Submissions;
use self::table::{Found, Table, Tables};
use crate::documents::{seal_facts, silent};
use crate::files::{FileError, Files};
use crate::lines;
use crate::outcome::Report;
use crate::spool::{Spool, Spooled};

/// Largest head proof or manifest that is read, bytes.
const MAX_SMALL_FILE_BYTES: u64 = 16 << 20;
/// Lines of the record that are checked where nothing proves how many there are: each may take some memory.
const MAX_LINES_WITHOUT_HEAD: u64 = 1_000_000;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 128 << 10;

/// The reader's own files, where a finding is about them.
const TRUST: &str = "the policy and the export key";

const LIMITS: &[&str] = &[
    "that what was recorded is true",
    "that everything that happened was recorded",
    "anything about events recorded after this seal",
];

/// Checks a dataset: manifest, head, every line of the record, every signed submission, every
/// electronic signature, every file's digest, and every table
/// cell's origin. Where `submission_keys` names any (by their `x`), senders may have signed with no others.
pub fn dataset(
    input: &str,
    files: &mut dyn Files,
    policy: &Policy,
    export_keys: &[ExportKey],
    submission_keys: &[String],
) -> Report {
    let report = Report::new("dataset", input, LIMITS);
    let mut check = Check { report, files, submission_keys, unreadable: HashSet::new() };
    check.run(policy, export_keys);
    silent(&mut check.report, policy);
    check.report
}

struct Check<'a> {
    report: Report,
    files: &'a mut dyn Files,
    submission_keys: &'a [String],
    /// What was reported as unreadable.
    unreadable: HashSet<String>,
}

/// The head proof of a dataset.
struct Head {
    proof: HeadProof,
    /// What it proves, where it holds.
    seal: Option<SealReport>,
}

/// How much of the record is shown.
#[derive(Default)]
struct Shown {
    all: u64,
    some: u64,
    withheld: u64,
    leaf: u64,
}

/// What tells the kinds of lines apart.
#[derive(Deserialize)]
struct Kind {
    leaf: Option<IgnoredAny>,
    withheld: Option<IgnoredAny>,
    fields: Option<IgnoredAny>,
}

impl Shown {
    fn count(&mut self, line: &[u8]) {
        match serde_json::from_slice(line) {
            Ok(Kind { leaf: Some(_), .. }) => self.leaf += 1,
            Ok(Kind { withheld: Some(_), .. }) => self.withheld += 1,
            Ok(Kind { fields: Some(_), .. }) => self.some += 1,
            Ok(_) => self.all += 1,
            Err(_) => {}
        }
    }
}

impl Check<'_> {
    fn run(&mut self, policy: &Policy, export_keys: &[ExportKey]) {
        let names = self.files.names().to_vec();
        for misfit in self.files.misfits() {
            self.report.broken(&misfit.name, misfit.code, misfit.message);
        }
        if let Err(refused) = export_keys.iter().try_for_each(|key| key.check_unused(policy)) {
            self.report.refused(TRUST, &refused);
        }
        let manifest = self.manifest(&names, export_keys);
        let head = self.head(&names, policy, export_keys);
        let plain = names.iter().map(String::as_str);
        let findings =
            manifest.as_ref().map_or_else(|| check_names(plain.clone()), |it| it.check_names(plain.clone()));
        for finding in findings {
            self.report.refused(finding.file, &finding.refused);
        }
        if let Some(Head { proof, seal: Some(seal) }) = &head {
            self.report.fact("ledger", "Ledger", seal.ledger.as_str());
            self.report.fact("trial", "Trial", proof.head.trial.as_str());
            self.report.fact("events", "Events, complete as of the seal", proof.head.size);
            seal_facts(&mut self.report, seal, policy);
            self.report.fact("files", "Files", names.len());
        }
        self.contents(&names, manifest.as_ref(), head.as_ref());
    }

    fn manifest(&mut self, names: &[String], export_keys: &[ExportKey]) -> Option<Manifest> {
        let manifest = self.small_file(names, MANIFEST)?;
        let opened = Manifest::open_with(&manifest, export_keys);
        opened.map_err(|refused| self.report.refused(MANIFEST, &refused)).ok()
    }

    /// Reads and checks the head, whatever the manifest is: each of the two is proved by itself.
    fn head(&mut self, names: &[String], policy: &Policy, export_keys: &[ExportKey]) -> Option<Head> {
        let head = self.small_file(names, HEAD)?;
        let parsed = canonical::parse(head, canonical::MAX_DEPTH).and_then(|value| HeadProof::parse(&value));
        let proof = parsed.map_err(|refused| self.report.refused(HEAD, &refused)).ok()?;
        let verified = proof.verify_all(policy);
        let seal = verified.map_err(|refused| self.report.all_refused(HEAD, &refused)).ok();
        if export_keys.iter().any(|key| key.origin() != proof.seal.ledger) {
            self.report.refused("the export key", &Refused::new(Code::AnotherLedger));
        }
        Some(Head { proof, seal })
    }

    /// Reads all files but the manifest, each once and in a stream.
    ///
    /// Tables are compared with the record only where manifest and head hold: what that costs is then bounded by what
    /// the ledger signed, and not by what somebody put into a file.
    fn contents(&mut self, names: &[String], manifest: Option<&Manifest>, head: Option<&Head>) {
        let there = |name: &str| names.iter().any(|other| other == name);
        let opened = manifest.zip(head.filter(|head| head.seal.is_some()));
        let (spool, tables) = match opened {
            Some(_) if there(LINEAGE) => self.set_aside().unzip(),
            _ => (None, None),
        };
        let record = if there(RECORD) { self.record(manifest, head, spool) } else { None };
        let tables = self.others(names, manifest, tables);
        if !there(LINEAGE) {
            return;
        }
        if let (Some((manifest, head)), Some(record), Some(tables)) = (opened, record, tables) {
            let lineage = Lineage::new(manifest, (head.proof.head.size, record), tables);
            self.file(Some(manifest), LINEAGE, |report, reader| read_lineage(report, reader, lineage));
        } else {
            self.file(manifest, LINEAGE, |_, _| Ok(()));
            let message = "the tables were not compared with the record: manifest, head or record does not hold, or \
                           cannot be read to its end";
            self.report.missing(LINEAGE, "not-checked", message);
        }
    }

    /// Room in temporary files for the lines of the record and the rows of the tables.
    fn set_aside(&mut self) -> Option<(Spool, Tables)> {
        let made = Spool::new().and_then(|spool| Ok((spool, Tables::new()?)));
        made.map_err(|error| self.no_temporary_file(&error)).ok()
    }

    fn no_temporary_file(&mut self, error: &io::Error) {
        let message = format!("they cannot be written: {}", error.kind());
        self.report.missing("temporary files", "unreadable", message);
    }

    /// Checks the record, and sets its lines aside where there is room for them.
    fn record(
        &mut self,
        manifest: Option<&Manifest>,
        head: Option<&Head>,
        spool: Option<Spool>,
    ) -> Option<Spooled> {
        let Some(head) = head else {
            self.file(manifest, RECORD, |_, _| Ok(()));
            return None;
        };
        let submissions = Submissions::new(self.submission_keys);
        let read = |report: &mut Report, reader: &mut FileReader<'_>| {
            read_record(report, reader, head, submissions, spool)
        };
        self.file(manifest, RECORD, read).flatten()
    }

    /// Reads all files but record, lineage and manifest. Tables are given back where there is room for them.
    fn others(
        &mut self,
        names: &[String],
        manifest: Option<&Manifest>,
        mut reading: Option<Tables>,
    ) -> Option<(BTreeMap<String, Option<Table>>, Spooled)> {
        let mut tables = BTreeMap::new();
        for name in names.iter().filter(|name| check_name(name).is_ok()) {
            match &mut reading {
                _ if matches!(name.as_str(), RECORD | LINEAGE | MANIFEST) => {}
                Some(reading) if name.starts_with(TABLES) => {
                    let read = |report: &mut Report, reader: &mut FileReader<'_>| {
                        Ok(table(report, name, reading.read(name, reader)?))
                    };
                    if let Some(table) = self.file(manifest, name, read) {
                        tables.insert(name.clone(), table);
                    }
                }
                _ => drop(self.file(manifest, name, |_, _| Ok(()))),
            }
        }
        let rows = reading?.finish();
        rows.map_err(|error| self.no_temporary_file(&error)).ok().map(|rows| (tables, rows))
    }

    /// Reads one file through `read`, then whatever of it was left, and compares its digest with the manifest's.
    fn file<T>(
        &mut self,
        manifest: Option<&Manifest>,
        name: &str,
        read: impl FnOnce(&mut Report, &mut FileReader<'_>) -> io::Result<T>,
    ) -> Option<T> {
        let report = &mut self.report;
        let result = self.files.open(name).map(|reader| {
            let hashing = Hashing { inner: reader, hash: Sha256::new(), whole: true };
            let mut reader = BufReader::with_capacity(BUFFER_BYTES, hashing);
            let result = read(report, &mut reader);
            // Where reading ended before the file did, its digest can be told all the same.
            let rest = io::copy(&mut reader, &mut io::sink());
            let Hashing { hash, whole, .. } = reader.into_inner();
            let digest = (whole && rest.is_ok()).then(|| Hash::from_bytes(hash.finalize().into()));
            (result.and_then(|result| rest.map(|_| result)), digest)
        });
        let error = match result {
            Ok((result, digest)) => {
                // What is not listed was reported with the names.
                let differs = manifest
                    .zip(digest)
                    .and_then(|(manifest, digest)| manifest.check_digest(name, &digest))
                    .filter(|finding| finding.refused.code() == Code::FileDiffers);
                if let Some(finding) = differs {
                    self.report.refused(name, &finding.refused);
                }
                match result {
                    Ok(result) => return Some(result),
                    Err(error) => self.files.error(&error),
                }
            }
            Err(error) => error,
        };
        self.unreadable(name, &error);
        None
    }

    fn small_file(&mut self, names: &[String], name: &str) -> Option<Vec<u8>> {
        if !names.iter().any(|known| known == name) {
            return None;
        }
        let mut bytes = Vec::new();
        let read =
            self.files.open(name).map(|reader| reader.take(MAX_SMALL_FILE_BYTES + 1).read_to_end(&mut bytes));
        let error = match read {
            Ok(Ok(_)) if bytes.len() as u64 > MAX_SMALL_FILE_BYTES => FileError::TooLarge,
            Ok(Ok(_)) => return Some(bytes),
            Ok(Err(error)) => self.files.error(&error),
            Err(error) => error,
        };
        self.unreadable(name, &error);
        None
    }

    /// Reports a file that cannot be read to its end, once however often that is tried.
    fn unreadable(&mut self, name: &str, error: &FileError) {
        if !self.unreadable.insert(name.to_owned()) {
            return;
        }
        match error {
            FileError::Damaged => self.report.broken(name, "zip-damaged", error.to_string()),
            FileError::Unreadable(_) => self.report.missing(name, "unreadable", error.to_string()),
            FileError::TooLarge => self.report.missing(name, "too-large", error.to_string()),
            FileError::Unsupported => self.report.missing(name, "unsupported", error.to_string()),
        }
    }
}

/// Checks the record line by line. Its lines are given back where there is room for them and all could be read.
fn read_record(
    report: &mut Report,
    reader: &mut impl io::BufRead,
    head: &Head,
    mut submissions: Submissions,
    mut spool: Option<Spool>,
) -> io::Result<Option<Spooled>> {
    let size = head.proof.head.size;
    let most = if head.seal.is_some() { u64::MAX } else { MAX_LINES_WITHOUT_HEAD };
    let mut checker = RecordChecker::new(&head.proof);
    let (mut shown, mut signatures) = (Shown::default(), Signatures::default());
    let (mut whole, mut readable) = (true, true);
    lines::for_each(reader, |line, ended| {
        // Behind what the report lists, more lines would cost time and say nothing.
        whole &= !report.is_full() && checker.lines() < most;
        if !whole {
            return Ok(());
        }
        let findings = checker.line_findings(line);
        readable &= !findings.iter().any(|finding| finding.refused.code().is_own_limit());
        let findings = findings.into_iter().chain((!ended).then(|| checker.unended()));
        findings.for_each(|finding| record_finding(report, finding));
        shown.count(line);
        submissions.line(report, checker.shown().map(|(header, _)| header), line);
        signatures.line(report, checker.shown(), line);
        match &mut spool {
            Some(spool) if checker.lines() <= size => spool.push(line),
            _ => Ok(()),
        }
    })?;
    if whole {
        let gaps = checker.gaps_not_listed();
        checker.finish().into_iter().for_each(|finding| record_finding(report, finding));
        report.not_listed(gaps);
    } else {
        let message = format!("it was checked up to line {} only", checker.lines());
        report.missing(RECORD, "not-checked", message);
    }
    report.fact("shownWhole", "Events shown whole", shown.all);
    report.fact("shownInPart", "Events shown in part", shown.some);
    report.fact("withheld", "Events whose data are withheld", shown.withheld);
    report.fact("leafOnly", "Events shown as a hash alone", shown.leaf);
    submissions.finish(report);
    signatures.finish(report);
    spool.filter(|_| whole && readable).map(Spool::finish).transpose()
}

fn record_finding(report: &mut Report, finding: trialseal_seal::dataset::Finding) {
    let record = match (finding.line, finding.event) {
        (Some(line), Some(event)) => format!("{RECORD} line {line} (event {event})"),
        (Some(line), None) => format!("{RECORD} line {line}"),
        (None, _) => finding.file,
    };
    report.refused(record, &finding.refused);
}

/// The table that was found in a file, if it is one that can be compared.
fn table(report: &mut Report, name: &str, found: Found) -> Option<Table> {
    match found {
        Found::Table(table) => Some(table),
        Found::OtherFormat => None,
        Found::Malformed => {
            let message = "this is not the Dataset-JSON table that its name promises";
            report.broken(name, "table-malformed", message);
            None
        }
    }
}

fn read_lineage(
    report: &mut Report,
    reader: &mut impl io::BufRead,
    mut lineage: Lineage<'_>,
) -> io::Result<()> {
    lines::for_each(reader, |line, ended| {
        if report.is_full() {
            return Ok(());
        }
        if !ended {
            report.broken(LINEAGE, "line-ending", "its last line does not end with a newline");
        }
        lineage.line(report, line)
    })?;
    if report.is_full() { Ok(()) } else { lineage.finish(report) }
}

/// One file of the dataset on its way through.
type FileReader<'a> = BufReader<Hashing<Box<dyn Read + 'a>>>;

/// Hashes what passes through.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    /// Whether nothing failed, so that nothing is left out of the hash.
    whole: bool,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(count) => self.hash.update(&buffer[..*count]),
            Err(error) => self.whole &= error.kind() == io::ErrorKind::Interrupted,
        }
        read
    }
}
