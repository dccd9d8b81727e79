//! `POST /v1/trials/{trial}/participants/{participant}/disposition`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RecordDisposition;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records how a participation ended.
///
/// As a screening failure, discontinued, or completed.
#[utoipa::path(
    tag = "Participants",
    request_body = RecordDisposition,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/disposition")]
pub(super) async fn record_disposition(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "disposition", |body| Command::RecordDisposition(participant, body)).await
}
