//! `POST /v1/trials/{trial}/submission-key-revocations`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RevokeSubmissionKey;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// No longer signs with a key.
///
/// Only its holder revokes a key. What was signed with it stays as it is.
#[utoipa::path(
    tag = "Trial",
    request_body = RevokeSubmissionKey,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/submission-key-revocations")]
pub(super) async fn revoke_submission_key(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "submission-key-revocations", Command::RevokeSubmissionKey).await
}
