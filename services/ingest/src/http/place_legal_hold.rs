//! `POST /v1/trials/{trial}/legal-holds`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::PlaceLegalHold;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Keeps data from being erased.
///
/// Of one participant, or of all, until the hold is released.
#[utoipa::path(
    tag = "Trial",
    request_body = PlaceLegalHold,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/legal-holds")]
pub(super) async fn place_legal_hold(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "legal-holds", Command::PlaceLegalHold).await
}
