//! The state of an import's stream.

use crate::event::Event;

/// What decisions need to know of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportState {
    version: u64,
    started: bool,
    completed: bool,
}

impl ImportState {
    /// Number of events of the stream that are folded in.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Folds in the event at place `streamseq` of the stream.
    pub fn evolve(&mut self, event: &Event, streamseq: u64) {
        self.version = streamseq + 1;
        match event {
            Event::ImportStarted(_) => self.started = true,
            Event::ImportCompleted(_) => self.completed = true,
            _ => {}
        }
    }

    /// Whether rows can be taken in: it has begun and has not ended.
    pub fn is_open(&self) -> bool {
        self.started && !self.completed
    }
}
