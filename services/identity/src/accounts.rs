//! Accounts of the service's own: who gets one, and the one-time link by which they choose a password. Nobody else ever
//! knows it.

use serde::Deserialize;
use trialseal_access::Token;
use trialseal_record::Role;
use trialseal_runtime::ids::Ids;
use trialseal_store::{AccountRow, Accounts, InvitationRow, Known, StoreError};
use uuid::Builder;

use crate::tokens::{InvalidGrant, name, participant, reached, role};

/// Longest login name, in characters.
const MAX_LOGIN: usize = 100;
/// How long an invitation can be taken up, microseconds: three days.
pub(crate) const INVITATION_MICROS: i64 = 3 * 86_400_000_000;

/// Who a new account is for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccount {
    /// The name to log in by: letters, digits and `.`, `_`, `-`, `@`, in lower case.
    pub login: String,
    /// sponsor, investigator, site-staff, irb, monitor, inspector, auditor, unblinded, researcher, participant or admin.
    pub role: String,
    /// The organisation they act for.
    pub organisation: String,
    /// Opaque stable id, which stands in the header of everything they record; left out, one is made.
    pub actor: Option<String>,
    /// The trials it reaches; left out, all of them.
    pub trials: Option<Vec<String>>,
    /// The participant who holds it, by id: for the role participant, which reaches one trial, and for no other.
    pub participant: Option<String>,
}

/// An account that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccount {
    /// What it would grant cannot be granted.
    #[error(transparent)]
    Grant(#[from] InvalidGrant),
    /// No name to log in by.
    #[error("login takes 1 to 100 lower-case letters, digits and . _ - @")]
    Login,
    /// A name that an account has.
    #[error("there is an account with this login name")]
    Taken,
    /// There is an administrator already.
    #[error(
        "there is an administrator already: this is done once; whoever has lost the password gets a new link by `trialseal \
         admin invite`"
    )]
    Administrator,
    /// No account that could be invited.
    #[error("there is no account with this login name, or it has been disabled")]
    Unknown,
    /// The database failed.
    #[error("accounts cannot be read or written: {0}")]
    Store(String),
}

impl From<StoreError> for InvalidAccount {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// A link to choose a password by, shown once.
#[derive(Debug)]
pub struct Invited {
    /// The account.
    pub account: AccountRow,
    /// What the link ends in.
    pub secret: Token,
    /// When it ends, in microseconds.
    pub expires: i64,
}

impl Invited {
    /// The link's path.
    pub fn path(&self) -> String {
        format!("/invitation/{}", self.secret.reveal())
    }
}

impl NewAccount {
    /// The account to be stored, without a password.
    ///
    /// # Errors
    /// What could not stand in the header of an event, and what is no login name.
    pub fn make(self, ids: &dyn Ids) -> Result<AccountRow, InvalidAccount> {
        let mut bytes = [0; 16];
        ids.fill(&mut bytes);
        let id = Builder::from_random_bytes(bytes).into_uuid();
        let role = role(&self.role)?;
        let trials = reached(self.trials)?;
        let participant = participant(role, self.participant, trials.as_deref())?;
        Ok(AccountRow {
            id,
            login: Some(login(&self.login).ok_or(InvalidAccount::Login)?),
            subject: None,
            actor: self.actor.map_or_else(|| Ok(id.to_string()), |actor| name("actor", actor))?,
            role: role.as_str().to_owned(),
            organisation: name("organisation", self.organisation)?,
            trials,
            participant,
            password: None,
            disabled: false,
            known: Known::Not,
            issued: 0,
            withdrawn: false,
            epoch: 0,
        })
    }
}

/// A login name in the spelling in which it is unique.
pub(crate) fn login(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '@');
    ((1..=MAX_LOGIN).contains(&text.len()) && text.chars().all(allowed)).then_some(text)
}

/// Makes the first administrator's account, once.
///
/// # Errors
/// [`InvalidAccount::Administrator`] where there is one already, disabled or not.
pub async fn first_administrator(
    accounts: &dyn Accounts,
    ids: &dyn Ids,
    now: i64,
    new: NewAccount,
) -> Result<Invited, InvalidAccount> {
    let account = new.make(ids)?;
    if accounts.add_first_administrator(&account).await? {
        // A crash before this line leaves an account without a link; another can be made for it.
        return invite(accounts, ids, now, account).await;
    }
    let is_there = accounts.accounts().await?.iter().any(|account| account.role == Role::Admin.as_str());
    Err(if is_there { InvalidAccount::Administrator } else { InvalidAccount::Taken })
}

/// A new link for an account that there is.
///
/// # Errors
/// [`InvalidAccount::Unknown`] where there is none that could log in.
pub async fn invitation_for(
    accounts: &dyn Accounts,
    ids: &dyn Ids,
    now: i64,
    name: &str,
) -> Result<Invited, InvalidAccount> {
    let name = login(name).ok_or(InvalidAccount::Login)?;
    let account = accounts.account_of_login(&name).await?.filter(|account| !account.disabled);
    invite(accounts, ids, now, account.ok_or(InvalidAccount::Unknown)?).await
}

pub(crate) async fn add_and_invite(
    accounts: &dyn Accounts,
    ids: &dyn Ids,
    now: i64,
    account: AccountRow,
) -> Result<Invited, InvalidAccount> {
    if !accounts.add_account(&account).await? {
        return Err(InvalidAccount::Taken);
    }
    // A crash before this line leaves an account without a link; another can be made for it.
    invite(accounts, ids, now, account).await
}

pub(crate) async fn invite(
    accounts: &dyn Accounts,
    ids: &dyn Ids,
    now: i64,
    account: AccountRow,
) -> Result<Invited, InvalidAccount> {
    let mut random = [0; 32];
    ids.fill(&mut random);
    let (secret, expires) = (Token::generate(&random), now + INVITATION_MICROS);
    accounts.invite(&InvitationRow { hash: secret.hash(), account: account.id, expires }).await?;
    Ok(Invited { account, secret, expires })
}
