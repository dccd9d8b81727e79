//! Commands about what a participant is given.

use crate::date::Date;
use crate::text::{Name, Text};
use crate::values::value;

value! {
    /// Record to which arm a participant was randomised.
    pub struct RandomiseParticipant {
        /// The day of the randomisation. Everybody in the trial may know it.
        pub randomised_on: Date,
        /// The arm, as the protocol's own code for it (CDISC ARMCD).
        pub arm_code: Name,
        /// The place in the randomisation list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub randomisation_number: Option<Name>,
        /// The kit that is handed out first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub kit: Option<Name>,
    }

    /// Find out in an emergency what a participant is given.
    pub struct UnblindParticipant {
        /// Why it has to be known.
        pub reason: Text,
    }
}
