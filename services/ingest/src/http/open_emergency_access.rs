//! `POST /v1/trials/{trial}/participants/{participant}/emergency-access`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::OpenEmergencyAccess;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Opens a participant's record for some hours to somebody who treats them and whose grant does not reach the trial.
///
/// Trial and participant have to be named exactly; what is not there and what is refused get the same answer. Everybody who oversees the trial
/// finds it in `GET /v1/trials/{trial}/emergency-access`.
#[utoipa::path(
    tag = "Participants",
    request_body = OpenEmergencyAccess,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/emergency-access")]
pub(super) async fn open_emergency_access(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit_from_outside(&ingest, "emergency-access", |body| {
        Command::OpenEmergencyAccess(participant, body)
    })
    .await
}
