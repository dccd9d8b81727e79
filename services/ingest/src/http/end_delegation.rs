//! `POST /v1/trials/{trial}/delegation-ends`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::EndDelegation;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Ends a delegation, at once.
///
/// By an investigator. What was recorded by it stays.
#[utoipa::path(
    tag = "Trial",
    request_body = EndDelegation,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/delegation-ends")]
pub(super) async fn end_delegation(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "delegation-ends", Command::EndDelegation).await
}
