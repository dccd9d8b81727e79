//! Commands about recorded values.

use crate::text::{Name, Text};
use crate::values::{DataRecord, value};

/// Most records in one [`RecordData`]: each becomes an event, and all of them are appended in one transaction.
pub const MAX_RECORDS_PER_COMMAND: usize = 1000;

/// Most items in one record: each value and unit becomes a field of the event's commitment.
pub const MAX_ITEMS_PER_RECORD: usize = 500;

value! {
    /// Record values: one event a record, all or none.
    pub struct RecordData {
        /// The records; from 1 to [`MAX_RECORDS_PER_COMMAND`].
        pub records: Vec<DataRecord>,
        /// Who or what the values came from (a device, a laboratory, the participant), if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }

    /// Correct one recorded value.
    pub struct CorrectData {
        /// The visit it was recorded for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub visit: Option<Name>,
        /// Its form.
        pub form: Name,
        /// Its item group.
        pub item_group: Name,
        /// The repetition of the item group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub repeat: Option<u32>,
        /// Its item.
        pub item_oid: Name,
        /// The value that is wrong, as it stands now: shows that whoever corrects it has seen it.
        pub old: String,
        /// The value that is right.
        pub new: String,
        /// The unit of the right value; absent keeps the unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unit: Option<Name>,
        /// Why. A correction without a reason is refused by its rule, not by its shape, so that the answer can say so.
        #[serde(default)]
        pub reason: String,
        /// What shows that the new value is right, such as a source document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<Text>,
        /// Who or what the right value came from, if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }
}
