//! From what goes wrong below to what a caller is told.

use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::{AppendError, StoreError};

/// After so many seconds it makes sense to try again.
const RETRY_SECONDS: u32 = 1;

pub(crate) fn of_store(error: &StoreError) -> Problem {
    tracing::error!(%error, "identity.store");
    Problem::new(ProblemKind::Unavailable, "Accounts and tokens cannot be looked up right now.")
        .with_retry_after_seconds(RETRY_SECONDS)
}

pub(crate) fn of_append(error: &AppendError) -> Problem {
    tracing::error!(%error, "identity.grant.record");
    Problem::new(ProblemKind::Unavailable, "This cannot be recorded at the moment, and so it was not done.")
        .with_retry_after_seconds(RETRY_SECONDS)
}

pub(crate) fn invalid(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Invalid, format!("{error}."))
}

pub(crate) fn forbidden(detail: &str) -> Problem {
    Problem::new(ProblemKind::Forbidden, detail)
}
