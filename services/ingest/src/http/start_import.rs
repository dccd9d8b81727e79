//! `POST /v1/trials/{trial}/imports`

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, post, web};
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, TrialPath};
use super::sent::{Head, REPLAYED, key_missing, require_json, trial_of};
use crate::import::Upload;
use crate::{ImportStatus, Ingest, signed};

/// Imports a file, CDISC Dataset-JSON 1.1.
///
/// The file may be of any size; it is received first, then every row of it is checked, and only if all can be taken are
/// they recorded, each as an event. Numbers keep the digits they have in the file. A row that does not meet a rule about
/// consent or site is taken, since what it tells has happened, and the exception stands beside it. A file is signed by its
/// SHA-256.
#[utoipa::path(
    tag = "Imports",
    request_body(content = serde_json::Value, content_type = "application/json", description = "Dataset-JSON 1.1"),
    params(TrialPath, CommandKey),
    responses(
        (status = 202, description = "Received; `Location` tells where to ask how it stands", body = ImportStatus),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/imports")]
pub(super) async fn start_import(
    ingest: web::Data<Ingest>,
    request: HttpRequest,
    file: web::Payload,
) -> Result<HttpResponse, Problem> {
    let Head { principal, key, request_id } = Head::of(&request).await?;
    require_json(request.headers())?;
    let (trial, key) = (trial_of(&request)?, key.ok_or_else(key_missing)?);
    let signature = signed::signature(request.headers())?;
    let upload = Upload { principal, trial, key, request_id, signature };
    let (status, replayed) = ingest.into_inner().receive(upload, file).await?;
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, format!("/v1/imports/{}", status.id)));
    if replayed {
        answer.insert_header((REPLAYED, "true"));
    }
    Ok(answer.json(status))
}
