//! The command of somebody who needs a participant's record at once.

use crate::text::Text;
use crate::values::{Hours, value};

value! {
    /// Read a participant's record for some hours, whatever trials one's grant reaches.
    pub struct OpenEmergencyAccess {
        /// For how many hours.
        #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1, maximum = 72))]
        pub hours: Hours,
        /// Why.
        pub reason: Text,
    }
}
