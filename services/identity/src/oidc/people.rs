//! From claims to an account of ours: one for each subject, which keeps the actor the same whatever the provider says later,
//! and by which an administrator can end somebody's access at once.

use trialseal_access::Principal;
use trialseal_access::http::{Refused, Unavailable};
use trialseal_store::{AccountRow, Known, StoreError};

use super::claims::Use;
use super::config::Mapped;
use super::{Claims, NotVouched, Provider};
use crate::Identity;
use crate::grants::{By, Grant};
use crate::sessions::principal_of;

impl Identity {
    /// Whom a bearer token of the provider's stands for.
    pub(crate) async fn vouched_for(&self, provider: &Provider, jwt: &str) -> Result<Principal, NotVouched> {
        let claims = provider.claims(jwt, Use::Access).await?;
        let account = self.account_for(provider, &claims).await?;
        principal_of(&account).map_err(unavailable)
    }

    /// The account of whom claims are about. The record is told of it, and of each change, before it counts.
    pub(crate) async fn account_for(
        &self,
        provider: &Provider,
        claims: &Claims,
    ) -> Result<AccountRow, NotVouched> {
        let mapped = provider.config.map(claims).ok_or(Refused("no rule gives its holder a role here"))?;
        let subject = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default();
        let issuer = provider.config.issuer.as_str();
        let mut account = match self.known(issuer, subject).await? {
            Some(account) => account,
            None => self.add(issuer, subject, &mapped).await?,
        };
        if account.disabled {
            return Err(Refused("its holder's access has been taken back").into());
        }
        self.introduce_account(&account).await.map_err(|problem| Unavailable(problem.to_string()))?;
        if !is(&account, &mapped) {
            account = self.move_account(provider, account, &mapped).await?;
        }
        Ok(account)
    }

    async fn known(&self, issuer: &str, subject: &str) -> Result<Option<AccountRow>, NotVouched> {
        self.parts.accounts.account_of_subject(issuer, subject).await.map_err(unavailable)
    }

    async fn add(&self, issuer: &str, subject: &str, mapped: &Mapped) -> Result<AccountRow, NotVouched> {
        let id = self.random_uuid();
        let account = AccountRow {
            id,
            login: None,
            subject: Some((issuer.to_owned(), subject.to_owned())),
            actor: id.to_string(),
            role: mapped.role.as_str().to_owned(),
            organisation: mapped.organisation.clone(),
            trials: mapped.trials.clone(),
            password: None,
            disabled: false,
            known: Known::Not,
        };
        if self.parts.accounts.add_account(&account).await.map_err(unavailable)? {
            return Ok(account);
        }
        // Another request of the same person was faster.
        let known = self.known(issuer, subject).await?;
        known.ok_or_else(|| Unavailable("an account has gone".into()).into())
    }

    async fn move_account(
        &self,
        provider: &Provider,
        account: AccountRow,
        mapped: &Mapped,
    ) -> Result<AccountRow, NotVouched> {
        let _moving = provider.moving.lock().await;
        let now = self.parts.accounts.account(account.id).await.map_err(unavailable)?.unwrap_or(account);
        if now.disabled {
            return Err(Refused("its holder's access has been taken back").into());
        }
        if is(&now, mapped) {
            return Ok(now);
        }
        let moved = AccountRow {
            role: mapped.role.as_str().to_owned(),
            organisation: mapped.organisation.clone(),
            trials: mapped.trials.clone(),
            ..now
        };
        let grant = Grant::of_account(&moved).map_err(unavailable)?;
        self.record_moved(grant, &By::service()).await.map_err(|error| Unavailable(error.to_string()))?;
        // A crash before this line has it recorded twice.
        let AccountRow { id, role, organisation, trials, .. } = &moved;
        let stored = self.parts.accounts.move_account(*id, role, organisation, trials.as_deref()).await;
        stored.map_err(unavailable)?;
        Ok(moved)
    }
}

fn is(account: &AccountRow, mapped: &Mapped) -> bool {
    account.role == mapped.role.as_str()
        && account.organisation == mapped.organisation
        && account.trials == mapped.trials
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: StoreError) -> NotVouched {
    Unavailable(error.to_string()).into()
}
