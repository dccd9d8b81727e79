//! `GET /v1/trials/{trial}/growth`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::Deserialize;
use serde_json::Value;
use trialseal_access::{Permission, Principal};
use trialseal_runtime::problem::Problem;
use utoipa::IntoParams;

use crate::Query;
use crate::problems::require;

/// Between which seals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Seals {
    /// Number of the earlier seal, under which the trial must have an event.
    from: u64,
    /// Number of the later seal.
    to: u64,
}

/// The proof that a trial's record under a later seal begins with its record under an earlier one: that nothing was taken
/// out, changed or slipped in between.
#[utoipa::path(
    tag = "Proofs",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id"), Seals),
    responses(
        (status = 200, description = "A growth proof, `trialseal/growth/v1`", body = Object),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`from` is later than `to`", body = Problem,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/growth")]
pub(crate) async fn get(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
    seals: Parameters<Seals>,
) -> Result<Json<Value>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadRecord)?;
    Ok(Json(query.growth(&trial, seals.from, seals.to).await?.to_value()))
}
