//! The trust text: what has to be compared before anything is checked with it.

use trialseal_seal::hash::Hash;
use trialseal_seal::trust::Trust;

use crate::documents::silent;
use crate::outcome::Report;

const LIMITS: &[&str] =
    &["whose keys these are: whoever gave you the fingerprint says that", "that any log is sound"];

/// Says what a trust text is of, and holds its fingerprint against the one that somebody else gave.
pub fn trust(input: &str, trust: &Trust, expected: Option<Hash>) -> Report {
    let mut report = Report::new("trust", input, LIMITS);
    let fingerprint = trust.fingerprint();
    report.fact("fingerprint", "Fingerprint", fingerprint.to_string());
    let policy = trust.policy();
    let logs: Vec<_> = policy.logs().iter().map(ToString::to_string).collect();
    report.fact("logs", "Log keys", logs.join(", "));
    let witnesses: Vec<_> = policy.witnesses().map(|witness| witness.name.as_str()).collect();
    let witnesses = if policy.asks_for_witnesses() { witnesses.join(", ") } else { "none asked for".into() };
    report.fact("witnesses", "Witnesses", witnesses);
    let exports: Vec<_> = trust.export_keys().iter().map(ToString::to_string).collect();
    report.fact("exportKeys", "Export keys", exports.join(", "));
    match expected {
        Some(expected) if expected != fingerprint => {
            report.broken(input, "fingerprint-differs", "its fingerprint is not the one that was given");
        }
        Some(_) => {}
        None => report.missing(
            input,
            "fingerprint-missing",
            "nothing to compare its fingerprint with was given: get the fingerprint from somebody else",
        ),
    }
    silent(&mut report, policy);
    report
}
