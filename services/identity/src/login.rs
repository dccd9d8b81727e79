//! Logging in with a password or a passkey, and taking up an invitation.

use std::net::IpAddr;

use trialseal_access::Token;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::{AccountRow, Chosen, InvitationRow};
use zeroize::Zeroizing;

use crate::Identity;
use crate::accounts::login;
use crate::failures::Failure;
use crate::passkeys::{Act, Answered};
use crate::password::{Checked, MAX_BYTES, PasswordError};
use crate::problems::{of_append, of_store};

/// What became of an attempt to log in.
pub(crate) enum Login {
    /// The cookie of the session.
    In(Token),
    /// Name or password is wrong, which of them, nobody is told; or the passkey is.
    Refused,
    /// There were too many attempts; so many seconds to wait.
    Wait(u32),
}

/// What became of an attempt to show who one is.
pub(crate) enum Shown {
    /// Whose account it is.
    Account(Box<AccountRow>),
    /// As [`Login::Refused`].
    Refused,
    /// As [`Login::Wait`].
    Wait(u32),
}

impl Identity {
    /// Logs in by name and password.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        password: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<Login, Problem> {
        self.let_in(self.by_password(name, password, address).await?, "password").await
    }

    /// Logs in by a passkey, which says itself whose it is.
    pub(crate) async fn log_in_by_passkey(
        &self,
        answered: &Answered,
        address: IpAddr,
    ) -> Result<Login, Problem> {
        self.let_in(self.by_passkey(Act::LogIn, answered, address).await?, "passkey").await
    }

    async fn let_in(&self, shown: Shown, means: &'static str) -> Result<Login, Problem> {
        let account = match shown {
            Shown::Account(account) => account,
            Shown::Refused => return Ok(Login::Refused),
            Shown::Wait(seconds) => return Ok(Login::Wait(seconds)),
        };
        let cookie = self.begin_session(&account).await?;
        metrics::counter!("trialseal_logins_total", "means" => means).increment(1);
        Ok(Login::In(cookie))
    }

    /// Whose passkey it is that answered.
    pub(crate) async fn by_passkey(
        &self,
        act: Act,
        answered: &Answered,
        address: IpAddr,
    ) -> Result<Shown, Problem> {
        let found = self.passkey(&answered.credential).await.map_err(|error| of_store(&error))?;
        // No login name has a blank in it. Those that nobody has are counted as one: else they would crowd out the names that
        // wait, for no password has to be hashed to make one up.
        let counted =
            found.as_ref().map_or("no passkey".to_owned(), |(it, _)| format!("passkey {}", it.credential));
        if let Err(seconds) = self.attempts.begin(&counted, address, self.parts.clock.now()) {
            self.failed(Failure::LockedOut);
            return Ok(Shown::Wait(seconds));
        }
        let Some((passkey, account)) = found else {
            self.failed(Failure::Unknown);
            return Ok(Shown::Refused);
        };
        if !self.verifies(act, answered, [&passkey.x, &passkey.y]) {
            self.failed(Failure::Passkey(&account.actor));
            return Ok(Shown::Refused);
        }
        self.attempts.succeeded(&counted, address);
        Ok(Shown::Account(Box::new(account)))
    }

    /// Whose name and password it is. What cannot be a name or a password takes as long as what can.
    pub(crate) async fn by_password(
        &self,
        name: &str,
        password: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<Shown, Problem> {
        let spelling = login(name);
        let counted = spelling.as_deref().unwrap_or_default();
        if let Err(seconds) = self.attempts.begin(counted, address, self.parts.clock.now()) {
            self.failed(Failure::LockedOut);
            return Ok(Shown::Wait(seconds));
        }
        let (account, checked) = self
            .checked(spelling.as_deref(), password)
            .await
            .inspect_err(|_| self.attempts.not_looked_at(counted, address))?;
        let Some(account) = account else {
            self.failed(Failure::Unknown);
            return Ok(Shown::Refused);
        };
        if !checked.fits {
            self.failed(Failure::Password(&account.actor));
            return Ok(Shown::Refused);
        }
        self.attempts.succeeded(counted, address);
        self.renew(&account, checked.renewed).await;
        Ok(Shown::Account(Box::new(account)))
    }

    /// The account of that name, and whether the password is its.
    async fn checked(
        &self,
        name: Option<&str>,
        password: Zeroizing<String>,
    ) -> Result<(Option<AccountRow>, Checked), Problem> {
        let account = match name {
            Some(name) => {
                self.parts.accounts.account_of_login(name).await.map_err(|error| of_store(&error))?
            }
            None => None,
        };
        let account = account.filter(|account| !account.disabled && account.password.is_some());
        let stored = account.as_ref().and_then(|account| account.password.as_deref());
        let password = if password.len() <= MAX_BYTES { password } else { Zeroizing::default() };
        let checked = self.passwords.check(password, stored, self.parts.ids.as_ref()).await;
        Ok((account, checked.map_err(of_password)?))
    }

    /// Replaces a hash of other parameters; where that fails, the next login tries again.
    async fn renew(&self, account: &AccountRow, renewed: Option<String>) {
        let (Some(old), Some(new)) = (&account.password, renewed) else { return };
        if let Err(error) = self.parts.accounts.change_password(account.id, old, &new).await {
            tracing::warn!(%error, "identity.password.renew");
        }
    }

    /// The account that a link invites to, and the invitation; `None` where the link is not known or its time is over.
    pub(crate) async fn invited(&self, secret: &str) -> Result<Option<(AccountRow, InvitationRow)>, Problem> {
        let Ok(secret) = Token::parse(secret) else { return Ok(None) };
        let accounts = &self.parts.accounts;
        let found = accounts.invitation(&secret.hash()).await.map_err(|error| of_store(&error))?;
        let Some(invitation) = found.filter(|found| found.expires > self.parts.clock.now()) else {
            return Ok(None);
        };
        let account = accounts.account(invitation.account).await.map_err(|error| of_store(&error))?;
        Ok(account.filter(|account| !account.disabled).map(|account| (account, invitation)))
    }

    /// Takes an invitation up with a password whose strength was looked at; `false` where somebody was faster.
    pub(crate) async fn choose_password(
        &self,
        (account, invitation): (AccountRow, InvitationRow),
        password: Zeroizing<String>,
    ) -> Result<bool, Problem> {
        let hash = self.passwords.hash(password, self.parts.ids.as_ref()).await;
        let hash = hash.map_err(of_password)?;
        self.introduce_account(&account).await?;
        self.record_password(&account, &invitation).await.map_err(|error| of_append(&error))?;
        self.taken_up(&account, &invitation, Chosen::Password(hash)).await
    }

    /// Takes an invitation up with what the record was told of.
    pub(crate) async fn taken_up(
        &self,
        account: &AccountRow,
        invitation: &InvitationRow,
        chosen: Chosen,
    ) -> Result<bool, Problem> {
        let taken =
            self.parts.accounts.take_up(invitation, &chosen).await.map_err(|error| of_store(&error))?;
        if let Some(login) = account.login.as_deref().filter(|_| taken) {
            // Whoever has a link was let in by somebody: what others tried meanwhile does not keep them waiting.
            self.attempts.forget(login);
        }
        Ok(taken)
    }
}

fn of_password(error: PasswordError) -> Problem {
    match error {
        PasswordError::Busy => Problem::new(ProblemKind::Busy, "Too many people log in at the moment.")
            .with_retry_after_seconds(5),
        PasswordError::Failed => Problem::internal(&error),
    }
}
