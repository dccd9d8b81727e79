//! `POST /v1/trials/{trial}/participants/{participant}/erasure-approvals`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::ApproveErasure;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Approves that a participant's data be erased, as somebody else asked for.
///
/// It takes effect at once and cannot be taken back: nothing more is recorded of the participant, and soon after the key of
/// their data is destroyed (`participant.key-destroyed` in the stream of the erasure), so that nobody can read them any
/// more, here or in any backup. Headers, hashes and proofs stay.
#[utoipa::path(
    tag = "Participants",
    request_body = ApproveErasure,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/erasure-approvals")]
pub(super) async fn approve_erasure(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "erasure-approvals", |body| Command::ApproveErasure(participant, body)).await
}
