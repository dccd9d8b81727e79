//! Whom to trust: `trialseal-monitor trust`, and the options that say it to every other command.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use trialseal_runtime::client::Authorities;
use trialseal_seal::hash::Hash;
use trialseal_seal::policy::Policy;
use trialseal_seal::trust::{Trust, read_fingerprint};

use super::{check_address, read as read_file};
use crate::place::{Http, LedgerUrl};
use crate::state::Folder;
use crate::trust::{self, Others, Outcome};

#[derive(Debug, Args)]
pub(super) struct TakeTrust {
    /// The ledger's address, such as https://ledger.example.org.
    #[arg(long, value_name = "URL")]
    ledger: String,
    /// The monitor's folder. What is kept there is replaced only where a fingerprint says so.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// A second place where the same text is published; can be given several times.
    #[arg(long, value_name = "FILE_OR_URL")]
    also: Vec<String>,
    /// The text's fingerprint (SHA-256), as somebody else than the ledger gave it.
    #[arg(long, value_name = "HEX", value_parser = read_fingerprint)]
    fingerprint: Option<Hash>,
    /// A file of certificate authorities, as PEM, that are believed beside the public ones.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl TakeTrust {
    /// Says what became of it; gives the exit code.
    pub(super) fn run(self) -> Result<u8> {
        check_address(&self.ledger, false)?;
        let http = Http::new(&Authorities::with_file(self.ca.as_deref())?);
        let ledger = LedgerUrl::new(http.clone(), &self.ledger, None);
        let others = Others { places: self.also, fingerprint: self.fingerprint, http };
        let (said, code) = match trust::take(&ledger, &Folder::take(&self.folder)?, &others)? {
            Outcome::Kept(said) => (said, 0),
            Outcome::Wrong(said) => (said, 1),
        };
        println!("{said}");
        Ok(code)
    }
}

/// Whom to trust.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Trusted {
    /// The ledger's trust text, as `trialseal-monitor trust` keeps it.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// A tlog-policy of your own, in its place: which log and which witnesses you trust.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Trusted {
    /// The policy, its text, and the trust text where that is where it came from.
    pub(super) fn read(&self) -> Result<(Policy, Vec<u8>, Option<Trust>)> {
        if let Some(file) = &self.trust {
            let trust = Trust::parse(&read_file(file)?);
            let trust = trust.with_context(|| format!("the trust text {}", file.display()))?;
            return Ok((trust.policy().clone(), trust.policy_text().into_bytes(), Some(trust)));
        }
        let file = self.policy.as_deref().context("neither --trust nor --policy is given")?;
        let text = read_file(file)?;
        let policy = Policy::from_bytes(&text).with_context(|| format!("the policy {}", file.display()))?;
        Ok((policy, text, None))
    }
}
