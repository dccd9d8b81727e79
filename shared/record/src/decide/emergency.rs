//! The decision to let somebody read in an emergency.

use super::Decision;
use super::participant::known;
use crate::actor::Context;
use crate::command::OpenEmergencyAccess;
use crate::event::EmergencyAccessOpened;
use crate::ids::{ParticipantId, StreamId};
use crate::rules::Refusal;
use crate::state::State;

/// It asks for nobody's approval. That it happened, and why, those who oversee the trial see at once.
pub(super) fn open(
    state: &State<'_>,
    id: ParticipantId,
    body: &OpenEmergencyAccess,
    context: &Context,
) -> Result<Decision, Refusal> {
    known(state)?;
    let event = EmergencyAccessOpened { participant: id, hours: body.hours, reason: body.reason.clone() };
    Ok(Decision::event(StreamId::emergency(context.new_id), event))
}
