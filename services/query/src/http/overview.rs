//! `GET /v1/trials/{trial}/overview`

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::TrialId;
use trialseal_record::view::Overview;
use trialseal_runtime::problem::Problem;
use utoipa::ToSchema;

use crate::Query;
use crate::problems::{require, unavailable};

/// A trial at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialOverview {
    /// The trial's id.
    #[schema(value_type = String)]
    trial: TrialId,
    /// All events before this ledger position are in it.
    position: u64,
    #[serde(flatten)]
    overview: Overview,
}

/// What the trial is, what was decided about it, and how many of each thing happened. Holds no participant's data.
#[utoipa::path(
    tag = "Read models",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id")),
    responses(
        (status = 200, body = TrialOverview),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not folded yet: ask again after `Retry-After` seconds", body = Problem,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/overview")]
pub(crate) async fn get(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
) -> Result<Json<TrialOverview>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadRecord)?;
    let found = query.document::<Overview>(&trial, "").await?;
    let folded = found.ok_or_else(|| unavailable("The trial is recorded and not in the read model yet."))?;
    Ok(Json(TrialOverview { trial, position: folded.position, overview: folded.view }))
}
