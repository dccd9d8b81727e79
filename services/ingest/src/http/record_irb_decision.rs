//! `POST /v1/trials/{trial}/irb-decisions`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RecordIrbDecision;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records what an IRB decided.
///
/// In the role of the IRB. An approval names the protocol version or the consent versions, and the sites, that it
/// covers.
#[utoipa::path(
    tag = "Trial",
    request_body = RecordIrbDecision,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/irb-decisions")]
pub(super) async fn record_irb_decision(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "irb-decisions", Command::RecordIrbDecision).await
}
