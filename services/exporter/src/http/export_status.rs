//! `GET /v1/exports/{export}`

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use trialseal_access::Principal;
use trialseal_runtime::problem::Problem;

use crate::{ExportStatus, Exporter};

/// How an export stands.
#[utoipa::path(
    tag = "Exports",
    security(("bearer" = [])),
    params(("export" = Uuid, Path, description = "The export's id")),
    responses(
        (status = 200, description = "How it stands", body = ExportStatus),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/exports/{export}")]
pub(crate) async fn export_status(
    exporter: Data<Exporter>,
    principal: Principal,
    export: Path<String>,
) -> Result<Json<ExportStatus>, Problem> {
    Ok(Json(exporter.find(&principal, &export).await?.status))
}
