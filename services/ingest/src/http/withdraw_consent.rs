//! `POST /v1/trials/{trial}/participants/{participant}/consent-withdrawals`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::WithdrawConsent;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records that a participant withdraws consent.
///
/// One call, effective as soon as it is recorded; a decision that was made on the consent before is refused by its
/// append.
#[utoipa::path(
    tag = "Participants",
    request_body = WithdrawConsent,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/consent-withdrawals")]
pub(super) async fn withdraw_consent(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "consent-withdrawals", |body| Command::WithdrawConsent(participant, body)).await
}
