//! What goes wrong below, as callers see it.

use trialseal_access::{Permission, Principal};
use trialseal_record::Role;
use trialseal_record::ids::TrialId;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::StoreError;
use trialseal_store::access_log::AccessLogError;
use trialseal_store::body::BodyError;
use trialseal_vault::VaultError;

use crate::Query;

/// How long to wait before asking again for what is not sealed yet, or for what the database could not give.
const RETRY_SECONDS: u32 = 1;

/// A failure of the store: damage is named to the caller, who may hold a receipt that proves it.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err as it is")]
pub(crate) fn store(error: StoreError) -> Problem {
    match error {
        StoreError::Damaged(_) | StoreError::DamagedEvent { .. } => damaged(&error),
        StoreError::Unavailable(_)
        | StoreError::TryAgain(_)
        | StoreError::Overtaken(_)
        | StoreError::Deposed => {
            tracing::error!(%error, "query.store.read");
            unavailable("The record cannot be read right now.")
        }
        StoreError::Refused(_) => Problem::internal(&error),
    }
}

pub(crate) fn body(error: BodyError) -> Problem {
    match error {
        BodyError::Damaged(error) => store(error),
        BodyError::Vault(error @ (VaultError::Store(_) | VaultError::Management(_))) => {
            tracing::error!(%error, "query.vault.open");
            unavailable("Data keys cannot be had right now.")
        }
        BodyError::Vault(error) => Problem::internal(&error),
    }
}

/// A reading that was not recorded, so that nothing may be read.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err as it is")]
pub(crate) fn access_log(error: AccessLogError) -> Problem {
    if !error.is_passing() {
        return Problem::internal(&error);
    }
    tracing::error!(%error, "query.access.record");
    unavailable("That this is read cannot be recorded right now, so it cannot be read.")
}

pub(crate) fn damaged(what: &dyn std::fmt::Display) -> Problem {
    tracing::error!(error = %what, "query.record.check");
    Problem::new(ProblemKind::Damaged, what.to_string())
}

pub(crate) fn unavailable(detail: &str) -> Problem {
    Problem::new(ProblemKind::Unavailable, detail).with_retry_after_seconds(RETRY_SECONDS)
}

pub(crate) fn not_yet_sealed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::NotYetSealed, detail).with_retry_after_seconds(RETRY_SECONDS)
}

pub(crate) fn not_found(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::NotFound, detail)
}

/// Refuses who has not the permission.
pub(crate) fn require(principal: &Principal, permission: Permission) -> Result<(), Problem> {
    if principal.may(permission) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Forbidden, format!("The role {} may not read this.", principal.role)))
}

/// Refuses who does not see the events of everybody.
pub(crate) fn require_all_events(principal: &Principal) -> Result<(), Problem> {
    require(principal, Permission::ReadRecord)?;
    if principal.role != Role::Participant {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::Forbidden,
        "Participants see what is about themselves: ask for your own timeline, signatures and access log.",
    ))
}

impl Query {
    /// The trial of an address, if the caller's token reaches it and it has an event. What is out of reach and what is
    /// not there get the same answer.
    pub(crate) async fn trial(&self, principal: &Principal, id: &str) -> Result<(TrialId, u64), Problem> {
        let none = || not_found("There is no such trial, or your token does not reach it.");
        let trial: TrialId = id.parse().map_err(|_| none())?;
        if !principal.reaches(&trial) {
            return Err(none());
        }
        let size = self.parts.events.trial_size(&trial).await.map_err(store)?;
        size.map(|size| (trial, size)).ok_or_else(none)
    }
}
