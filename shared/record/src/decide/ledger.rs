//! Decisions about the ledger's own administration.

use super::Decision;
use crate::command::{RegisterKey, RevokeKey};
use crate::event::{KeyRegistered, KeyRevoked};
use crate::ids::StreamId;
use crate::rules::{KEY_ACTIVE, KEY_UNUSED, Refusal};
use crate::state::State;

pub(super) fn register_key(state: &State<'_>, body: &RegisterKey) -> Result<Decision, Refusal> {
    KEY_UNUSED.require(state.trial.key_in_use(&body.key_id).is_none(), "this key was registered before")?;
    let event = KeyRegistered {
        key_id: body.key_id.clone(),
        purpose: body.purpose,
        verifier_key: body.verifier_key.clone(),
    };
    Ok(Decision::event(StreamId::ledger(), event))
}

pub(super) fn revoke_key(state: &State<'_>, body: &RevokeKey) -> Result<Decision, Refusal> {
    let in_use = state.trial.key_in_use(&body.key_id) == Some(true);
    KEY_ACTIVE.require(in_use, "this key is not in use")?;
    let event = KeyRevoked { key_id: body.key_id.clone(), reason: body.reason.clone() };
    Ok(Decision::event(StreamId::ledger(), event))
}
