//! Events of recorded values.

use crate::text::{Name, Text};
use crate::values::{DataRecord, value};

value! {
    /// Values were recorded: the items of one item group of one form.
    pub struct DataRecorded {
        /// The values and where they belong.
        pub record: DataRecord,
        /// Who or what they came from, if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }

    /// A recorded value was corrected. The old value stays in the record, here and where it was recorded.
    pub struct DataCorrected {
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
        /// The value until then.
        pub old: String,
        /// The unit until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub old_unit: Option<Name>,
        /// The value from then on.
        pub new: String,
        /// The unit from then on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub new_unit: Option<Name>,
        /// Why.
        pub reason: Text,
        /// What shows that the new value is right.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<Text>,
        /// Who or what the right value came from, if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }
}
