//! `POST /v1/trials/{trial}/participants`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::ScreenParticipant;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Screens somebody for the trial.
///
/// The subject number is unique in the trial, and data: it never stands in a header. The answer's `participant` is
/// the random id to go on with.
#[utoipa::path(
    tag = "Participants",
    request_body = ScreenParticipant,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants")]
pub(super) async fn screen_participant(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "participants", Command::ScreenParticipant).await
}
