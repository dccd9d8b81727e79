//! The digest of a record as of one of its versions: what a person signs.

use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::signature::RecordDigest;

use crate::error::Result;
use crate::ports::Events;
use crate::rows::EventRow;

/// Events that are read at once.
const PAGE_EVENTS: u32 = 500;

/// The digest over the first `version` events of a stream; `None` where it has not so many. Each is checked against its hash.
pub async fn record_digest(
    events: &dyn Events,
    trial: &TrialId,
    stream: &StreamId,
    version: u64,
) -> Result<Option<Hash>> {
    let mut digest = RecordDigest::default();
    while digest.version() < version {
        let left = u32::try_from(version - digest.version()).unwrap_or(u32::MAX);
        let rows = events.of_stream(trial, stream, digest.version(), left.min(PAGE_EVENTS)).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        EventRow::checked_headers(&rows)?;
        for row in &rows {
            digest.push(&row.leaf);
        }
    }
    Ok(Some(digest.digest()))
}
