//! The command line of `trialseal-verify`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use trialseal_seal::Refused;
use trialseal_seal::dataset::ExportKey;
use trialseal_seal::hash::Hash;
use trialseal_seal::policy::Policy;
use trialseal_seal::trust::{Trust, read_fingerprint};
use trialseal_timestamp::Authorities;

use crate::documents::{self, MAX_DOCUMENT_BYTES};
use crate::files::{FileError, Files, Folder, Zip};
use crate::log::{self, LogFolder};
use crate::outcome::Report;

/// Checks what a trialseal ledger gives out, offline, trusting only the policy (and export key) you give it.
///
/// Exit codes: 0 sound, 1 not sound, 2 cannot tell (something is missing or unreadable; also: wrong usage).
#[derive(Debug, Parser)]
#[command(name = "trialseal-verify", version)]
pub struct Cli {
    /// Print the report as one JSON object.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to check.
    #[command(subcommand)]
    pub check: Check,
}

/// What to check.
#[derive(Debug, Subcommand)]
pub enum Check {
    /// One event: that it was recorded, and by when it was public.
    Receipt(Document),
    /// Two heads of a trial: that the later one extends the earlier one.
    Growth(Document),
    /// That a ledger did not have a trial as of a seal.
    Absence(Document),
    /// A dataset: complete, unchanged, signed, and its tables equal to the record.
    Dataset {
        /// A ZIP or a folder.
        path: PathBuf,
        /// Whom to trust.
        #[command(flatten)]
        trusted: Trusted,
        /// The ledger's export key, beside a policy: the key itself, or a file, where several may stand, one a line: one
        /// of them has to have signed.
        #[arg(long, value_name = "VKEY", required_unless_present = "trust", conflicts_with = "trust")]
        export_key: Option<String>,
        /// A key that senders sign their submissions with, by its `x`; may be given several times. Where any is given, a
        /// submission with another one is reported.
        #[arg(long = "submission-key", value_name = "X", allow_hyphen_values = true)]
        submission_keys: Vec<String>,
    },
    /// A published log: everything in it is hashed again.
    Log {
        /// The folder with `checkpoint` and `tile/`; or its address, in builds with the feature `http`.
        #[arg(value_name = "URL_OR_FOLDER")]
        place: String,
        /// Whom to trust.
        #[command(flatten)]
        trusted: Trusted,
        /// The timestamp authorities that you trust: their roots, or whoever issued their certificates, in PEM. Without
        /// them the log's timestamps are counted and not checked.
        #[arg(long, value_name = "FILE")]
        tsa: Option<PathBuf>,
    },
    /// A trust text: whose keys it names, and its fingerprint, to compare with what somebody else has.
    Trust {
        /// The file.
        file: PathBuf,
        /// The fingerprint as somebody else gave it; spaces and colons in it do not count.
        #[arg(long, value_name = "HEX", value_parser = read_fingerprint)]
        fingerprint: Option<Hash>,
    },
    /// A timestamp from outside (RFC 3161): that a checkpoint note, and every seal below it, existed by a time.
    Timestamp {
        /// The authority's answer: `timestamps/<N>.tsr` of a log.
        file: PathBuf,
        /// The note that it is of: `notes/<N>` of the same log.
        #[arg(long, value_name = "FILE")]
        note: PathBuf,
        /// The timestamp authorities that you trust: their roots, or whoever issued their certificates, in PEM.
        #[arg(long, value_name = "FILE")]
        tsa: PathBuf,
        /// The ledger's trust text, to check the note as well and to be told what it covers.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
        /// A tlog-policy of your own, in its place.
        #[arg(long, value_name = "FILE", conflicts_with = "trust")]
        policy: Option<PathBuf>,
    },
}

/// A JSON document and whom to trust.
#[derive(Debug, Args)]
pub struct Document {
    /// The file.
    pub file: PathBuf,
    #[command(flatten)]
    trusted: Trusted,
}

/// Whom to trust.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Trusted {
    /// The ledger's trust text: its policy and its export keys. Get it from a source you trust, not from the one who gave
    /// you what you check, or compare its fingerprint with one.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// A tlog-policy of your own, in its place: which log and which witnesses you trust.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Largest policy or key file, bytes.
const MAX_TRUST_BYTES: u64 = 1 << 20;

/// Carries out a check.
pub fn run(check: &Check) -> Report {
    let result = match check {
        Check::Receipt(document) => document.check("receipt", documents::receipt),
        Check::Growth(document) => document.check("growth", documents::growth),
        Check::Absence(document) => document.check("absence", documents::absence),
        Check::Dataset { path, trusted, export_key, submission_keys } => {
            run_dataset(path, trusted, export_key.as_deref(), submission_keys)
        }
        Check::Log { place, trusted, tsa } => run_log(place, trusted, tsa.as_deref()),
        Check::Trust { file, fingerprint } => run_trust(file, *fingerprint),
        Check::Timestamp { file, note, tsa, trust, policy } => {
            let trusted = Trusted { trust: trust.clone(), policy: policy.clone() };
            run_timestamp(file, note, tsa, &trusted)
        }
    };
    result.unwrap_or_else(|report| *report)
}

/// A report that says that something to check with, or to check, is not to be had.
fn cannot_tell(check: &'static str, input: &str, record: &str, code: &str, message: String) -> Box<Report> {
    let mut report = Report::new(check, input, &[]);
    report.missing(record, code, message);
    Box::new(report)
}

type Outcome = Result<Report, Box<Report>>;

impl Document {
    fn check(&self, name: &'static str, check: fn(&str, &[u8], &Policy) -> Report) -> Outcome {
        let input = self.file.display().to_string();
        let policy = self.trusted.policy(name, &input)?;
        let text = read_bounded(&self.file, MAX_DOCUMENT_BYTES)
            .map_err(|why| cannot_tell(name, &input, &input, "unreadable", why))?;
        Ok(check(&input, &text, &policy))
    }
}

impl Trusted {
    fn policy(&self, check: &'static str, input: &str) -> Result<Policy, Box<Report>> {
        Ok(self.read(check, input)?.0)
    }

    /// The policy, and the export keys that came with it.
    fn read(&self, check: &'static str, input: &str) -> Result<(Policy, Vec<ExportKey>), Box<Report>> {
        if let Some(file) = &self.trust {
            let trust = read_trust(check, input, file)?;
            return Ok((trust.policy().clone(), trust.export_keys().to_vec()));
        }
        let missing = |why| cannot_tell(check, input, "the policy", "policy-missing", why);
        let unusable = |refused: Refused| {
            cannot_tell(check, input, "the policy", "policy-unusable", refused.to_string())
        };
        let file = self.policy.as_deref().ok_or_else(|| missing("none is given".to_owned()))?;
        let bytes = read_bounded(file, MAX_TRUST_BYTES).map_err(missing)?;
        Ok((Policy::from_bytes(&bytes).map_err(unusable)?, Vec::new()))
    }
}

fn read_trust(check: &'static str, input: &str, file: &Path) -> Result<Trust, Box<Report>> {
    let missing = |why| cannot_tell(check, input, "the trust text", "trust-missing", why);
    let bytes = read_bounded(file, MAX_TRUST_BYTES).map_err(missing)?;
    Trust::parse(&bytes)
        .map_err(|refused| cannot_tell(check, input, "the trust text", "trust-unusable", refused.to_string()))
}

fn run_trust(file: &Path, fingerprint: Option<Hash>) -> Outcome {
    const CHECK: &str = "trust";
    let input = file.display().to_string();
    let trust = read_trust(CHECK, &input, file)?;
    Ok(crate::trust(&input, &trust, fingerprint))
}

fn read_authorities(file: &Path, check: &'static str, input: &str) -> Result<Authorities, Box<Report>> {
    let unusable = |why| cannot_tell(check, input, "the authorities", "authorities-unusable", why);
    let pem = read_bounded(file, MAX_TRUST_BYTES).map_err(unusable)?;
    Authorities::from_pem(&pem).map_err(|refused| unusable(refused.to_string()))
}

fn run_timestamp(file: &Path, note: &Path, tsa: &Path, trusted: &Trusted) -> Outcome {
    const CHECK: &str = "timestamp";
    let input = file.display().to_string();
    let authorities = read_authorities(tsa, CHECK, &input)?;
    let is_given = trusted.trust.is_some() || trusted.policy.is_some();
    let policy = is_given.then(|| trusted.policy(CHECK, &input)).transpose()?;
    let read = |path: &Path| {
        read_bounded(path, MAX_TRUST_BYTES)
            .map_err(|why| cannot_tell(CHECK, &input, &path.display().to_string(), "unreadable", why))
    };
    let (reply, note) = (read(file)?, read(note)?);
    Ok(crate::timestamp(&input, &reply, &note, &authorities, policy.as_ref()))
}

fn run_dataset(
    path: &Path,
    trusted: &Trusted,
    export_key: Option<&str>,
    submission_keys: &[String],
) -> Outcome {
    const CHECK: &str = "dataset";
    let input = path.display().to_string();
    let (policy, mut keys) = trusted.read(CHECK, &input)?;
    if let Some(export_key) = export_key {
        keys = read_export_keys(export_key)
            .map_err(|why| cannot_tell(CHECK, &input, "the export key", "export-key-unusable", why))?;
    }
    match open_dataset(path) {
        Ok(mut files) => Ok(crate::dataset(&input, files.as_mut(), &policy, &keys, submission_keys)),
        Err(FileError::Damaged) => {
            let mut report = Report::new(CHECK, input.as_str(), &[]);
            report.broken(input, "zip-damaged", "this is no ZIP that can be read");
            Ok(report)
        }
        Err(error) => Err(cannot_tell(CHECK, &input, &input, "unreadable", error.to_string())),
    }
}

fn open_dataset(path: &Path) -> Result<Box<dyn Files>, FileError> {
    let unreadable = |error: io::Error| FileError::Unreadable(error.kind());
    if path.metadata().map_err(unreadable)?.is_dir() {
        return Ok(Box::new(Folder::open(path)?));
    }
    let file = File::open(path).map_err(unreadable)?;
    Ok(Box::new(Zip::open(BufReader::new(file))?))
}

/// The key itself, recognised by its two `+`, or a file that holds it on one line, and others on lines of their own.
fn read_export_keys(text_or_file: &str) -> Result<Vec<ExportKey>, String> {
    let path = Path::new(text_or_file);
    let text = if text_or_file.matches('+').count() >= 2 && !path.exists() {
        text_or_file.to_owned()
    } else {
        let bytes = read_bounded(path, MAX_TRUST_BYTES)?;
        String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?
    };
    let keys =
        text.trim_end_matches(['\r', '\n']).split('\n').map(|line| line.trim_end_matches('\r').parse());
    keys.collect::<Result<_, _>>().map_err(|refused: Refused| refused.to_string())
}

fn run_log(place: &str, trusted: &Trusted, tsa: Option<&Path>) -> Outcome {
    const CHECK: &str = "log";
    let policy = trusted.policy(CHECK, place)?;
    let authorities = tsa.map(|tsa| read_authorities(tsa, CHECK, place)).transpose()?;
    if place.starts_with("https://") {
        let why = "this program has no TLS: copy the log into a folder by other means, and check that";
        return Err(cannot_tell(CHECK, place, place, "no-https", why.into()));
    }
    if place.starts_with("http://") {
        return check_log_url(place, &policy, authorities.as_ref());
    }
    let folder = Path::new(place);
    if !folder.is_dir() {
        return Err(cannot_tell(CHECK, place, place, "unreadable", "there is no such folder".into()));
    }
    Ok(log::log(place, &LogFolder::new(folder), &policy, authorities.as_ref()))
}

#[cfg(feature = "http")]
#[expect(clippy::unnecessary_wraps, reason = "the build without HTTP has a refusal to give")]
fn check_log_url(place: &str, policy: &Policy, authorities: Option<&Authorities>) -> Outcome {
    Ok(log::log(place, &log::LogUrl::new(place), policy, authorities))
}

#[cfg(not(feature = "http"))]
fn check_log_url(place: &str, _: &Policy, _: Option<&Authorities>) -> Outcome {
    let why = "this build reads no addresses: fetch the log into a folder, or build with the feature `http`";
    Err(cannot_tell("log", place, place, "no-http", why.into()))
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {}", path.display(), error.kind());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        Err(format!("{} is larger than this program reads", path.display()))
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One in 64 does; what is written in base64url may.
    #[test]
    fn a_key_may_begin_with_a_hyphen() {
        const X: &str = "-Jq0cPzVqVdYc6Qq0cPzVqVdYc6Qq0cPzVqVdYc6Qq0";
        let arguments = [
            "trialseal-verify",
            "dataset",
            "--trust",
            "trust.txt",
            "--submission-key",
            X,
            "--json",
            "set.zip",
        ];
        let cli = Cli::try_parse_from(arguments).unwrap();
        assert!(cli.json);
        let Check::Dataset { submission_keys, path, .. } = cli.check else { panic!("it is a dataset") };
        assert_eq!((submission_keys, path), (vec![X.to_owned()], PathBuf::from("set.zip")));
    }
}
