//! `GET /v1/export-key`

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use crate::Exporter;

/// The key that datasets of this ledger are signed with, as a verifier key (section 9 of the format). Open to all. Compare
/// it with one from another source before you trust it.
#[utoipa::path(
    tag = "Proofs",
    security(()),
    responses((status = 200, description = "The verifier key", body = String, content_type = "text/plain"))
)]
#[get("/v1/export-key")]
pub(crate) async fn export_key(exporter: Data<Exporter>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .insert_header((CACHE_CONTROL, "max-age=60"))
        .body(exporter.verifier_key() + "\n")
}
