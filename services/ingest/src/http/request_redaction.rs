//! `POST /v1/trials/{trial}/participants/{participant}/redaction-requests`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RequestRedaction;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Asks for one value of a participant's to be redacted.
///
/// It is the value at `pointer` in the data of the participant's event `streamseq`, as headers say it: one that was recorded,
/// one before or after a correction, or one of an imported row. Nothing is redacted before somebody else approves it.
#[utoipa::path(
    tag = "Participants",
    request_body = RequestRedaction,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/redaction-requests")]
pub(super) async fn request_redaction(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "redaction-requests", |body| Command::RequestRedaction(participant, body)).await
}
