//! Parsers of what strangers send, given what no stranger would. Each has a target here: a function of bytes that must
//! return, whatever it is given, and that asserts what must hold of whatever it accepts.
//!
//! Two ways to run the targets:
//! - `cargo test -p trialseal-fuzz` mutates the format's vectors for a bounded time, from a seed that it prints, with the
//!   stable compiler. `TRIALSEAL_FUZZ_SECONDS` sets the time for all targets together, `TRIALSEAL_FUZZ_SEED` the seed.
//! - A coverage-guided fuzzer, where there is one: each [`Target::run`] is what `libfuzzer_sys::fuzz_target!` takes, as in
//!   `fuzz_target!(|data: &[u8]| trialseal_fuzz::targets::receipt(data))`, and [`Target::seeds`] is its corpus.
//!
//! What it is not: a test of what parsers accept. The vectors, and the tests of `seal` and `verify`, are.
//!
//! To add a target: a function in `targets.rs`, its seeds in `corpus.rs`, and its line in [`all`].
#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a target says what it found by panicking"
)]

mod corpus;
mod files;
pub mod mutate;
pub mod targets;

pub use corpus::Corpus;

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Takes any bytes and returns, or has found something.
    pub run: fn(&[u8]),
    /// Bytes to start from.
    pub seeds: fn(&Corpus) -> Vec<Vec<u8>>,
}

/// Every target.
pub fn all() -> Vec<Target> {
    let target = |name, run, seeds| Target { name, run, seeds };
    vec![
        target("canonical", targets::canonical, Corpus::json),
        target("data", targets::data, Corpus::data),
        target("header", targets::header, Corpus::headers),
        target("disclosure", targets::disclosure, Corpus::disclosures),
        target("timestamp", targets::timestamp, Corpus::times),
        target("verifier-key", targets::verifier_key, Corpus::keys),
        target("export-key", targets::export_key, Corpus::keys),
        target("note", targets::note, Corpus::notes),
        target("checkpoint", targets::checkpoint, Corpus::checkpoints),
        target("add-checkpoint", targets::add_checkpoint, Corpus::add_checkpoints),
        target("policy", targets::policy, Corpus::policies),
        target("policy-check", targets::policy_check, Corpus::notes),
        target("trust", targets::trust, Corpus::trusts),
        target("log-proof", targets::log_proof, Corpus::log_proofs),
        target("log-path", targets::log_path, Corpus::log_paths),
        target("bundle", targets::bundle, Corpus::bundles),
        target("seal", targets::seal, Corpus::seals),
        target("receipt", targets::receipt, Corpus::receipts),
        target("growth", targets::growth, Corpus::growths),
        target("absence", targets::absence, Corpus::absences),
        target("record", targets::record, Corpus::records),
        target("manifest", targets::manifest, Corpus::manifests),
        target("tables", targets::tables, Corpus::tables),
        target("zip", targets::zip, Corpus::zips),
        target("submission-signature", targets::submission_signature, Corpus::submission_signatures),
        target("submissions", targets::signed_record, Corpus::submissions),
        target("client-data", targets::client_data, Corpus::client_data),
        target("signatures", targets::signed_record, Corpus::signatures),
        target("log", targets::log, Corpus::log_resources),
        target("timestamp-token", targets::timestamp_token, Corpus::timestamp_tokens),
        target("authorities", targets::authorities, Corpus::authorities),
    ]
}
