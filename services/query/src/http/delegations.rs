//! `GET /v1/trials/{trial}/delegations`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::event::DelegationGranted;
use trialseal_record::ids::SiteId;
use trialseal_record::values::DelegatedTask;
use trialseal_record::{Date, Event, Name, Text};
use trialseal_runtime::problem::Problem;
use trialseal_seal::event::Header;
use utoipa::{IntoParams, ToSchema};

use crate::Query;
use crate::acts::Act;
use crate::problems::require;

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

impl DelegationList {
    fn take(&mut self, header: &Header, event: Event) {
        let recorded_by_then = Date::of_micros(header.time.micros()) <= self.on;
        match event {
            Event::DelegationGranted(granted) => {
                let in_force = recorded_by_then && granted.is_dated(self.on);
                let DelegationGranted { delegation, delegate, site, tasks, from, until } = granted;
                let (granted, ended) = (Act::of(header, None), None);
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
                    delegation.ended = Some(Act::of(header, Some(end.reason)));
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
    let on = asked.on.unwrap_or_else(|| Date::of_micros(query.parts.clock.now()));
    let mut list = DelegationList { on, delegations: Vec::new() };
    for (header, event) in query.acts(&trial, "delegation.").await? {
        list.take(&header, event);
    }
    Ok(Json(list))
}
