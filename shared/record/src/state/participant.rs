//! The state of a participant's stream.

use std::collections::{BTreeMap, BTreeSet};

use crate::date::Date;
use crate::event::{ConsentSigned, DataCorrected, Event, RecordRedacted};
use crate::ids::SiteId;
use crate::redacted::{REDACTED, ValuePlace};
use crate::text::Name;
use crate::values::{ConsentSigner, DataRecord, Sharing, WithdrawalScope};

/// Where a participant stands in the trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParticipantStatus {
    /// Nothing is recorded yet.
    #[default]
    Unknown,
    /// Screened.
    Screened,
    /// Did not qualify.
    ScreenFailed,
    /// In the trial.
    Enrolled,
    /// Left before the end.
    Discontinued,
    /// Went through to the end.
    Completed,
    /// All data are erased, or about to be, and nothing else is known any more.
    Erased,
}

/// The consent signed last, by the day it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The consent version.
    pub version: Name,
    /// Its language.
    pub language: Name,
    /// Who signed.
    pub signed_by: ConsentSigner,
    /// The day it was signed.
    pub signed_on: Date,
    /// What may be shared.
    pub sharing: Sharing,
}

/// A recorded value as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemValue {
    /// The value.
    pub value: String,
    /// Its unit.
    pub unit: Option<Name>,
    /// The event that it came by, by its place in the stream, and its place among the items of a record.
    pub(crate) origin: (u64, Option<usize>),
}

/// Which item group a value is in. Its parts are ordered so that what belongs together stands together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ItemGroupKey {
    visit: Option<Name>,
    form: Name,
    item_group: Name,
    repeat: Option<u32>,
}

impl ItemGroupKey {
    pub(crate) fn new(visit: Option<&Name>, form: &Name, item_group: &Name, repeat: Option<u32>) -> Self {
        Self { visit: visit.cloned(), form: form.clone(), item_group: item_group.clone(), repeat }
    }

    pub(crate) fn of(record: &DataRecord) -> Self {
        Self::new(record.visit.as_ref(), &record.form, &record.item_group, record.repeat)
    }
}

/// What decisions need to know of a participant. Imported values are not kept: they are corrected at their source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParticipantState {
    version: u64,
    status: ParticipantStatus,
    screened_on: Option<Date>,
    enrolled_on: Option<Date>,
    randomised: bool,
    ended_on: Option<Date>,
    subject_number: Option<Name>,
    site: Option<SiteId>,
    site_number: Option<Name>,
    consent: Option<Consent>,
    signed_on: BTreeSet<Date>,
    withdrawals: BTreeSet<(Date, WithdrawalScope)>,
    values: BTreeMap<ItemGroupKey, BTreeMap<Name, ItemValue>>,
    items: usize,
}

impl ParticipantState {
    /// Number of events of the stream that are folded in.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where the participant stands.
    pub fn status(&self) -> ParticipantStatus {
        self.status
    }

    /// The day of the screening, where it is known.
    pub fn screened_on(&self) -> Option<Date> {
        self.screened_on
    }

    /// The day of the enrolment, if there was one.
    pub fn enrolled_on(&self) -> Option<Date> {
        self.enrolled_on
    }

    /// Whether the participant is randomised; to what, is not for decisions to know.
    pub fn is_randomised(&self) -> bool {
        self.randomised
    }

    /// The day the participation ended, if it has.
    pub fn ended_on(&self) -> Option<Date> {
        self.ended_on
    }

    /// The subject number. Participant data: it stands in no header and no log.
    pub fn subject_number(&self) -> Option<&Name> {
        self.subject_number.as_ref()
    }

    /// The site, where it is known.
    pub fn site(&self) -> Option<SiteId> {
        self.site
    }

    /// The site's number, where it is known.
    pub fn site_number(&self) -> Option<&Name> {
        self.site_number.as_ref()
    }

    /// The consent signed last, whether or not something of it is withdrawn. A form of an earlier day that is entered
    /// later changes nothing about it.
    pub fn consent(&self) -> Option<&Consent> {
        self.consent.as_ref()
    }

    /// The day the first consent was signed.
    pub fn first_signed_on(&self) -> Option<Date> {
        self.signed_on.first().copied()
    }

    /// Whether one of `scopes` is withdrawn from the consent signed last.
    pub fn has_withdrawn(&self, scopes: &[WithdrawalScope]) -> bool {
        let newest = self.signed_on.last();
        self.withdrawals
            .iter()
            .any(|(on, scope)| newest.is_none_or(|signed| on >= signed) && scopes.contains(scope))
    }

    /// Whether all of the days from `earliest` to `latest` lie between a withdrawal from one of `scopes` and the next
    /// consent. On the day of either, both may be true.
    pub fn had_withdrawn(&self, scopes: &[WithdrawalScope], earliest: Date, latest: Date) -> bool {
        self.withdrawals.iter().any(|(on, scope)| {
            let signed_anew = self.signed_on.range(on..).next();
            *on < earliest && scopes.contains(scope) && signed_anew.is_none_or(|signed| latest < *signed)
        })
    }

    /// About how much memory the state takes, in recorded items; for limits of caches.
    pub fn weight(&self) -> usize {
        1 + self.items
    }

    /// The recorded values of one item group.
    pub(crate) fn group(&self, group: &ItemGroupKey) -> Option<&BTreeMap<Name, ItemValue>> {
        self.values.get(group)
    }

    pub(crate) fn value(&self, group: &ItemGroupKey, item: &Name) -> Option<&ItemValue> {
        self.group(group)?.get(item)
    }

    /// Folds in the event at place `streamseq` of the stream.
    pub fn evolve(&mut self, event: &Event, streamseq: u64) {
        self.version = streamseq + 1;
        match event {
            Event::ParticipantScreened(e) => {
                self.status = ParticipantStatus::Screened;
                self.screened_on = e.screened_on;
                self.subject_number = Some(e.subject_number.clone());
                self.site = e.site;
                self.site_number.clone_from(&e.site_number);
            }
            Event::ParticipantScreenFailed(e) => self.end(ParticipantStatus::ScreenFailed, e.on),
            Event::ParticipantEnrolled(e) => {
                self.status = ParticipantStatus::Enrolled;
                self.enrolled_on = Some(e.enrolled_on);
            }
            Event::ParticipantRandomised(_) => self.randomised = true,
            Event::ParticipantDiscontinued(e) => self.end(ParticipantStatus::Discontinued, e.on),
            Event::ParticipantCompleted(e) => self.end(ParticipantStatus::Completed, e.on),
            Event::ConsentSigned(e) => self.sign(e),
            Event::ConsentWithdrawn(e) => {
                self.withdrawals.extend(e.scope.iter().map(|scope| (e.withdrawn_on, *scope)));
            }
            Event::DataRecorded(e) => self.record(&e.record, streamseq),
            Event::DataCorrected(e) => self.correct(e, streamseq),
            Event::RecordRedacted(e) => self.redact(e),
            Event::ParticipantClosed(_) => self.erase(streamseq),
            _ => {}
        }
    }

    /// Goes past the event at place `streamseq` of the stream, which cannot be read any more since the participant's key
    /// was destroyed. Whatever was known is forgotten.
    pub fn erase(&mut self, streamseq: u64) {
        *self = Self { version: streamseq + 1, status: ParticipantStatus::Erased, ..Self::default() };
    }

    fn end(&mut self, status: ParticipantStatus, on: Date) {
        self.status = status;
        self.ended_on = Some(on);
    }

    /// Signing anew is agreeing anew to what was withdrawn until then; what was withdrawn on a later day stays withdrawn,
    /// whenever this form is entered. Of one day, the order of recording tells.
    fn sign(&mut self, event: &ConsentSigned) {
        self.withdrawals.retain(|(on, _)| *on != event.signed_on);
        self.signed_on.insert(event.signed_on);
        if self.consent.as_ref().is_some_and(|newest| newest.signed_on > event.signed_on) {
            return;
        }
        self.consent = Some(Consent {
            version: event.consent_version.clone(),
            language: event.language.clone(),
            signed_by: event.signed_by,
            signed_on: event.signed_on,
            sharing: event.sharing.clone(),
        });
    }

    fn record(&mut self, record: &DataRecord, streamseq: u64) {
        let group = self.values.entry(ItemGroupKey::of(record)).or_default();
        for (place, item) in record.items.iter().enumerate() {
            let origin = (streamseq, Some(place));
            let value = ItemValue { value: item.value.clone(), unit: item.unit.clone(), origin };
            if group.insert(item.item_oid.clone(), value).is_none() {
                self.items += 1;
            }
        }
    }

    fn correct(&mut self, e: &DataCorrected, streamseq: u64) {
        let group = ItemGroupKey::new(e.visit.as_ref(), &e.form, &e.item_group, e.repeat);
        if let Some(value) = self.values.get_mut(&group).and_then(|group| group.get_mut(&e.item_oid)) {
            *value = ItemValue { value: e.new.clone(), unit: e.new_unit.clone(), origin: (streamseq, None) };
        }
    }

    /// Forgets a value that stood when it was redacted. The right one can be recorded by correcting it.
    fn redact(&mut self, e: &RecordRedacted) {
        let place = match ValuePlace::of(e.pointer.as_str()) {
            Some(ValuePlace::Item(place)) => Some(place),
            Some(ValuePlace::New) => None,
            // Neither what stood before a correction nor what was imported is kept here.
            _ => return,
        };
        let values = self.values.values_mut().flat_map(BTreeMap::values_mut);
        for value in values.filter(|value| value.origin == (e.streamseq, place)) {
            REDACTED.clone_into(&mut value.value);
        }
    }
}

/// Whether a researcher may have this participant's data: the consent signed last shares data with research, and
/// nothing of data is withdrawn since.
pub fn consents_to_research(participant: &ParticipantState) -> bool {
    participant.consent.as_ref().is_some_and(|consent| consent.sharing.research)
        && !participant.has_withdrawn(&[WithdrawalScope::FutureData])
}
