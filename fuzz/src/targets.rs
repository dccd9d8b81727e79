//! The targets. None of them says whether the bytes are good; all of them come back, whatever the bytes are.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::str::FromStr;
use std::sync::LazyLock;

use trialseal_seal::assertion::Answer;
use trialseal_seal::authenticator::Authenticator;
use trialseal_seal::canonical::{MAX_DEPTH, parse, parse_data, to_vec};
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::data::{Disclosure, Secret, dataroot, disclose};
use trialseal_seal::dataset::{ExportKey, Manifest, RecordChecker};
use trialseal_seal::event::Header;
use trialseal_seal::hash::sha256;
use trialseal_seal::note::{SignedNote, VerifierKey};
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::{HeadProof, LogProof};
use trialseal_seal::seal::Seal;
use trialseal_seal::submission::SubmissionSignature;
use trialseal_seal::tiles::{LogPath, decode_bundle, encode_bundle};
use trialseal_seal::time::Timestamp;
use trialseal_seal::trust::Trust;
use trialseal_seal::witness::AddCheckpoint;
use trialseal_verify::files::Zip;
use trialseal_verify::{Authorities, Report, Text, Verdict};

use crate::corpus::{BETWEEN, CORPUS};
use crate::files::Memory;

static POLICY: LazyLock<Policy> = LazyLock::new(|| CORPUS.policy());
static LONE_POLICY: LazyLock<Policy> = LazyLock::new(|| CORPUS.lone_policy());
static EXPORT_KEY: LazyLock<ExportKey> = LazyLock::new(|| CORPUS.export_signer().export_key());
static LOG: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| CORPUS.log());

fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// What a text is read as is written as that text.
fn reads_back<T: FromStr + ToString>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string(), text);
    }
}

/// A report can be shown, to people and to programs.
fn shown(report: &Report) {
    assert!(Text(report).to_string().starts_with(report.verdict().words()));
    assert!(serde_json::to_vec(report).is_ok());
    assert_eq!(report.verdict() == Verdict::Sound, report.findings().is_empty());
}

/// Strict JSON: what is accepted has canonical bytes, which are accepted and are their own canonical bytes.
pub fn canonical(data: &[u8]) {
    if let Ok(value) = parse(data, MAX_DEPTH) {
        let canonical = to_vec(&value);
        assert_eq!(parse(&canonical, MAX_DEPTH).unwrap(), value);
    }
}

/// An event's data: it can be committed to, and a disclosure of all or nothing of it verifies.
pub fn data(data: &[u8]) {
    let Ok(value) = parse_data(data) else { return };
    let secret = Secret::from_bytes([7; 32]);
    let Ok(root) = dataroot(&secret, &value) else { return };
    for show in [true, false] {
        assert!(disclose(&secret, &value, |_| show).verify(&root).is_ok());
    }
}

/// An event header.
pub fn header(data: &[u8]) {
    let Ok(value) = parse(data, MAX_DEPTH) else { return };
    if let Ok(header) = Header::parse(&value) {
        assert_eq!(header.canonical(), to_vec(&value));
    }
}

/// A disclosure.
pub fn disclosure(data: &[u8]) {
    let Ok(value) = parse(data, MAX_DEPTH) else { return };
    if let Ok(disclosure) = Disclosure::parse(&value) {
        let _ = disclosure.verify(&sha256(data));
    }
}

/// A time.
pub fn timestamp(data: &[u8]) {
    reads_back::<Timestamp>(&text(data));
}

/// A verifier key.
pub fn verifier_key(data: &[u8]) {
    reads_back::<VerifierKey>(&text(data));
}

/// An export key.
pub fn export_key(data: &[u8]) {
    reads_back::<ExportKey>(&text(data));
}

/// A signed note.
pub fn note(data: &[u8]) {
    let text = text(data);
    if let Ok(note) = SignedNote::parse(&text) {
        assert_eq!(note.encode(), text);
    }
}

/// A checkpoint.
pub fn checkpoint(data: &[u8]) {
    let text = text(data);
    if let Ok(checkpoint) = Checkpoint::parse(&text) {
        assert_eq!(checkpoint.to_string(), text);
    }
}

/// A request to a witness.
pub fn add_checkpoint(data: &[u8]) {
    let text = text(data);
    if let Ok(request) = AddCheckpoint::parse(&text) {
        assert_eq!(request.encode(), text);
        let _ = Checkpoint::parse_extended(&request.note.text);
    }
}

/// A policy, which then checks a note.
pub fn policy(data: &[u8]) {
    static NOTES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| CORPUS.notes());
    if let (Ok(policy), Some(note)) = (Policy::parse(&text(data)), NOTES.first()) {
        let _ = policy.check(&text(note));
    }
}

/// A trust text: what is accepted is written in the one way there is.
pub fn trust(data: &[u8]) {
    if let Ok(trust) = Trust::parse(data) {
        assert_eq!(trust.to_string().as_bytes(), data);
        assert!(Trust::new(&trust.policy_text(), trust.export_keys().to_vec()).is_ok());
    }
}

/// A note under a fixed policy: what it accepts was signed, and mutation forges no signature.
pub fn policy_check(data: &[u8]) {
    let text = text(data);
    if POLICY.check(&text).is_ok() {
        assert!(SignedNote::parse(&text).is_ok());
    }
}

/// A proof for an entry of the log.
pub fn log_proof(data: &[u8]) {
    let text = text(data);
    if let Ok(proof) = LogProof::parse(&text) {
        assert_eq!(proof.encode(), text);
    }
}

/// A path below the log.
pub fn log_path(data: &[u8]) {
    reads_back::<LogPath>(&text(data));
}

/// A bundle of log entries.
pub fn bundle(data: &[u8]) {
    if let Ok(entries) = decode_bundle(data) {
        assert_eq!(encode_bundle(&entries).unwrap(), data);
    }
}

/// A seal.
pub fn seal(data: &[u8]) {
    let Ok(value) = parse(data, MAX_DEPTH) else { return };
    if let Ok(seal) = Seal::parse(&value) {
        assert_eq!(seal.entry(), to_vec(&value));
    }
}

/// A receipt.
pub fn receipt(data: &[u8]) {
    shown(&trialseal_verify::receipt("receipt", data, &POLICY));
}

/// A growth proof.
pub fn growth(data: &[u8]) {
    shown(&trialseal_verify::growth("growth", data, &POLICY));
}

/// A proof of absence.
pub fn absence(data: &[u8]) {
    shown(&trialseal_verify::absence("absence", data, &POLICY));
}

/// The lines of a dataset's record.
pub fn record(data: &[u8]) {
    static HEAD: LazyLock<HeadProof> = LazyLock::new(|| {
        let value = parse(&CORPUS.dataset()["head.json"], MAX_DEPTH).unwrap();
        HeadProof::parse(&value).unwrap()
    });
    let mut checker = RecordChecker::new(&HEAD);
    for line in data.split(|byte| *byte == b'\n') {
        let _ = checker.line(line);
    }
    let _ = checker.finish();
}

/// A manifest.
pub fn manifest(data: &[u8]) {
    let _ = Manifest::open(data, &EXPORT_KEY);
}

/// A table and its lineage in a dataset that is signed whatever they are: the bytes up to the first 0xff are the table.
pub fn tables(data: &[u8]) {
    shown(&check_tables(data));
}

fn check_tables(data: &[u8]) -> Report {
    let between = data.iter().position(|byte| *byte == BETWEEN).unwrap_or(data.len());
    let mut files = CORPUS.dataset().clone();
    files.remove("manifest.dsse.json");
    files.insert("data/t.json".into(), data[..between].to_vec());
    files.insert("lineage.ndjson".into(), data.get(between + 1..).unwrap_or_default().to_vec());
    let listed = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes)));
    let manifest = Manifest::new(listed).unwrap().sign(&CORPUS.export_signer());
    files.insert("manifest.dsse.json".into(), manifest);
    trialseal_verify::dataset(
        "dataset",
        &mut Memory::new(files),
        &POLICY,
        std::slice::from_ref(&EXPORT_KEY),
        &[],
    )
}

/// A dataset in a ZIP.
pub fn zip(data: &[u8]) {
    if let Ok(mut files) = Zip::open(Cursor::new(data)) {
        shown(&trialseal_verify::dataset(
            "dataset",
            &mut files,
            &POLICY,
            std::slice::from_ref(&EXPORT_KEY),
            &[],
        ));
    }
}

/// A submitter's signature.
pub fn submission_signature(data: &[u8]) {
    let text = text(data);
    if let Ok(signature) = SubmissionSignature::parse(&text) {
        assert_eq!(signature.to_string(), text);
    }
}

/// What passkeys are asked to answer to.
pub(crate) const STATEMENT: &[u8] = b"{}";

/// The client data that a passkey has signed.
pub fn client_data(data: &[u8]) {
    let authenticator = Authenticator::new(1);
    let (answer, [x, y]) = (authenticator.answer_with(data), &authenticator.coordinates());
    let part = |name: &str| answer[name].as_str().unwrap_or_default();
    let answer = Answer {
        relying_party: &authenticator.relying_party,
        x,
        y,
        authenticator_data: part("authenticatorData"),
        client_data: part("clientDataJSON"),
        signature: part("signature"),
    };
    let _ = answer.verify(STATEMENT);
}

/// The record of a dataset that is signed whatever it is, with submissions or signatures in it.
pub fn signed_record(data: &[u8]) {
    let mut files = CORPUS.dataset().clone();
    files.retain(|name, _| name == "head.json");
    files.insert("record.ndjson".into(), data.to_vec());
    let listed = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes)));
    let manifest = Manifest::new(listed).unwrap().sign(&CORPUS.export_signer());
    files.insert("manifest.dsse.json".into(), manifest);
    let keys: &[ExportKey] = std::slice::from_ref(&EXPORT_KEY);
    shown(&trialseal_verify::dataset("dataset", &mut Memory::new(files), &POLICY, keys, &[]));
}

/// A log of which one resource is replaced: the first byte says which.
pub fn log(data: &[u8]) {
    if let Some((number, bytes)) = data.split_first() {
        shown(&check_log(*number, bytes));
    }
}

/// An authority's answer.
pub fn timestamp_token(data: &[u8]) {
    static NOTE: LazyLock<Vec<u8>> = LazyLock::new(|| CORPUS.golden("note"));
    static AUTHORITIES: LazyLock<Authorities> =
        LazyLock::new(|| Authorities::from_pem(&CORPUS.authorities().concat()).unwrap());
    shown(&trialseal_verify::timestamp("timestamp", data, &NOTE, &AUTHORITIES, None));
}

/// Certificates of authorities.
pub fn authorities(data: &[u8]) {
    let _ = Authorities::from_pem(data);
}

fn check_log(number: u8, bytes: &[u8]) -> Report {
    let mut files = LOG.clone();
    let place = usize::from(number) % files.len();
    if let Some(resource) = files.values_mut().nth(place) {
        *resource = bytes.to_vec();
    }
    trialseal_verify::log("log", &Memory::new(files), &LONE_POLICY, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutation of seeds that are refused at the door would test the door alone.
    #[test]
    fn the_seeds_that_were_put_together_here_are_sound() {
        for seed in CORPUS.tables() {
            let report = check_tables(&seed);
            assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings());
        }
        for seed in CORPUS.log_resources() {
            let report = check_log(seed[0], &seed[1..]);
            assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings());
        }
        for seed in CORPUS.zips() {
            let mut files = Zip::open(Cursor::new(seed)).unwrap();
            let report = trialseal_verify::dataset(
                "dataset",
                &mut files,
                &POLICY,
                std::slice::from_ref(&EXPORT_KEY),
                &[],
            );
            assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.findings());
        }
    }
}
