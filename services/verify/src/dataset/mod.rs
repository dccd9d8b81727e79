//! The check of a dataset: many events, complete, as of one seal (section 9 of the format).

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use trialseal_seal::canonical;
use trialseal_seal::dataset::{
    Dataset, ExportKey, HEAD, LINEAGE, MANIFEST, RECORD, RecordChecker, TABLES, check_name, check_names,
};
use trialseal_seal::hash::Hash;
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::HeadProof;

mod lineage;
mod table;

use self::lineage::Lineage;
use self::table::Table;
use crate::documents::seal_facts;
use crate::files::{FileError, Files};
use crate::lines;
use crate::outcome::Report;
use crate::spool::{Spool, Spooled};

/// Largest head proof or manifest that is read, bytes.
const MAX_SMALL_FILE_BYTES: u64 = 16 << 20;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 128 << 10;

const LIMITS: &[&str] = &[
    "that what was recorded is true",
    "that everything that happened was recorded",
    "anything about events recorded after this seal",
];

/// Checks a dataset: manifest, head, every line of the record, every file's digest, and every table cell's origin.
pub fn dataset(input: &str, files: &mut dyn Files, policy: &Policy, export_key: &ExportKey) -> Report {
    let mut check = Check { report: Report::new("dataset", input, LIMITS), files };
    check.run(policy, export_key);
    check.report
}

struct Check<'a> {
    report: Report,
    files: &'a mut dyn Files,
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
    fn run(&mut self, policy: &Policy, export_key: &ExportKey) {
        let names = self.files.names().to_vec();
        for misfit in self.files.misfits() {
            self.report.broken(&misfit.name, misfit.code, misfit.message);
        }
        let manifest = self.small_file(&names, MANIFEST);
        let head = self.small_file(&names, HEAD);
        let opened = match (&manifest, &head) {
            (Some(manifest), Some(head)) => match Dataset::open(manifest, head, export_key, policy) {
                Ok(dataset) => Some(dataset),
                Err(refused) => {
                    let file = if refused.place().starts_with(HEAD) { HEAD } else { MANIFEST };
                    self.report.refused(file, &refused);
                    None
                }
            },
            _ => None,
        };
        let plain = names.iter().map(String::as_str);
        let findings =
            opened.as_ref().map_or_else(|| check_names(plain.clone()), |it| it.check_names(plain.clone()));
        for finding in findings {
            self.report.refused(finding.file, &finding.refused);
        }
        let proof = opened
            .as_ref()
            .map(|dataset| dataset.head().clone())
            .or_else(|| head.as_deref().and_then(parse_head));
        if let Some(dataset) = &opened {
            self.report.fact("ledger", "Ledger", dataset.seal().ledger.as_str());
            self.report.fact("trial", "Trial", dataset.head().head.trial.as_str());
            self.report.fact("events", "Events, complete as of the seal", dataset.head().head.size);
            seal_facts(&mut self.report, dataset.seal(), policy);
            self.report.fact("files", "Files", names.len());
        }
        self.contents(&names, opened.as_ref(), proof.as_ref());
    }

    /// Reads all files but the manifest, each once and in a stream.
    fn contents(&mut self, names: &[String], dataset: Option<&Dataset>, head: Option<&HeadProof>) {
        let has_lineage = names.iter().any(|name| name == LINEAGE);
        let mut record = None;
        let mut tables = BTreeMap::new();
        if let (true, Some(head)) = (names.iter().any(|name| name == RECORD), head) {
            record = self
                .file(dataset, RECORD, |report, reader| read_record(report, reader, head, has_lineage))
                .flatten();
        }
        for name in names.iter().filter(|name| check_name(name).is_ok()) {
            if name.starts_with(TABLES) {
                if let Some(table) =
                    self.file(dataset, name, |report, reader| read_table(report, name, reader))
                {
                    tables.insert(name.clone(), table);
                }
            } else if !matches!(name.as_str(), RECORD | LINEAGE | MANIFEST) {
                self.file(dataset, name, |_, _| Ok(()));
            }
        }
        let (true, Some(opened), Some(record)) = (has_lineage, dataset, record) else { return };
        let lineage = Lineage::new(opened, record, tables);
        self.file(dataset, LINEAGE, |report, reader| read_lineage(report, reader, lineage));
    }

    /// Reads one file through `read`, then whatever of it was left, and compares its digest with the manifest's.
    fn file<T>(
        &mut self,
        dataset: Option<&Dataset>,
        name: &str,
        read: impl FnOnce(&mut Report, &mut BufReader<Hashing<Box<dyn Read + '_>>>) -> io::Result<T>,
    ) -> Option<T> {
        let report = &mut self.report;
        let result = self.files.open(name).map(|reader| {
            let hashing = Hashing { inner: reader, hash: Sha256::new() };
            let mut reader = BufReader::with_capacity(BUFFER_BYTES, hashing);
            let result = read(report, &mut reader)?;
            io::copy(&mut reader, &mut io::sink())?;
            Ok::<_, io::Error>((result, Hash::from_bytes(reader.into_inner().hash.finalize().into())))
        });
        let error = match result {
            Ok(Ok((result, digest))) => {
                if let Some(finding) = dataset.and_then(|dataset| dataset.check_digest(name, &digest)) {
                    self.report.refused(name, &finding.refused);
                }
                return Some(result);
            }
            Ok(Err(error)) => self.files.error(&error),
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

    fn unreadable(&mut self, name: &str, error: &FileError) {
        match error {
            FileError::Damaged => self.report.broken(name, "zip-damaged", error.to_string()),
            FileError::Unreadable(_) => self.report.missing(name, "unreadable", error.to_string()),
            FileError::TooLarge => self.report.missing(name, "too-large", error.to_string()),
        }
    }
}

fn parse_head(bytes: &[u8]) -> Option<HeadProof> {
    let value = canonical::parse(bytes, canonical::MAX_DEPTH).ok()?;
    HeadProof::parse(&value).ok()
}

/// Checks the record, and sets its lines aside where a lineage will ask for them.
fn read_record(
    report: &mut Report,
    reader: &mut impl io::BufRead,
    head: &HeadProof,
    keep: bool,
) -> io::Result<Option<Spooled>> {
    let mut checker = RecordChecker::new(head);
    let mut shown = Shown::default();
    let mut spool = if keep { Some(Spool::new()?) } else { None };
    lines::for_each(reader, |line, ended| {
        let finding = checker.line(line).into_iter().chain((!ended).then(|| checker.unended()));
        finding.for_each(|finding| record_finding(report, finding));
        shown.count(line);
        spool.as_mut().map_or(Ok(()), |spool| spool.push(line))
    })?;
    checker.finish().into_iter().for_each(|finding| record_finding(report, finding));
    report.fact("shownWhole", "Events shown whole", shown.all);
    report.fact("shownInPart", "Events shown in part", shown.some);
    report.fact("withheld", "Events whose data are withheld", shown.withheld);
    report.fact("leafOnly", "Events shown as a hash alone", shown.leaf);
    spool.map(Spool::finish).transpose()
}

fn record_finding(report: &mut Report, finding: trialseal_seal::dataset::Finding) {
    let record = match (finding.line, finding.event) {
        (Some(line), Some(event)) => format!("{RECORD} line {line} (event {event})"),
        (Some(line), None) => format!("{RECORD} line {line}"),
        (None, _) => finding.file,
    };
    report.refused(record, &finding.refused);
}

fn read_table(report: &mut Report, name: &str, reader: &mut impl io::BufRead) -> io::Result<Option<Table>> {
    match table::read(name, reader)? {
        table::Read::Table(table) => Ok(Some(table)),
        table::Read::OtherFormat => Ok(None),
        table::Read::Malformed => {
            report.broken(
                name,
                "table-malformed",
                "this is not the Dataset-JSON table that its name promises",
            );
            Ok(None)
        }
    }
}

fn read_lineage(
    report: &mut Report,
    reader: &mut impl io::BufRead,
    mut lineage: Lineage<'_>,
) -> io::Result<()> {
    lines::for_each(reader, |line, ended| {
        if !ended {
            report.broken(LINEAGE, "line-ending", "its last line does not end with a newline");
        }
        lineage.line(report, line)
    })?;
    lineage.finish(report)
}

/// Hashes what passes through.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}
