//! Reads: the record with its receipts, growth and absence proofs, live streams, read models, the published log, and the
//! pages for people. Whatever is proved here has been checked with the same code that readers check it with.
//!
//! What it is not: a place that changes anything, or that has to be trusted: every answer about the record can be checked
//! offline. Who asks is `access`'s matter; here stands what they may see: participants' data only for roles that may read
//! them, trials only within a token's scope, and those outside of it as if they were not there.
//!
//! To add an endpoint: a file under `http/` with its answer, its OpenAPI text, its handler and its tests, and its line in
//! [`routes`].

mod acts;
mod aside;
mod entries;
mod http;
mod pages;
mod problems;
mod proofs;
mod reading;
mod streams;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod views;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use trialseal_record::TrialId;
use trialseal_runtime::clock::Clock;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::policy::Policy;
use trialseal_seal::trust::Trust;
use trialseal_store::access_log::AccessLog;
use trialseal_store::{Events, Models, Progress, Seals, Streams};
use trialseal_vault::Vault;

pub use http::routes;
pub use pages::{ApiDescription, PAGES};

/// What the read API is made of.
pub struct QueryParts {
    /// The record.
    pub events: Arc<dyn Events>,
    /// Which streams there are in it.
    pub streams: Arc<dyn Streams>,
    /// Its seals.
    pub seals: Arc<dyn Seals>,
    /// The read models.
    pub models: Arc<dyn Models>,
    /// Keys of data and documents.
    pub vault: Arc<Vault>,
    /// Records what is read of participants' data.
    pub access_log: AccessLog,
    /// The time, to say since when the ledger has been silent.
    pub clock: Arc<dyn Clock>,
    /// Tells when something was recorded.
    pub progress: Arc<Progress>,
    /// Ends live streams.
    pub shutdown: Shutdown,
    /// The publication policy (C2SP tlog-policy), as it is served.
    pub policy: String,
    /// The same policy and the export keys, as readers keep them.
    pub trust: Trust,
    /// The folder in which the public log is published.
    pub log: PathBuf,
    /// The longest time between two seals.
    pub heartbeat: Duration,
    /// Trials whose overview the front page shows to everybody.
    pub public_trials: Vec<TrialId>,
}

/// The read API of one ledger.
pub struct Query {
    parts: QueryParts,
    maps: proofs::Maps,
    streams: Arc<streams::Places>,
}

impl Query {
    /// The read API over these parts.
    pub fn new(parts: QueryParts) -> Self {
        Self { parts, maps: proofs::Maps::new(), streams: Arc::default() }
    }

    fn policy(&self) -> &Policy {
        self.parts.trust.policy()
    }
}
