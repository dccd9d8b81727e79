//! Commands about redacting one value of a participant's.

use crate::text::Text;
use crate::values::value;

value! {
    /// Ask for one value to be redacted: it should not be in the record, and the rest of its event should.
    pub struct RequestRedaction {
        /// The event that holds the value, by its `streamseq` in the participant's stream.
        pub streamseq: u64,
        /// Where in the event's data it stands: a JSON Pointer, such as `/record/items/0/value`.
        pub pointer: Text,
        /// Why. It stays in the record, so it must not repeat the value.
        pub reason: Text,
    }

    /// Agree that one value be redacted, as somebody else asked for. It cannot be taken back.
    pub struct ApproveRedaction {
        /// The event that holds the value, as it was asked for.
        pub streamseq: u64,
        /// Where in the event's data it stands, as it was asked for.
        pub pointer: Text,
        /// Why it is agreed to. It stays in the record, so it must not repeat the value.
        pub reason: Text,
    }
}
