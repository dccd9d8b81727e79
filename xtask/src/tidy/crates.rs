//! Rules about crates.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::metadata::Package;
use super::{Tree, output};

/// What each of our crates may depend on, of ours; without the common first part of the names. The table of
/// docs/architecture.md; a change here is a change there.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("seal", &[]),
    ("timestamp", &["seal"]),
    ("runtime", &[]),
    ("vault", &["record"]),
    ("access", &["record", "runtime"]),
    ("store", &["record", "seal", "vault"]),
    ("store-sqlite", &["record", "seal", "store", "vault"]),
    ("store-postgres", &["record", "seal", "store", "vault"]),
    ("ingest", &["access", "record", "runtime", "seal", "store", "vault"]),
    ("identity", &["access", "record", "runtime", "seal", "store", "vault"]),
    ("query", &["access", "record", "runtime", "seal", "store", "vault"]),
    ("exporter", &["access", "record", "runtime", "seal", "store", "vault"]),
    ("projector", &["record", "runtime", "seal", "store", "vault"]),
    ("eraser", &["record", "runtime", "seal", "store", "vault"]),
    ("sealer", &["record", "runtime", "seal", "store", "timestamp"]),
    ("verify", &["record", "seal", "timestamp"]),
    ("witness", &["runtime", "seal"]),
    ("monitor", &["runtime", "seal", "verify"]),
    (
        "server",
        &[
            "access",
            "eraser",
            "exporter",
            "identity",
            "ingest",
            "projector",
            "query",
            "record",
            "runtime",
            "seal",
            "sealer",
            "store",
            "store-postgres",
            "store-sqlite",
            "vault",
        ],
    ),
    ("fuzz", &["seal", "verify"]),
];

/// What tests of any crate may use besides: what lies in `shared/`. A service never knows another, not even in tests.
const SHARED: &[&str] =
    &["record", "seal", "timestamp", "vault", "access", "store", "store-sqlite", "store-postgres", "runtime"];

/// The chores and the end-to-end tests are no part of the product. The first know nothing of ours, the second may know
/// all.
const CHORES: &str = "xtask";
const TESTS: &str = "tests";

/// The verifier is for people who have nothing of ours and trust nobody: it must build and run without any of these.
const NOT_IN_THE_VERIFIER: &[&str] = &[
    "actix",
    "async-executor",
    "async-io",
    "async-std",
    "aws-lc",
    "curl",
    "diesel",
    "h2",
    "hyper",
    "libsqlite3",
    "mio",
    "native-tls",
    "openssl",
    "postgres",
    "quinn",
    "reqwest",
    "rusqlite",
    "ring",
    "rustls",
    "smol",
    "socket2",
    "sqlx",
    "tokio",
    "tungstenite",
    "ureq",
];

/// What bears a banned name and is neither TLS nor network: it reads certificates and their chains, for timestamps.
const READS_CERTIFICATES: &[&str] = &["rustls-pki-types", "rustls-webpki"];

/// What the verifier's feature `http` may add: a client that blocks, without TLS.
const HTTP_ADDS: &[&str] =
    &["bytes", "http", "httparse", "percent-encoding", "ureq", "ureq-proto", "utf8-zero"];

pub(super) fn dependencies(tree: &Tree) -> Vec<String> {
    tree.packages.iter().flat_map(undue_dependencies).collect()
}

fn undue_dependencies(package: &Package) -> Vec<String> {
    let name = short(&package.name);
    let row = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, allowed)| *allowed);
    let allowed = match row {
        Some(allowed) => allowed,
        None if name == CHORES => &[],
        None if name == TESTS => return Vec::new(),
        None => return vec![format!("{name} is not in the table of crates: xtask/src/tidy/crates.rs")],
    };
    let ours = package.dependencies.iter().filter(|dependency| dependency.name.starts_with("trialseal-"));
    ours.filter_map(|dependency| {
        let other = short(&dependency.name);
        let is_allowed = allowed.contains(&other) || (dependency.is_for_tests() && SHARED.contains(&other));
        let how = if dependency.is_for_tests() { "in its tests " } else { "" };
        (!is_allowed).then(|| format!("{name} may not depend {how}on {other}"))
    })
    .collect()
}

/// A crate's name without the part they all have.
fn short(name: &str) -> &str {
    name.strip_prefix("trialseal-").unwrap_or(name)
}

pub(super) fn verifier_tree(tree: &Tree) -> Vec<String> {
    let [plain, with_http] = &tree.verifier_crates;
    let is_banned = |name: &&String| {
        !READS_CERTIFICATES.contains(&name.as_str())
            && NOT_IN_THE_VERIFIER.iter().any(|banned| is_or_belongs_to(name, banned))
    };
    let banned = plain.iter().filter(is_banned).map(|name| format!("trialseal-verify depends on {name}"));
    let is_new = |name: &&String| !HTTP_ADDS.contains(&name.as_str());
    let added = with_http.difference(plain).filter(is_new);
    banned.chain(added.map(|name| format!("the feature http of trialseal-verify brings {name}"))).collect()
}

/// The names of all crates that the verifier is built from, with the features it has by default and these.
pub(super) fn verifier_crates(root: &Path, features: &str) -> Result<BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--package", "trialseal-verify", "--edges", "normal,build"]);
    cargo.args(["--features", features, "--prefix", "none", "--format", "{p}"]);
    let listed = output(&mut cargo, root)?;
    Ok(listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// Whether a crate is the one named or one of its parts, such as `hyper-util` of `hyper`.
fn is_or_belongs_to(name: &str, banned: &str) -> bool {
    name.strip_prefix(banned).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

pub(super) fn introductions(tree: &Tree) -> Vec<String> {
    let mut silent = Vec::new();
    for target in tree.packages.iter().flat_map(|package| &package.targets) {
        let is_crate = target.kind.iter().any(|kind| kind == "bin" || kind.ends_with("lib"));
        let speaks = || fs::read_to_string(&target.src_path).is_ok_and(|text| text.starts_with("//! "));
        if is_crate && !speaks() {
            let path = target.src_path.strip_prefix(&tree.root).unwrap_or(&target.src_path);
            silent.push(format!("{} should begin with `//!` and what the crate is", path.display()));
        }
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) })
            .collect();
        Package { name: name.to_owned(), dependencies, targets: Vec::new() }
    }

    #[test]
    fn the_table_refuses_what_it_does_not_name() {
        let good = package("trialseal-sealer", &[("trialseal-store", None), ("tokio", None)]);
        assert!(undue_dependencies(&good).is_empty());
        let bad = package("trialseal-sealer", &[("trialseal-vault", None)]);
        assert_eq!(undue_dependencies(&bad), ["sealer may not depend on vault"]);
        let chores = package("xtask", &[("trialseal-seal", None)]);
        assert_eq!(undue_dependencies(&chores), ["xtask may not depend on seal"]);
        assert_eq!(undue_dependencies(&package("trialseal-common", &[])).len(), 1);
    }

    #[test]
    fn tests_may_use_what_is_shared_and_no_other_service() {
        let good = package("trialseal-sealer", &[("trialseal-vault", Some("dev"))]);
        assert!(undue_dependencies(&good).is_empty());
        let bad = package("trialseal-sealer", &[("trialseal-query", Some("dev"))]);
        assert_eq!(undue_dependencies(&bad), ["sealer may not depend in its tests on query"]);
    }

    #[test]
    fn every_crate_of_the_table_is_spelt_as_its_neighbours_spell_it() {
        let known: Vec<&str> = MAY_DEPEND_ON.iter().map(|(name, _)| *name).collect();
        assert!(MAY_DEPEND_ON.iter().flat_map(|(_, allowed)| *allowed).all(|name| known.contains(name)));
        assert!(SHARED.iter().all(|name| known.contains(name)));
    }

    #[test]
    fn the_verifiers_tree_is_resolved_by_cargo() {
        let crates = |features| verifier_crates(crate::repository(), features).unwrap();
        let (plain, with_http) = (crates(""), crates("http"));
        // Of one's own, of the ones below, and of those below them.
        for name in ["trialseal-verify", "trialseal-seal", "sha3", "digest"] {
            assert!(plain.contains(name) && with_http.contains(name), "{name}");
        }
        assert!(!plain.contains("ureq") && with_http.contains("ureq"));
    }

    #[test]
    fn the_verifier_has_no_network_and_with_http_only_a_client() {
        let (_dir, mut tree) = super::super::tests::tree_of(&[]);
        let crates = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let plain = ["sha3", "rustls-webpki"];
        tree.verifier_crates = [crates(&plain), crates(&["sha3", "ureq", "http"])];
        assert!(verifier_tree(&tree).is_empty());
        tree.verifier_crates = [crates(&["tokio-util"]), crates(&["tokio-util", "rustls"])];
        assert_eq!(
            verifier_tree(&tree),
            ["trialseal-verify depends on tokio-util", "the feature http of trialseal-verify brings rustls"]
        );
    }

    #[test]
    fn parts_of_a_banned_crate_are_banned() {
        assert!(is_or_belongs_to("hyper-util", "hyper") && is_or_belongs_to("tokio", "tokio"));
        assert!(!is_or_belongs_to("h2o", "h2"));
    }
}
