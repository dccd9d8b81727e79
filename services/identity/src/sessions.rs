//! Sessions of browsers: a random cookie, of which the hash is stored. A session ends when its time is over, when nobody has
//! used it for a while, when somebody logs out, and with its account.

use trialseal_access::{Principal, Token};
use trialseal_runtime::problem::Problem;
use trialseal_store::{AccountRow, Known, SessionRow, StoreError};

use crate::Identity;
use crate::grants::{By, Grant, role_of};
use crate::problems::{of_append, of_store};

/// Longest life of a session, hours: a working day with its breaks.
pub(crate) const LIFE_HOURS: i64 = 12;
/// Longest time without use, microseconds: an hour.
const IDLE_MICROS: i64 = 3_600_000_000;
/// How exactly it is known when a session was last used, microseconds: a minute. Bounds what reading writes.
const SEEN_MICROS: i64 = 60_000_000;

impl Identity {
    /// Begins a session of somebody who has shown who they are; answers with what its cookie holds. The record is told of the
    /// account before, where it does not know it.
    pub(crate) async fn begin_session(&self, account: &AccountRow) -> Result<Token, Problem> {
        self.introduce_account(account).await?;
        let (cookie, now) = (self.random_token(), self.parts.clock.now());
        let row = SessionRow {
            hash: cookie.hash(),
            account: account.id,
            seen: now,
            expires: now + LIFE_HOURS * 3_600_000_000,
            // Not the one of this moment: where the password was replaced since it was checked, the session is over.
            epoch: account.epoch,
            confirmed: now,
        };
        self.parts.accounts.begin_session(&row).await.map_err(|error| of_store(&error))?;
        Ok(cookie)
    }

    /// Tells the record of an account that it does not know.
    pub(crate) async fn introduce_account(&self, account: &AccountRow) -> Result<(), Problem> {
        if account.known != Known::Not {
            return Ok(());
        }
        let grant = Grant::of_account(account).map_err(|error| of_store(&error))?;
        self.record_granted(grant, &By::service()).await.map_err(|error| of_append(&error))?;
        let noted = self.parts.accounts.note_account(account.id, Known::Granted).await;
        noted.map_err(|error| of_store(&error))
    }

    /// Who has logged in with this cookie.
    pub(crate) async fn logged_in(&self, hash: &[u8; 32]) -> Result<Option<Principal>, StoreError> {
        let found = self.session_of(hash).await?;
        found.map(|(_, account)| principal_of(&account)).transpose()
    }

    /// The session of this cookie, and its account.
    pub(crate) async fn session_of(
        &self,
        hash: &[u8; 32],
    ) -> Result<Option<(SessionRow, AccountRow)>, StoreError> {
        let (accounts, now) = (&self.parts.accounts, self.parts.clock.now());
        let Some(session) = accounts.session(hash).await? else { return Ok(None) };
        if session.expires <= now || session.seen + IDLE_MICROS <= now {
            return Ok(None);
        }
        let counts = |of: &AccountRow| !of.disabled && !of.withdrawn && of.epoch == session.epoch;
        let Some(account) = accounts.account(session.account).await?.filter(counts) else { return Ok(None) };
        if session.seen + SEEN_MICROS <= now {
            accounts.see_session(hash, now).await?;
        }
        Ok(Some((session, account)))
    }

    /// Ends the sessions and invitations whose time is over.
    pub(crate) async fn end_outdated(&self) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        self.parts.accounts.end_outdated(now, now - IDLE_MICROS).await
    }
}

/// Whom an account stands for.
pub(crate) fn principal_of(account: &AccountRow) -> Result<Principal, StoreError> {
    Ok(Principal {
        actor: account.actor.clone(),
        role: role_of(&account.role)?,
        organisation: account.organisation.clone(),
        source_system: None,
        trials: account.trials.clone(),
        participant: account.participant,
    })
}
