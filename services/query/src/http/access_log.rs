//! `GET /v1/trials/{trial}/participants/{id}/access-log`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::Event;
use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_record::values::Extent;
use trialseal_runtime::problem::Problem;
use trialseal_store::EventRow;
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::Query;
use crate::entries::EventEntry;
use crate::problems::store;

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// `next` of the answer before.
    #[param(value_type = Option<String>)]
    after: Option<Standing>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Who has read a participant's data, in the order of reading.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessList {
    /// The events that say so: `record.read`, and `command.refused` for what was refused for want of consent.
    accesses: Vec<EventEntry>,
    /// Where the list goes on, if it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<Standing>,
}

/// How many events of the participant's list of accesses, and of the trial's, have been looked at; `2.17` as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Standing {
    own: u64,
    trial: u64,
}

impl TryFrom<String> for Standing {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split_once('.').map(|(own, trial)| (own.parse(), trial.parse()));
        match parts {
            Some((Ok(own), Ok(trial))) => Ok(Self { own, trial }),
            _ => Err("this should be `next` of the answer before"),
        }
    }
}

impl From<Standing> for String {
    fn from(standing: Standing) -> Self {
        format!("{}.{}", standing.own, standing.trial)
    }
}

/// Everybody who was given data of a participant by this service: alone, or among those of others. The list is complete for
/// it is part of the record: each reading is an event with a place in the trial, which a dataset of the trial shows.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(
        ("trial" = String, Path, description = "The trial's id"),
        ("id" = String, Path, description = "The participant's id"),
        Page,
    ),
    responses(
        (status = 200, body = AccessList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/participants/{id}/access-log")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    path: Path<(String, String)>,
    page: Parameters<Page>,
) -> Result<Json<AccessList>, Problem> {
    let (trial, id) = path.into_inner();
    let (trial, _) = query.trial(&principal, &trial).await?;
    let participant = query.participant(&principal, &trial, &id).await?;
    let standing = page.after.unwrap_or_default();
    let (rows, next) = query.accesses(&trial, participant, standing, limit(page.limit)).await?;
    let mut accesses = query.entries(&principal, rows).await?;
    accesses.retain(|entry| entry.concerns(participant));
    if !principal.may(Permission::ReadParticipantData) {
        for entry in &mut accesses {
            entry.name_alone(participant);
        }
    }
    Ok(Json(AccessList { accesses, next }))
}

impl Query {
    /// The next events of both lists, by their place in the trial, and where to go on.
    async fn accesses(
        &self,
        trial: &TrialId,
        participant: ParticipantId,
        mut standing: Standing,
        limit: u32,
    ) -> Result<(Vec<EventRow>, Option<Standing>), Problem> {
        let events = &self.parts.events;
        let (own, all) = (StreamId::access_to(participant), StreamId::access_to_trial(trial));
        let of_own = events.of_stream(trial, &own, standing.own, limit).await.map_err(store)?;
        let of_all = events.of_stream(trial, &all, standing.trial, limit).await.map_err(store)?;
        // Of a list of which a page was read there may be more, which no event of the other may overtake.
        let end = |rows: &[EventRow]| rows.last().map_or(u64::MAX, |row| row.trialseq);
        let end = end(&of_own).min(end(&of_all));
        let mut rows: Vec<EventRow> = of_own.into_iter().chain(of_all).collect();
        rows.sort_by_key(|row| row.trialseq);
        rows.retain(|row| row.trialseq <= end);
        rows.truncate(limit as usize);
        for row in &rows {
            if row.stream == own {
                standing.own += 1;
            } else {
                standing.trial += 1;
            }
        }
        let next = (!rows.is_empty()).then_some(standing);
        Ok((rows, next))
    }
}

impl EventEntry {
    /// Leaves of those whose data were read together this participant alone: whose else, is not theirs to know.
    fn name_alone(&mut self, participant: ParticipantId) {
        let read = self.data.as_mut().and_then(|data| data.get_mut("participants")?.as_array_mut());
        if let Some(read) = read {
            let own = participant.to_string();
            read.retain(|id| id.as_str() == Some(&own));
        }
    }

    /// Whether this reading gave away data of a participant. One that does not say whose might have.
    fn concerns(&self, participant: ParticipantId) -> bool {
        match self.event() {
            Some(Event::RecordRead(read)) if read.extent == Extent::Listed => {
                read.participants.contains(&participant)
            }
            _ => true,
        }
    }
}
