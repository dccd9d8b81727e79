//! An event's body at rest: its secret and its data, encrypted under the data key of its scope.
//!
//! Plaintext is the 32 bytes of the secret followed by the canonical JSON of the data, an object. Where a value of the event
//! was redacted, the secret is gone, from which the salt of that value follows: 32 zeros are followed by a list of two, the
//! pointers of what is gone and the disclosure of what is left. The event's id is bound as associated data (the vault adds
//! ledger and key id), so a body cannot be moved to another event unnoticed.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use trialseal_record::event::{Event, UnreadableEvent};
use trialseal_record::redacted::REDACTED;
use trialseal_seal::canonical;
use trialseal_seal::data::{Disclosure, Secret, dataroot, disclose};
use trialseal_seal::event::Header;
use trialseal_vault::{DataKey, Vault, VaultError};
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::rows::EventRow;

/// Length of the secret in front of the data, bytes.
const SECRET_LENGTH: usize = 32;

/// What an event's body holds.
#[derive(Debug)]
pub enum Body {
    /// The data, and what shows that the header commits to them.
    Readable {
        /// What shows it.
        opening: Opening,
        /// The data, a JSON object. Where a value was redacted, [`REDACTED`] stands.
        data: Value,
    },
    /// The data key has been destroyed; nobody can read the body any more.
    Erased,
}

/// What shows that data are those that a header commits to.
#[derive(Debug, Clone)]
pub enum Opening {
    /// The event's own secret, from which the salts of its commitment follow.
    Secret(Secret),
    /// What is left of an event of which values were redacted.
    Redacted(Redacted),
}

/// What is left of an event of which values were redacted.
#[derive(Debug, Clone)]
pub struct Redacted {
    /// Where the redacted values stood, each with all that was below it.
    pub hidden: Vec<String>,
    /// All fields; those of the redacted values as leaves alone.
    pub fields: Disclosure,
}

impl Opening {
    /// The disclosure of `data` that shows the fields whose pointer `show` answers with true, as far as they are there.
    pub fn disclose(&self, data: &Value, show: impl Fn(&str) -> bool) -> Disclosure {
        match self {
            Self::Secret(secret) => disclose(secret, data, show),
            Self::Redacted(redacted) => redacted.fields.clone().hiding(|pointer| !show(pointer)),
        }
    }

    /// Where values were redacted.
    pub fn hidden(&self) -> &[String] {
        match self {
            Self::Secret(_) => &[],
            Self::Redacted(redacted) => &redacted.hidden,
        }
    }

    /// What is left once these are redacted too, each with all that is below it.
    pub fn redact(&self, data: &Value, pointers: &[&str]) -> Redacted {
        let is_below = |field: &str, pointer: &str| {
            field.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let show = |field: &str| !pointers.iter().any(|pointer| is_below(field, pointer));
        let mut hidden = self.hidden().to_vec();
        hidden.extend(pointers.iter().map(|&pointer| pointer.to_owned()));
        hidden.sort_unstable();
        hidden.dedup();
        Redacted { hidden, fields: self.disclose(data, show) }
    }
}

impl Redacted {
    /// What is left of the data.
    pub fn data(&self) -> Value {
        self.fields.to_data(self.hidden.iter().map(|pointer| (pointer.as_str(), Value::from(REDACTED))))
    }

    /// Encrypts what is left of an event.
    ///
    /// # Errors
    /// [`VaultError`] where the cipher refuses (plaintext over its limit).
    pub fn seal(&self, key: &DataKey, event: &str) -> Result<Vec<u8>, VaultError> {
        let list = Value::from(vec![Value::from(self.hidden.clone()), self.fields.to_value()]);
        seal(key, event, &Secret::from_bytes([0; SECRET_LENGTH]), &canonical::to_vec(&list))
    }

    fn parse(list: &[u8]) -> Option<Self> {
        let list = canonical::parse(list, canonical::MAX_DEPTH).ok()?;
        let [hidden, fields] = list.as_array()?.as_slice() else { return None };
        let hidden = hidden.as_array()?.iter().map(|pointer| pointer.as_str().map(str::to_owned));
        Some(Self { hidden: hidden.collect::<Option<_>>()?, fields: Disclosure::parse(fields).ok()? })
    }
}

/// Why a body could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Keys could not be fetched.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The stored body is not what was recorded.
    #[error(transparent)]
    Damaged(#[from] StoreError),
}

/// Encrypts an event's secret and data (canonical JSON).
///
/// # Errors
/// [`VaultError`] where the cipher refuses (plaintext over its limit).
pub fn seal(key: &DataKey, event: &str, secret: &Secret, data: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut plain = Zeroizing::new(Vec::with_capacity(SECRET_LENGTH + data.len()));
    plain.extend_from_slice(secret.as_bytes());
    plain.extend_from_slice(data);
    key.seal(event.as_bytes(), &plain)
}

/// The event that a header and its data are.
///
/// # Errors
/// [`UnreadableEvent`] where its type or version is none of this software's, or the data are not of its schema.
pub fn event(header: &Header, data: Value) -> Result<Event, UnreadableEvent> {
    // There is no version 0.
    Event::from_stored(&header.kind, header.schema_version().unwrap_or_default(), data)
}

/// Opens the body of an event whose header has been checked.
///
/// The cipher's tag vouches for the bytes; whether they are what was committed to is asked by [`check`].
///
/// # Errors
/// [`BodyError::Damaged`] naming the event, or [`BodyError::Vault`] where keys cannot be had.
pub async fn open(vault: &Vault, row: &EventRow, header: &Header) -> Result<Body, BodyError> {
    let Some(key) = key_of(vault, row).await? else { return Ok(Body::Erased) };
    let plain = Plain::open(&key, row, header)?;
    let data = plain.parsed(row)?;
    Ok(Body::Readable { opening: plain.opening, data })
}

/// The data key of an event's body; `None` once it has been destroyed.
///
/// # Errors
/// [`BodyError::Damaged`] where the row names a key that never was, or [`BodyError::Vault`] where keys cannot be had.
pub async fn key_of(vault: &Vault, row: &EventRow) -> Result<Option<Arc<DataKey>>, BodyError> {
    match vault.key(row.key).await {
        Err(VaultError::Missing(_)) => Err(damaged(row, "it names a data key that is not there").into()),
        key => Ok(key?),
    }
}

/// A body that is decrypted and not read yet.
pub struct Plain {
    opening: Opening,
    /// The data, behind as many bytes as the secret has.
    bytes: Zeroizing<Vec<u8>>,
}

impl Plain {
    /// Decrypts the body of an event whose header has been checked.
    ///
    /// # Errors
    /// [`StoreError::DamagedEvent`] naming the event.
    pub fn open(key: &DataKey, row: &EventRow, header: &Header) -> Result<Self, StoreError> {
        let mut bytes = key
            .open(header.id.as_bytes(), &row.body)
            .map_err(|_| damaged(row, "its body does not decrypt under its key"))?;
        let secret = bytes.first_chunk().ok_or_else(|| damaged(row, "its body is too short"))?;
        let mut opening = Opening::Secret(Secret::from_bytes(*secret));
        if bytes.get(SECRET_LENGTH) == Some(&b'[') {
            let left = Redacted::parse(&bytes[SECRET_LENGTH..]);
            let left = left.ok_or_else(|| damaged(row, "its body is not what a redaction leaves"))?;
            bytes.truncate(SECRET_LENGTH);
            bytes.extend_from_slice(&canonical::to_vec(&left.data()));
            opening = Opening::Redacted(left);
        }
        Ok(Self { opening, bytes })
    }

    /// The data: the canonical JSON of an object, as it was when the event was recorded, or what a redaction left of it.
    pub fn data(&self) -> &[u8] {
        self.bytes.get(SECRET_LENGTH..).unwrap_or_default()
    }

    /// The data, read strictly.
    ///
    /// # Errors
    /// [`StoreError::DamagedEvent`] naming the event.
    pub fn parsed(&self, row: &EventRow) -> Result<Value, StoreError> {
        canonical::parse_data(self.data()).map_err(|_| damaged(row, "its body is no canonical data"))
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").finish_non_exhaustive()
    }
}

fn damaged(row: &EventRow, what: &str) -> StoreError {
    StoreError::DamagedEvent { trial: row.trial.clone(), trialseq: row.trialseq, what: what.into() }
}

/// Checks that an opened body is what the header commits to.
///
/// # Errors
/// [`StoreError::DamagedEvent`] naming the event.
pub fn check(row: &EventRow, header: &Header, opening: &Opening, data: &Value) -> Result<(), StoreError> {
    let is_it = match opening {
        Opening::Secret(secret) => dataroot(secret, data).is_ok_and(|root| root == header.dataroot),
        Opening::Redacted(left) => left.fields.verify(&header.dataroot).is_ok(),
    };
    if is_it { Ok(()) } else { Err(damaged(row, "its data do not give its dataroot")) }
}
