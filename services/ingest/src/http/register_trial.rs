//! `POST /v1/trials`

use actix_web::{HttpResponse, post, web};
use trialseal_record::command::RegisterTrial;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::Wait;
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Begins the record of a trial.
///
/// The trial's id is public and cannot be changed. The `Idempotency-Key` may be left out here: then the id stands
/// for it.
#[utoipa::path(
    tag = "Trial",
    request_body = RegisterTrial,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Your own name for this command; may be left out"),
        Wait,
    ),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials")]
pub(super) async fn register_trial(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    sent.register(&ingest).await
}
