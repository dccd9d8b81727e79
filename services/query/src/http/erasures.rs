//! `GET /v1/trials/{trial}/erasures`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::{ParticipantId, StreamId, StreamKind};
use trialseal_runtime::problem::Problem;
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::Query;
use crate::entries::EventEntry;
use crate::problems::{require, store};

/// Events of one erasure that are shown: it has three, and more only where an old copy of the key store was put back.
const EVENTS: u32 = 100;

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// `next` of the answer before.
    #[param(value_type = Option<Uuid>)]
    after: Option<ParticipantId>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Erasures of a trial, by the participant's id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureList {
    erasures: Vec<Erasure>,
    /// Where the list goes on, if it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    next: Option<ParticipantId>,
}

/// The erasure of a participant's data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erasure {
    /// The participant.
    #[schema(value_type = Uuid)]
    participant: ParticipantId,
    /// How far it is.
    state: ErasureProgress,
    /// What is recorded of it: `erasure.requested`, `erasure.approved`, `participant.key-destroyed`, the first two with
    /// `submission.signed` before them where they were signed.
    events: Vec<EventEntry>,
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErasureProgress {
    /// Somebody has asked for it, and nobody else has approved it.
    Requested,
    /// Nothing more is recorded of the participant, and the key of their data is about to be destroyed.
    Approved,
    /// The key was destroyed.
    CarriedOut,
}

impl ErasureProgress {
    fn of(events: &[EventEntry]) -> Self {
        let has = |kind: &str| events.iter().any(|event| event.header["type"] == kind);
        if has("participant.key-destroyed") {
            Self::CarriedOut
        } else if has("erasure.approved") {
            Self::Approved
        } else {
            Self::Requested
        }
    }
}

/// Whose data were erased, or are to be: who asked for it and why, who approved it, and when the key was destroyed.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id"), Page),
    responses(
        (status = 200, body = ErasureList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/erasures")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
    page: Parameters<Page>,
) -> Result<Json<ErasureList>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadParticipantData)?;
    let (after, limit) = (page.after.map(StreamId::erasure_of), limit(page.limit));
    let streams =
        query.parts.streams.streams(&trial, StreamKind::Erasure, after, limit).await.map_err(store)?;
    let mut erasures = Vec::with_capacity(streams.len());
    for row in &streams {
        let rows = query.parts.events.of_stream(&trial, &row.stream, 0, EVENTS).await.map_err(store)?;
        let events = query.entries(&principal, rows).await?;
        erasures.push(Erasure {
            participant: ParticipantId(row.stream.uuid()),
            state: ErasureProgress::of(&events),
            events,
        });
    }
    let next = erasures.last().filter(|_| erasures.len() == limit as usize).map(|last| last.participant);
    Ok(Json(ErasureList { erasures, next }))
}
