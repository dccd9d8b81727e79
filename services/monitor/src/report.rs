//! What a pass came to, for programs (JSON), for people (HTML) and for a metrics collector.

mod html;
mod metrics;

use std::collections::BTreeMap;

use serde::Serialize;
use trialseal_seal::time::Timestamp;
use trialseal_verify::Verdict;

use crate::finding::Finding;
use crate::log::Log;
use crate::state::{Folder, StateError};

/// The `format` member of a report in JSON.
pub const REPORT_FORMAT: &str = "trialseal/monitor-report/v1";

/// What a monitor cannot see, whatever it finds.
pub const DOES_NOT_PROVE: &[&str] = &[
    "that what was recorded is true, or that everything that happened was recorded",
    "anything about trials that are not listed here",
    "that nobody was shown another log, unless witnesses or peers are listed here and agree",
];

/// The result of a pass. Members may be added, none is renamed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    format: &'static str,
    /// The ledger's address.
    pub ledger: String,
    /// When the pass began.
    pub time: Timestamp,
    /// What the findings come to.
    pub verdict: Verdict,
    /// What was read of the log, if it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFacts>,
    /// The trials that were followed.
    pub trials: Vec<TrialFacts>,
    /// Witnesses and peers that agree, and the tree size that each has seen; null where it knows nothing of this log.
    pub others: BTreeMap<String, Option<u64>>,
    /// Everything that stands in the way of "all is well".
    pub findings: Vec<Finding>,
    /// The folders below `evidence/` with what shows the alarms, in the order of the alarms.
    pub evidence: Vec<String>,
    /// How many notices of alarms, of this pass and of those before, are still to be told, by kind of channel.
    pub waiting: BTreeMap<&'static str, u64>,
    does_not_prove: &'static [&'static str],
}

/// What was read of the log.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogFacts {
    /// The ledger's origin.
    pub origin: String,
    /// The number of seals.
    pub size: u64,
    /// The root of the tree over them, in hex.
    pub root: String,
    /// How many of them are new.
    pub new_seals: u64,
    /// When the newest seal was made, by the ledger's word.
    pub newest_seal: Option<Timestamp>,
    /// When witnesses had agreed to the checkpoint, POSIX seconds; null where the policy asks for none.
    pub public_by: Option<u64>,
    /// The verifier keys of the logs that the policy trusts.
    pub log_keys: Vec<String>,
}

impl LogFacts {
    pub(crate) fn of(log: &Log<'_>) -> Self {
        Self {
            origin: log.checkpoint.origin.clone(),
            size: log.checkpoint.size,
            root: log.checkpoint.root.to_string(),
            new_seals: log.new_seals,
            newest_seal: log.place.last.as_ref().map(|last| last.time),
            public_by: log.quorum_time,
            log_keys: log.policy.logs().iter().map(ToString::to_string).collect(),
        }
    }
}

/// What was read of a trial.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialFacts {
    /// Its id.
    pub trial: String,
    /// How many of its events were checked, in this pass and before.
    pub events: u64,
    /// How many of them are new.
    pub new_events: u64,
    /// Under which seal; null where it has no event that is sealed, or could not be followed.
    pub seal: Option<u64>,
}

impl Report {
    pub(crate) fn new(ledger: &str, time: Timestamp) -> Self {
        Self {
            format: REPORT_FORMAT,
            ledger: ledger.to_owned(),
            time,
            verdict: Verdict::Sound,
            log: None,
            trials: Vec::new(),
            others: BTreeMap::new(),
            findings: Vec::new(),
            evidence: Vec::new(),
            waiting: BTreeMap::new(),
            does_not_prove: DOES_NOT_PROVE,
        }
    }

    /// Writes `report.json`, `report.html` and `metrics.prom`, each whole or not at all.
    pub(crate) fn write(&self, folder: &Folder) -> Result<(), StateError> {
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        folder.write("report.json", &json)?;
        folder.write("report.html", html::page(self).as_bytes())?;
        folder.write("metrics.prom", metrics::text(self).as_bytes())
    }
}
