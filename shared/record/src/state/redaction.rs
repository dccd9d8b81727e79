//! The state of the stream of a participant's redactions.

use crate::event::{Event, RedactionApproved};
use crate::text::{Name, Text};

/// What decisions need to know of the redactions of a participant's values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedactionState {
    version: u64,
    redactions: Vec<Redaction>,
}

/// One value that somebody asked to be redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// The event that holds it, by its place in the participant's stream.
    pub streamseq: u64,
    /// Where in the event's data it stands.
    pub pointer: Text,
    /// Who asked for it.
    pub requester: Text,
    /// How it was agreed to, if it was: then it has to be carried out.
    pub approved: Option<RedactionApproved>,
    /// The data key that is destroyed for it, once another was put in its place.
    pub former_key: Option<Name>,
    /// Whether it is recorded that it was carried out.
    pub is_carried_out: bool,
}

impl RedactionState {
    /// Number of events of the stream that are folded in.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Folds in the event at place `streamseq` of the stream.
    pub fn evolve(&mut self, event: &Event, streamseq: u64) {
        self.version = streamseq + 1;
        match event {
            Event::RedactionRequested(e) => self.redactions.push(Redaction {
                streamseq: e.streamseq,
                pointer: e.pointer.clone(),
                requester: e.requester.clone(),
                approved: None,
                former_key: None,
                is_carried_out: false,
            }),
            Event::RedactionApproved(e) => {
                if let Some(redaction) = self.find_mut(e.streamseq, &e.pointer) {
                    redaction.approved = Some(e.clone());
                }
            }
            Event::RedactionBegun(e) => {
                if let Some(redaction) = self.find_mut(e.streamseq, &e.pointer) {
                    redaction.former_key = Some(e.former_key.clone());
                }
            }
            Event::KeyReplaced(e) => {
                if let Some(redaction) = self.find_mut(e.streamseq, &e.pointer) {
                    redaction.is_carried_out = true;
                }
            }
            _ => {}
        }
    }

    /// What was asked for about the value at this place.
    pub fn find(&self, streamseq: u64, pointer: &Text) -> Option<&Redaction> {
        self.redactions.iter().find(|one| (one.streamseq, &one.pointer) == (streamseq, pointer))
    }

    fn find_mut(&mut self, streamseq: u64, pointer: &Text) -> Option<&mut Redaction> {
        self.redactions.iter_mut().find(|one| (one.streamseq, &one.pointer) == (streamseq, pointer))
    }

    /// All of them, in the order in which they were asked for.
    pub fn redactions(&self) -> &[Redaction] {
        &self.redactions
    }
}
