//! `POST /v1/trials/{trial}/participants/{participant}/visits`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RecordVisit;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records that a visit took place.
///
/// Needs a consent in force on the day of the visit.
#[utoipa::path(
    tag = "Participants",
    request_body = RecordVisit,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/visits")]
pub(super) async fn record_visit(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "visits", |body| Command::RecordVisit(participant, body)).await
}
