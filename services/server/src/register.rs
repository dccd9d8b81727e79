//! What the ledger recorded of itself in `_ledger`: the keys that it signs with, which of them it signs with no more, and who may do
//! what.

use std::sync::Arc;

use anyhow::{Result, bail};
use trialseal_record::event::{Event, KeyRegistered, PolicyChanged};
use trialseal_record::values::KeyPurpose;
use trialseal_record::{StreamId, TrialId};
use trialseal_store::body::{self, Body};
use trialseal_store::{EventRow, Store};
use trialseal_vault::Vault;

/// Events of the ledger itself that are read at once.
const PAGE_EVENTS: u32 = 500;

/// A key that was registered.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) key: KeyRegistered,
    /// Whether something else took its place.
    pub(crate) is_revoked: bool,
}

/// All keys that were ever registered, and the policy in force.
#[derive(Debug, Default)]
pub(crate) struct Register {
    /// The oldest first.
    keys: Vec<Registered>,
    /// Who may do what, by what was recorded last.
    pub(crate) policy: Option<PolicyChanged>,
    /// How many events the ledger's own stream has.
    pub(crate) version: u64,
}

impl Register {
    /// Reads it.
    ///
    /// # Errors
    /// Where the ledger's own events cannot be read, or are not what was recorded.
    pub(crate) async fn read(store: &Arc<dyn Store>, vault: &Vault) -> Result<Self> {
        let (trial, stream) = (TrialId::ledger(), StreamId::ledger());
        let mut register = Self::default();
        loop {
            let rows = store.of_stream(&trial, &stream, register.version, PAGE_EVENTS).await?;
            for row in &rows {
                register.take(event(vault, row).await?);
            }
            register.version += rows.len() as u64;
            if rows.len() < PAGE_EVENTS as usize {
                return Ok(register);
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::KeyRegistered(key) => self.keys.push(Registered { key, is_revoked: false }),
            Event::KeyRevoked(revoked) => {
                let named = self.keys.iter_mut().filter(|it| it.key.key_id == revoked.key_id);
                named.for_each(|it| it.is_revoked = true);
            }
            Event::PolicyChanged(policy) => self.policy = Some(policy),
            _ => {}
        }
    }

    /// The keys of a purpose, the oldest first.
    pub(crate) fn of(&self, purpose: KeyPurpose) -> impl DoubleEndedIterator<Item = &Registered> {
        self.keys.iter().filter(move |it| it.key.purpose == purpose)
    }

    /// The keys of a purpose that were not revoked, the oldest first.
    pub(crate) fn in_use(&self, purpose: KeyPurpose) -> impl DoubleEndedIterator<Item = &KeyRegistered> {
        self.of(purpose).filter(|it| !it.is_revoked).map(|it| &it.key)
    }

    /// What was registered about a verifier key.
    pub(crate) fn find(&self, purpose: KeyPurpose, verifier_key: &str) -> Option<&Registered> {
        self.of(purpose).find(|it| it.key.verifier_key.as_str() == verifier_key)
    }
}

async fn event(vault: &Vault, row: &EventRow) -> Result<Event> {
    let header = row.checked_header()?;
    let Body::Readable { opening, data } = body::open(vault, row, &header).await? else {
        bail!("the ledger's own events cannot be read any more, and with them its keys");
    };
    body::check(row, &header, &opening, &data)?;
    Ok(body::event(&header, data)?)
}
