//! What stood against a command, as the caller gets to read it.

use std::borrow::Cow;

use trialseal_record::{NaturalKeyKind, Refusal, RefusalKind};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::body::BodyError;
use trialseal_store::draft::PrepareError;
use trialseal_store::{AppendError, StoreError};
use trialseal_vault::VaultError;

use crate::states::StateError;

/// Seconds after which asking again makes sense where too much is waiting.
const BUSY_SECONDS: u32 = 1;

/// The rule that the id of a registered trial breaks; it is the store that finds out under its lock.
const TRIAL_UNUSED: &str = "trial.id-unused";

/// The rule against whatever concerns participants whose data are erased.
pub(crate) const ERASED: &str = "participant.erased";

/// The problem of a trial that is not there, or that the caller cannot see: one answer, so that it tells nothing.
pub(crate) fn no_such_trial() -> Problem {
    Problem::new(ProblemKind::NotFound, "There is no such trial.")
}

/// The problem of an idempotency key that came before with other content.
pub(crate) fn key_reused() -> Problem {
    Problem::new(ProblemKind::Conflict, "This Idempotency-Key was used before, with other content.")
}

/// The problem of a command that others were always faster than.
pub(crate) fn outdated() -> Problem {
    Problem::new(ProblemKind::VersionConflict, "Others changed the same things all the while.")
        .with_hint("Send the same request again.")
        .with_retry_after_seconds(BUSY_SECONDS)
}

/// A rule of the record.
pub(crate) fn of_rule(refusal: Refusal) -> Problem {
    let kind = match refusal.kind {
        RefusalKind::Forbidden => ProblemKind::RuleForbidden,
        RefusalKind::Conflict => ProblemKind::RuleRefused,
        RefusalKind::Invalid => ProblemKind::Invalid,
    };
    let mut detail = refusal.message;
    if let Some(first) = detail.get(..1).map(str::to_uppercase) {
        detail.replace_range(..1, &first);
    }
    Problem::new(kind, detail + ".").with_rule(refusal.rule).with_hint(Cow::Borrowed(refusal.hint))
}

pub(crate) fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::DamagedEvent { .. } | StoreError::Damaged(_) => {
            tracing::error!(%error, "the record is damaged");
            Problem::new(ProblemKind::Damaged, format!("The record is damaged: {error}."))
        }
        StoreError::Unavailable(_) | StoreError::TryAgain(_) | StoreError::Overtaken(_) => unavailable(error),
        StoreError::Deposed => deposed(),
        StoreError::Refused(_) => Problem::internal(error),
    }
}

/// The answer to a command that was carried out on data which are erased since: nobody can tell any more whether it is the
/// same command.
pub(crate) fn erased() -> Problem {
    Problem::new(ProblemKind::RuleRefused, "The data of this participant were erased.")
        .with_rule(ERASED)
        .with_hint("Look at the trial's erasures; what was sent is not kept.")
}

pub(crate) fn of_vault(error: &VaultError) -> Problem {
    match error {
        // It was there when the command was decided on.
        VaultError::Destroyed(_) => outdated(),
        VaultError::Store(_) | VaultError::Management(_) => unavailable(error),
        _ => Problem::internal(error),
    }
}

pub(crate) fn of_body(error: &BodyError) -> Problem {
    match error {
        BodyError::Damaged(error) => of_store(error),
        BodyError::Vault(error) => of_vault(error),
    }
}

pub(crate) fn of_state(error: &StateError) -> Problem {
    match error {
        StateError::Store(error) => of_store(error),
        StateError::Body(error) => of_body(error),
        StateError::Unreadable(_) | StateError::Erased => Problem::internal(error),
    }
}

pub(crate) fn of_prepare(error: &PrepareError) -> Problem {
    match error {
        // The shape of every body allows no such data but by its depth or length.
        PrepareError::Commitment(refused) => Problem::new(ProblemKind::Invalid, format!("{refused}.")),
        PrepareError::Vault(VaultError::TooLong) => {
            Problem::new(ProblemKind::PayloadTooLarge, "An event is too large.")
        }
        PrepareError::Vault(error) => of_vault(error),
        PrepareError::Data(_) => Problem::internal(error),
    }
}

pub(crate) fn of_append(error: &AppendError) -> Problem {
    match error {
        AppendError::VersionConflict { .. } => outdated(),
        AppendError::CommandReused => key_reused(),
        AppendError::TrialExists => {
            Problem::new(ProblemKind::RuleRefused, "A trial with this id is registered.")
                .with_rule(TRIAL_UNUSED)
        }
        AppendError::UnknownTrial => no_such_trial(),
        AppendError::NaturalKeyTaken { rule } => of_rule(taken(rule)),
        AppendError::Unacceptable(why) => Problem::new(ProblemKind::PayloadTooLarge, format!("{why}.")),
        AppendError::Busy(why) => {
            Problem::new(ProblemKind::Busy, format!("{why}.")).with_retry_after_seconds(BUSY_SECONDS)
        }
        AppendError::Deposed => deposed(),
        AppendError::Store { .. } => unavailable(error),
    }
}

/// The refusal that a taken name's rule stands for.
fn taken(rule: &str) -> Refusal {
    let subject = NaturalKeyKind::SubjectNumber.taken();
    if subject.rule == rule { subject } else { NaturalKeyKind::SiteNumber.taken() }
}

/// Nothing was recorded here; a proxy may lead the same command, with its key, to the process that was elected.
fn deposed() -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "Another process writes this ledger now; send the same command again.",
    )
    .with_retry_after_seconds(BUSY_SECONDS)
}

fn unavailable(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a command could not be carried out now");
    Problem::new(ProblemKind::Unavailable, "The record cannot be written at the moment.")
        .with_retry_after_seconds(BUSY_SECONDS)
}
