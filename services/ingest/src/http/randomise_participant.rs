//! `POST /v1/trials/{trial}/participants/{participant}/randomisation`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RandomiseParticipant;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records to which arm a participant was randomised.
///
/// That it was done, and when, is recorded for all to see; the arm, the number and the kit stand apart under a key of their own, for the
/// unblinded role alone.
#[utoipa::path(
    tag = "Participants",
    request_body = RandomiseParticipant,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/randomisation")]
pub(super) async fn randomise_participant(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "randomisation", |body| Command::RandomiseParticipant(participant, body)).await
}
