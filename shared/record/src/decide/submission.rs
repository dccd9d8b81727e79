//! Decisions about signed submissions: whether a command may come without a signature, and whether the one it has counts.

use super::{Decision, registered};
use crate::actor::Context;
use crate::command::{ChangeSubmissionSigning, Command, RegisterSubmissionKey, RevokeSubmissionKey};
use crate::event::{
    SubmissionKeyRegistered, SubmissionKeyRevoked, SubmissionSigned, SubmissionSigningChanged,
};
use crate::rules::{
    Refusal, SUBMISSION_FRESH, SUBMISSION_KEY_ACTIVE, SUBMISSION_KEY_OWN, SUBMISSION_KEY_UNUSED,
    SUBMISSION_SIGNATURE, SUBMISSION_SIGNED,
};
use crate::state::{State, TrialState};
use crate::submission::is_timely;
use crate::text::{Ed25519X, Text};

/// The event of the signature that a command came with, or a file where there is no command; none if it came without one. Refuses
/// a signature that does not count, and what should have one. A verifier asks the same of the record.
pub fn check<'a>(
    trial: &TrialState,
    command: Option<&Command>,
    context: &'a Context,
) -> Result<Option<&'a SubmissionSigned>, Refusal> {
    let Some(signed) = &context.signed else {
        let has_to_be = command.is_some_and(Command::is_always_signed)
            || command.is_none_or(Command::is_signed_where_required) && trial.requires_signatures();
        SUBMISSION_SIGNED.require(!has_to_be, "it has no signature")?;
        return Ok(None);
    };
    let own = trial.submission_key(&signed.key).is_some_and(|holder| holder == context.actor.id);
    let own = own || is_first_of_its_holder(trial, command, context, &signed.key);
    SUBMISSION_KEY_OWN.require(own, "the signature names no key that this sender has in use")?;
    SUBMISSION_SIGNATURE
        .require(signed.verifies, "the signature is not one of this key over this command")?;
    let timely = is_timely(signed.signed_at_micros, context.now_micros);
    SUBMISSION_FRESH.require(timely, "the signature is too old, or was made in the future")?;
    Ok(Some(&signed.event))
}

/// Whether the command registers the very key it is signed with, and its sender has no other.
fn is_first_of_its_holder(
    trial: &TrialState,
    command: Option<&Command>,
    context: &Context,
    key: &Ed25519X,
) -> bool {
    matches!(command, Some(Command::RegisterSubmissionKey(body)) if body.key.x == *key)
        && !trial.has_submission_key(&context.actor.id)
}

pub(super) fn register_key(
    state: &State<'_>,
    body: &RegisterSubmissionKey,
    context: &Context,
) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let unused = !state.trial.knows_submission_key(&body.key.x);
    SUBMISSION_KEY_UNUSED.require(unused, "this key was registered in this trial before")?;
    let event = SubmissionKeyRegistered { holder: holder(context)?, key: body.key.clone() };
    Ok(Decision::event(stream, event))
}

pub(super) fn revoke_key(
    state: &State<'_>,
    body: &RevokeSubmissionKey,
    context: &Context,
) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let own = state.trial.submission_key(&body.key).is_some_and(|holder| holder == context.actor.id);
    SUBMISSION_KEY_ACTIVE.require(own, "you have no such key in use")?;
    let event = SubmissionKeyRevoked { key: body.key.clone(), reason: body.reason.clone() };
    Ok(Decision::event(stream, event))
}

pub(super) fn change_signing(state: &State<'_>, body: &ChangeSubmissionSigning) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let event = SubmissionSigningChanged { required: body.required, reason: body.reason.clone() };
    Ok(Decision::event(stream, event))
}

fn holder(context: &Context) -> Result<Text, Refusal> {
    let id = context.actor.id.parse();
    id.map_err(|_| SUBMISSION_KEY_OWN.refuse("whoever registers a key has an id"))
}
