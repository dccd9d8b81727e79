//! From claims to an account of ours: one for each subject, which keeps the actor the same whatever the provider says later,
//! and by which an administrator can end somebody's access at once.

use std::fmt::Display;

use trialseal_access::Principal;
use trialseal_access::http::{Refused, Unavailable};
use trialseal_store::{AccountRow, Known};
use uuid::Uuid;

use super::claims::{Use, issued};
use super::config::Mapped;
use super::{Claims, NotVouched, Provider};
use crate::Identity;
use crate::grants::{By, Grant};
use crate::sessions::principal_of;

const NO_ROLE: Refused = Refused("no rule gives its holder a role here");
const DISABLED: Refused = Refused("its holder's access has been taken back");
const OUTDATED: Refused = Refused("the provider has said something else of its holder since: get a new one");

impl Identity {
    /// Whom a bearer token of the provider's stands for.
    pub(crate) async fn vouched_for(&self, provider: &Provider, jwt: &str) -> Result<Principal, NotVouched> {
        let claims = provider.claims(jwt, Use::Access).await?;
        let account = self.account_for(provider, &claims).await?;
        Ok(principal_of(&account).map_err(unavailable)?)
    }

    /// The account of whom claims are about. The record is told of it, and of each change, before it counts.
    pub(crate) async fn account_for(
        &self,
        provider: &Provider,
        claims: &Claims,
    ) -> Result<AccountRow, NotVouched> {
        let subject = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default();
        let (issuer, word) = (provider.config.issuer.as_str(), Word::of(provider, claims));
        let account = match (self.known(issuer, subject).await?, &word.gives) {
            (Some(account), _) => account,
            (None, Some(mapped)) => self.add(issuer, subject, mapped, word.issued).await?,
            (None, None) => return Err(NO_ROLE.into()),
        };
        if account.disabled {
            return Err(DISABLED.into());
        }
        self.introduce_account(&account).await.map_err(unavailable)?;
        if word.issued <= account.issued && word.confirms(&account) {
            return Ok(account);
        }
        self.take_up(provider, account.id, &word).await
    }

    /// Takes up what the provider says of somebody, unless it has said something newer.
    async fn take_up(&self, provider: &Provider, id: Uuid, word: &Word) -> Result<AccountRow, NotVouched> {
        let _moving = provider.moving.lock().await;
        let account = self.parts.accounts.account(id).await.map_err(unavailable)?;
        let account = account.ok_or_else(|| unavailable("an account has gone"))?;
        if account.disabled {
            return Err(DISABLED.into());
        }
        match &word.gives {
            // Of the same second this one counts: nobody gets anything by it.
            None if word.issued < account.issued => Err(NO_ROLE.into()),
            None => {
                self.withdraw(account, word.issued).await?;
                Err(NO_ROLE.into())
            }
            Some(_) if word.confirms(&account) => {
                self.parts.accounts.confirm_account(id, word.issued).await.map_err(unavailable)?;
                Ok(account)
            }
            // Nor is it let in with the role that stands: who got this token may not have been meant to have that.
            Some(_) if word.issued <= account.issued => Err(OUTDATED.into()),
            Some(mapped) => self.move_to(account, mapped, word.issued).await,
        }
    }

    async fn known(&self, issuer: &str, subject: &str) -> Result<Option<AccountRow>, NotVouched> {
        Ok(self.parts.accounts.account_of_subject(issuer, subject).await.map_err(unavailable)?)
    }

    async fn add(
        &self,
        issuer: &str,
        subject: &str,
        mapped: &Mapped,
        issued: i64,
    ) -> Result<AccountRow, NotVouched> {
        let id = self.random_uuid();
        let account = AccountRow {
            id,
            login: None,
            subject: Some((issuer.to_owned(), subject.to_owned())),
            actor: id.to_string(),
            role: mapped.role.as_str().to_owned(),
            organisation: mapped.organisation.clone(),
            trials: mapped.trials.clone(),
            participant: None,
            password: None,
            disabled: false,
            known: Known::Not,
            issued,
            withdrawn: false,
            epoch: 0,
        };
        if self.parts.accounts.add_account(&account).await.map_err(unavailable)? {
            return Ok(account);
        }
        // Another request of the same person was faster.
        let known = self.known(issuer, subject).await?;
        Ok(known.ok_or_else(|| unavailable("an account has gone"))?)
    }

    async fn move_to(
        &self,
        account: AccountRow,
        mapped: &Mapped,
        issued: i64,
    ) -> Result<AccountRow, NotVouched> {
        if account.withdrawn {
            self.tell_withdrawn(&account).await?;
        }
        let moved = AccountRow {
            role: mapped.role.as_str().to_owned(),
            organisation: mapped.organisation.clone(),
            trials: mapped.trials.clone(),
            issued,
            withdrawn: false,
            known: Known::Granted,
            ..account.clone()
        };
        let grant = Grant::of_account(&moved).map_err(unavailable)?;
        self.record_moved(&account, grant, &By::service()).await.map_err(unavailable)?;
        // A crash before this line has it recorded twice.
        self.parts.accounts.move_account(&moved).await.map_err(unavailable)?;
        Ok(moved)
    }

    /// Ends a role that the provider gives no more: it stops counting first, then the record is told.
    async fn withdraw(&self, account: AccountRow, issued: i64) -> Result<(), Unavailable> {
        if account.withdrawn {
            self.parts.accounts.confirm_account(account.id, issued).await.map_err(unavailable)?;
            return self.tell_withdrawn(&account).await;
        }
        self.parts.accounts.withdraw_account(account.id, issued).await.map_err(unavailable)?;
        let withdrawn = AccountRow { withdrawn: true, epoch: account.epoch + 1, ..account };
        // A crash before this line leaves it to the sweep.
        self.tell_withdrawn(&withdrawn).await
    }

    /// Tells the record that somebody has no role any more, unless it knows.
    async fn tell_withdrawn(&self, account: &AccountRow) -> Result<(), Unavailable> {
        if account.known == Known::Revoked {
            return Ok(());
        }
        self.record_withdrawn(account, &By::service()).await.map_err(unavailable)?;
        self.parts.accounts.note_account(account.id, Known::Revoked).await.map_err(unavailable)
    }

    /// Tells the record of a role that has ended, where a crash has kept it from hearing of it.
    pub(crate) async fn tell_of_withdrawn(&self, id: Uuid) -> Result<(), Unavailable> {
        let _moving = match &self.parts.provider {
            Some(provider) => Some(provider.moving.lock().await),
            None => None,
        };
        let account = self.parts.accounts.account(id).await.map_err(unavailable)?;
        let Some(account) = account.filter(|account| account.withdrawn) else { return Ok(()) };
        self.tell_withdrawn(&account).await
    }
}

/// What the provider says of somebody.
struct Word {
    /// The role, where it gives one.
    gives: Option<Mapped>,
    /// When it was issued, in seconds.
    issued: i64,
}

impl Word {
    fn of(provider: &Provider, claims: &Claims) -> Self {
        Self { gives: provider.config.map(claims), issued: issued(claims) }
    }

    /// Whether it says what stands.
    fn confirms(&self, account: &AccountRow) -> bool {
        !account.withdrawn
            && self.gives.as_ref().is_some_and(|mapped| {
                account.role == mapped.role.as_str()
                    && account.organisation == mapped.organisation
                    && account.trials == mapped.trials
            })
    }
}

fn unavailable(error: impl Display) -> Unavailable {
    Unavailable(error.to_string())
}
