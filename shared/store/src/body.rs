//! An event's body at rest: its secret and its data, encrypted under the data key of its scope.
//!
//! Plaintext is the 32 bytes of the secret followed by the canonical JSON of the data. The event's id is bound as
//! associated data (the vault adds ledger and key id), so a body cannot be moved to another event unnoticed.

use serde_json::Value;
use trialseal_record::ids::Scope;
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::event::Header;
use trialseal_vault::{DataKey, Vault, VaultError};

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
    let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(SECRET_LENGTH + data.len()));
    plain.extend_from_slice(secret.as_bytes());
    plain.extend_from_slice(data);
    key.seal(event.as_bytes(), &plain)
}

/// Opens the body of an event whose header has been checked.
///
/// The cipher's tag vouches for the bytes; whether they are what was committed to is asked by [`check`].
///
/// # Errors
/// [`BodyError::Damaged`] naming the event, or [`BodyError::Vault`] where keys cannot be had.
pub async fn open(vault: &Vault, row: &EventRow, header: &Header) -> Result<Body, BodyError> {
    let damaged = |what: &str| StoreError::DamagedEvent {
        trial: row.trial.clone(),
        trialseq: row.trialseq,
        what: what.into(),
    };
    let Some(key) = vault.key(row.key).await? else {
        // Where the scope still has its key, nothing was erased: the row names another one.
        let named_wrongly = vault.has_key(&Scope::of(&row.trial, row.stream)).await?;
        return if named_wrongly {
            Err(damaged("it names a data key that is not there").into())
        } else {
            Ok(Body::Erased)
        };
    };
    let plain = key
        .open(header.id.as_bytes(), &row.body)
        .map_err(|_| damaged("its body does not decrypt under its key"))?;
    let (secret, data) =
        plain.split_first_chunk::<SECRET_LENGTH>().ok_or_else(|| damaged("its body is too short"))?;
    let data = canonical::parse_data(data).map_err(|_| damaged("its body is no canonical data"))?;
    Ok(Body::Readable { secret: Secret::from_bytes(*secret), data })
}

/// Checks that an opened body is what the header commits to.
///
/// # Errors
/// [`StoreError::DamagedEvent`] naming the event.
pub fn check(row: &EventRow, header: &Header, secret: &Secret, data: &Value) -> Result<(), StoreError> {
    match dataroot(secret, data) {
        Ok(root) if root == header.dataroot => Ok(()),
        _ => Err(StoreError::DamagedEvent {
            trial: row.trial.clone(),
            trialseq: row.trialseq,
            what: "its data do not give its dataroot".into(),
        }),
    }
}
