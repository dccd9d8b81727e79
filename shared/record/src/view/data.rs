//! Current values with their history.

use std::collections::BTreeMap;
use std::mem;

use serde::{Deserialize, Serialize};

use super::{Recorded, View};
use crate::date::PartialDate;
use crate::event::{DataCorrected, DataImported, DataRecorded, Event};
use crate::ids::{ImportId, ParticipantId};
use crate::text::{Name, Text};
use crate::values::{Exception, ImportedValue};

/// Where values belong: what is recorded again at the same place replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Place {
    /// An item group of a form.
    #[serde(rename_all = "camelCase")]
    Form {
        /// The visit.
        visit: Option<Name>,
        /// The form.
        form: Name,
        /// The item group.
        item_group: Name,
        /// The repetition of the item group.
        repeat: Option<u32>,
    },
    /// A row of a file.
    #[serde(rename_all = "camelCase")]
    File {
        /// The import of the file.
        import: ImportId,
        /// Name of the dataset.
        dataset: Name,
        /// 0-based place of the row.
        row: u64,
    },
}

/// The values at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DataView {
    /// Whose values they are; absent for rows about the trial.
    pub participant: Option<ParticipantId>,
    /// Where they belong.
    pub place: Place,
    /// The event that recorded the first of them.
    pub recorded: Change,
    /// When they were collected, by whoever recorded them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_on: Option<PartialDate>,
    /// The rules that they break and were recorded all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// The values, by item or column.
    pub values: BTreeMap<String, ValueView>,
}

/// A value as it stands, and what stood there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValueView {
    /// The value.
    pub value: ImportedValue,
    /// Its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Name>,
    /// The event it came by, if that is not the place's first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Change>,
    /// Earlier values, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EarlierValue>,
}

/// A value that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EarlierValue {
    /// The value.
    pub value: ImportedValue,
    /// Its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Name>,
    /// The event it came by, if that is not the place's first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Change>,
}

/// Who recorded something, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// The event's place in the trial.
    pub trialseq: u64,
    /// When it was recorded.
    pub time: String,
    /// Who did it.
    pub actor: String,
    /// In what role.
    pub actor_role: String,
    /// Why, for a correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// What shows that the new value is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Text>,
}

impl View for DataView {
    const MODEL: &'static str = "data";
}

impl Place {
    /// Where the values of an event belong; `None` for events without values.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::DataRecorded(DataRecorded { record, .. }) => Some(Self::Form {
                visit: record.visit.clone(),
                form: record.form.clone(),
                item_group: record.item_group.clone(),
                repeat: record.repeat,
            }),
            Event::DataCorrected(event) => Some(Self::Form {
                visit: event.visit.clone(),
                form: event.form.clone(),
                item_group: event.item_group.clone(),
                repeat: event.repeat,
            }),
            Event::DataImported(event) => {
                Some(Self::File { import: event.import, dataset: event.dataset.clone(), row: event.row })
            }
            _ => None,
        }
    }
}

impl DataView {
    /// The values at `place`, before the first event there is folded.
    pub fn new(place: Place, recorded: &Recorded<'_>) -> Self {
        Self {
            participant: recorded.subject.as_participant(),
            place,
            recorded: Change::of(recorded),
            collected_on: None,
            exceptions: Vec::new(),
            values: BTreeMap::new(),
        }
    }

    /// Folds an event whose [`Place`] is this one.
    pub fn apply(&mut self, recorded: &Recorded<'_>) {
        match recorded.event {
            Some(Event::DataRecorded(event)) => self.record(event, recorded),
            Some(Event::DataCorrected(event)) => self.correct(event, recorded),
            Some(Event::DataImported(event)) => self.import(event, recorded),
            _ => {}
        }
    }

    fn record(&mut self, event: &DataRecorded, recorded: &Recorded<'_>) {
        self.collected_on.clone_from(&event.record.collected_on);
        for item in &event.record.items {
            let value = ImportedValue::Text(item.value.clone());
            self.set(item.item_oid.as_str(), value, item.unit.clone(), self.changed(recorded));
        }
    }

    fn correct(&mut self, event: &DataCorrected, recorded: &Recorded<'_>) {
        let why =
            |change| Change { reason: Some(event.reason.clone()), source: event.source.clone(), ..change };
        let changed = self.changed(recorded).map(why);
        let value = ImportedValue::Text(event.new.clone());
        self.set(event.item_oid.as_str(), value, event.new_unit.clone(), changed);
    }

    fn import(&mut self, event: &DataImported, recorded: &Recorded<'_>) {
        self.exceptions.clone_from(&event.exceptions);
        for (column, value) in &event.record {
            self.set(column, value.clone(), None, self.changed(recorded));
        }
    }

    /// What a value that comes by this event says of it: nothing where that is the place's first one.
    fn changed(&self, recorded: &Recorded<'_>) -> Option<Change> {
        (recorded.trialseq != self.recorded.trialseq).then(|| Change::of(recorded))
    }

    fn set(&mut self, name: &str, value: ImportedValue, unit: Option<Name>, changed: Option<Change>) {
        if let Some(view) = self.values.get_mut(name) {
            view.history.push(EarlierValue {
                value: mem::replace(&mut view.value, value),
                unit: mem::replace(&mut view.unit, unit),
                changed: mem::replace(&mut view.changed, changed),
            });
        } else {
            self.values.insert(name.to_owned(), ValueView { value, unit, changed, history: Vec::new() });
        }
    }
}

impl Change {
    fn of(recorded: &Recorded<'_>) -> Self {
        Self {
            trialseq: recorded.trialseq,
            time: recorded.time.to_owned(),
            actor: recorded.actor.to_owned(),
            actor_role: recorded.actor_role.to_owned(),
            reason: None,
            source: None,
        }
    }
}
