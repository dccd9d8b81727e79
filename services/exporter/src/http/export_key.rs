//! `GET /v1/export-key`

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use crate::Exporter;

/// The key that datasets of this ledger are signed with, as a verifier key (section 9 of the format). While one takes the
/// place of another there are two, one a line, the newest first, and each dataset is signed with both. Open to all. Compare
/// them with those from another source before you trust them.
#[utoipa::path(
    tag = "Proofs",
    security(()),
    responses((status = 200, description = "The verifier keys, one a line", body = String, content_type = "text/plain"))
)]
#[get("/v1/export-key")]
pub(crate) async fn export_key(exporter: Data<Exporter>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .insert_header((CACHE_CONTROL, "max-age=60"))
        .body(exporter.verifier_keys().join("\n") + "\n")
}
