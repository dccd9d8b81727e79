//! `POST /v1/trials/{trial}/submission-signing`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::ChangeSubmissionSigning;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Asks for a signature on every command of the trial, or no longer.
///
/// The request is signed itself. While signatures are asked for, whatever comes without one is refused.
#[utoipa::path(
    tag = "Trial",
    request_body = ChangeSubmissionSigning,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/submission-signing")]
pub(super) async fn change_submission_signing(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "submission-signing", Command::ChangeSubmissionSigning).await
}
