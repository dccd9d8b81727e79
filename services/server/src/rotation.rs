//! Changing the ledger's keys: a successor is made, signs beside the key in use, and takes its place. Both steps change files
//! alone; a running service takes no notice of them before its next start.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use trialseal_record::values::KeyPurpose;
use trialseal_seal::checkpoint::log_signatures;
use trialseal_seal::note::{SignedNote, VerifierKey};

use crate::keys;
use crate::ledger::Ledger;
use crate::register::Register;

/// A key that can be changed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Rotated {
    /// The one that signs checkpoints.
    Log,
    /// The one that signs datasets.
    Export,
}

impl From<Rotated> for KeyPurpose {
    fn from(key: Rotated) -> Self {
        match key {
            Rotated::Log => Self::Log,
            Rotated::Export => Self::Export,
        }
    }
}

/// Makes a successor, and prints its public half.
pub(crate) fn rotate(ledger: &Ledger, purpose: KeyPurpose) -> Result<()> {
    let (what, next) = (keys::name(purpose), keys::successor(&ledger.dir, purpose));
    ensure!(
        !next.exists(),
        "{} is there already: retire the {what} key first, for which that one was made",
        next.display()
    );
    keys::make_missing(&next)?;
    println!("{what} {}", successor(ledger, purpose)?);
    eprintln!(
        "The successor signs beside the {what} key from the next start on. Give it to all folders of this ledger, and \
         restart the service."
    );
    Ok(())
}

/// Deletes the key in use, whose place its successor takes.
pub(crate) async fn retire(ledger: &Ledger, purpose: KeyPurpose) -> Result<()> {
    let (what, next) = (keys::name(purpose), keys::successor(&ledger.dir, purpose));
    ensure!(next.exists(), "the {what} key has no successor: make one with `trialseal keys rotate {what}`");
    let key = successor(ledger, purpose)?;
    let register = Register::read(&ledger.store, &ledger.vault).await?;
    ensure!(
        register.find(purpose, &key).is_some_and(|it| !it.is_revoked),
        "the successor of the {what} key has signed nothing yet: restart the service, and let readers and witnesses \
         change to it first"
    );
    if purpose == KeyPurpose::Log {
        ensure!(
            has_signed(ledger, &key).await?,
            "the newest note does not bear the signature of the log key's successor yet: restart every process of this \
             ledger, and wait for the next seal"
        );
    }
    keys::succeed(&ledger.dir, purpose)?;
    println!("{what} {key}");
    eprintln!(
        "The {what} key is deleted here. Do the same for all folders of this ledger, and restart the service."
    );
    Ok(())
}

/// The successor's public half.
fn successor(ledger: &Ledger, purpose: KeyPurpose) -> Result<String> {
    let mut keys = ledger.verifier_keys()?.into_iter().rev();
    let newest = keys.find(|(other, _)| *other == purpose).map(|(_, key)| key);
    newest.context("there is no such key")
}

/// Whether the newest note that met the policy bears a key's signature.
async fn has_signed(ledger: &Ledger, key: &str) -> Result<bool> {
    let Some((_, note)) = ledger.store.newest_note().await? else { return Ok(false) };
    let note = SignedNote::parse(&String::from_utf8(note)?)?;
    let key: VerifierKey = key.parse()?;
    Ok(log_signatures(&[key], &note).is_ok())
}
