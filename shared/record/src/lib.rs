//! What a trial's record means: its ids, what can be asked for ([`Command`]), what can have happened ([`Event`]), and
//! the two functions between them. [`decide()`] takes the state of the record and a command and gives the events that
//! follow, or the rule that stands against it; `evolve` of each state in [`state`] takes an event and gives the next
//! state.
//!
//! It is pure: no clock, no randomness, no input or output. Times, ids and the actor are arguments ([`Context`]). It
//! knows nothing of hashes and seals, of encryption, of storage, of HTTP, and of who may log in; it does know in
//! which role a thing may be done, for that is part of what the record means.
//!
//! To add something that can happen: an event ([`event`] says how), a command ([`command`] says how), what it does to
//! the states, the rules for it ([`RULES`]), and for each of these a test that reads given / when / then.

pub mod actor;
pub mod command;
pub mod date;
mod decide;
pub mod event;
pub mod ids;
pub mod policy;
pub mod redacted;
mod rules;
pub mod signature;
pub mod state;
pub mod submission;
pub mod text;
pub mod values;
pub mod view;

pub use actor::{Actor, Context, Role};
pub use command::Command;
pub use date::{Date, PartialDate};
pub use decide::{Decision, NaturalKey, NaturalKeyKind, decide};
pub use event::{Event, UnreadableEvent};
pub use ids::{ImportId, ParticipantId, Scope, SiteId, StreamId, StreamKind, TrialId};
pub use rules::{RULES, Refusal, RefusalKind, Rule};
pub use state::{
    ErasureState, ImportState, ParticipantState, RedactionState, SiteState, State, TrialState,
    consents_to_research,
};
pub use submission::Signed;
pub use text::{Base64Url, Ed25519X, Name, Sha3Hex, Sha256Hex, Text, Version};
