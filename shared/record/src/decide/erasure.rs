//! Decisions about erasing the data of a participant: two people, a reason, and no legal hold.
//!
//! Who has most to gain from data that are gone, the sponsor, has no say in it.

use super::participant::known;
use super::{Decision, not_future, registered};
use crate::actor::Context;
use crate::command::{ApproveErasure, PlaceLegalHold, ReleaseLegalHold, RequestErasure};
use crate::event::{
    ErasureApproved, ErasureRequested, LegalHoldPlaced, LegalHoldReleased, ParticipantClosed,
};
use crate::ids::{ParticipantId, StreamId};
use crate::rules::{
    ERASURE_BY_TWO, ERASURE_ONCE, ERASURE_REQUESTED, LEGAL_HOLD, LEGAL_HOLD_KNOWN, LEGAL_HOLD_NEW, Refusal,
};
use crate::state::State;
use crate::text::Text;
use crate::values::ClosingCause;

pub(super) fn request(
    state: &State<'_>,
    id: ParticipantId,
    body: &RequestErasure,
    context: &Context,
) -> Result<Decision, Refusal> {
    known(state)?;
    not_future(body.asked_on, context)?;
    ERASURE_ONCE.require(requester(state).is_none(), "the erasure was requested before")?;
    let event =
        ErasureRequested { requester: actor(context)?, asked_on: body.asked_on, reason: body.reason.clone() };
    Ok(Decision::event(StreamId::erasure_of(id), event))
}

/// The events go together: with the second, whatever was decided on the participant's stream before is refused by its
/// append, so that nothing comes after the end.
pub(super) fn approve(
    state: &State<'_>,
    id: ParticipantId,
    body: &ApproveErasure,
    context: &Context,
) -> Result<Decision, Refusal> {
    known(state)?;
    let requester =
        requester(state).ok_or_else(|| ERASURE_REQUESTED.refuse("nobody has asked for this erasure"))?;
    let approver = actor(context)?;
    ERASURE_BY_TWO.require(*requester != approver, "you asked for this erasure yourself")?;
    LEGAL_HOLD.require(!state.trial.is_held(id), "a legal hold is in force")?;
    let approved = ErasureApproved { requester: requester.clone(), approver, reason: body.reason.clone() };
    let closed = ParticipantClosed { cause: ClosingCause::Erasure };
    let mut decision = Decision::event(StreamId::erasure_of(id), approved);
    decision.events.push((StreamId::participant(id), closed.into()));
    Ok(decision)
}

pub(super) fn place_hold(state: &State<'_>, body: &PlaceLegalHold) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    LEGAL_HOLD_NEW.require(!state.trial.has_hold(&body.hold), "a legal hold of this name is in force")?;
    let event = LegalHoldPlaced {
        hold: body.hold.clone(),
        participant: body.participant,
        reason: body.reason.clone(),
    };
    Ok(Decision::event(stream, event))
}

pub(super) fn release_hold(state: &State<'_>, body: &ReleaseLegalHold) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    LEGAL_HOLD_KNOWN.require(state.trial.has_hold(&body.hold), "there is no such legal hold in force")?;
    let event = LegalHoldReleased { hold: body.hold.clone(), reason: body.reason.clone() };
    Ok(Decision::event(stream, event))
}

/// Who asked for the erasure, if anybody did.
fn requester<'a>(state: &State<'a>) -> Option<&'a Text> {
    state.erasure.and_then(|erasure| erasure.requester())
}

fn actor(context: &Context) -> Result<Text, Refusal> {
    let id = context.actor.id.parse();
    id.map_err(|_| ERASURE_BY_TWO.refuse("whoever asks for or agrees to an erasure has an id"))
}
