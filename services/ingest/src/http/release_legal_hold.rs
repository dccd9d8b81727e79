//! `POST /v1/trials/{trial}/legal-hold-releases`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::ReleaseLegalHold;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Ends a legal hold.
///
/// Erasures that were asked for meanwhile can be approved from then on.
#[utoipa::path(
    tag = "Trial",
    request_body = ReleaseLegalHold,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/legal-hold-releases")]
pub(super) async fn release_legal_hold(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "legal-hold-releases", Command::ReleaseLegalHold).await
}
