//! The state of the stream of an erasure.

use crate::event::Event;
use crate::text::Text;

/// What decisions need to know of the erasure of a participant's data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasureState {
    version: u64,
    requester: Option<Text>,
    approved: bool,
    carried_out: bool,
}

impl ErasureState {
    /// Number of events of the stream that are folded in.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Folds in the event at place `streamseq` of the stream.
    pub fn evolve(&mut self, event: &Event, streamseq: u64) {
        self.version = streamseq + 1;
        match event {
            Event::ErasureRequested(e) => self.requester = Some(e.requester.clone()),
            Event::ErasureApproved(_) => self.approved = true,
            Event::KeyDestroyed(_) => self.carried_out = true,
            _ => {}
        }
    }

    /// Who asked for it.
    pub fn requester(&self) -> Option<&Text> {
        self.requester.as_ref()
    }

    /// Whether two people agreed to it: then it has to be carried out.
    pub fn is_approved(&self) -> bool {
        self.approved
    }

    /// Whether it is recorded that it was carried out.
    pub fn is_carried_out(&self) -> bool {
        self.carried_out
    }
}
