//! `POST /v1/trials/{trial}/participants/{participant}/redaction-approvals`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::ApproveRedaction;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Approves that one value of a participant's be redacted, as somebody else asked for.
///
/// It cannot be taken back. The participant's data are encrypted again without the value, and the key of before is destroyed
/// (`participant.key-replaced` in the stream of the participant's redactions), so that nobody can read the value any more, here
/// or in any backup. What else the event says stays readable, and headers, hashes and proofs stay.
#[utoipa::path(
    tag = "Participants",
    request_body = ApproveRedaction,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/redaction-approvals")]
pub(super) async fn approve_redaction(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "redaction-approvals", |body| Command::ApproveRedaction(participant, body)).await
}
