//! Decisions about files. What a file tells has happened elsewhere, under rules this record did not hold, so a row that
//! breaks a rule about consent or site is taken, and the exception stands beside it.

use super::participant::{consent_in_force, consent_on, not_erased};
use super::{Decision, NaturalKey, NaturalKeyKind, registered};
use crate::actor::Context;
use crate::command::{CompleteImport, ImportRow, ImportSubject, StartImport};
use crate::date::PartialDate;
use crate::event::{DataImported, Event, ImportCompleted, ImportStarted, ParticipantScreened};
use crate::ids::{ImportId, ParticipantId, StreamId};
use crate::rules::{IMPORT_OPEN, Refusal, SITE_ACTIVATED};
use crate::state::{ImportState, ParticipantState, State};
use crate::values::{Exception, WithdrawalScope};

pub(super) fn start(state: &State<'_>, id: ImportId, body: &StartImport) -> Result<Decision, Refusal> {
    registered(state)?;
    let begun = state.import.is_some_and(|import| import.version() > 0);
    IMPORT_OPEN.require(!begun, "this import has begun already")?;
    let event = ImportStarted { dataset: body.dataset.clone(), file_sha256: body.file_sha256.clone() };
    Ok(Decision::event(StreamId::import(id), event))
}

pub(super) fn complete(state: &State<'_>, id: ImportId, body: &CompleteImport) -> Result<Decision, Refusal> {
    open(state)?;
    let event = ImportCompleted { rows: body.rows, exceptions: body.exceptions };
    Ok(Decision::event(StreamId::import(id), event))
}

/// A row of somebody the record does not know makes the participant first.
pub(super) fn row(
    state: &State<'_>,
    id: ImportId,
    body: &ImportRow,
    context: &Context,
) -> Result<Decision, Refusal> {
    open(state)?;
    let mut decision = Decision::default();
    let stream = match &body.subject {
        None => StreamId::import(id),
        Some(subject) => {
            state.participant.map_or(Ok(()), not_erased)?;
            decision.exceptions = exceptions(state, subject, body.collected_on.as_ref());
            let stream = StreamId::participant(subject.participant.unwrap_or(ParticipantId(context.new_id)));
            if subject.participant.is_none() {
                decision.events.push((stream, first_seen(id, subject)));
                let value = subject.subject_number.clone();
                decision.keys.push(NaturalKey { kind: NaturalKeyKind::SubjectNumber, value, stream });
            }
            stream
        }
    };
    let imported = DataImported {
        import: id,
        dataset: body.dataset.clone(),
        row: body.row,
        record: body.record.clone(),
        exceptions: decision.exceptions.clone(),
        originator: body.originator.clone(),
    };
    decision.events.push((stream, imported.into()));
    Ok(decision)
}

fn open(state: &State<'_>) -> Result<(), Refusal> {
    registered(state)?;
    let is_open = state.import.is_some_and(ImportState::is_open);
    IMPORT_OPEN.require(is_open, "this import has not begun or has ended")
}

fn first_seen(id: ImportId, subject: &ImportSubject) -> Event {
    let screened = ParticipantScreened {
        subject_number: subject.subject_number.clone(),
        site: subject.site,
        site_number: subject.site_number.clone(),
        screened_on: None,
        import: Some(id),
        originator: None,
    };
    screened.into()
}

/// The rules the row does not meet, in the words of the refusals they would otherwise be.
fn exceptions(
    state: &State<'_>,
    subject: &ImportSubject,
    collected_on: Option<&PartialDate>,
) -> Vec<Exception> {
    let stranger = ParticipantState::default();
    let participant = state.participant.unwrap_or(&stranger);
    let activated = participant.site().is_some() || state.site.is_some_and(|site| site.number().is_some());
    let site_named = subject.site_number.is_some() || participant.site_number().is_some();
    let site_message =
        if site_named { "the site is not activated in this record" } else { "the row names no site" };
    let barred = [WithdrawalScope::FutureData];
    let consent = consent_in_force(participant, &barred)
        .and_then(|()| collected_on.map_or(Ok(()), |on| consent_on(participant, &barred, on)));
    [consent, SITE_ACTIVATED.require(activated, site_message)]
        .into_iter()
        .filter_map(Result::err)
        .map(|refusal| Exception { rule: refusal.rule.to_owned(), detail: refusal.message })
        .collect()
}
