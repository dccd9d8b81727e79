//! `POST /v1/trials/{trial}/signing-key-revocations`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RevokeSigningKey;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Signs no longer with a passkey of one's own.
///
/// What was signed with it before stays signed.
#[utoipa::path(
    tag = "Trial",
    request_body = RevokeSigningKey,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/signing-key-revocations")]
pub(super) async fn revoke_signing_key(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "signing-key-revocations", Command::RevokeSigningKey).await
}
