//! `POST /v1/trials/{trial}/participants/{participant}/erasure-requests`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RequestErasure;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Asks for a participant's data to be erased.
///
/// Nothing is erased before somebody else approves it.
#[utoipa::path(
    tag = "Participants",
    request_body = RequestErasure,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/erasure-requests")]
pub(super) async fn request_erasure(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "erasure-requests", |body| Command::RequestErasure(participant, body)).await
}
