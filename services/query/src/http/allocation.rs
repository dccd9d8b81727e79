//! `GET /v1/trials/{trial}/participants/{participant}/allocation`

use std::sync::Arc;

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use trialseal_access::http::Reader;
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_record::values::Reading;
use trialseal_record::{Event, Name};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::EventRow;
use trialseal_store::access_log::Whose;
use utoipa::ToSchema;

use crate::Query;
use crate::problems::{require, store};

/// Events of a stream that are read at once.
const PAGE: u32 = 500;

/// The type of the event by which somebody gets to know an arm.
const UNBLINDED: &str = "participant.unblinded";

/// The type of the event that has the arm.
const ALLOCATED: &str = "participant.allocated";

/// What a participant is given.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Allocation {
    /// Absent where the participant is not randomised, and where the data are erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocation: Option<Allocated>,
    /// Present where the participant's data were erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<bool>,
}

/// To what a participant was randomised.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Allocated {
    /// 0-based place in the trial: names the event for its receipt.
    trialseq: u64,
    /// The arm, as the protocol's own code for it.
    arm_code: Name,
    /// The place in the randomisation list.
    #[serde(skip_serializing_if = "Option::is_none")]
    randomisation_number: Option<Name>,
    /// The kit that was handed out first.
    #[serde(skip_serializing_if = "Option::is_none")]
    kit: Option<Name>,
}

/// To which arm a participant was randomised: for those in the unblinded role, and for an investigator who has recorded an
/// emergency unblinding of this participant. All others are blinded.
#[utoipa::path(
    tag = "Participants",
    security(("bearer" = [])),
    params(
        ("trial" = String, Path, description = "The trial's id"),
        ("participant" = String, Path, description = "The participant's id"),
    ),
    responses(
        (status = 200, body = Allocation),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/participants/{participant}/allocation")]
pub(crate) async fn get(
    query: Data<Query>,
    reader: Reader,
    path: Path<(String, String)>,
) -> Result<Json<Allocation>, Problem> {
    let (trial, id) = path.into_inner();
    let (trial, _) = query.trial(&reader.principal, &trial).await?;
    require(&reader.principal, Permission::ReadParticipantData)?;
    let participant = query.participant(&reader.principal, &trial, &id).await?;
    query.require_unblinded(&reader.principal, &trial, participant).await?;
    let answer = query.allocation(&trial, participant).await?;
    if answer.allocation.is_some() {
        let whose = Whose::Of(vec![participant]);
        query.record_reading(&reader, &trial, Reading::Allocation, whose, None).await?;
    }
    Ok(Json(answer))
}

impl Query {
    /// Refuses whoever is blinded to what this participant is given.
    async fn require_unblinded(
        &self,
        principal: &Principal,
        trial: &TrialId,
        participant: ParticipantId,
    ) -> Result<(), Problem> {
        if principal.may(Permission::ReadBlinded) || self.has_unblinded(principal, trial, participant).await?
        {
            return Ok(());
        }
        Err(Problem::new(
            ProblemKind::Forbidden,
            "You are blinded. In an emergency, an investigator records an unblinding first: POST …/unblindings.",
        ))
    }

    /// Whether the principal has recorded an unblinding of the participant. Headers say so, and they outlast an erasure.
    async fn has_unblinded(
        &self,
        principal: &Principal,
        trial: &TrialId,
        participant: ParticipantId,
    ) -> Result<bool, Problem> {
        let (stream, mut from) = (StreamId::participant(participant), 0);
        loop {
            let rows = self.parts.events.of_stream(trial, &stream, from, PAGE).await.map_err(store)?;
            let Some(last) = rows.last() else { return Ok(false) };
            from = last.streamseq + 1;
            for row in &rows {
                let header = row.checked_header().map_err(store)?;
                if header.kind == UNBLINDED && header.actor == principal.actor {
                    return Ok(true);
                }
            }
        }
    }

    async fn allocation(
        self: &Arc<Self>,
        trial: &TrialId,
        participant: ParticipantId,
    ) -> Result<Allocation, Problem> {
        let stream = StreamId::blinded_of(participant);
        let rows = self.parts.events.of_stream(trial, &stream, 0, PAGE).await.map_err(store)?;
        self.aside(async move |query| query.allocation_among(rows).await).await
    }

    async fn allocation_among(&self, rows: Vec<EventRow>) -> Result<Allocation, Problem> {
        let mut answer = Allocation { allocation: None, erased: None };
        for row in rows {
            let header = row.checked_header().map_err(store)?;
            if header.kind != ALLOCATED {
                continue;
            }
            match self.event_of(&row, &header).await? {
                Some(Event::ParticipantAllocated(event)) => {
                    answer.allocation = Some(Allocated {
                        trialseq: row.trialseq,
                        arm_code: event.arm_code,
                        randomisation_number: event.randomisation_number,
                        kit: event.kit,
                    });
                }
                Some(_) => {}
                None => answer.erased = Some(true),
            }
        }
        Ok(answer)
    }
}
