//! `GET <prefix>/<hex SHA-256 of the origin>/checkpoint`: the newest cosigned checkpoint of a log.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use trialseal_runtime::problem::{Problem, ProblemKind};

use crate::witness::Witness;

#[get("/{origin_sha256}/checkpoint")]
pub(super) async fn get(
    witness: Data<Witness>,
    origin_sha256: Path<String>,
) -> Result<HttpResponse, Problem> {
    let note = witness.newest(&origin_sha256).ok_or_else(|| {
        let detail = "This witness has cosigned no checkpoint of a log whose origin has this SHA-256.";
        Problem::new(ProblemKind::NotFound, detail)
            .with_hint("The hash is that of the origin without a newline.")
    })?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(note.to_string()))
}
