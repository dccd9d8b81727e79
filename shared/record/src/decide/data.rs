//! Decisions about recorded values.

use std::collections::{BTreeMap, BTreeSet};

use super::participant::{consent_in_force, consent_on, in_trial, known};
use super::{Decision, not_future_partial};
use crate::actor::Context;
use crate::command::{CorrectData, MAX_ITEMS_PER_RECORD, MAX_RECORDS_PER_COMMAND, RecordData};
use crate::event::{DataCorrected, DataRecorded};
use crate::ids::{ParticipantId, StreamId};
use crate::rules::{
    CORRECTION_NEW, CORRECTION_OLD, CORRECTION_REASON, CORRECTION_RECORDED, DATA_SIZE, DATA_UNRECORDED,
    Refusal,
};
use crate::state::{ItemGroupKey, ParticipantState, State};
use crate::text::{Name, Text};
use crate::values::{DataRecord, Item, WithdrawalScope};

pub(super) fn record(
    state: &State<'_>,
    id: ParticipantId,
    body: &RecordData,
    context: &Context,
) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    let sized = (1..=MAX_RECORDS_PER_COMMAND).contains(&body.records.len())
        && body.records.iter().all(|r| (1..=MAX_ITEMS_PER_RECORD).contains(&r.items.len()));
    DATA_SIZE.require(sized, "there are too few or too many records or items")?;
    let barred = [WithdrawalScope::FutureData];
    consent_in_force(participant, &barred)?;
    for record in &body.records {
        if let Some(collected_on) = &record.collected_on {
            not_future_partial(collected_on, context)?;
            consent_on(participant, &barred, collected_on)?;
        }
        in_trial(participant, record.collected_on.as_ref())?;
    }
    check_unrecorded(participant, &body.records)?;
    let stream = StreamId::participant(id);
    let event =
        |record: &DataRecord| DataRecorded { record: record.clone(), originator: body.originator.clone() };
    let events = body.records.iter().map(|record| (stream, event(record).into())).collect();
    Ok(Decision { events, ..Decision::default() })
}

/// A second value for an item would hide the first one without a reason.
fn check_unrecorded(participant: &ParticipantState, records: &[DataRecord]) -> Result<(), Refusal> {
    let mut new: BTreeMap<ItemGroupKey, BTreeSet<&Name>> = BTreeMap::new();
    let unrecorded = records.iter().all(|record| {
        let group = ItemGroupKey::of(record);
        let recorded = participant.group(&group);
        let new = new.entry(group).or_default();
        record.items.iter().all(|Item { item_oid, .. }| {
            recorded.is_none_or(|items| !items.contains_key(item_oid)) && new.insert(item_oid)
        })
    });
    DATA_UNRECORDED.require(unrecorded, "one of the items has a value already")
}

/// Needs no consent in force: what was recorded while it was has to be right.
pub(super) fn correct(state: &State<'_>, id: ParticipantId, body: &CorrectData) -> Result<Decision, Refusal> {
    let participant = known(state)?;
    let reason: Text =
        body.reason.parse().map_err(|_| CORRECTION_REASON.refuse("there is no reason, or it is too long"))?;
    let group = ItemGroupKey::new(body.visit.as_ref(), &body.form, &body.item_group, body.repeat);
    let present = participant
        .value(&group, &body.item_oid)
        .ok_or_else(|| CORRECTION_RECORDED.refuse("this item has no recorded value"))?;
    CORRECTION_OLD.require(present.value == body.old, "the old value is not the one that stands")?;
    let new_unit = body.unit.clone().or_else(|| present.unit.clone());
    let changes = body.new != present.value || new_unit != present.unit;
    CORRECTION_NEW.require(changes, "the new value is the old one")?;
    let event = DataCorrected {
        visit: body.visit.clone(),
        form: body.form.clone(),
        item_group: body.item_group.clone(),
        repeat: body.repeat,
        item_oid: body.item_oid.clone(),
        old: body.old.clone(),
        old_unit: present.unit.clone(),
        new: body.new.clone(),
        new_unit,
        reason,
        source: body.source.clone(),
        originator: body.originator.clone(),
    };
    Ok(Decision::event(StreamId::participant(id), event))
}
