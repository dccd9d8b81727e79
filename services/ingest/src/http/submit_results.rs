//! `POST /v1/trials/{trial}/results`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::SubmitResults;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Submits results.
///
/// They are recorded as they are; readers see them beside the outcomes that the sealed protocol versions named.
#[utoipa::path(
    tag = "Trial",
    request_body = SubmitResults,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/results")]
pub(super) async fn submit_results(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "results", Command::SubmitResults).await
}
