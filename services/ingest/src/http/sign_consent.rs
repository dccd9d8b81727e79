//! `POST /v1/trials/{trial}/participants/{participant}/consents`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::SignConsent;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records a signed consent.
///
/// The version must be published in that language and have IRB approval in force at the participant's site on the
/// day it was signed.
#[utoipa::path(
    tag = "Participants",
    request_body = SignConsent,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/consents")]
pub(super) async fn sign_consent(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "consents", |body| Command::SignConsent(participant, body)).await
}
