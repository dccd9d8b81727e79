//! `GET /v1/imports/{import}`

use actix_web::{HttpResponse, get, web};
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::ImportId;
use trialseal_runtime::problem::{Problem, ProblemKind};

use super::answers::Problems;
use crate::{ImportStatus, Ingest};

/// How an import stands.
///
/// Rows that cannot be taken are listed with their lines; the lists are cut at 100 rows, the totals count all.
#[utoipa::path(
    tag = "Imports",
    params(("import" = Uuid, Path, description = "The import's id")),
    responses((status = 200, description = "How it stands", body = ImportStatus), Problems),
    security(("bearer" = [])),
)]
#[get("/v1/imports/{import}")]
pub(super) async fn import_status(
    ingest: web::Data<Ingest>,
    import: web::Path<String>,
    principal: Principal,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(ProblemKind::NotFound, "There is no such import.");
    let import: ImportId = import.parse().map_err(|_| unknown())?;
    let status = ingest.import_status(import).await?.filter(|status| principal.reaches(&status.trial));
    let status = status.ok_or_else(unknown)?;
    if !principal.may(Permission::ReadRecord) {
        return Err(Problem::new(ProblemKind::Forbidden, "This role does not see imports."));
    }
    Ok(HttpResponse::Ok().json(status))
}
