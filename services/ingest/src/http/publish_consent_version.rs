//! `POST /v1/trials/{trial}/consent-versions`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::PublishConsentVersion;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Publishes a consent form in one language.
///
/// Participants can sign it once an IRB has approved it for their site.
#[utoipa::path(
    tag = "Trial",
    request_body = PublishConsentVersion,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/consent-versions")]
pub(super) async fn publish_consent_version(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "consent-versions", Command::PublishConsentVersion).await
}
