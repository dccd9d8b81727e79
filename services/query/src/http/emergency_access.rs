//! `GET /v1/trials/{trial}/emergency-access`, and who reads by it.

use std::sync::Arc;

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::http::Reader;
use trialseal_access::{Permission, Principal};
use trialseal_record::Event;
use trialseal_record::ids::{ParticipantId, StreamId, StreamKind, TrialId};
use trialseal_runtime::problem::Problem;
use trialseal_store::EventRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{MAX_LIMIT, limit};
use crate::Query;
use crate::entries::EventEntry;
use crate::problems::{require, store};

/// What an hour has, microseconds.
const HOUR_MICROS: i64 = 3_600_000_000;

/// What a reading in an emergency is for, where the reader does not say more.
const PURPOSE: &str = "emergency access";

/// Which openings to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// `next` of the answer before.
    after: Option<Uuid>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Openings of participants' records to people whose grants do not reach the trial.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmergencyAccessList {
    /// The events `emergency-access.opened`: who, when, whose record, for how long and why. What was read stands in the participant's
    /// access log.
    openings: Vec<EventEntry>,
    /// Where the list goes on, if it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// Whose record was opened in an emergency, to whom, and why.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id"), Page),
    responses(
        (status = 200, body = EmergencyAccessList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/emergency-access")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
    page: Parameters<Page>,
) -> Result<Json<EmergencyAccessList>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadParticipantData)?;
    let limit = limit(page.limit);
    let (rows, last) = query.openings(&trial, page.after.map(StreamId::emergency), limit).await?;
    let openings = query.entries(&principal, rows).await?;
    let next = last.filter(|_| openings.len() == limit as usize).map(StreamId::uuid);
    Ok(Json(EmergencyAccessList { openings, next }))
}

impl Query {
    /// The trial and the participant of an address, if the caller's token reaches the trial, or if the participant's record is open to
    /// them in an emergency; then the reading is said to be for that.
    pub(crate) async fn participant_in_reach(
        self: &Arc<Self>,
        reader: &mut Reader,
        trial: &str,
        participant: &str,
    ) -> Result<(TrialId, ParticipantId), Problem> {
        let out_of_reach = match self.trial(&reader.principal, trial).await {
            Ok((trial, _)) => {
                let participant = self.participant(&reader.principal, &trial, participant).await?;
                return Ok((trial, participant));
            }
            Err(problem) => problem,
        };
        let (Ok(trial), Ok(participant)) = (trial.parse(), participant.parse()) else {
            return Err(out_of_reach);
        };
        if !self.is_open(&reader.principal, &trial, participant).await? {
            return Err(out_of_reach);
        }
        if reader.purpose.is_none() {
            reader.purpose = PURPOSE.parse().ok();
        }
        Ok((trial, participant))
    }

    /// Whether a participant's record is open to somebody in an emergency now.
    async fn is_open(
        self: &Arc<Self>,
        principal: &Principal,
        trial: &TrialId,
        participant: ParticipantId,
    ) -> Result<bool, Problem> {
        if !principal.may(Permission::ReadParticipantData) {
            return Ok(false);
        }
        let mut after = None;
        loop {
            let (rows, last) = self.openings(trial, after, MAX_LIMIT).await?;
            let actor = principal.actor.clone();
            let opened = self.aside(async move |query| query.opens(rows, &actor, participant).await).await?;
            if opened || last.is_none() {
                return Ok(opened);
            }
            after = last;
        }
    }

    /// The events with which records were opened, and the last of their streams.
    async fn openings(
        &self,
        trial: &TrialId,
        after: Option<StreamId>,
        limit: u32,
    ) -> Result<(Vec<EventRow>, Option<StreamId>), Problem> {
        let (events, streams) = (&self.parts.events, &self.parts.streams);
        let streams = streams.streams(trial, StreamKind::Emergency, after, limit).await.map_err(store)?;
        let mut rows = Vec::with_capacity(streams.len());
        for row in &streams {
            rows.extend(events.of_stream(trial, &row.stream, 0, 1).await.map_err(store)?);
        }
        Ok((rows, streams.last().map(|last| last.stream)))
    }

    /// Whether one of these events opens the participant's record to the actor now.
    async fn opens(
        &self,
        rows: Vec<EventRow>,
        actor: &str,
        participant: ParticipantId,
    ) -> Result<bool, Problem> {
        let now = self.parts.clock.now();
        for row in rows {
            let header = row.checked_header().map_err(store)?;
            if header.actor != actor {
                continue;
            }
            let Event::EmergencyAccessOpened(event) = self.event_of_trial(&row, &header).await? else {
                continue;
            };
            let until = header.time.micros() + i64::from(u32::from(event.hours)) * HOUR_MICROS;
            if event.participant == participant && now < until {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
