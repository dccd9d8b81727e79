//! `GET /v1/trust`

use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use crate::Query;

/// Whom a reader of this ledger trusts, in one text: the publication policy and the export keys. Its SHA-256 is the
/// fingerprint to compare with one from another source, before it is trusted. Open to all.
#[utoipa::path(
    tag = "Seals and log",
    security(()),
    responses((status = 200, description = "The trust text", body = String, content_type = "text/plain"))
)]
#[get("/v1/trust")]
pub(crate) async fn get(query: Data<Query>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(query.parts.trust.to_string())
}
