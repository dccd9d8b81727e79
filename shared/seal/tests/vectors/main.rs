//! The golden files, made by another implementation: what is to be reproduced to the byte, what is to be accepted, and
//! what is to be refused, each for its own reason.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod datasets;
mod ledgers;
mod receipts;
mod trees;
mod values;

use std::path::{Path, PathBuf};

use serde_json::Value;
use trialseal_seal::hash::Hash;
use trialseal_seal::{Code, Result};

/// The folder of golden files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

/// One golden file's bytes.
fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// One golden file as JSON. Read leniently: what is to be refused stands in it too.
fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).expect(name)
}

/// A member that is a list.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("{name} is no list"))
}

/// A member that is a text.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is no text"))
}

/// A member that is a number.
fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} is no number"))
}

/// A member that is a hash.
fn hash(value: &Value, name: &str) -> Hash {
    text(value, name).parse().expect(name)
}

/// A member that is a list of hashes.
fn hashes(value: &Value, name: &str) -> Vec<Hash> {
    list(value, name).iter().map(|hash| hash.as_str().expect(name).parse().expect(name)).collect()
}

/// Bytes written as hex.
fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

/// A 32-byte seed written as hex.
fn seed(hex: &str) -> [u8; 32] {
    unhex(hex).try_into().expect("32 bytes")
}

/// The codes of everything in a list of refused cases, in its order, each with its `why`; accepted ones are told apart.
fn codes<T: std::fmt::Debug>(
    cases: &[Value],
    check: impl Fn(&Value) -> Result<T>,
) -> Vec<(&str, &'static str)> {
    let code = |case| check(case).err().map_or("ACCEPTED", |refused| Code::as_str(refused.code()));
    cases.iter().map(|case| (text(case, "why"), code(case))).collect()
}
