//! Passkeys of accounts of the service's own: how one is added and removed, and what it has to answer to log somebody in.
//!
//! ```text
//! statement = JCS({"act": "log-in" | "confirm" | "register", "format": "trialseal/passkey/v1", "ledger": origin, "nonce": …})
//! ```
//! What is answered to is the statement's SHA-256, as with signatures; so no answer to one act, or to one ledger, does for another.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lru::LruCache;
use serde::Deserialize;
use trialseal_record::event::{PasskeyRegistered, PasskeyRemoved};
use trialseal_record::{StreamId, Text};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::assertion::Answer;
use trialseal_seal::canonical;
use trialseal_seal::hash::sha256;
use trialseal_store::{AccountRow, AppendError, Chosen, InvitationRow, PasskeyRow, StoreError};

use crate::Identity;
use crate::forms::LoggedIn;
use crate::grants::By;
use crate::problems::{forbidden, invalid, of_append, of_store};

#[cfg(test)]
mod tests;

/// How long a challenge can be answered, microseconds: five minutes.
const CHALLENGE_MICROS: i64 = 300_000_000;
/// Challenges that are remembered. To have one forgotten, somebody has to ask for as many others in the meantime.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1 << 17).unwrap();
/// For so long somebody who has shown who they are may change what they log in by, microseconds: five minutes.
const CONFIRMED_MICROS: i64 = 300_000_000;
/// Passkeys of an account at the most: one a device.
const MOST: usize = 20;
/// Longest label, in bytes.
const MAX_LABEL_BYTES: usize = 100;
/// Longest id of a passkey, in bytes (Web Authentication, Level 3, section 4).
const MAX_CREDENTIAL_BYTES: usize = 1023;
/// What statements say that they are.
const FORMAT: &str = "trialseal/passkey/v1";

/// What a passkey is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// To log in.
    LogIn,
    /// To show once more who it is that has logged in.
    Confirm,
    /// To be added to an account.
    Register,
}

impl Act {
    fn name(self) -> &'static str {
        match self {
            Self::LogIn => "log-in",
            Self::Confirm => "confirm",
            Self::Register => "register",
        }
    }
}

/// The nonces that nobody has answered to, with the end of each. They lie in memory, so that strangers who ask for them write
/// nothing; the process that is elected is the only one that serves, and after a restart people ask anew.
#[derive(Default)]
pub(crate) struct Challenges(Mutex<Option<LruCache<String, i64>>>);

impl Challenges {
    fn add(&self, nonce: String, end: i64) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get_or_insert_with(|| LruCache::new(REMEMBERED)).push(nonce, end);
    }

    /// Whether it was open; from now on it is not.
    fn take(&self, nonce: &str, now: i64) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_mut().and_then(|open| open.pop(nonce)).is_some_and(|end| end > now)
    }
}

/// What a passkey answered, as a browser sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answered {
    pub(crate) nonce: String,
    pub(crate) credential: String,
    pub(crate) answer: Parts,
}

/// The members of an assertion.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Parts {
    authenticator_data: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    signature: String,
}

/// A passkey that is to be added, with its own answer: whoever sends it has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasskey {
    pub(crate) label: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) answered: Answered,
}

impl Identity {
    /// A nonce that can be answered to once, within minutes.
    pub(crate) fn challenge(&self) -> String {
        let mut random = [0; 32];
        self.parts.ids.fill(&mut random);
        let nonce = URL_SAFE_NO_PAD.encode(random);
        self.challenges.add(nonce.clone(), self.parts.clock.now() + CHALLENGE_MICROS);
        nonce
    }

    /// The domain that passkeys are for: that of the public address, or that by which a machine calls itself.
    pub(crate) fn relying_party(&self) -> &str {
        let address = self.parts.address.as_deref().and_then(|address| address.split_once("://"));
        let authority = address.map_or("localhost", |(_, authority)| authority);
        authority.split_once(':').map_or(authority, |(host, _)| host)
    }

    /// The passkey of that id and its account, where it can be logged in by.
    pub(crate) async fn passkey(
        &self,
        credential: &str,
    ) -> Result<Option<(PasskeyRow, AccountRow)>, StoreError> {
        let accounts = &self.parts.accounts;
        let found = accounts.passkey(credential).await?.filter(|passkey| !passkey.ended);
        let Some(passkey) = found else { return Ok(None) };
        let account = accounts.account(passkey.account).await?.filter(|account| !account.disabled);
        Ok(account.map(|account| (passkey, account)))
    }

    /// Whether the passkey of that public key answers to a nonce that was open until now.
    pub(crate) fn verifies(&self, act: Act, answered: &Answered, [x, y]: [&str; 2]) -> bool {
        // Whatever the answer is worth: nobody tries twice.
        if !self.challenges.take(&answered.nonce, self.parts.clock.now()) {
            return false;
        }
        let Parts { authenticator_data, client_data, signature } = &answered.answer;
        let relying_party = self.relying_party();
        let answer = Answer { relying_party, x, y, authenticator_data, client_data, signature };
        let on_our_page =
            self.parts.address.as_deref().is_none_or(|address| answer.check_origin(address).is_ok());
        on_our_page && answer.verify(&self.statement(act, &answered.nonce)).is_ok()
    }

    pub(crate) fn statement(&self, act: Act, nonce: &str) -> Vec<u8> {
        let ledger = self.parts.events.origin();
        canonical::to_vec(
            &serde_json::json!({"act": act.name(), "format": FORMAT, "ledger": ledger, "nonce": nonce}),
        )
    }

    /// Whether somebody has shown a moment ago who they are.
    pub(crate) fn is_confirmed(&self, holder: &LoggedIn) -> bool {
        holder.session.confirmed + CONFIRMED_MICROS > self.parts.clock.now()
    }

    /// Adds a passkey to the account of somebody who has logged in. It is in the record before it counts.
    pub(crate) async fn add_passkey(&self, holder: &LoggedIn, new: NewPasskey) -> Result<(), Problem> {
        self.confirmed(holder)?;
        let account = &holder.account;
        let own = self.parts.accounts.passkeys_of(account.id).await.map_err(|error| of_store(&error))?;
        if own.len() >= MOST {
            return Err(refused("An account has 20 passkeys at the most: remove one first."));
        }
        let passkey = self.checked_passkey(account, new).await?;
        self.record_passkey(account, &passkey, false).await.map_err(|error| of_append(&error))?;
        let added = self.parts.accounts.add_passkey(&passkey, account.epoch).await;
        if added.map_err(|error| of_store(&error))? { Ok(()) } else { Err(taken()) }
    }

    /// Takes an invitation up with a passkey; `false` where somebody was faster.
    pub(crate) async fn choose_passkey(
        &self,
        (account, invitation): (AccountRow, InvitationRow),
        new: NewPasskey,
    ) -> Result<bool, Problem> {
        let passkey = self.checked_passkey(&account, new).await?;
        self.introduce_account(&account).await?;
        self.record_passkey(&account, &passkey, true).await.map_err(|error| of_append(&error))?;
        self.taken_up(&account, &invitation, Chosen::Passkey(passkey)).await
    }

    /// Removes a passkey: nobody logs in by it from now on, and then the record is told.
    pub(crate) async fn remove_passkey(&self, holder: &LoggedIn, credential: &str) -> Result<(), Problem> {
        self.confirmed(holder)?;
        let (accounts, account) = (&self.parts.accounts, &holder.account);
        let own = accounts.passkeys_of(account.id).await.map_err(|error| of_store(&error))?;
        let Some(passkey) = own.iter().find(|passkey| passkey.credential == credential) else {
            return Err(Problem::new(ProblemKind::NotFound, "Your account has no such passkey."));
        };
        let others = own.iter().filter(|other| !other.ended && other.credential != credential).count();
        if account.password.is_none() && others == 0 {
            return Err(refused("This is all that you log in by: add another passkey first."));
        }
        accounts.end_passkey(account.id, credential).await.map_err(|error| of_store(&error))?;
        // A crash before this line leaves it to the sweep.
        self.tell_of_removed(account, passkey).await.map_err(|error| of_append(&error))
    }

    /// Tells the record of a passkey that was ended, and forgets it.
    pub(crate) async fn tell_of_removed(
        &self,
        account: &AccountRow,
        passkey: &PasskeyRow,
    ) -> Result<(), AppendError> {
        let digest = digest(passkey)?;
        let command = format!("grant/{}/passkey/{}/{}/removed", account.id, digest.as_str(), passkey.added);
        let by = By::holder(account).map_err(|error| failed(&error))?;
        let stream = StreamId::grant(account.id);
        self.record(&command, stream, 1, PasskeyRemoved { passkey: digest }, &by).await?;
        self.parts.accounts.forget_passkey(&passkey.credential).await.map_err(|error| failed(&error))
    }

    async fn record_passkey(
        &self,
        account: &AccountRow,
        passkey: &PasskeyRow,
        by_link: bool,
    ) -> Result<(), AppendError> {
        let digest = digest(passkey)?;
        let command = format!("grant/{}/passkey/{}/{}", account.id, digest.as_str(), passkey.added);
        let by = By::holder(account).map_err(|error| failed(&error))?;
        let event = PasskeyRegistered { passkey: digest, by_link };
        self.record(&command, StreamId::grant(account.id), 1, event, &by).await
    }

    fn confirmed(&self, holder: &LoggedIn) -> Result<(), Problem> {
        if self.is_confirmed(holder) {
            return Ok(());
        }
        Err(forbidden("Show once more who you are first: that was more than five minutes ago."))
    }

    /// The passkey that somebody sends for an account, if it is theirs and nobody else's.
    async fn checked_passkey(&self, account: &AccountRow, new: NewPasskey) -> Result<PasskeyRow, Problem> {
        if account.login.is_none() {
            return Err(refused("A provider vouches for you: passkeys are added there."));
        }
        let NewPasskey { label, x, y, answered } = new;
        let label = label.trim();
        let is_label = label.len() <= MAX_LABEL_BYTES && label.parse::<Text>().is_ok();
        if !is_label || label.contains(char::is_control) {
            return Err(invalid(&"A passkey is called by 1 to 100 bytes of text"));
        }
        if !self.verifies(Act::Register, &answered, [&x, &y]) {
            return Err(forbidden("The passkey did not answer as it should, or not in time. Try again."));
        }
        let credential = answered.credential;
        let bytes = URL_SAFE_NO_PAD.decode(&credential).unwrap_or_default();
        if bytes.is_empty() || bytes.len() > MAX_CREDENTIAL_BYTES {
            return Err(invalid(&"The id of a passkey is 1 to 1023 bytes in base64url without padding"));
        }
        let there = self.parts.accounts.passkey(&credential).await.map_err(|error| of_store(&error))?;
        if there.is_some_and(|there| there.account != account.id) {
            return Err(taken());
        }
        let (account, added) = (account.id, self.parts.clock.now());
        Ok(PasskeyRow { credential, account, x, y, label: label.to_owned(), added, ended: false })
    }
}

/// How the record names a passkey.
fn digest(passkey: &PasskeyRow) -> Result<trialseal_record::Sha256Hex, AppendError> {
    let id = URL_SAFE_NO_PAD.decode(&passkey.credential).unwrap_or_default();
    let digest = sha256(&id).to_string();
    digest.parse().map_err(|_| AppendError::Unacceptable("a passkey's id has no digest"))
}

fn failed(error: &StoreError) -> AppendError {
    AppendError::Store { error: error.to_string(), in_doubt: false }
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemKind::RuleRefused, detail).with_rule("passkey")
}

fn taken() -> Problem {
    refused("This passkey is there already, or your account has changed meanwhile.")
}
