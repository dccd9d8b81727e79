//! A read model's document at rest: JSON, encrypted under the data key of whom it is about.
//!
//! Model, trial and id are bound as associated data, so that a document cannot be moved to another place unnoticed.

use trialseal_record::ids::TrialId;
use trialseal_vault::{DataKey, Vault, VaultError};
use zeroize::Zeroizing;

use crate::body::BodyError;
use crate::error::StoreError;
use crate::rows::Doc;

/// Encrypts a document.
///
/// # Errors
/// [`VaultError`] where the cipher refuses (plaintext over its limit).
pub fn seal(key: &DataKey, model: &str, trial: &TrialId, id: &str, json: &[u8]) -> Result<Doc, VaultError> {
    let body = key.seal(&context(model, trial, id), json)?;
    Ok(Doc { trial: trial.clone(), id: id.to_owned(), key: key.id(), body })
}

/// Opens a document; `None` where its key has been destroyed.
///
/// # Errors
/// [`BodyError::Damaged`] naming the document, or [`BodyError::Vault`] where keys cannot be had.
pub async fn open(vault: &Vault, model: &str, doc: &Doc) -> Result<Option<Zeroizing<Vec<u8>>>, BodyError> {
    let damaged = || StoreError::Damaged(format!("a document of read model {model} in trial {}", doc.trial));
    let key = match vault.key(doc.key).await {
        Err(VaultError::Missing(_)) => return Err(damaged().into()),
        key => key?,
    };
    let Some(key) = key else { return Ok(None) };
    Ok(Some(key.open(&context(model, &doc.trial, &doc.id), &doc.body).map_err(|_| damaged())?))
}

/// Neither model names nor trial ids hold a slash, so no two documents share a context.
fn context(model: &str, trial: &TrialId, id: &str) -> Vec<u8> {
    format!("{model}/{trial}/{id}").into_bytes()
}
