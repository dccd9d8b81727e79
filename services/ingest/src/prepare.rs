//! Secret, id, commitment and encryption of the events of a request, and the signature that led to them.

use trialseal_access::Principal;
use trialseal_record::Event;
use trialseal_runtime::ids::Ids;
use trialseal_seal::data::Secret;
use trialseal_store::NewEvent;
use trialseal_store::draft::{Draft, PrepareError, Stamp};
use uuid::Uuid;

/// Commits to the events and encrypts them. `now_micros` goes into their ids.
pub(crate) fn prepare(
    drafts: &[Draft],
    stamp: &Stamp,
    ids: &dyn Ids,
    now_micros: i64,
) -> Result<Vec<NewEvent>, PrepareError> {
    let mut signed = None;
    let prepare_one = |draft: &Draft| {
        let mut secret = [0; 32];
        ids.fill(&mut secret);
        let id = ids.uuid_v7(now_micros);
        let event = draft.prepare(stamp, id, &Secret::from_bytes(secret))?;
        let event = NewEvent { causationid: signed.map(|id: Uuid| id.to_string()), ..event };
        if matches!(draft.event, Event::SubmissionSigned(_)) {
            signed = Some(id);
        }
        Ok(event)
    };
    drafts.iter().map(prepare_one).collect()
}

/// The stamp of a request of `principal`.
pub(crate) fn stamp(principal: &Principal, request_id: &str) -> Stamp {
    Stamp::new(principal.as_actor(), principal.source_system.as_deref(), Some(request_id))
}
