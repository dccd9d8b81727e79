//! `POST /v1/trials/{trial}/participants/{participant}/signatures`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::SignRecord;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Signs a participant's record as it stands.
///
/// The passkey answers to a statement of who signs which version of the record and what the signature means. Where something else
/// was recorded meanwhile, the signature is refused; what is recorded later supersedes it.
#[utoipa::path(
    tag = "Participants",
    request_body = SignRecord,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/signatures")]
pub(super) async fn sign_record(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "signatures", |body| Command::SignRecord(participant, body)).await
}
