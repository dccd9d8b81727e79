//! How an import stands: what is told of it, and what is kept of it to go on after a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trialseal_access::Principal;
use trialseal_record::Role;
use trialseal_record::event::{DataImported, SubmissionSigned};
use trialseal_record::ids::{ImportId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_store::JobRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::KIND;
use super::check::Refused;
use super::spool::SpoolFile;
use crate::refusal::ERASED;

/// So many rows are listed one by one, of those refused and of those with an exception; the totals count all.
pub(super) const LISTED_ROWS: usize = 100;

/// How an import stands. Names rows and columns, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportStatus {
    /// The import.
    #[schema(value_type = Uuid)]
    pub id: ImportId,
    /// The trial.
    pub trial: TrialId,
    /// How far it is.
    pub state: ImportState,
    /// SHA-256 of the file as received, hex.
    #[schema(value_type = String)]
    pub sha256: Hash,
    /// Name of the dataset, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Number of rows in the file, once it is known.
    pub rows: u64,
    /// Number of rows recorded.
    pub rows_recorded: u64,
    /// Number of events recorded for it.
    pub events: u64,
    /// Why the file as a whole cannot be taken, or why the import failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The first rows that cannot be taken.
    pub refused_rows: Vec<RefusedRow>,
    /// Number of rows that cannot be taken.
    pub refused_rows_total: u64,
    /// What was taken though it does not meet the rules of the record.
    pub exceptions: Exceptions,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportState {
    /// The file is here; its rows are looked at before any of them is recorded.
    Checking,
    /// All rows can be taken and are being recorded; this is carried to its end.
    Recording,
    /// All of the file is in the record.
    Done,
    /// Nothing of the file was recorded, for what `problem` and `refusedRows` say.
    Refused,
    /// The import broke off for a reason of the service's, which the operator finds in the log; `problem` says how it
    /// goes on.
    Failed,
}

/// A row that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedRow {
    /// Place among the rows, from 0.
    pub row: u64,
    /// The line of the file on which it begins, from 1.
    pub line: u64,
    /// The rule that it breaks.
    pub rule: String,
    /// In what way.
    pub message: String,
}

/// Rows that were taken though they do not meet rules of the record; and under `participant.erased` those of participants
/// whose data were erased, of which nothing was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exceptions {
    /// Number of such rows.
    pub total: u64,
    /// Number of such rows by rule; a row can stand under several.
    pub by_rule: BTreeMap<String, u64>,
    /// The first of them.
    pub rows: Vec<ExceptionRow>,
}

/// A row that was taken with exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExceptionRow {
    /// Place among the rows, from 0.
    pub row: u64,
    /// The rules that it does not meet.
    pub rules: Vec<String>,
}

impl Exceptions {
    /// Counts a row.
    pub(super) fn add(&mut self, event: &DataImported) {
        if event.exceptions.is_empty() {
            return;
        }
        self.total += 1;
        for exception in &event.exceptions {
            match self.by_rule.get_mut(&exception.rule) {
                Some(count) => *count += 1,
                None => _ = self.by_rule.insert(exception.rule.clone(), 1),
            }
        }
        if self.rows.len() < LISTED_ROWS {
            let rules = event.exceptions.iter().map(|exception| exception.rule.clone()).collect();
            self.rows.push(ExceptionRow { row: event.row, rules });
        }
    }

    /// Counts a row of a participant whose data are erased, of which nothing was recorded.
    pub(super) fn add_erased(&mut self, row: u64) {
        self.total += 1;
        *self.by_rule.entry(ERASED.to_owned()).or_default() += 1;
        if self.rows.len() < LISTED_ROWS {
            self.rows.push(ExceptionRow { row, rules: vec![ERASED.to_owned()] });
        }
    }

    /// Adds what later rows came to.
    pub(super) fn extend(&mut self, later: Self) {
        self.total += later.total;
        for (rule, count) in later.by_rule {
            *self.by_rule.entry(rule).or_default() += count;
        }
        self.rows.extend(later.rows.into_iter().take(LISTED_ROWS.saturating_sub(self.rows.len())));
    }
}

impl ImportStatus {
    /// A file that was just received.
    pub(super) fn received(id: ImportId, trial: TrialId, sha256: Hash) -> Self {
        Self {
            id,
            trial,
            state: ImportState::Checking,
            sha256,
            dataset: None,
            rows: 0,
            rows_recorded: 0,
            events: 0,
            problem: None,
            refused_rows: Vec::new(),
            refused_rows_total: 0,
            exceptions: Exceptions::default(),
        }
    }

    pub(super) fn refuse(&mut self, refused: Refused) {
        self.state = ImportState::Refused;
        self.problem = refused.problem;
        self.refused_rows = refused.rows;
        self.refused_rows_total = refused.rows_total;
    }

    /// The file is looked at, for the first time or again.
    pub(super) fn begin(&mut self) {
        (self.state, self.problem) = (ImportState::Checking, None);
    }

    /// Why is for the operator, who finds it in the log.
    pub(super) fn fail(&mut self, begun: bool) {
        let problem = if begun {
            "The service broke off. It goes on with the file when it is started again."
        } else {
            "The service broke off before anything was recorded. Send the file again, under another key."
        };
        (self.state, self.problem) = (ImportState::Failed, Some(problem.into()));
    }
}

/// An import and all that is needed to go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) import: ImportId,
    pub(crate) trial: TrialId,
    pub(crate) ended: bool,
    /// The received file; none where a former version received it.
    pub(super) file: Option<Uuid>,
    pub(crate) status: ImportStatus,
    pub(super) sender: Sender,
}

/// Who sent the file, in which request, and as which command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sender {
    pub(super) actor: String,
    pub(super) role: Role,
    pub(super) organisation: String,
    pub(super) source_system: Option<String>,
    pub(super) request_id: String,
    /// The id of the command that the request is.
    pub(super) command: Hash,
    /// The keyed digest of its content.
    pub(super) digest: Hash,
    /// What was signed of it, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signed: Option<SubmissionSigned>,
}

impl Sender {
    /// The sender as whom the import acts. What they may do was asked when the file came in.
    pub(super) fn principal(&self, trial: &TrialId) -> Principal {
        Principal {
            actor: self.actor.clone(),
            role: self.role,
            organisation: self.organisation.clone(),
            source_system: self.source_system.clone(),
            trials: Some(vec![trial.clone()]),
            participant: None,
        }
    }
}

/// What the job's row holds besides its columns.
#[derive(Serialize, Deserialize)]
struct Detail {
    #[serde(default)]
    file: Option<Uuid>,
    status: ImportStatus,
    sender: Sender,
}

impl Job {
    /// The received file.
    pub(super) fn spooled(&self) -> Option<SpoolFile> {
        self.file.map(|id| SpoolFile { trial: self.trial.clone(), id })
    }

    pub(crate) fn row(&self) -> Result<JobRow, serde_json::Error> {
        let detail = Detail { file: self.file, status: self.status.clone(), sender: self.sender.clone() };
        Ok(JobRow {
            id: self.import.0,
            kind: KIND.to_owned(),
            trial: self.trial.clone(),
            actor: self.sender.actor.clone(),
            ended: self.ended,
            detail: serde_json::to_vec(&detail)?,
        })
    }

    pub(crate) fn read(row: &JobRow) -> Result<Self, serde_json::Error> {
        let Detail { file, status, sender } = serde_json::from_slice(&row.detail)?;
        Ok(Self {
            import: ImportId(row.id),
            trial: row.trial.clone(),
            ended: row.ended,
            file,
            status,
            sender,
        })
    }
}
