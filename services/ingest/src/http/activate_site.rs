//! `POST /v1/trials/{trial}/sites`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::ActivateSite;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Opens a site for recruitment.
///
/// Needs a protocol version with IRB approval in force for the site on that day. The answer's `site` is the id by
/// which participants are screened there.
#[utoipa::path(
    tag = "Trial",
    request_body = ActivateSite,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/sites")]
pub(super) async fn activate_site(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "sites", Command::ActivateSite).await
}
