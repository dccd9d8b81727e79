//! `POST /v1/trials/{trial}/participants/{participant}/adverse-events`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::ReportAdverseEvent;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Reports an adverse event.
///
/// Taken at any time after the screening.
#[utoipa::path(
    tag = "Participants",
    request_body = ReportAdverseEvent,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/adverse-events")]
pub(super) async fn report_adverse_event(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "adverse-events", |body| Command::ReportAdverseEvent(participant, body)).await
}
