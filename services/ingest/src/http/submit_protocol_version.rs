//! `POST /v1/trials/{trial}/protocol-versions`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::SubmitProtocolVersion;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Submits the first or the next version of the protocol.
///
/// Versions come in order. The outcomes named here are what results are compared with; the document itself stays
/// outside the record, which keeps its SHA-256.
#[utoipa::path(
    tag = "Trial",
    request_body = SubmitProtocolVersion,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/protocol-versions")]
pub(super) async fn submit_protocol_version(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "protocol-versions", Command::SubmitProtocolVersion).await
}
