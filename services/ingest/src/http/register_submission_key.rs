//! `POST /v1/trials/{trial}/submission-keys`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RegisterSubmissionKey;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Begins to sign with a key.
///
/// The request is signed itself: with a key of the same sender that is in use in the trial, or, where there is none, with
/// the new key. From then on whatever the sender signs with it is recorded with its signature.
#[utoipa::path(
    tag = "Trial",
    request_body = RegisterSubmissionKey,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/submission-keys")]
pub(super) async fn register_submission_key(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "submission-keys", Command::RegisterSubmissionKey).await
}
