//! The states that decisions rest on. Each is the fold of one stream by `evolve`, from the first event to as late a
//! one as is asked for, so that a state as of an earlier time is the fold of fewer events. Each keeps what decisions
//! need and no more; what people want to see is kept in read models.

mod erasure;
mod import;
mod participant;
mod redaction;
mod site;
mod trial;

pub use erasure::ErasureState;
pub use import::ImportState;
pub(crate) use participant::ItemGroupKey;
pub use participant::{Consent, ItemValue, ParticipantState, ParticipantStatus, consents_to_research};
pub use redaction::{Redaction, RedactionState};
pub use site::SiteState;
pub(crate) use trial::Approvable;
pub use trial::TrialState;

use crate::event::Event;

/// What a decision rests on. Which of the states a command needs besides the trial's,
/// [`Command::participant`](crate::Command::participant), [`Command::site`](crate::Command::site),
/// [`Command::erasure`](crate::Command::erasure), [`Command::redaction`](crate::Command::redaction) and
/// [`Command::import`](crate::Command::import) say. Whoever appends the events must make sure that none of these has
/// changed since.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// The trial; for the ledger's own administration, the ledger.
    pub trial: &'a TrialState,
    /// The site, if the command names one.
    pub site: Option<&'a SiteState>,
    /// The participant, if the command names one.
    pub participant: Option<&'a ParticipantState>,
    /// The erasure of the participant's data, if the command is about it.
    pub erasure: Option<&'a ErasureState>,
    /// The redactions of the participant's values, if the command is about one.
    pub redaction: Option<&'a RedactionState>,
    /// The event that such a command is about, where the participant's stream has it. Events do not change, so no append has
    /// to make sure of it.
    pub target: Option<&'a Event>,
    /// The import, if the command belongs to one.
    pub import: Option<&'a ImportState>,
}

impl<'a> State<'a> {
    /// The state for a command that rests on the trial alone.
    pub fn of(trial: &'a TrialState) -> Self {
        Self {
            trial,
            site: None,
            participant: None,
            erasure: None,
            redaction: None,
            target: None,
            import: None,
        }
    }
}
