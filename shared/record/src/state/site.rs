//! The state of a site's stream.

use crate::date::Date;
use crate::event::Event;
use crate::text::Name;

/// What decisions need to know of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteState {
    version: u64,
    activated: Option<(Name, Date)>,
}

impl SiteState {
    /// Number of events of the stream that are folded in.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Folds in the event at place `streamseq` of the stream.
    pub fn evolve(&mut self, event: &Event, streamseq: u64) {
        self.version = streamseq + 1;
        if let Event::SiteActivated(e) = event {
            self.activated = Some((e.number.clone(), e.activated_on));
        }
    }

    /// The site's number, once it is activated.
    pub fn number(&self) -> Option<&Name> {
        self.activated.as_ref().map(|(number, _)| number)
    }

    /// The day it was activated, once it is.
    pub fn activated_on(&self) -> Option<Date> {
        self.activated.as_ref().map(|(_, day)| *day)
    }
}
