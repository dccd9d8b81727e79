//! The event of an emergency in which somebody reads what their grant does not reach.

use crate::ids::ParticipantId;
use crate::text::Text;
use crate::values::{Hours, value};

value! {
    /// The actor may read a participant's record from when this was recorded. The first event of a stream of its own.
    pub struct EmergencyAccessOpened {
        /// Whose record.
        pub participant: ParticipantId,
        /// For how many hours.
        #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1, maximum = 72))]
        pub hours: Hours,
        /// Why.
        pub reason: Text,
    }
}
