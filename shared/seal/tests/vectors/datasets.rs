//! Datasets: one that is whole, and many that are not.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use trialseal_seal::dataset::{Dataset, ExportKey, ExportSigner, Finding, HEAD, MANIFEST, Manifest, RECORD};
use trialseal_seal::hash::sha256;
use trialseal_seal::policy::Policy;

use crate::{bytes, json, list, seed, text};

type Files = BTreeMap<String, Vec<u8>>;

/// Checks a dataset in memory. Gives back what a reader comes upon, each kind of finding once: its code, and the line
/// in the record where it is first met.
fn check(files: &Files, export_key: &str, policy: &Policy) -> Vec<String> {
    let key: ExportKey = match export_key.parse() {
        Ok(key) => key,
        Err(refused) => return vec![refused.code().to_string()],
    };
    let dataset = match Dataset::open(&files[MANIFEST], &files[HEAD], &key, policy) {
        Ok(dataset) => dataset,
        Err(refused) => return vec![refused.code().to_string()],
    };
    let mut findings = dataset.check_names(files.keys().map(String::as_str));
    let others = files.iter().filter(|(name, _)| *name != MANIFEST);
    findings.extend(others.filter_map(|(name, content)| dataset.check_digest(name, &sha256(content))));
    let mut record = dataset.record_checker();
    let content = &files[RECORD];
    let whole = content.strip_suffix(b"\n");
    for line in whole.unwrap_or(content).split(|byte| *byte == b'\n') {
        findings.extend(record.line_findings(line));
    }
    if whole.is_none() {
        findings.push(record.unended());
    }
    findings.extend(record.finish());
    let mut seen = HashSet::new();
    findings.retain(|finding| seen.insert(finding.refused.code()));
    let line = |finding: &Finding| finding.line.map_or(String::new(), |line| format!("@{line}"));
    findings.iter().map(|finding| format!("{}{}", finding.refused.code(), line(finding))).collect()
}

fn whole() -> (Files, String, Policy) {
    let names = [RECORD, HEAD, MANIFEST, "policy.txt"];
    let files = names.map(|name| (name.to_owned(), bytes(&format!("dataset/{name}"))));
    let export_key = String::from_utf8(bytes("dataset-export.vkey")).expect("text");
    let policy = Policy::parse(text(&json("ledger.json"), "policy")).expect("policy");
    (files.into(), export_key.trim_end().to_owned(), policy)
}

#[test]
fn a_whole_dataset() {
    let (files, export_key, policy) = whole();
    assert_eq!(check(&files, &export_key, &policy), Vec::<String>::new());
}

#[test]
fn the_manifest_is_reproduced() {
    let (files, export_key, _) = whole();
    let ledger = json("ledger.json");
    let signer = ExportSigner::new(text(&ledger, "origin"), &seed(text(&ledger["keySeedsHex"], "export")));
    let signer = signer.expect("signer");
    assert_eq!(signer.export_key().to_string(), export_key);
    assert_eq!(export_key, text(&ledger, "exportKey"));
    let others = files.iter().filter(|(name, _)| *name != MANIFEST);
    let manifest =
        Manifest::new(others.map(|(name, content)| (name.clone(), sha256(content)))).expect("manifest");
    assert_eq!(manifest.sign(&signer), files[MANIFEST]);
    assert_eq!(Manifest::open(&files[MANIFEST], &signer.export_key()), Ok(manifest));
}

#[test]
fn refused_datasets() {
    let vectors = json("datasets-refused.json");
    let policy = Policy::parse(text(&vectors, "policy")).expect("policy");
    let found: Vec<_> = list(&vectors, "datasets")
        .iter()
        .map(|case| {
            let file = |(name, content): (&String, &Value)| {
                (name.clone(), content.as_str().expect("content").as_bytes().to_vec())
            };
            let files: Files = case["files"].as_object().expect("files").iter().map(file).collect();
            (text(case, "why"), check(&files, text(case, "exportKey"), &policy).join(" "))
        })
        .collect();
    let found: Vec<_> = found.iter().map(|(why, codes)| (*why, codes.as_str())).collect();
    assert_eq!(found, REFUSED_DATASETS);
}

const REFUSED_DATASETS: &[(&str, &str)] = &[
    ("last line missing", "record-size"),
    ("a line twice", "record-place@4 record-id-twice@4 stream-order@4 record-size"),
    ("two lines swapped", "record-place@2 record-root"),
    ("data changed", "data-root@1"),
    ("array turned into an object", "data-root@1"),
    ("secret changed", "data-root@1"),
    ("unknown reason for withholding", "withheld@3"),
    ("line with a member more", "member-unknown@3"),
    ("head of an earlier seal", "record-size"),
    ("head of another trial", "head-of-another-trial@1 record-size"),
    ("one leaf that is the root", "record-size"),
    ("header of a withheld event changed", "record-root"),
    ("shown value changed", "data-root@4"),
    ("two hidden fields joined", "data-root@4"),
    ("head's seal not witnessed", "quorum"),
    ("head's map proof changed", "map-root-differs"),
    ("head with a member more", "member-unknown"),
    ("backslash in a path", "file-path"),
    ("two paths equal but for case", "file-twice"),
    ("dot segment", "file-path"),
    ("file of no known name", "file-unknown"),
    ("tables without lineage", "lineage"),
    ("another payload type", "envelope"),
    ("another statement type", "statement"),
    ("log key as the export key", "key-reused"),
    ("export key with a wrong id", "key-id"),
    ("record with a BOM", "byte-order-mark@1"),
    ("record with CRLF", "line-ending@1"),
    ("record without the last newline, signed", "line-ending@17"),
    ("signed by the ledger all the same: event dated after the seal", "event-after-seal@3 record-time@4"),
    ("signed by the ledger all the same: time goes back in the record", "record-time@3"),
    ("signed by the ledger all the same: gap in a stream", "stream-order@4"),
    ("signed by the ledger all the same: stream place twice", "stream-order@3"),
    ("signed by the ledger all the same: place claimed twice", "record-place@3"),
    ("signed by another key", "manifest-signature"),
    ("export key of another ledger", "another-ledger"),
    ("export key given as a note key", "key-kind"),
    ("file changed after signing", "file-differs"),
    ("file not in the manifest", "file-not-listed"),
    ("file of the manifest missing", "file-missing"),
    ("file listed twice", "file-twice"),
    ("path that leaves the folder", "file-path"),
    ("absolute path", "file-path"),
    ("manifest of another kind", "statement"),
    ("record cut by a byte", "file-differs line-ending@17"),
];
