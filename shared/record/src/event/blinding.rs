//! Events of what a participant is given, and of who got to know it.

use crate::date::Date;
use crate::text::{Name, Text};
use crate::values::value;

value! {
    /// A participant was randomised. In their own stream, and so it says nothing of the arm.
    pub struct ParticipantRandomised {
        /// The day.
        pub randomised_on: Date,
    }

    /// To what a participant was randomised. In a stream under a key of its own.
    pub struct ParticipantAllocated {
        /// The arm, as the protocol's own code for it (CDISC ARMCD).
        pub arm_code: Name,
        /// The place in the randomisation list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub randomisation_number: Option<Name>,
        /// The kit that is handed out first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub kit: Option<Name>,
    }

    /// The actor found out in an emergency what a participant is given. It says nothing of the arm: others stay blinded.
    pub struct ParticipantUnblinded {
        /// Why it had to be known.
        pub reason: Text,
    }
}
