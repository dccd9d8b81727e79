//! Decisions about what a participant is given, which stands apart from what the trial may know of them.

use super::participant::{consent_in_force, consent_on, enrolled_by, known};
use super::{Decision, not_future};
use crate::actor::Context;
use crate::command::{RandomiseParticipant, UnblindParticipant};
use crate::event::{ParticipantAllocated, ParticipantRandomised, ParticipantUnblinded};
use crate::ids::{ParticipantId, StreamId};
use crate::rules::{RANDOMISED, RANDOMISED_ONCE, Refusal};
use crate::state::State;
use crate::values::WithdrawalScope;

/// The arm comes first: with it goes what its sender signed, which has the arm in it.
pub(super) fn randomise(
    state: &State<'_>,
    id: ParticipantId,
    body: &RandomiseParticipant,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    not_future(body.randomised_on, context)?;
    RANDOMISED_ONCE.require(!participant.is_randomised(), "the participant is randomised already")?;
    enrolled_by(participant, body.randomised_on)?;
    let barred = [WithdrawalScope::Intervention, WithdrawalScope::FutureData];
    consent_in_force(participant, &barred)?;
    consent_on(participant, &barred, &body.randomised_on.into())?;
    let allocated = ParticipantAllocated {
        arm_code: body.arm_code.clone(),
        randomisation_number: body.randomisation_number.clone(),
        kit: body.kit.clone(),
    };
    let mut decision = Decision::event(StreamId::blinded_of(id), allocated);
    let randomised = ParticipantRandomised { randomised_on: body.randomised_on };
    decision.events.push((StreamId::participant(id), randomised.into()));
    Ok(decision)
}

/// It asks for nobody's approval, whatever else stands: somebody may be dying. That it happened, and why, everybody sees.
pub(super) fn unblind(
    state: &State<'_>,
    id: ParticipantId,
    body: &UnblindParticipant,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    RANDOMISED.require(participant.is_randomised(), "the participant is not randomised")?;
    Ok(Decision::event(StreamId::participant(id), ParticipantUnblinded { reason: body.reason.clone() }))
}
