//! `GET /v1/trials/{trial}/events`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::http::Reader;
use trialseal_record::values::{Places, Reading};
use trialseal_runtime::problem::Problem;
use trialseal_store::StoreError;
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::Query;
use crate::entries::EventEntry;
use crate::problems::{require_all_events, store};
use crate::reading::Subjects;

/// Which events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The place in the trial to go on after: `next` of the answer before. The first event has place 0.
    #[param(format = "uint64")]
    after: Option<u64>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Events of a trial, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialEvents {
    events: Vec<EventEntry>,
    /// Where the list goes on, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// Number of the trial's events.
    size: u64,
}

/// The events of a trial in the order of recording: headers for all who may read the record, data for those who may read
/// participants' data.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id"), Page),
    responses(
        (status = 200, body = TrialEvents),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "A stored event is damaged", body = Problem,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/events")]
pub(crate) async fn list(
    query: Data<Query>,
    reader: Reader,
    trial: Path<String>,
    page: Parameters<Page>,
) -> Result<Json<TrialEvents>, Problem> {
    let (trial, size) = query.trial(&reader.principal, &trial).await?;
    require_all_events(&reader.principal)?;
    let from = page.after.map_or(0, |after| after.saturating_add(1));
    let rows = if from < size {
        query.parts.events.of_trial(&trial, from, limit(page.limit)).await.map_err(store)?
    } else {
        Vec::new()
    };
    if rows.is_empty() && from < size {
        return Err(store(StoreError::Damaged(format!("event {from} of trial {trial} is missing"))));
    }
    // A page may be shorter than asked for, so what goes on is told by the trial's size.
    let next = rows.last().map(|row| row.trialseq).filter(|last| last + 1 < size);
    let sources: Vec<_> = rows.iter().map(|row| (row.trialseq, row.stream)).collect();
    let events = query.entries(&reader.principal, rows).await?;
    let mut subjects = Subjects::default();
    for ((_, stream), _) in sources.iter().zip(&events).filter(|(_, entry)| entry.data.is_some()) {
        subjects.see_event(*stream);
    }
    if let (Some(whose), Some((first, _))) = (subjects.whose(), sources.first()) {
        let places = Places { first: *first, last: sources.last().map(|(last, _)| *last) };
        query.record_reading(&reader, &trial, Reading::Events, whose, Some(places)).await?;
    }
    Ok(Json(TrialEvents { events, next, size }))
}
