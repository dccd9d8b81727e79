//! `GET /v1/policy`

use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use crate::Query;

/// The publication policy (C2SP tlog-policy): which log key signs, and which witnesses have to. Readers use their own; this
/// is the one that the ledger keeps to.
#[utoipa::path(
    tag = "Seals and log",
    responses((status = 200, description = "A tlog-policy", body = String, content_type = "text/plain"))
)]
#[get("/v1/policy")]
pub(crate) async fn get(query: Data<Query>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(query.parts.policy.clone())
}
