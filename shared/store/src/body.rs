//! An event's body at rest: its secret and its data, encrypted under the data key of its scope.
//!
//! Plaintext is the 32 bytes of the secret followed by the canonical JSON of the data. The event's id is bound as
//! associated data (the vault adds ledger and key id), so a body cannot be moved to another event unnoticed.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use trialseal_record::event::{Event, UnreadableEvent};
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
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
    /// Secret and data.
    Readable {
        /// The event's own secret, from which the salts of its commitment follow.
        secret: Secret,
        /// The data, a JSON object.
        data: Value,
    },
    /// The data key has been destroyed; nobody can read the body any more.
    Erased,
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
    Ok(Body::Readable { secret: Secret::from_bytes(*plain.secret), data })
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
    secret: Zeroizing<[u8; SECRET_LENGTH]>,
    /// Secret and data.
    bytes: Zeroizing<Vec<u8>>,
}

impl Plain {
    /// Decrypts the body of an event whose header has been checked.
    ///
    /// # Errors
    /// [`StoreError::DamagedEvent`] naming the event.
    pub fn open(key: &DataKey, row: &EventRow, header: &Header) -> Result<Self, StoreError> {
        let bytes = key
            .open(header.id.as_bytes(), &row.body)
            .map_err(|_| damaged(row, "its body does not decrypt under its key"))?;
        let secret = bytes.first_chunk().ok_or_else(|| damaged(row, "its body is too short"))?;
        Ok(Self { secret: Zeroizing::new(*secret), bytes })
    }

    /// The data: the canonical JSON of an object, as it was when the event was recorded.
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
pub fn check(row: &EventRow, header: &Header, secret: &Secret, data: &Value) -> Result<(), StoreError> {
    match dataroot(secret, data) {
        Ok(root) if root == header.dataroot => Ok(()),
        _ => Err(damaged(row, "its data do not give its dataroot")),
    }
}
