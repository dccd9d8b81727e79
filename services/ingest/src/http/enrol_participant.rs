//! `POST /v1/trials/{trial}/participants/{participant}/enrolment`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::EnrolParticipant;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Enrols a screened participant.
///
/// Needs a consent in force.
#[utoipa::path(
    tag = "Participants",
    request_body = EnrolParticipant,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/enrolment")]
pub(super) async fn enrol_participant(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "enrolment", |body| Command::EnrolParticipant(participant, body)).await
}
