//! `POST /v1/trials/{trial}/participants/{participant}/unblindings`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::UnblindParticipant;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records that an investigator has to know in an emergency what a participant is given.
///
/// From then on `GET …/allocation` tells them, and nobody else. Everybody who reads the participant's timeline sees who it was, when, and why.
#[utoipa::path(
    tag = "Participants",
    request_body = UnblindParticipant,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/unblindings")]
pub(super) async fn unblind_participant(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "unblindings", |body| Command::UnblindParticipant(participant, body)).await
}
