//! Decisions about electronic signatures.

use super::participant::known;
use super::{Decision, registered};
use crate::actor::{Context, Role};
use crate::command::{RegisterSigningKey, RevokeSigningKey, SignRecord};
use crate::event::{SignatureApplied, SigningKeyRegistered, SigningKeyRevoked};
use crate::ids::{ParticipantId, StreamId};
use crate::rules::{
    ROLE, Refusal, SIGNATURE_CURRENT, SIGNATURE_FRESH, SIGNATURE_VALID, SIGNING_KEY_ACTIVE, SIGNING_KEY_OWN,
    SIGNING_KEY_UNUSED, SIGNING_POLICY,
};
use crate::signature::{Answered, POLICY, is_timely};
use crate::state::{State, TrialState};
use crate::text::{Base64Url, Sha3Hex};
use crate::values::Meaning;

/// Whether a passkey may begin to be signed with. A verifier asks the same of the record.
pub fn check_key(trial: &TrialState, key: &SigningKeyRegistered, context: &Context) -> Result<(), Refusal> {
    SIGNING_KEY_OWN.require(key.holder.as_str() == context.actor.id, "the passkey is somebody else's")?;
    SIGNING_POLICY.require(key.accepts.as_str() == POLICY, "this is not the policy")?;
    let unused = !trial.knows_signing_key(&key.passkey.credential);
    SIGNING_KEY_UNUSED.require(unused, "this passkey was registered in this trial before")?;
    let is_only = !trial.has_signing_key(&context.actor.id);
    SIGNING_KEY_UNUSED.require(is_only, "you have a passkey in use in this trial")?;
    answered(context, key.at).map(|_| ())
}

/// The key that a signature is made with, and the digest of what it is over, if it counts. A verifier asks the same of the record.
pub fn check<'a>(
    trial: &'a TrialState,
    credential: &Base64Url,
    meaning: Meaning,
    at: u64,
    context: &'a Context,
) -> Result<(&'a SigningKeyRegistered, &'a Sha3Hex), Refusal> {
    let own = trial.signing_key(credential).filter(|key| key.holder.as_str() == context.actor.id);
    let key = own.ok_or_else(|| SIGNING_KEY_OWN.refuse("you have no such passkey in use"))?;
    // What they answer for is what they entered.
    let theirs = context.actor.role != Role::SiteStaff || meaning == Meaning::Authorship;
    ROLE.require(theirs, "site staff sign as authors alone")?;
    let digest = answered(context, at)?.digest.as_ref();
    Ok((key, digest.ok_or_else(|| SIGNATURE_VALID.refuse("the record has no such version"))?))
}

fn answered(context: &Context, at: u64) -> Result<&Answered, Refusal> {
    let answered = context.answered.as_ref();
    let answered = answered.ok_or_else(|| SIGNATURE_VALID.refuse("no passkey answered to this"))?;
    if let Some(why) = &answered.refused {
        return Err(SIGNATURE_VALID.refuse(why));
    }
    SIGNATURE_FRESH
        .require(is_timely(at, context.now_micros), "the signature is too old, or was made in the future")?;
    Ok(answered)
}

pub(super) fn register_key(
    state: &State<'_>,
    body: &RegisterSigningKey,
    context: &Context,
) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let holder = context.actor.id.parse();
    let event = SigningKeyRegistered {
        holder: holder.map_err(|_| SIGNING_KEY_OWN.refuse("whoever registers a passkey has an id"))?,
        name: body.name.clone(),
        passkey: body.passkey.clone(),
        accepts: body.accepts.clone(),
        at: body.at,
        answer: body.answer.clone(),
    };
    check_key(state.trial, &event, context)?;
    Ok(Decision::event(stream, event))
}

pub(super) fn revoke_key(
    state: &State<'_>,
    body: &RevokeSigningKey,
    context: &Context,
) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let own = state.trial.signing_key(&body.credential);
    let own = own.is_some_and(|key| key.holder.as_str() == context.actor.id);
    SIGNING_KEY_ACTIVE.require(own, "you have no such passkey in use")?;
    let event = SigningKeyRevoked { credential: body.credential.clone(), reason: body.reason.clone() };
    Ok(Decision::event(stream, event))
}

pub(super) fn sign(
    state: &State<'_>,
    id: ParticipantId,
    body: &SignRecord,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    let current = participant.version() == body.version;
    SIGNATURE_CURRENT.require(current, "the record has another version now")?;
    let (key, digest) = check(state.trial, &body.credential, body.meaning, body.at, context)?;
    let event = SignatureApplied {
        version: body.version,
        digest: digest.clone(),
        meaning: body.meaning,
        name: key.name.clone(),
        credential: body.credential.clone(),
        at: body.at,
        answer: body.answer.clone(),
    };
    Ok(Decision::event(StreamId::participant(id), event))
}
