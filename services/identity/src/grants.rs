//! The record of grants: `role.granted` and `role.revoked`, each grant a stream of its own in `_ledger`; and of the passwords
//! of accounts, by which somebody else could act in the holder's name.

use trialseal_access::Principal;
use trialseal_record::event::{AccountInvited, Event, PasswordChosen, RoleGranted, RoleRevoked};
use trialseal_record::text::Text;
use trialseal_record::values::AccessMeans;
use trialseal_record::{Actor, Role, Scope, StreamId, TrialId};
use trialseal_seal::data::Secret;
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use trialseal_store::draft::{Draft, Stamp};
use trialseal_store::{
    AccountRow, Append, AppendError, Expected, InvitationRow, NewEvent, StoreError, TokenRow,
};
use uuid::Uuid;

use crate::Identity;

/// The actor of what the service records by itself.
const SERVICE: &str = "service:trialseal";

/// How often an event is placed anew, because another one of its stream was faster.
const TRIES: usize = 8;

/// Who gives or takes back: somebody over HTTP, or whoever has the server's command line, for whom the service speaks.
#[derive(Debug, Clone)]
pub(crate) struct By {
    actor: Actor,
    request: Option<String>,
}

impl By {
    pub(crate) fn service() -> Self {
        let organisation = String::new();
        Self { actor: Actor { id: SERVICE.to_owned(), role: Role::System, organisation }, request: None }
    }

    /// Whose account it is.
    pub(crate) fn holder(account: &AccountRow) -> Result<Self, StoreError> {
        let (id, organisation) = (account.actor.clone(), account.organisation.clone());
        Ok(Self { actor: Actor { id, role: role_of(&account.role)?, organisation }, request: None })
    }

    pub(crate) fn principal(principal: &Principal, request: Option<String>) -> Self {
        Self { actor: principal.as_actor(), request }
    }
}

/// Something that was given: a token's, or an account's.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) id: Uuid,
    event: RoleGranted,
}

impl Grant {
    pub(crate) fn of_token(row: &TokenRow) -> Result<Self, StoreError> {
        let event = RoleGranted {
            actor: text(&row.actor)?,
            role: role_of(&row.role)?,
            organisation: text(&row.organisation)?,
            source_system: row.source_system.as_deref().map(text).transpose()?,
            trials: row.trials.clone(),
            participant: row.participant,
            means: AccessMeans::Token,
            expires: row.expires.map(|micros| text(&time(micros))).transpose()?,
        };
        Ok(Self { id: row.id, event })
    }

    pub(crate) fn of_account(row: &AccountRow) -> Result<Self, StoreError> {
        let means = if row.subject.is_some() { AccessMeans::Provider } else { AccessMeans::Account };
        let event = RoleGranted {
            actor: text(&row.actor)?,
            role: role_of(&row.role)?,
            organisation: text(&row.organisation)?,
            source_system: None,
            trials: row.trials.clone(),
            participant: row.participant,
            means,
            expires: None,
        };
        Ok(Self { id: row.id, event })
    }
}

fn revoked(reason: &str) -> Result<RoleRevoked, AppendError> {
    let reason =
        reason.parse().map_err(|_| AppendError::Unacceptable("the reason is no text that says something"))?;
    Ok(RoleRevoked { reason })
}

/// A time as the record writes it.
pub(crate) fn time(micros: i64) -> String {
    Timestamp::from_micros(micros).to_string()
}

/// A stored role.
pub(crate) fn role_of(stored: &str) -> Result<Role, StoreError> {
    stored.parse().map_err(|_| StoreError::Damaged("a stored grant has an unknown role".into()))
}

/// A stored name as it stands in an event. An empty one, which older versions took, is shown as what it is.
fn text(stored: &str) -> Result<Text, StoreError> {
    let shown = if stored.trim().is_empty() { "(none)" } else { stored };
    shown.parse().map_err(|_| StoreError::Damaged("a stored grant has a name that no event can hold".into()))
}

impl Identity {
    /// Records that something was given. Recording it again changes nothing.
    pub(crate) async fn record_granted(&self, grant: Grant, by: &By) -> Result<(), AppendError> {
        let command = format!("grant/{}/granted", grant.id);
        self.record(&command, StreamId::grant(grant.id), 0, grant.event, by).await
    }

    /// Records that something given was taken back. Recording it again changes nothing.
    pub(crate) async fn record_revoked(&self, id: Uuid, reason: &str, by: &By) -> Result<(), AppendError> {
        let command = format!("grant/{id}/revoked");
        self.record(&command, StreamId::grant(id), 1, revoked(reason)?, by).await
    }

    /// Records that the provider gives an account's holder another role from now on than they had before, if they had one.
    pub(crate) async fn record_moved(
        &self,
        before: &AccountRow,
        grant: Grant,
        by: &By,
    ) -> Result<(), AppendError> {
        let (stream, change) = (StreamId::grant(grant.id), self.random_uuid());
        if !before.withdrawn {
            let event = revoked("The provider vouches for another role")?;
            self.record(&format!("grant/{change}/revoked"), stream, 1, event, by).await?;
        }
        self.record(&format!("grant/{change}/granted"), stream, 2, grant.event, by).await
    }

    /// Records that the provider gives an account's holder no role any more. Recording it again changes nothing.
    pub(crate) async fn record_withdrawn(&self, account: &AccountRow, by: &By) -> Result<(), AppendError> {
        let command = format!("grant/{}/withdrawn/{}", account.id, account.epoch);
        let event = revoked("The provider gives its holder no role any more")?;
        self.record(&command, StreamId::grant(account.id), 1, event, by).await
    }

    /// Records that a link is about to be made, by which whoever has it takes over an account.
    pub(crate) async fn record_invited(
        &self,
        account: Uuid,
        expires: i64,
        by: &By,
    ) -> Result<(), AppendError> {
        let expires = time(expires).parse().map_err(|_| AppendError::Unacceptable("the link has no end"))?;
        let command = format!("grant/{account}/invited/{}", self.random_uuid());
        self.record(&command, StreamId::grant(account), 1, AccountInvited { expires }, by).await
    }

    /// Records that a password is about to be chosen by a link, by whoever has that. Recording it again changes nothing.
    pub(crate) async fn record_password(
        &self,
        account: &AccountRow,
        invitation: &InvitationRow,
    ) -> Result<(), AppendError> {
        let failed = |error: StoreError| AppendError::Store { error: error.to_string(), in_doubt: false };
        let by = By::holder(account).map_err(failed)?;
        let command = format!("grant/{}/password/{}", account.id, Hash::from_bytes(invitation.hash));
        let event = PasswordChosen { replaces: account.password.is_some() };
        self.record(&command, StreamId::grant(account.id), 1, event, &by).await
    }

    /// Appends an event to a stream of `_ledger`, of which `version` events are known.
    pub(crate) async fn record(
        &self,
        command: &str,
        stream: StreamId,
        version: u64,
        event: impl Into<Event>,
        by: &By,
    ) -> Result<(), AppendError> {
        let event = event.into();
        let mut version = version;
        let trial = TrialId::ledger();
        let new = self
            .new_event(stream, &event, by)
            .await
            .map_err(|error| AppendError::Store { error, in_doubt: false })?;
        let mut outcome = Ok(());
        for _ in 0..TRIES {
            let append = Append {
                command: self.parts.vault.command_id(SERVICE, command),
                digest: self.parts.vault.digest(&[command.as_bytes()]),
                trial: trial.clone(),
                new_trial: false,
                expected: vec![Expected { stream, version }],
                natural_keys: Vec::new(),
                events: vec![new.clone()],
            };
            match self.parts.writer.append(append).await {
                Ok(_) => return Ok(()),
                Err(AppendError::VersionConflict { expected, actual }) => {
                    version = actual;
                    outcome = Err(AppendError::VersionConflict { expected, actual });
                }
                Err(error) => return Err(error),
            }
        }
        outcome
    }

    pub(crate) async fn new_event(
        &self,
        stream: StreamId,
        event: &Event,
        by: &By,
    ) -> Result<NewEvent, String> {
        let parts = &self.parts;
        let key = parts.vault.key_of(&Scope::Trial(TrialId::ledger())).await.map_err(|e| e.to_string())?;
        let mut secret = [0; 32];
        parts.ids.fill(&mut secret);
        let stamp = Stamp::new(by.actor.clone(), None, by.request.as_deref());
        let draft = Draft { stream, event: event.clone(), key };
        let id = parts.ids.uuid_v7(parts.clock.now());
        draft.prepare(&stamp, id, &Secret::from_bytes(secret)).map_err(|error| error.to_string())
    }
}
