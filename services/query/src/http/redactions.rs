//! `GET /v1/trials/{trial}/redactions`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::{ParticipantId, StreamId, StreamKind};
use trialseal_runtime::problem::Problem;
use utoipa::{IntoParams, ToSchema};

use super::{MAX_LIMIT, limit};
use crate::Query;
use crate::entries::EventEntry;
use crate::problems::{require, store};

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// `next` of the answer before.
    #[param(value_type = Option<Uuid>)]
    after: Option<ParticipantId>,
    /// How many participants; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Redactions of a trial, by the participant's id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedactionList {
    redactions: Vec<Redactions>,
    /// Where the list goes on, if it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    next: Option<ParticipantId>,
}

/// The redactions of a participant's values.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Redactions {
    /// The participant.
    #[schema(value_type = Uuid)]
    participant: ParticipantId,
    /// What is recorded of them, the first 1,000: of each `redaction.requested`, `redaction.approved`, `redaction.begun` and
    /// `participant.key-replaced`, when it was carried out. `streamseq` and `pointer` say which value each is about.
    events: Vec<EventEntry>,
}

/// Which values were redacted, or are to be: who asked for it and why, who approved it, and when the key was destroyed.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id"), Page),
    responses(
        (status = 200, body = RedactionList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/redactions")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
    page: Parameters<Page>,
) -> Result<Json<RedactionList>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadParticipantData)?;
    let (after, limit) = (page.after.map(StreamId::redactions_of), limit(page.limit));
    let streams =
        query.parts.streams.streams(&trial, StreamKind::Redaction, after, limit).await.map_err(store)?;
    let mut redactions = Vec::with_capacity(streams.len());
    for row in &streams {
        let rows = query.parts.events.of_stream(&trial, &row.stream, 0, MAX_LIMIT).await.map_err(store)?;
        let events = query.entries(&principal, rows).await?;
        redactions.push(Redactions { participant: ParticipantId(row.stream.uuid()), events });
    }
    let next = redactions.last().filter(|_| redactions.len() == limit as usize).map(|last| last.participant);
    Ok(Json(RedactionList { redactions, next }))
}
