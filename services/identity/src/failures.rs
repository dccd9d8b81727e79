//! Failed attempts to log in, gathered: a log line each, a metric, and once a minute at the most one event for all of
//! them, so that nobody can fill the record by failing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trialseal_record::StreamId;
use trialseal_record::event::{FailedAccount, LoginFailed};
use trialseal_store::AppendError;

use crate::Identity;
use crate::grants::{By, time};

/// Accounts that one event names at the most.
const NAMED: usize = 50;

/// What has failed since the last event.
#[derive(Default)]
pub(crate) struct Failures(Mutex<Gathered>);

#[derive(Debug, Clone, Default)]
struct Gathered {
    from: i64,
    until: i64,
    attempts: u64,
    unknown: u64,
    locked_out: u64,
    accounts: BTreeMap<String, u64>,
}

/// What an attempt failed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure<'a> {
    /// No account has this name or passkey, or none that can be logged in to.
    Unknown,
    /// A wrong password for this actor's account.
    Password(&'a str),
    /// A passkey of this actor's account did not answer as it should.
    Passkey(&'a str),
    /// It was refused unseen.
    LockedOut,
    /// What a provider answered was not taken.
    Provider,
}

impl Failure<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Password(_) => "password",
            Self::Passkey(_) => "passkey",
            Self::LockedOut => "locked-out",
            Self::Provider => "provider",
        }
    }
}

impl Failures {
    fn add(&self, failure: Failure<'_>, now: i64) {
        let mut gathered = self.gathered();
        if gathered.attempts == 0 {
            gathered.from = now;
        }
        gathered.until = now;
        gathered.attempts += 1;
        match failure {
            Failure::Unknown | Failure::Provider => gathered.unknown += 1,
            Failure::LockedOut => gathered.locked_out += 1,
            Failure::Password(actor) | Failure::Passkey(actor) => {
                if gathered.accounts.len() < NAMED || gathered.accounts.contains_key(actor) {
                    *gathered.accounts.entry(actor.to_owned()).or_default() += 1;
                }
            }
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn event(&self) -> Option<LoginFailed> {
        let account = |(actor, attempts): (&String, &u64)| {
            Some(FailedAccount { actor: actor.parse().ok()?, attempts: *attempts })
        };
        Some(LoginFailed {
            from: time(self.from).parse().ok()?,
            until: time(self.until).parse().ok()?,
            attempts: self.attempts,
            unknown: self.unknown,
            locked_out: self.locked_out,
            accounts: self.accounts.iter().filter_map(account).collect(),
        })
    }
}

impl Identity {
    /// Notes a failed attempt.
    pub(crate) fn failed(&self, failure: Failure<'_>) {
        metrics::counter!("trialseal_login_failures_total", "reason" => failure.name()).increment(1);
        tracing::warn!(reason = failure.name(), "identity.login.failed");
        self.failures.add(failure, self.parts.clock.now());
    }

    /// Records what has failed since the last time; nothing where nothing has. What cannot be recorded is kept for the next
    /// time.
    pub(crate) async fn record_failures(&self) -> Result<(), AppendError> {
        let gathered = std::mem::take(&mut *self.failures.gathered());
        let Some(event) = gathered.event().filter(|event| event.attempts > 0) else { return Ok(()) };
        let command = format!("login-failed/{}", self.random_uuid());
        let recorded = self.record(&command, StreamId::login(), 0, event, &By::service()).await;
        if recorded.is_err() {
            self.failures.gathered().merge(gathered);
        }
        recorded
    }
}

impl Gathered {
    /// Adds what was gathered before.
    fn merge(&mut self, before: Self) {
        self.from = before.from;
        self.until = self.until.max(before.until);
        self.attempts += before.attempts;
        self.unknown += before.unknown;
        self.locked_out += before.locked_out;
        for (actor, attempts) in before.accounts {
            *self.accounts.entry(actor).or_default() += attempts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_together_and_name_no_more_than_so_many() {
        let failures = Failures::default();
        failures.add(Failure::Unknown, 5_000_000);
        for number in 0..60 {
            failures.add(Failure::Password(&format!("person-{number:02}")), 6_000_000);
        }
        failures.add(Failure::Password("person-00"), 7_000_000);
        failures.add(Failure::LockedOut, 8_000_000);
        let mut gathered = failures.gathered().clone();
        let event = gathered.event().unwrap();
        assert_eq!((event.from.as_str(), event.until.as_str()), (&*time(5_000_000), &*time(8_000_000)));
        assert_eq!(
            (event.attempts, event.unknown, event.locked_out, event.accounts.len()),
            (63, 1, 1, NAMED)
        );
        assert_eq!(event.accounts[0].attempts, 2);
        gathered.merge(failures.gathered().clone());
        assert_eq!(gathered.event().unwrap().attempts, 126);
    }
}
