//! Decisions about one participant, data aside.

use super::{Decision, NaturalKey, NaturalKeyKind, in_order, not_future, not_future_partial, registered};
use crate::actor::Context;
use crate::command::{
    EnrolParticipant, RecordDisposition, RecordVisit, ReportAdverseEvent, ScreenParticipant, SignConsent,
    WithdrawConsent,
};
use crate::date::{Date, PartialDate};
use crate::event::{
    AdverseEventReported, ConsentSigned, ConsentWithdrawn, Event, ParticipantCompleted,
    ParticipantDiscontinued, ParticipantEnrolled, ParticipantScreenFailed, ParticipantScreened,
    VisitOccurred,
};
use crate::ids::{ParticipantId, StreamId};
use crate::rules::{
    AWAITING_ENROLMENT, CONSENT_FIRST, CONSENT_IN_FORCE, CONSENT_KNOWN, ENROLLED, IN_TRIAL, IRB_APPROVAL,
    PARTICIPANT_ERASED, PARTICIPANT_KNOWN, Refusal, SITE_ACTIVATED, WITHDRAWAL_SCOPE,
};
use crate::state::{Approvable, ParticipantState, ParticipantStatus, State, TrialState};
use crate::values::{DispositionStatus, WithdrawalScope};

pub(super) fn screen(
    state: &State<'_>,
    body: &ScreenParticipant,
    context: &Context,
) -> Result<Decision, Refusal> {
    registered(state)?;
    not_future(body.screened_on, context)?;
    let open = state.site.and_then(|site| Some((site.number()?, site.activated_on()?)));
    let (site_number, _) = open
        .filter(|(_, activated_on)| *activated_on <= body.screened_on)
        .ok_or_else(|| SITE_ACTIVATED.refuse("the site was not activated on the day of the screening"))?;
    let stream = StreamId::participant(ParticipantId(context.new_id));
    let screened = ParticipantScreened {
        subject_number: body.subject_number.clone(),
        site: Some(body.site),
        site_number: Some(site_number.clone()),
        screened_on: Some(body.screened_on),
        import: None,
        originator: body.originator.clone(),
    };
    let key = NaturalKey { kind: NaturalKeyKind::SubjectNumber, value: body.subject_number.clone(), stream };
    let mut decision = Decision { keys: vec![key], ..Decision::event(stream, screened) };
    if let Some(failure) = &body.screen_failed {
        not_future(failure.on, context)?;
        in_order(body.screened_on, failure.on, "the screening failed before it took place")?;
        let failed = ParticipantScreenFailed { on: failure.on, reason: failure.reason.clone() };
        decision.events.push((stream, failed.into()));
    }
    Ok(decision)
}

pub(super) fn sign_consent(
    state: &State<'_>,
    id: ParticipantId,
    body: &SignConsent,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    not_future(body.signed_on, context)?;
    in_order(body.discussed_on, body.signed_on, "the consent was signed before it was discussed")?;
    IN_TRIAL.require(participant.ended_on().is_none(), "the participation has ended")?;
    check_consent_version(state.trial, participant, body)?;
    let event = ConsentSigned {
        consent_version: body.consent_version.clone(),
        language: body.language.clone(),
        signed_by: body.signed_by,
        signed_on: body.signed_on,
        discussed_by: body.discussed_by.clone(),
        discussed_on: body.discussed_on,
        sharing: body.sharing.clone(),
    };
    Ok(Decision::event(StreamId::participant(id), event))
}

fn check_consent_version(
    trial: &TrialState,
    participant: &ParticipantState,
    body: &SignConsent,
) -> Result<(), Refusal> {
    let published = trial.knows_consent(&body.consent_version, Some(&body.language));
    CONSENT_KNOWN.require(published, "this consent version is not published in this language")?;
    let approved = trial.is_approved(
        Approvable::Consent(&body.consent_version),
        participant.site_number(),
        body.signed_on,
    );
    IRB_APPROVAL
        .require(approved, "the consent version had no IRB approval at the site on the day of signing")
}

/// At once effective: it asks for no approval, no end of a visit and no reason, and can be recorded at any time after
/// a consent, however the participation stands.
pub(super) fn withdraw_consent(
    state: &State<'_>,
    id: ParticipantId,
    body: &WithdrawConsent,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    WITHDRAWAL_SCOPE.require(!body.scope.is_empty(), "the withdrawal is from nothing")?;
    not_future(body.withdrawn_on, context)?;
    let consent =
        participant.consent().ok_or_else(|| CONSENT_IN_FORCE.refuse("there is no consent to withdraw"))?;
    in_order(consent.signed_on, body.withdrawn_on, "the consent was withdrawn before it was signed")?;
    let mut scope = body.scope.clone();
    scope.sort_unstable();
    scope.dedup();
    let event = ConsentWithdrawn { scope, withdrawn_on: body.withdrawn_on, reason: body.reason.clone() };
    Ok(Decision::event(StreamId::participant(id), event))
}

pub(super) fn enrol(
    state: &State<'_>,
    id: ParticipantId,
    body: &EnrolParticipant,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    not_future(body.enrolled_on, context)?;
    awaiting_enrolment(participant, body.enrolled_on)?;
    let barred = [WithdrawalScope::Intervention, WithdrawalScope::FutureData];
    consent_in_force(participant, &barred)?;
    consent_on(participant, &barred, &body.enrolled_on.into())?;
    let event = ParticipantEnrolled { enrolled_on: body.enrolled_on };
    Ok(Decision::event(StreamId::participant(id), event))
}

pub(super) fn record_visit(
    state: &State<'_>,
    id: ParticipantId,
    body: &RecordVisit,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    not_future_partial(&body.occurred_on, context)?;
    let barred = [WithdrawalScope::FollowUp, WithdrawalScope::FutureData];
    consent_in_force(participant, &barred)?;
    consent_on(participant, &barred, &body.occurred_on)?;
    in_trial(participant, Some(&body.occurred_on))?;
    let event = VisitOccurred {
        visit: body.visit.clone(),
        visit_oid: body.visit_oid.clone(),
        occurred_on: body.occurred_on.clone(),
        originator: body.originator.clone(),
    };
    Ok(Decision::event(StreamId::participant(id), event))
}

/// Safety goes on after a withdrawal and after the end of the participation: once there was a consent, an adverse
/// event can be reported at any time.
pub(super) fn report_adverse_event(
    state: &State<'_>,
    id: ParticipantId,
    body: &ReportAdverseEvent,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    consent_in_force(participant, &[])?;
    not_future_partial(&body.started_on, context)?;
    if let Some(ended_on) = &body.ended_on {
        not_future_partial(ended_on, context)?;
        in_order(body.started_on.earliest(), ended_on.latest(), "the adverse event ended before it began")?;
    }
    let mut seriousness = body.seriousness.clone();
    seriousness.sort_unstable();
    seriousness.dedup();
    let event = AdverseEventReported {
        adverse_event: context.new_id,
        term: body.term.clone(),
        seriousness,
        severity: body.severity,
        started_on: body.started_on.clone(),
        ended_on: body.ended_on.clone(),
        outcome: body.outcome,
        relatedness: body.relatedness,
        action_taken: body.action_taken.clone(),
        originator: body.originator.clone(),
    };
    Ok(Decision::event(StreamId::participant(id), event))
}

/// An end needs no consent in force: who withdrew has to be able to leave.
pub(super) fn record_disposition(
    state: &State<'_>,
    id: ParticipantId,
    body: &RecordDisposition,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    not_future(body.on, context)?;
    let (on, reason) = (body.on, body.reason.clone());
    let event: Event = match body.status {
        DispositionStatus::ScreenFailed => {
            awaiting_enrolment(participant, on)?;
            ParticipantScreenFailed { on, reason }.into()
        }
        DispositionStatus::Discontinued => {
            enrolled_by(participant, on)?;
            ParticipantDiscontinued { on, reason }.into()
        }
        DispositionStatus::Completed => {
            enrolled_by(participant, on)?;
            ParticipantCompleted { on, reason }.into()
        }
    };
    Ok(Decision::event(StreamId::participant(id), event))
}

/// The participant, who must have been screened.
pub(super) fn known<'a>(state: &State<'a>) -> Result<&'a ParticipantState, Refusal> {
    registered(state)?;
    let participant = state
        .participant
        .filter(|participant| participant.status() != ParticipantStatus::Unknown)
        .ok_or_else(|| PARTICIPANT_KNOWN.refuse("nobody was screened under this id"))?;
    not_erased(participant)?;
    Ok(participant)
}

/// Refuses whatever concerns somebody whose data are erased, or about to be.
pub(super) fn not_erased(participant: &ParticipantState) -> Result<(), Refusal> {
    let erased = participant.status() == ParticipantStatus::Erased;
    PARTICIPANT_ERASED.require(!erased, "the data of this participant were erased")
}

/// Refuses where no consent was signed, or where one of `barred` is withdrawn from it.
pub(super) fn consent_in_force(
    participant: &ParticipantState,
    barred: &[WithdrawalScope],
) -> Result<(), Refusal> {
    CONSENT_IN_FORCE.require(participant.consent().is_some(), "no consent was signed")?;
    CONSENT_IN_FORCE
        .require(!participant.has_withdrawn(barred), "the participant has withdrawn the consent to this")
}

/// Refuses what can only have taken place before the first consent, or while one of `barred` was withdrawn.
pub(super) fn consent_on(
    participant: &ParticipantState,
    barred: &[WithdrawalScope],
    on: &PartialDate,
) -> Result<(), Refusal> {
    let signed = participant.first_signed_on().is_some_and(|signed_on| signed_on <= on.latest());
    CONSENT_FIRST.require(signed, "this took place before the consent was signed")?;
    let withdrawn = participant.had_withdrawn(barred, on.earliest(), on.latest());
    CONSENT_IN_FORCE.require(!withdrawn, "this took place while the consent to it was withdrawn")
}

/// Refuses what took place after the end of the participation, or on a day that is not given.
pub(super) fn in_trial(participant: &ParticipantState, on: Option<&PartialDate>) -> Result<(), Refusal> {
    let Some(ended_on) = participant.ended_on() else { return Ok(()) };
    let before_end = on.is_some_and(|on| on.earliest() <= ended_on);
    IN_TRIAL.require(before_end, "the participation has ended")
}

fn awaiting_enrolment(participant: &ParticipantState, on: Date) -> Result<(), Refusal> {
    let awaiting = participant.status() == ParticipantStatus::Screened;
    AWAITING_ENROLMENT.require(awaiting, "the participant is enrolled already or has left")?;
    let screened_on = participant.screened_on().unwrap_or(on);
    in_order(screened_on, on, "the screening is dated later than what came of it")
}

pub(super) fn enrolled_by(participant: &ParticipantState, on: Date) -> Result<(), Refusal> {
    let enrolled = participant.status() == ParticipantStatus::Enrolled;
    ENROLLED.require(enrolled, "the participant is not enrolled")?;
    let enrolled_on = participant.enrolled_on().unwrap_or(on);
    in_order(enrolled_on, on, "the participation ended before it began")
}
