//! Reading participant data is itself recorded, before the answer goes out: one event a request, of who reads whose data, by
//! which way and what for. If it cannot be recorded, nothing is read.
//!
//! Headers, proofs, seals and the events of reading are not participant data: a monitor that polls never feeds itself.

use std::collections::BTreeSet;

use trialseal_access::http::Reader;
use trialseal_record::ids::{ParticipantId, StreamId, StreamKind, TrialId};
use trialseal_record::values::{Places, Reading};
use trialseal_runtime::problem::Problem;
use trialseal_store::access_log::{Access, Whose};
use trialseal_store::draft::Stamp;

use crate::{Query, problems};

impl Query {
    /// Has it recorded what is about to be read.
    pub(crate) async fn record_reading(
        &self,
        reader: &Reader,
        trial: &TrialId,
        reading: Reading,
        whose: Whose,
        events: Option<Places>,
    ) -> Result<(), Problem> {
        let Reader { principal, request, purpose } = reader;
        let stamp =
            Stamp::new(principal.as_actor(), principal.source_system.as_deref(), Some(request.as_str()));
        let (trial, purpose) = (trial.clone(), purpose.clone());
        let access = Access { trial, reading, whose, events, export: None, purpose };
        self.parts.access_log.record(access, &stamp).await.map_err(problems::access_log)
    }
}

/// Those whose data are among what is read, as far as it is participant data.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    participants: BTreeSet<ParticipantId>,
    nameless: bool,
}

impl Subjects {
    /// Takes in data of an event of `stream`.
    pub(crate) fn see_event(&mut self, stream: StreamId) {
        match stream.subject() {
            Some(participant) => drop(self.participants.insert(participant)),
            // The rows of a file that name nobody can be about somebody all the same.
            None => self.nameless |= stream.kind() == StreamKind::Import,
        }
    }

    /// Takes in data of a participant, or such as name nobody.
    pub(crate) fn see(&mut self, participant: Option<ParticipantId>) {
        match participant {
            Some(participant) => drop(self.participants.insert(participant)),
            None => self.nameless = true,
        }
    }

    /// Whose data they are; `None` where none is participant data.
    pub(crate) fn whose(self) -> Option<Whose> {
        let read = self.nameless || !self.participants.is_empty();
        read.then(|| Whose::Of(self.participants.into_iter().collect()))
    }
}
