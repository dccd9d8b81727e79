//! `GET /v1/trials/{trial}/legal-holds`

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use trialseal_access::{Permission, Principal};
use trialseal_record::Event;
use trialseal_record::ids::{ParticipantId, StreamId};
use trialseal_runtime::problem::Problem;
use trialseal_store::{EventRow, StoreError};
use utoipa::ToSchema;

use crate::Query;
use crate::entries::EventEntry;
use crate::problems::{require, store};

/// Events of the trial's own stream that are read at once.
const PAGE: u32 = 1_000;

/// Legal holds of a trial, in the order in which they were placed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LegalHoldList {
    legal_holds: Vec<LegalHold>,
}

/// Why data are kept that could otherwise be erased.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LegalHold {
    /// Its name.
    hold: String,
    /// Whose data it keeps; everybody's where nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    participant: Option<ParticipantId>,
    /// Whether it keeps them still.
    in_force: bool,
    /// What is recorded of it: `legal-hold.placed`, `legal-hold.released`.
    events: Vec<EventEntry>,
}

impl LegalHoldList {
    fn take(&mut self, entry: EventEntry) {
        match entry.event() {
            Some(Event::LegalHoldPlaced(placed)) => self.legal_holds.push(LegalHold {
                hold: placed.hold.to_string(),
                participant: placed.participant,
                in_force: true,
                events: vec![entry],
            }),
            Some(Event::LegalHoldReleased(released)) => {
                // A name that is free again may have been given to another one.
                let mut newest_first = self.legal_holds.iter_mut().rev();
                if let Some(hold) = newest_first.find(|hold| hold.hold == released.hold.as_str()) {
                    hold.in_force = false;
                    hold.events.push(entry);
                }
            }
            _ => {}
        }
    }
}

/// What keeps data from being erased: which legal holds were placed, by whom and why, and which are in force.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id")),
    responses(
        (status = 200, body = LegalHoldList),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/legal-holds")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
) -> Result<Json<LegalHoldList>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadParticipantData)?;
    let stream = StreamId::trial(&trial);
    let (mut list, mut from) = (LegalHoldList { legal_holds: Vec::new() }, 0);
    loop {
        let rows = query.parts.events.of_stream(&trial, &stream, from, PAGE).await.map_err(store)?;
        let Some(last) = rows.last() else { return Ok(Json(list)) };
        from = last.streamseq + 1;
        let about_holds =
            rows.into_iter().filter_map(about_a_hold).collect::<Result<_, _>>().map_err(store)?;
        for entry in query.entries(&principal, about_holds).await? {
            list.take(entry);
        }
    }
}

fn about_a_hold(row: EventRow) -> Option<Result<EventRow, StoreError>> {
    match row.checked_header() {
        Ok(header) => header.kind.starts_with("legal-hold.").then_some(Ok(row)),
        Err(error) => Some(Err(error)),
    }
}
