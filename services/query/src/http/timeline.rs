//! `GET /v1/trials/{trial}/participants/{id}/timeline`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::http::Reader;
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_record::values::Reading;
use trialseal_record::view::TimelineEntry;
use trialseal_runtime::problem::Problem;
use trialseal_store::EventRow;
use trialseal_store::access_log::Whose;
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::Query;
use crate::problems::{not_found, require, store};

/// Which part of the history to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The place in the history to go on after: `next` of the answer before.
    #[param(format = "uint64")]
    after: Option<u64>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// What happened to a participant, in the order of recording.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Timeline {
    /// All events before this ledger position are in it.
    position: u64,
    /// Events of the trial whose `trialseq` is below this are under a published seal.
    sealed_below: u64,
    entries: Vec<TimelineEntry>,
    /// Present where the participant's data were erased, or are about to be: then there is nothing to list.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<bool>,
    /// Where the list goes on, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// What happened to a participant: when it is said to have happened, when it was recorded, whether it is sealed, and
/// which rules it breaks.
#[utoipa::path(
    tag = "Read models",
    security(("bearer" = [])),
    params(
        ("trial" = String, Path, description = "The trial's id"),
        ("id" = String, Path, description = "The participant's id"),
        Page,
    ),
    responses(
        (status = 200, body = Timeline),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/participants/{id}/timeline")]
pub(crate) async fn list(
    query: Data<Query>,
    mut reader: Reader,
    path: Path<(String, String)>,
    page: Parameters<Page>,
) -> Result<Json<Timeline>, Problem> {
    let (trial, id) = path.into_inner();
    let (trial, participant) = query.participant_in_reach(&mut reader, &trial, &id).await?;
    let after = page.after.map(|after| TimelineEntry::doc_id(participant, after));
    let prefix = format!("{participant}/");
    let found = query.list::<TimelineEntry>(&trial, &prefix, after.as_deref(), limit(page.limit)).await?;
    let sealed_below = match query.newest_published().await? {
        Some(seal) => {
            query.parts.seals.sealed_head(&trial, seal).await.map_err(store)?.map_or(0, |head| head.size)
        }
        None => 0,
    };
    if !found.views.is_empty() {
        let whose = Whose::Of(vec![participant]);
        query.record_reading(&reader, &trial, Reading::Timeline, whose, None).await?;
    }
    let next = found.next.as_deref().and_then(|id| id.rsplit('/').next()?.parse().ok());
    let erased = query.is_closed(&trial, participant).await?.then_some(true);
    Ok(Json(Timeline { position: found.position, sealed_below, entries: found.views, erased, next }))
}

impl Query {
    /// The participant of an address, if the trial has them and the caller may read their data. To a participant, others are as if
    /// they were not there.
    pub(crate) async fn participant(
        &self,
        principal: &Principal,
        trial: &TrialId,
        id: &str,
    ) -> Result<ParticipantId, Problem> {
        if !principal.may(Permission::ReadOwnRecord) {
            require(principal, Permission::ReadParticipantData)?;
        }
        let none = || not_found("The trial has no such participant.");
        let participant: ParticipantId = id.parse().map_err(|_| none())?;
        if !principal.may_read(participant) {
            return Err(none());
        }
        let stream = StreamId::participant(participant);
        let first = self.parts.events.of_stream(trial, &stream, 0, 1).await.map_err(store)?;
        if first.is_empty() { Err(none()) } else { Ok(participant) }
    }

    /// Whether nothing more is recorded of a participant: by the type of the last event in their stream.
    async fn is_closed(&self, trial: &TrialId, participant: ParticipantId) -> Result<bool, Problem> {
        let stream = StreamId::participant(participant);
        let version = self.parts.streams.stream_version(trial, &stream).await.map_err(store)?;
        let last = self.parts.events.of_stream(trial, &stream, version.saturating_sub(1), 1).await;
        let last = last.map_err(store)?;
        let kind = last.first().map(EventRow::checked_header).transpose().map_err(store)?;
        Ok(kind.is_some_and(|header| header.kind == "participant.closed"))
    }
}
