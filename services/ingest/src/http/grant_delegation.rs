//! `POST /v1/trials/{trial}/delegations`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::GrantDelegation;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Gives tasks at a site to somebody who works there.
///
/// By the investigator, to somebody else, who does them in the role `site-staff`. Whatever they send is held against the
/// delegations in force when it comes, not against those of the days that it tells of.
#[utoipa::path(
    tag = "Trial",
    request_body = GrantDelegation,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/delegations")]
pub(super) async fn grant_delegation(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "delegations", Command::GrantDelegation).await
}
