//! `POST /v1/trials/{trial}/signing-keys`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RegisterSigningKey;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Begins to sign with a passkey.
///
/// The signer accepts what an electronic signature means, and the passkey itself answers to that. Each signer has one in use in a
/// trial; whoever gets another one revokes the former.
#[utoipa::path(
    tag = "Trial",
    request_body = RegisterSigningKey,
    params(TrialPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/signing-keys")]
pub(super) async fn register_signing_key(
    ingest: web::Data<Ingest>,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    sent.submit(&ingest, "signing-keys", Command::RegisterSigningKey).await
}
