//! Commands about erasing the data of a participant.

use crate::date::Date;
use crate::ids::ParticipantId;
use crate::text::{Name, Text};
use crate::values::value;

value! {
    /// Ask for the data of a participant to be erased.
    pub struct RequestErasure {
        /// The day the participant asked for it.
        pub asked_on: Date,
        /// Why. It stays in the record, so it must not say who the participant is.
        pub reason: Text,
    }

    /// Agree that the data of a participant be erased, as somebody else asked for. It cannot be taken back.
    pub struct ApproveErasure {
        /// Why it is agreed to. It stays in the record, so it must not say who the participant is.
        pub reason: Text,
    }

    /// Keep data from being erased.
    pub struct PlaceLegalHold {
        /// A name for the hold, such as the number of a case.
        pub hold: Name,
        /// Whose data; everybody's where nobody is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub participant: Option<ParticipantId>,
        /// Why.
        pub reason: Text,
    }

    /// End a legal hold.
    pub struct ReleaseLegalHold {
        /// The name of the hold.
        pub hold: Name,
        /// Why.
        pub reason: Text,
    }
}
