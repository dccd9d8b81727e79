//! What an administrator does, by the API or by the pages: first it is recorded, then it counts; and what is taken back
//! stops counting first.

use std::collections::HashSet;

use trialseal_access::{Principal, Token};
use trialseal_record::Role;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::{AccountRow, Known, TokenRow};
use uuid::Uuid;

use crate::accounts::{INVITATION_MICROS, InvalidAccount, Invited, NewAccount, add_and_invite, invite};
use crate::grants::{By, Grant};
use crate::problems::{forbidden, invalid, of_append, of_store};
use crate::tokens::NewToken;
use crate::{Identity, tokens};

/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 1_000;

impl Identity {
    /// Makes a token. A crash in between leaves the record with a grant that nobody can use.
    pub(crate) async fn give_token(
        &self,
        principal: &Principal,
        by: &By,
        new: NewToken,
    ) -> Result<(Token, TokenRow), Problem> {
        let made = new.make(self.parts.ids.as_ref(), self.parts.clock.now());
        let (token, mut row) = made.map_err(|error| invalid(&error))?;
        may_give(principal, &row.actor, &row.role, row.trials.as_deref())?;
        let grant = Grant::of_token(&row).map_err(|error| of_store(&error))?;
        self.record_granted(grant, by).await.map_err(|error| of_append(&error))?;
        row.known = Known::Granted;
        self.parts.tokens.add_token(&row).await.map_err(|error| of_store(&error))?;
        Ok((token, row))
    }

    /// Makes an account and its invitation.
    pub(crate) async fn give_account(
        &self,
        principal: &Principal,
        by: &By,
        new: NewAccount,
    ) -> Result<Invited, Problem> {
        let (accounts, ids) = (self.parts.accounts.as_ref(), self.parts.ids.as_ref());
        let mut account = new.make(ids).map_err(|error| of_invalid(&error))?;
        may_give(principal, &account.actor, &account.role, account.trials.as_deref())?;
        let login = account.login.as_deref().unwrap_or_default();
        if accounts.account_of_login(login).await.map_err(|error| of_store(&error))?.is_some() {
            return Err(of_invalid(&InvalidAccount::Taken));
        }
        let grant = Grant::of_account(&account).map_err(|error| of_store(&error))?;
        self.record_granted(grant, by).await.map_err(|error| of_append(&error))?;
        account.known = Known::Granted;
        let invited = add_and_invite(accounts, ids, self.parts.clock.now(), account).await;
        invited.map_err(|error| of_invalid(&error))
    }

    /// Makes another link for an account of the service's own.
    pub(crate) async fn invite_again(
        &self,
        principal: &Principal,
        by: &By,
        id: Uuid,
    ) -> Result<Invited, Problem> {
        let account = self.account_of(principal, id).await?;
        if account.disabled || account.login.is_none() {
            return Err(Problem::new(ProblemKind::RuleRefused, "This account is disabled, or a provider's."));
        }
        let (accounts, ids, now) =
            (self.parts.accounts.as_ref(), self.parts.ids.as_ref(), self.parts.clock.now());
        self.introduce_account(&account).await?;
        // Whoever makes a link can take it up, and then acts in somebody else's name: the record is told before.
        let recorded = self.record_invited(id, now + INVITATION_MICROS, by).await;
        recorded.map_err(|error| of_append(&error))?;
        invite(accounts, ids, now, account).await.map_err(|error| of_invalid(&error))
    }

    /// Takes back what a token or an account grants.
    pub(crate) async fn take_back(
        &self,
        principal: &Principal,
        by: &By,
        what: What,
        reason: Option<&str>,
    ) -> Result<(), Problem> {
        let reason =
            reason.map(str::trim).filter(|reason| !reason.is_empty()).unwrap_or("No reason was given");
        if reason.len() > MAX_REASON_BYTES || reason.contains('\0') {
            return Err(Problem::new(ProblemKind::Malformed, "A reason has at most 1000 bytes."));
        }
        let parts = &self.parts;
        match what {
            What::Token(id) => {
                let row = self.token_of(principal, id).await?;
                parts.tokens.revoke_token(&row.hash).await.map_err(|error| of_store(&error))?;
                if row.known == Known::Not {
                    self.introduce_token(&row).await.map_err(|error| Problem::internal(&error))?;
                }
                // A crash before these lines leaves it to the sweep to record it.
                self.record_revoked(id, reason, by).await.map_err(|error| of_append(&error))?;
                parts.tokens.note_token(&row.hash, Known::Revoked).await.map_err(|error| of_store(&error))
            }
            What::Account(id) => {
                let account = self.account_of(principal, id).await?;
                parts.accounts.disable_account(id).await.map_err(|error| of_store(&error))?;
                self.introduce_account(&account).await?;
                self.record_revoked(id, reason, by).await.map_err(|error| of_append(&error))?;
                parts.accounts.note_account(id, Known::Revoked).await.map_err(|error| of_store(&error))
            }
        }
    }

    async fn token_of(&self, principal: &Principal, id: Uuid) -> Result<TokenRow, Problem> {
        let tokens = self.tokens_for(principal).await?;
        tokens.into_iter().find(|row| row.id == id).ok_or_else(|| nothing("token"))
    }

    async fn account_of(&self, principal: &Principal, id: Uuid) -> Result<AccountRow, Problem> {
        let account = self.parts.accounts.account(id).await.map_err(|error| of_store(&error))?;
        account.filter(|row| covers(principal, row.trials.as_deref())).ok_or_else(|| nothing("account"))
    }

    /// The tokens that an administrator has a say in.
    pub(crate) async fn tokens_for(&self, principal: &Principal) -> Result<Vec<TokenRow>, Problem> {
        let rows = self.parts.tokens.tokens().await.map_err(|error| of_store(&error))?;
        Ok(rows.into_iter().filter(|row| covers(principal, row.trials.as_deref())).collect())
    }

    /// The accounts that can be logged in to by a passkey.
    pub(crate) async fn with_passkey(&self) -> Result<HashSet<Uuid>, Problem> {
        let passkeys = self.parts.accounts.passkeys().await.map_err(|error| of_store(&error))?;
        Ok(passkeys.iter().filter(|passkey| !passkey.ended).map(|passkey| passkey.account).collect())
    }

    /// The accounts that an administrator has a say in.
    pub(crate) async fn accounts_for(&self, principal: &Principal) -> Result<Vec<AccountRow>, Problem> {
        let rows = self.parts.accounts.accounts().await.map_err(|error| of_store(&error))?;
        Ok(rows.into_iter().filter(|row| covers(principal, row.trials.as_deref())).collect())
    }
}

/// What is taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    Token(Uuid),
    Account(Uuid),
}

/// Whether an administrator reaches all that a grant reaches.
fn covers(principal: &Principal, trials: Option<&[trialseal_record::TrialId]>) -> bool {
    match trials {
        None => principal.trials.is_none(),
        Some(trials) => trials.iter().all(|trial| principal.reaches(trial)),
    }
}

/// An administrator gives roles to others, for trials that they reach themselves. To themselves they give no role that
/// reads or records anything of a trial: one who did so under another name would stand in the record with it.
fn may_give(
    principal: &Principal,
    actor: &str,
    role: &str,
    trials: Option<&[trialseal_record::TrialId]>,
) -> Result<(), Problem> {
    if !covers(principal, trials) {
        return Err(forbidden("You give access to trials that you reach yourself, and to no others."));
    }
    let role = tokens::role(role).map_err(|error| invalid(&error))?;
    if actor == principal.actor && role != Role::Admin {
        return Err(forbidden("An administrator gives roles to others, and not to themselves."));
    }
    Ok(())
}

fn nothing(what: &str) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("There is no such {what}."))
}

fn of_invalid(error: &InvalidAccount) -> Problem {
    match error {
        InvalidAccount::Store(said) => {
            tracing::error!(error = %said, "identity.store");
            Problem::new(ProblemKind::Unavailable, "Accounts cannot be read or written right now.")
        }
        InvalidAccount::Taken => {
            Problem::new(ProblemKind::RuleRefused, format!("{error}.")).with_rule("login-name")
        }
        error => invalid(error),
    }
}
