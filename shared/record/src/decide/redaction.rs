//! Decisions about redacting one value: by the same two people as an erasure, with a reason, and no legal hold.

use super::Decision;
use super::participant::known;
use crate::actor::Context;
use crate::command::{ApproveRedaction, RequestRedaction};
use crate::event::{RedactionApproved, RedactionRequested};
use crate::ids::{ParticipantId, StreamId};
use crate::redacted::is_value;
use crate::rules::{
    LEGAL_HOLD, REDACTION_BY_TWO, REDACTION_OF_VALUE, REDACTION_ONCE, REDACTION_REQUESTED, Refusal,
};
use crate::state::State;
use crate::text::Text;

pub(super) fn request(
    state: &State<'_>,
    id: ParticipantId,
    body: &RequestRedaction,
    context: &Context,
) -> Result<Decision, Refusal> {
    known(state)?;
    let is_there = state.target.is_some_and(|event| is_value(event, body.pointer.as_str()));
    REDACTION_OF_VALUE.require(is_there, "no value of this participant stands there")?;
    let asked = state.redaction.and_then(|redactions| redactions.find(body.streamseq, &body.pointer));
    REDACTION_ONCE.require(asked.is_none(), "the redaction was requested before")?;
    let event = RedactionRequested {
        streamseq: body.streamseq,
        pointer: body.pointer.clone(),
        requester: actor(context)?,
        reason: body.reason.clone(),
    };
    Ok(Decision::event(StreamId::redactions_of(id), event))
}

/// The participant's stream goes on, so nothing is appended to it here: its next event tells that the value is gone, when it
/// is.
pub(super) fn approve(
    state: &State<'_>,
    id: ParticipantId,
    body: &ApproveRedaction,
    context: &Context,
) -> Result<Decision, Refusal> {
    known(state)?;
    let asked = state.redaction.and_then(|redactions| redactions.find(body.streamseq, &body.pointer));
    let asked = asked.ok_or_else(|| REDACTION_REQUESTED.refuse("nobody has asked for this redaction"))?;
    REDACTION_ONCE.require(asked.approved.is_none(), "the redaction was approved before")?;
    let approver = actor(context)?;
    REDACTION_BY_TWO.require(asked.requester != approver, "you asked for this redaction yourself")?;
    LEGAL_HOLD.require(!state.trial.is_held(id), "a legal hold is in force")?;
    let event = RedactionApproved {
        streamseq: body.streamseq,
        pointer: body.pointer.clone(),
        requester: asked.requester.clone(),
        approver,
        reason: body.reason.clone(),
    };
    Ok(Decision::event(StreamId::redactions_of(id), event))
}

fn actor(context: &Context) -> Result<Text, Refusal> {
    let id = context.actor.id.parse();
    id.map_err(|_| REDACTION_BY_TWO.refuse("whoever asks for or agrees to a redaction has an id"))
}
