//! Accounts of people, invitations and sessions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{MemoryStore, read, write};
use crate::error::Result;
use crate::ports::Accounts;
use crate::rows::{AccountRow, Chosen, InvitationRow, Known, PasskeyRow, SessionRow};

#[derive(Debug, Default)]
pub(super) struct State {
    accounts: BTreeMap<Uuid, AccountRow>,
    /// By account.
    invitations: BTreeMap<Uuid, InvitationRow>,
    sessions: BTreeMap<[u8; 32], SessionRow>,
    /// By id.
    passkeys: BTreeMap<String, PasskeyRow>,
}

impl MemoryStore {
    fn account_where(&self, found: impl Fn(&AccountRow) -> bool) -> Option<AccountRow> {
        read(&self.registry).people.accounts.values().find(|account| found(account)).cloned()
    }
}

#[async_trait]
impl Accounts for MemoryStore {
    async fn add_account(&self, account: &AccountRow) -> Result<bool> {
        let people = &mut write(&self.registry).people;
        let same = |other: &AccountRow| {
            other.id == account.id
                || (account.login.is_some() && other.login == account.login)
                || (account.subject.is_some() && other.subject == account.subject)
        };
        if people.accounts.values().any(same) {
            return Ok(false);
        }
        people.accounts.insert(account.id, account.clone());
        Ok(true)
    }

    async fn add_first_administrator(&self, account: &AccountRow) -> Result<bool> {
        let people = &mut write(&self.registry).people;
        let stands = |other: &AccountRow| {
            other.role == "admin" || other.id == account.id || other.login == account.login
        };
        if people.accounts.values().any(stands) {
            return Ok(false);
        }
        people.accounts.insert(account.id, account.clone());
        Ok(true)
    }

    async fn account(&self, id: Uuid) -> Result<Option<AccountRow>> {
        Ok(self.account_where(|account| account.id == id))
    }

    async fn account_of_login(&self, login: &str) -> Result<Option<AccountRow>> {
        Ok(self.account_where(|account| account.login.as_deref() == Some(login)))
    }

    async fn account_of_subject(&self, issuer: &str, subject: &str) -> Result<Option<AccountRow>> {
        let is = |account: &AccountRow| {
            account.subject.as_ref().is_some_and(|(by, of)| by == issuer && of == subject)
        };
        Ok(self.account_where(is))
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>> {
        Ok(read(&self.registry).people.accounts.values().cloned().collect())
    }

    async fn move_account(&self, moved: &AccountRow) -> Result<()> {
        if let Some(account) = write(&self.registry).people.accounts.get_mut(&moved.id) {
            account.role.clone_from(&moved.role);
            account.organisation.clone_from(&moved.organisation);
            account.trials.clone_from(&moved.trials);
            (account.issued, account.withdrawn, account.known) = (moved.issued, false, Known::Granted);
        }
        Ok(())
    }

    async fn confirm_account(&self, id: Uuid, issued: i64) -> Result<()> {
        if let Some(account) = write(&self.registry).people.accounts.get_mut(&id) {
            account.issued = account.issued.max(issued);
        }
        Ok(())
    }

    async fn withdraw_account(&self, id: Uuid, issued: i64) -> Result<()> {
        let people = &mut write(&self.registry).people;
        people.sessions.retain(|_, session| session.account != id);
        if let Some(account) = people.accounts.get_mut(&id) {
            (account.issued, account.withdrawn) = (issued, true);
            account.epoch += 1;
        }
        Ok(())
    }

    async fn change_password(&self, id: Uuid, old: &str, new: &str) -> Result<bool> {
        let people = &mut write(&self.registry).people;
        let account = people.accounts.get_mut(&id).filter(|account| account.password.as_deref() == Some(old));
        Ok(account.map(|account| account.password = Some(new.to_owned())).is_some())
    }

    async fn disable_account(&self, id: Uuid) -> Result<bool> {
        let people = &mut write(&self.registry).people;
        people.sessions.retain(|_, session| session.account != id);
        people.invitations.remove(&id);
        Ok(people.accounts.get_mut(&id).map(|account| account.disabled = true).is_some())
    }

    async fn note_account(&self, id: Uuid, known: Known) -> Result<()> {
        if let Some(account) = write(&self.registry).people.accounts.get_mut(&id) {
            account.known = account.known.max(known);
        }
        Ok(())
    }

    async fn invite(&self, invitation: &InvitationRow) -> Result<()> {
        write(&self.registry).people.invitations.insert(invitation.account, invitation.clone());
        Ok(())
    }

    async fn invitation(&self, hash: &[u8; 32]) -> Result<Option<InvitationRow>> {
        let registry = read(&self.registry);
        Ok(registry.people.invitations.values().find(|invitation| invitation.hash == *hash).cloned())
    }

    async fn take_up(&self, invitation: &InvitationRow, chosen: &Chosen) -> Result<bool> {
        let people = &mut write(&self.registry).people;
        let id = invitation.account;
        if people.invitations.get(&id).is_none_or(|there| there.hash != invitation.hash) {
            return Ok(false);
        }
        let (password, passkey) = match chosen {
            Chosen::Password(hash) => (Some(hash.clone()), None),
            Chosen::Passkey(passkey) => (None, Some(passkey)),
        };
        let other = passkey.and_then(|passkey| people.passkeys.get(&passkey.credential));
        if other.is_some_and(|other| other.account != id) {
            return Ok(false);
        }
        people.invitations.remove(&id);
        people.sessions.retain(|_, session| session.account != id);
        people.passkeys.retain(|_, passkey| passkey.account != id);
        if let Some(passkey) = passkey {
            people.passkeys.insert(passkey.credential.clone(), passkey.clone());
        }
        if let Some(account) = people.accounts.get_mut(&id) {
            account.password = password;
            account.epoch += 1;
        }
        Ok(true)
    }

    async fn begin_session(&self, session: &SessionRow) -> Result<()> {
        write(&self.registry).people.sessions.insert(session.hash, session.clone());
        Ok(())
    }

    async fn session(&self, hash: &[u8; 32]) -> Result<Option<SessionRow>> {
        Ok(read(&self.registry).people.sessions.get(hash).cloned())
    }

    async fn see_session(&self, hash: &[u8; 32], seen: i64) -> Result<()> {
        if let Some(session) = write(&self.registry).people.sessions.get_mut(hash) {
            session.seen = session.seen.max(seen);
        }
        Ok(())
    }

    async fn confirm_session(&self, hash: &[u8; 32], confirmed: i64) -> Result<()> {
        if let Some(session) = write(&self.registry).people.sessions.get_mut(hash) {
            session.confirmed = session.confirmed.max(confirmed);
        }
        Ok(())
    }

    async fn end_session(&self, hash: &[u8; 32]) -> Result<()> {
        write(&self.registry).people.sessions.remove(hash);
        Ok(())
    }

    async fn end_outdated(&self, now: i64, idle_since: i64) -> Result<()> {
        let people = &mut write(&self.registry).people;
        people.sessions.retain(|_, session| session.expires > now && session.seen >= idle_since);
        people.invitations.retain(|_, invitation| invitation.expires > now);
        Ok(())
    }

    async fn add_passkey(&self, passkey: &PasskeyRow, epoch: i64) -> Result<bool> {
        let people = &mut write(&self.registry).people;
        let counts =
            people.accounts.get(&passkey.account).is_some_and(|of| of.epoch == epoch && !of.disabled);
        if !counts || people.passkeys.contains_key(&passkey.credential) {
            return Ok(false);
        }
        people.passkeys.insert(passkey.credential.clone(), passkey.clone());
        Ok(true)
    }

    async fn passkey(&self, credential: &str) -> Result<Option<PasskeyRow>> {
        Ok(read(&self.registry).people.passkeys.get(credential).cloned())
    }

    async fn passkeys(&self) -> Result<Vec<PasskeyRow>> {
        Ok(read(&self.registry).people.passkeys.values().cloned().collect())
    }

    async fn passkeys_of(&self, account: Uuid) -> Result<Vec<PasskeyRow>> {
        let registry = read(&self.registry);
        let own = registry.people.passkeys.values().filter(|passkey| passkey.account == account);
        Ok(own.cloned().collect())
    }

    async fn end_passkey(&self, account: Uuid, credential: &str) -> Result<bool> {
        let people = &mut write(&self.registry).people;
        let passkey = people.passkeys.get_mut(credential).filter(|passkey| passkey.account == account);
        Ok(passkey.map(|passkey| passkey.ended = true).is_some())
    }

    async fn forget_passkey(&self, credential: &str) -> Result<()> {
        write(&self.registry).people.passkeys.retain(|id, passkey| id != credential || !passkey.ended);
        Ok(())
    }
}
