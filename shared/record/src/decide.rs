//! From a command and the state of the record to the events that follow, or to the rule that stands against it.

mod authority;
mod blinding;
mod data;
mod delegation;
mod emergency;
mod erasure;
mod import;
mod ledger;
mod participant;
mod redaction;
pub(crate) mod signature;
pub(crate) mod submission;
mod trial;

use crate::actor::Context;
use crate::command::Command;
use crate::date::{Date, PartialDate};
use crate::event::Event;
use crate::ids::StreamId;
use crate::rules::{NOT_FUTURE, Refusal, SITE_NUMBER, SUBJECT_NUMBER, TIME_ORDER, TRIAL_REGISTERED};
use crate::state::State;
use crate::text::Name;
use crate::values::Exception;

/// What follows from a command. The events are appended together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The events and the streams they are appended to, in order.
    pub events: Vec<(StreamId, Event)>,
    /// Rules that were not met by what is taken all the same; they stand in the events too.
    pub exceptions: Vec<Exception>,
    /// Keys that must be free, and are taken with the events.
    pub keys: Vec<NaturalKey>,
}

impl Decision {
    fn event(stream: StreamId, event: impl Into<Event>) -> Self {
        Self { events: vec![(stream, event.into())], ..Self::default() }
    }
}

/// What sort of name people gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NaturalKeyKind {
    /// The number of a participant. Participant data: it must not be stored where it can be read.
    SubjectNumber,
    /// The number of a site.
    SiteNumber,
}

impl NaturalKeyKind {
    /// The kind as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SubjectNumber => "subject-number",
            Self::SiteNumber => "site-number",
        }
    }

    /// The refusal of a command whose key another stream of the trial has.
    pub fn taken(self) -> Refusal {
        match self {
            Self::SubjectNumber => {
                SUBJECT_NUMBER.refuse("the trial has a participant with this subject number")
            }
            Self::SiteNumber => SITE_NUMBER.refuse("the trial has a site with this number"),
        }
    }
}

/// A name people gave to a thing, unique in the trial. Whether it is free only the store knows, under its lock; it
/// answers with [`NaturalKeyKind::taken`] if it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaturalKey {
    /// What sort of name it is.
    pub kind: NaturalKeyKind,
    /// The name.
    pub value: Name,
    /// The stream of the thing that has it.
    pub stream: StreamId,
}

/// Decides on a command. The same arguments always give the same answer.
pub fn decide(state: &State<'_>, command: &Command, context: &Context) -> Result<Decision, Refusal> {
    authority::check(state, command, context)?;
    let signed = submission::check(state.trial, Some(command), context)?;
    let mut decision = decide_on(state, command, context)?;
    if let (Some(signed), Some((stream, _))) = (signed, decision.events.first()) {
        decision.events.insert(0, (*stream, signed.clone().into()));
    }
    Ok(decision)
}

fn decide_on(state: &State<'_>, command: &Command, context: &Context) -> Result<Decision, Refusal> {
    match command {
        Command::RegisterTrial(body) => trial::register(state, body),
        Command::SubmitProtocolVersion(body) => trial::submit_protocol(state, body),
        Command::RecordIrbDecision(body) => trial::record_irb_decision(state, body, context),
        Command::ActivateSite(body) => trial::activate_site(state, body, context),
        Command::PublishConsentVersion(body) => trial::publish_consent(state, body),
        Command::SubmitResults(body) => trial::submit_results(state, body, context),
        Command::ScreenParticipant(body) => participant::screen(state, body, context),
        Command::SignConsent(id, body) => participant::sign_consent(state, *id, body, context),
        Command::WithdrawConsent(id, body) => participant::withdraw_consent(state, *id, body, context),
        Command::EnrolParticipant(id, body) => participant::enrol(state, *id, body, context),
        Command::RandomiseParticipant(id, body) => blinding::randomise(state, *id, body, context),
        Command::UnblindParticipant(id, body) => blinding::unblind(state, *id, body),
        Command::RecordVisit(id, body) => participant::record_visit(state, *id, body, context),
        Command::ReportAdverseEvent(id, body) => participant::report_adverse_event(state, *id, body, context),
        Command::RecordDisposition(id, body) => participant::record_disposition(state, *id, body, context),
        Command::RecordData(id, body) => data::record(state, *id, body, context),
        Command::CorrectData(id, body) => data::correct(state, *id, body),
        Command::RequestErasure(id, body) => erasure::request(state, *id, body, context),
        Command::ApproveErasure(id, body) => erasure::approve(state, *id, body, context),
        Command::RequestRedaction(id, body) => redaction::request(state, *id, body, context),
        Command::ApproveRedaction(id, body) => redaction::approve(state, *id, body, context),
        Command::OpenEmergencyAccess(id, body) => emergency::open(state, *id, body, context),
        Command::PlaceLegalHold(body) => erasure::place_hold(state, body),
        Command::ReleaseLegalHold(body) => erasure::release_hold(state, body),
        Command::GrantDelegation(body) => delegation::grant(state, body, context),
        Command::EndDelegation(body) => delegation::end(state, body),
        Command::StartImport(id, body) => import::start(state, *id, body),
        Command::ImportRow(id, body) => import::row(state, *id, body, context),
        Command::CompleteImport(id, body) => import::complete(state, *id, body),
        Command::RegisterSubmissionKey(body) => submission::register_key(state, body, context),
        Command::RevokeSubmissionKey(body) => submission::revoke_key(state, body, context),
        Command::ChangeSubmissionSigning(body) => submission::change_signing(state, body),
        Command::RegisterSigningKey(body) => signature::register_key(state, body, context),
        Command::RevokeSigningKey(body) => signature::revoke_key(state, body, context),
        Command::SignRecord(id, body) => signature::sign(state, *id, body, context),
        Command::RegisterKey(body) => ledger::register_key(state, body),
        Command::RevokeKey(body) => ledger::revoke_key(state, body),
    }
}

/// The stream of the trial, which must be registered.
fn registered(state: &State<'_>) -> Result<StreamId, Refusal> {
    state
        .trial
        .id()
        .map(StreamId::trial)
        .ok_or_else(|| TRIAL_REGISTERED.refuse("the trial is not registered"))
}

/// Refuses a day that has not come yet anywhere on Earth.
fn not_future(day: Date, context: &Context) -> Result<(), Refusal> {
    NOT_FUTURE.require(day <= context.latest_day(), "the date lies in the future")
}

/// Refuses a partial date that cannot mean a day that has come.
fn not_future_partial(date: &PartialDate, context: &Context) -> Result<(), Refusal> {
    not_future(date.earliest(), context)
}

fn in_order(first: Date, second: Date, message: &str) -> Result<(), Refusal> {
    TIME_ORDER.require(first <= second, message)
}
