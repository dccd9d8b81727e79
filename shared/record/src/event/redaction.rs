//! Events of redacting one value of a participant's.
//!
//! They are told in a stream of their own (`redaction/…`) under the trial's key, as those of an erasure are; in the
//! participant's stream stands that the value is gone. None of them repeats it.

use crate::text::{Name, Text};
use crate::values::value;

value! {
    /// Somebody asked for a value to be redacted. In the stream of the participant's redactions.
    pub struct RedactionRequested {
        /// The event that holds the value, by its place in the participant's stream.
        pub streamseq: u64,
        /// Where in the event's data it stands.
        pub pointer: Text,
        /// Opaque stable id of who asks, as it stands in the header.
        pub requester: Text,
        /// Why.
        pub reason: Text,
    }

    /// Somebody else agreed that a value be redacted. In the stream of the participant's redactions.
    pub struct RedactionApproved {
        /// The event that holds the value, by its place in the participant's stream.
        pub streamseq: u64,
        /// Where in the event's data it stands.
        pub pointer: Text,
        /// Opaque stable id of who asked for it.
        pub requester: Text,
        /// Opaque stable id of who agrees, as it stands in the header.
        pub approver: Text,
        /// Why it is agreed to.
        pub reason: Text,
    }

    /// The participant's data were given another key, under which all of them are encrypted again but the value. In the stream of
    /// the participant's redactions, together with [`RecordRedacted`].
    pub struct RedactionBegun {
        /// The event that holds the value, by its place in the participant's stream.
        pub streamseq: u64,
        /// Where in the event's data it stands.
        pub pointer: Text,
        /// The data key that is about to be destroyed.
        pub former_key: Name,
    }

    /// A value was taken out of an earlier event of this stream. It is the first event under the participant's new data key; the
    /// former one, under which the value still lies in copies, is destroyed next.
    pub struct RecordRedacted {
        /// The event that held the value, by its place in this stream.
        pub streamseq: u64,
        /// Where in the event's data it stood.
        pub pointer: Text,
        /// Opaque stable id of who asked for it.
        pub requester: Text,
        /// Opaque stable id of who agreed.
        pub approver: Text,
        /// Why it was agreed to.
        pub reason: Text,
    }

    /// The key under which a redacted value lay was destroyed, in the key store and with it in every copy that can be opened
    /// with keys of the service; what is left of the participant's data lies under another. In the stream of the
    /// participant's redactions.
    pub struct KeyReplaced {
        /// The event that held the value, by its place in the participant's stream.
        pub streamseq: u64,
        /// Where in the event's data it stood.
        pub pointer: Text,
        /// The master key that wrapped the data keys before, destroyed as well.
        pub former_master_key: Name,
        /// The master key that wraps those that are left.
        pub master_key: Name,
    }
}
