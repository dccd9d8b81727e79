//! `POST /v1/trials/{trial}/exports`

use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, post};
use serde::Deserialize;
use trialseal_access::Principal;
use trialseal_record::ids::TrialId;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::canonical;
use utoipa::ToSchema;

use crate::job::Wanted;
use crate::status::Shown;
use crate::{ExportStatus, Exporter};

/// Longest purpose, in characters: a sentence or two.
const MAX_PURPOSE: usize = 500;

/// What is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportRequest {
    /// What the dataset is for. Kept with the export, not in the dataset; do not name participants here.
    #[serde(default)]
    purpose: Option<String>,
    /// Whether to add tables to the record; they are, unless this is `false`.
    #[serde(default)]
    tables: Option<bool>,
}

/// Begins a dataset of a trial's whole record, as of the newest published seal. What the role may not see is withheld, and
/// the dataset says so line by line. An empty body asks for the usual.
#[utoipa::path(
    tag = "Exports",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id")),
    request_body(content = ExportRequest, content_type = "application/json"),
    responses(
        (status = 202, description = "It is being made; `Location` says where to ask for it", body = ExportStatus),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "No published seal covers the trial yet", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/v1/trials/{trial}/exports")]
pub(crate) async fn start_export(
    exporter: Data<Exporter>,
    principal: Principal,
    trial: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let none =
        || Problem::new(ProblemKind::NotFound, "There is no such trial, or your token does not reach it.");
    let trial: TrialId = trial.parse().map_err(|_| none())?;
    if !principal.reaches(&trial) {
        return Err(none());
    }
    let forbidden = || Problem::new(ProblemKind::Forbidden, "This role does not export.");
    let shown = Shown::for_principal(&principal).ok_or_else(forbidden)?;
    let wanted = wanted(&body)?;
    if !exporter.has_trial(&trial).await? {
        return Err(none());
    }
    let status = exporter.begin(&principal, &trial, shown, wanted).await?;
    let location = format!("/v1/exports/{}", status.id);
    Ok(HttpResponse::Accepted().insert_header((LOCATION, location)).json(status))
}

/// Reads the body strictly: a key that stands twice is refused, as everywhere.
fn wanted(body: &[u8]) -> Result<Wanted, Problem> {
    if body.is_empty() {
        return Ok(Wanted { purpose: None, tables: true });
    }
    let value = canonical::parse(body, canonical::MAX_DEPTH)
        .map_err(|refused| Problem::new(ProblemKind::Malformed, refused.to_string()))?;
    let request: ExportRequest = serde_json::from_value(value).map_err(|_| {
        Problem::new(ProblemKind::Invalid, "The body has other members than `purpose` and `tables`.")
    })?;
    if request.purpose.as_ref().is_some_and(|purpose| purpose.chars().count() > MAX_PURPOSE) {
        let detail = format!("The purpose has more than {MAX_PURPOSE} characters.");
        return Err(Problem::new(ProblemKind::Invalid, detail).with_error("/purpose", "too long"));
    }
    Ok(Wanted { purpose: request.purpose, tables: request.tables.unwrap_or(true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_along_unless_they_are_not_wanted() {
        let tables = |body: &[u8]| wanted(body).map(|wanted| wanted.tables).map_err(|problem| problem.status);
        assert_eq!(tables(b""), Ok(true));
        assert_eq!(tables(b"{}"), Ok(true));
        assert_eq!(tables(br#"{"tables":false,"purpose":"analysis"}"#), Ok(false));
        assert_eq!(tables(br#"{"tables":false,"tables":true}"#), Err(400));
        assert_eq!(tables(br#"{"table":false}"#), Err(422));
        let long = serde_json::json!({"purpose": "x".repeat(MAX_PURPOSE + 1)}).to_string();
        assert_eq!(tables(long.as_bytes()), Err(422));
    }
}
