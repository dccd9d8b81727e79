//! What people look at: the record folded into documents, one type a question.
//!
//! A fold is pure. It may be thrown away and made again from the first event at any time, and comes out equal, also
//! after a participant's data was destroyed: so a document about the trial takes from participants' events nothing but
//! what their headers say.
//!
//! To add a view: a type here with [`View`] and `apply`, an entry in the projector's list of models, a route in `query`.

mod data;
mod outcomes;
mod overview;
mod participant;
#[cfg(test)]
mod tests;
mod timeline;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;
use crate::ids::StreamId;

pub use data::{Change, DataView, EarlierValue, Place, ValueView};
pub use outcomes::{
    Change as OutcomeChange, ComparedOutcome, Comparison, Finding as OutcomeFinding, Rank as OutcomeRank,
    Standing,
};
pub use overview::{
    ConsentVersionView, Counts, DecisionView, ImportView, OutcomesView, Overview, ProtocolVersionView,
    ResultsView, SiteView,
};
pub use participant::{ConsentView, ParticipantStatus, ParticipantView, WithdrawalView};
pub use timeline::TimelineEntry;

/// A document that events are folded into.
pub trait View: Serialize + DeserializeOwned {
    /// The name of the read model that holds these documents.
    const MODEL: &'static str;
}

/// An event as folds see it: what its header says, and its data where they can still be read.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// 0-based place in the trial.
    pub trialseq: u64,
    /// 0-based place in its stream.
    pub streamseq: u64,
    /// The event's id.
    pub id: &'a str,
    /// The event's type, as its header says it.
    pub kind: &'a str,
    /// When it was recorded, as its header says it.
    pub time: &'a str,
    /// Who did it.
    pub actor: &'a str,
    /// In what role.
    pub actor_role: &'a str,
    /// For which organisation, where that is known.
    pub organisation: Option<&'a str>,
    /// The stream it belongs to.
    pub subject: StreamId,
    /// The event itself; `None` where its data have been destroyed.
    pub event: Option<&'a Event>,
}
