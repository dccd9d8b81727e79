//! `GET /v1/trials/{trial}/delegations`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::event::DelegationGranted;
use trialseal_record::ids::{SiteId, StreamId};
use trialseal_record::values::DelegatedTask;
use trialseal_record::{Date, Event, Name, Text};
use trialseal_runtime::problem::Problem;
use trialseal_seal::event::Header;
use trialseal_store::EventRow;
use trialseal_store::body::{self, Body};
use utoipa::{IntoParams, ToSchema};

use crate::Query;
use crate::problems::{self, require, store};

/// Events of the trial's own stream that are read at once.
const PAGE: u32 = 1_000;

/// What is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The day (UTC) that `inForce` is about; left out, it is about now.
    #[param(value_type = Option<String>, format = Date)]
    on: Option<Date>,
}

/// Delegations of a trial, in the order in which they were granted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DelegationList {
    /// The day (UTC) that `inForce` is about.
    on: Date,
    delegations: Vec<ListedDelegation>,
}

/// Tasks that an investigator has given to somebody of a site.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedDelegation {
    /// Its name.
    delegation: Name,
    /// The actor who has them.
    delegate: Text,
    /// The site.
    #[schema(value_type = Uuid)]
    site: SiteId,
    /// The tasks.
    tasks: Vec<DelegatedTask>,
    /// The first day (UTC).
    from: Date,
    /// The last day (UTC), where one is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Date>,
    /// Whether it was in force at the end of the day that is asked about; today, whether it is. It never is before it was
    /// recorded, whatever its first day is.
    in_force: bool,
    /// By whom and when it was granted.
    granted: Act,
    /// By whom and when it was ended, and why, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Act>,
}

/// The event that says so, of which `GET /v1/trials/{trial}/events/{trialseq}/receipt` gives the receipt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Act {
    /// 0-based place in the trial.
    trialseq: u64,
    /// When it was recorded.
    #[schema(example = "2026-01-01T12:00:00.000000Z")]
    time: String,
    /// By whom.
    actor: String,
    /// Why, where that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text>,
}

impl Act {
    fn of(row: &EventRow, header: &Header, reason: Option<Text>) -> Self {
        let (time, actor) = (header.time.to_string(), header.actor.clone());
        Self { trialseq: row.trialseq, time, actor, reason }
    }
}

impl DelegationList {
    fn take(&mut self, row: &EventRow, header: &Header, event: Event) {
        let recorded_by_then = Date::of_micros(header.time.micros()) <= self.on;
        match event {
            Event::DelegationGranted(granted) => {
                let in_force = recorded_by_then && granted.is_dated(self.on);
                let DelegationGranted { delegation, delegate, site, tasks, from, until } = granted;
                let (granted, ended) = (Act::of(row, header, None), None);
                self.delegations.push(ListedDelegation {
                    delegation,
                    delegate,
                    site,
                    tasks,
                    from,
                    until,
                    in_force,
                    granted,
                    ended,
                });
            }
            Event::DelegationEnded(end) => {
                let mut known = self.delegations.iter_mut();
                if let Some(delegation) = known.find(|known| known.delegation == end.delegation) {
                    delegation.in_force &= !recorded_by_then;
                    delegation.ended = Some(Act::of(row, header, Some(end.reason)));
                }
            }
            _ => {}
        }
    }
}

/// Which tasks investigators have given to whom, at which sites, from when until when, and whether that was in force on a day.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id"), Asked),
    responses(
        (status = 200, body = DelegationList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/delegations")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
    asked: Parameters<Asked>,
) -> Result<Json<DelegationList>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadDelegations)?;
    let stream = StreamId::trial(&trial);
    let on = asked.on.unwrap_or_else(|| Date::of_micros(query.parts.clock.now()));
    let (mut list, mut from) = (DelegationList { on, delegations: Vec::new() }, 0);
    loop {
        let rows = query.parts.events.of_stream(&trial, &stream, from, PAGE).await.map_err(store)?;
        let Some(last) = rows.last() else { return Ok(Json(list)) };
        from = last.streamseq + 1;
        for (row, header, event) in
            query.aside(async move |query| query.about_delegations(rows).await).await?
        {
            list.take(&row, &header, event);
        }
    }
}

impl Query {
    /// Those of the events that are about delegations. They are shown to some who see no data of events otherwise: they are the
    /// trial's, and tell nothing of participants.
    async fn about_delegations(
        &self,
        rows: Vec<EventRow>,
    ) -> Result<Vec<(EventRow, Header, Event)>, Problem> {
        let mut about = Vec::new();
        for row in rows {
            let header = row.checked_header().map_err(store)?;
            if header.kind.starts_with("delegation.") {
                let event = self.event_of_trial(&row, &header).await?;
                about.push((row, header, event));
            }
        }
        Ok(about)
    }

    /// An event whose data are the trial's.
    async fn event_of_trial(&self, row: &EventRow, header: &Header) -> Result<Event, Problem> {
        let opened = body::open(&self.parts.vault, row, header).await.map_err(problems::body)?;
        let Body::Readable { secret, data } = opened else {
            return Err(problems::damaged(&"the key of the trial's own events was destroyed"));
        };
        body::check(row, header, &secret, &data).map_err(store)?;
        body::event(header, data).map_err(|error| Problem::internal(&error))
    }
}
