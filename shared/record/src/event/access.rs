//! Events of who has read participant data, and of what was refused for want of consent. They stand in streams of their own
//! (`access/…`) under the trial's key, and hold no participant data.

use uuid::Uuid;

use crate::ids::ParticipantId;
use crate::text::{Name, Text};
use crate::values::{Extent, Places, Reading, value};

value! {
    /// Somebody was about to be given participant data: recorded before the answer goes out, one a request. In the stream of
    /// the participant where it is about one, or else in that of the trial.
    ///
    /// Who it was stands in the header, with role, organisation and request.
    pub struct RecordRead {
        /// By which way.
        pub reading: Reading,
        /// Whose data, where this is not the stream of one participant.
        pub extent: Extent,
        /// The participants, where the extent is `listed`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub participants: Vec<ParticipantId>,
        /// The events among which the data are, where they are read as events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub events: Option<Places>,
        /// The export whose dataset it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub export: Option<Uuid>,
        /// What for, as the reader says; absent where they said nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub purpose: Option<Text>,
    }

    /// A command was refused because no consent covers it. In the stream of the participant.
    pub struct CommandRefused {
        /// What was to be recorded, by the name of the command.
        pub command: Name,
        /// The id of the rule that stands against it.
        pub rule: Name,
    }
}
