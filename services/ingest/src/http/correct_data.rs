//! `POST /v1/trials/{trial}/participants/{participant}/data/corrections`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::CorrectData;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Corrects one recorded value.
///
/// Names the old value and the reason; both stay in the record.
#[utoipa::path(
    tag = "Participants",
    request_body = CorrectData,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/data/corrections")]
pub(super) async fn correct_data(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "data/corrections", |body| Command::CorrectData(participant, body)).await
}
