//! Events of erasing the data of a participant, and of what keeps them from being erased.
//!
//! The erasure itself is told in a stream of its own (`erasure/…`) under the trial's key, so that it can be read when the
//! participant's key is gone; in the participant's stream stands only that it has ended. Nothing here may say who the
//! participant is: it stays.

use crate::date::Date;
use crate::ids::ParticipantId;
use crate::text::{Name, Text};
use crate::values::{ClosingCause, value};

value! {
    /// Somebody asked for the data of a participant to be erased. In the stream of the erasure.
    pub struct ErasureRequested {
        /// Opaque stable id of who asks, as it stands in the header.
        pub requester: Text,
        /// The day the participant asked for it.
        pub asked_on: Date,
        /// Why.
        pub reason: Text,
    }

    /// Somebody else agreed that the data of a participant be erased. In the stream of the erasure.
    pub struct ErasureApproved {
        /// Opaque stable id of who asked for it.
        pub requester: Text,
        /// Opaque stable id of who agrees, as it stands in the header.
        pub approver: Text,
        /// Why it is agreed to.
        pub reason: Text,
    }

    /// The participant's stream has ended: nothing more is recorded of them, and what was is about to be erased. Its last
    /// event.
    pub struct ParticipantClosed {
        /// Why.
        pub cause: ClosingCause,
    }

    /// The key of a participant's data was destroyed, in the key store and with it in every copy that can be opened with
    /// keys of the service. In the stream of the erasure.
    pub struct KeyDestroyed {
        /// How many events of the participant cannot be read any more.
        pub events: u64,
        /// The master key that wrapped the data keys before, destroyed as well.
        pub former_master_key: Name,
        /// The master key that wraps those that are left.
        pub master_key: Name,
    }

    /// Data must be kept, because a court, an authority or an inspection may ask for them. In the trial's stream.
    pub struct LegalHoldPlaced {
        /// Names the hold, such as by the number of a case.
        pub hold: Name,
        /// Whose data; everybody's where nobody is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub participant: Option<ParticipantId>,
        /// Why.
        pub reason: Text,
    }

    /// A legal hold has ended. In the trial's stream.
    pub struct LegalHoldReleased {
        /// The hold.
        pub hold: Name,
        /// Why.
        pub reason: Text,
    }
}
