//! `GET /v1/trials/{trial}/absence`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::Deserialize;
use serde_json::Value;
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::TrialId;
use trialseal_runtime::problem::{Problem, ProblemKind};
use utoipa::IntoParams;

use crate::Query;
use crate::problems::{not_found, require};

/// As of which seal.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOf {
    /// Number of the seal; the newest published one where it is left out.
    seal: Option<u64>,
}

/// The proof that a ledger had no trial of this id as of a seal. It can show another trial's head, so it is for roles that
/// may see which trials there are, with a token for all of them.
#[utoipa::path(
    tag = "Proofs",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The id of no trial"), AsOf),
    responses(
        (status = 200, description = "A proof of absence, `trialseal/absence/v1`", body = Object),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such seal, or no possible trial id", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "The trial is there", body = Problem,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/absence")]
pub(crate) async fn get(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
    as_of: Parameters<AsOf>,
) -> Result<Json<Value>, Problem> {
    require(&principal, Permission::ReadTrialList)?;
    if principal.trials.is_some() {
        let detail = "A token for some trials does not see which others there are, and this could show one.";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let trial: TrialId = trial.parse().map_err(|_| not_found("No trial can have this id."))?;
    let seal = match as_of.seal {
        Some(seal) => seal,
        None => query.newest_published().await?.ok_or_else(|| not_found("Nothing is sealed yet."))?,
    };
    Ok(Json(query.absence(&trial, seal).await?.to_value()))
}
