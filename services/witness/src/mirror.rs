//! Mirrors: full copies of logs, which stay readable when a log's operator is gone.
//!
//! A copy is pulled: a round reads the log's newest checkpoint, then what is new below it, and stores nothing that the
//! checkpoint's root does not vouch for. What a round knows it reads from the folder, so that there is no other state: the
//! checkpoint is written last, and a round that was broken off anywhere is done again.

mod round;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod timestamps;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use trialseal_runtime::client::Authorities;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::hash::sha256;
use trialseal_seal::note::VerifierKey;

use self::round::{Outcome, Round};
use self::source::HttpSource;
use self::store::Store;
use crate::config::Config;
use crate::folder::Lock;

/// The folder of the copies, in the witness's.
const FOLDER: &str = "mirror";
/// The folder of what shows that a log has two histories.
const EVIDENCE: &str = "evidence";
/// How long after a round the next one begins. A ledger of ours seals once a second.
const EVERY: Duration = Duration::from_secs(2);
/// The longest wait after rounds that failed, each of which doubles it.
const AT_MOST: Duration = Duration::from_mins(1);

/// Where the copies lie, by the lower-case hex SHA-256 of their logs' origins.
#[derive(Debug, Default)]
pub(crate) struct Mirrors(HashMap<String, PathBuf>);

impl Mirrors {
    /// Those of a configuration, in the folder of the witness.
    pub(crate) fn new(config: &Config, dir: &Path) -> Self {
        let copies = config.mirrors.iter().map(|mirror| {
            let name = sha256(mirror.origin.as_bytes()).to_string();
            let copy = dir.join(FOLDER).join(&name);
            (name, copy)
        });
        Self(copies.collect())
    }

    /// The folder of the copy of the log whose origin has this SHA-256.
    pub(crate) fn folder(&self, origin_sha256: &str) -> Option<&Path> {
        self.0.get(origin_sha256).map(PathBuf::as_path)
    }
}

/// Keeps the copy of one log.
#[derive(Debug)]
pub(crate) struct Mirror {
    origin: String,
    keys: Vec<VerifierKey>,
    source: HttpSource,
    store: Store,
    evidence: Store,
    /// What went wrong last, so that the same is not said at every round.
    said: Option<String>,
}

impl Mirror {
    /// The mirrors of a configuration, in the folder of the witness.
    pub(crate) fn all(
        config: &Config,
        dir: &Path,
        authorities: &Authorities,
        shutdown: &Shutdown,
    ) -> Vec<Self> {
        let mut keys = config.keys();
        let mirrors = config.mirrors.iter().map(|mirror| {
            let name = sha256(mirror.origin.as_bytes()).to_string();
            Self {
                origin: mirror.origin.clone(),
                keys: keys.remove(&mirror.origin).unwrap_or_default(),
                source: HttpSource::new(&mirror.url, authorities, shutdown.clone()),
                store: Store::new(dir.join(FOLDER).join(&name)),
                evidence: Store::new(dir.join(EVIDENCE).join(&name)),
                said: None,
            }
        });
        mirrors.collect()
    }

    /// Copies until asked to end. A failure is logged and tried again: a log that cannot be read, or a disk that is full,
    /// is no reason to stop cosigning. The lock is held for as long as something is written.
    pub(crate) async fn run(mut self, lock: Arc<Lock>, shutdown: Shutdown) -> Result<()> {
        let mut pause = EVERY;
        loop {
            let held = Arc::clone(&lock);
            let (mirror, failed) = tokio::task::spawn_blocking(move || {
                let _lock = held;
                let failed = self.round();
                (self, failed)
            })
            .await?;
            self = mirror;
            pause = if failed { (pause * 2).min(AT_MOST) } else { EVERY };
            if !shutdown.pause(pause).await {
                return Ok(());
            }
        }
    }

    /// Carries out a round; answers whether it failed.
    fn round(&mut self) -> bool {
        let round = Round {
            origin: &self.origin,
            keys: &self.keys,
            source: &self.source,
            store: &self.store,
            evidence: &self.evidence,
        };
        let done = round.run();
        let (outcome, said) = match &done {
            Ok(Outcome::Same) => ("same", None),
            Ok(Outcome::Grown(size)) => {
                // Tree sizes below 2^53 are exact.
                #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
                metrics::gauge!("trialseal_witness_mirror_size", "origin" => self.origin.clone())
                    .set(*size as f64);
                ("grown", None)
            }
            Ok(Outcome::Contradiction(what)) => ("contradiction", Some(what.clone())),
            // Broken off because the process is to end, which says nothing of the log.
            Err(_) if self.source.is_ending() => return true,
            Err(error) => ("failed", Some(format!("{error:#}"))),
        };
        let labels = [("origin", self.origin.clone()), ("outcome", outcome.to_owned())];
        metrics::counter!("trialseal_witness_mirror_rounds_total", &labels).increment(1);
        if said != self.said {
            match (&done, &said) {
                (Ok(_), Some(what)) => {
                    tracing::error!(origin = self.origin, what, "a log shows two histories");
                }
                (Err(_), Some(error)) => {
                    tracing::warn!(origin = self.origin, error, "a log could not be copied");
                }
                (_, None) => tracing::info!(origin = self.origin, "the log is copied again"),
            }
            self.said = said;
        }
        !matches!(outcome, "same" | "grown")
    }
}
