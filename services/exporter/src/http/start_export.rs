//! `POST /v1/trials/{trial}/exports`

use actix_web::http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Deserialize;
use trialseal_access::Principal;
use trialseal_record::ids::TrialId;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::canonical;
use utoipa::ToSchema;

use crate::begin::{Begun, Order, Wanted};
use crate::status::Shown;
use crate::{ExportStatus, Exporter};

/// The header under which a caller names a request, as with commands.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The header of an answer that was given before.
const REPLAYED: &str = "idempotent-replayed";

/// Longest idempotency key, bytes: room for any UUID or hash in any spelling.
const MAX_KEY_BYTES: usize = 255;

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
    params(
        ("trial" = String, Path, description = "The trial's id"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your own name for this request, 1 to 255 visible ASCII characters. Send the same again when you \
                repeat it, and you get the same export, however it stands by then."),
    ),
    request_body(content = ExportRequest, content_type = "application/json"),
    responses(
        (status = 202, description = "It is being made; `Location` says where to ask for it", body = ExportStatus),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "No published seal covers the trial yet, or the key was used for something else",
            body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many exports wait", body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/v1/trials/{trial}/exports")]
pub(crate) async fn start_export(
    exporter: Data<Exporter>,
    principal: Principal,
    trial: Path<String>,
    request: HttpRequest,
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
    let key = idempotency_key(request.headers())?;
    let wanted = wanted(request.headers(), &body)?;
    if !exporter.has_trial(&trial).await? {
        return Err(none());
    }
    let order = Order { actor: principal.actor, trial, shown, wanted, key };
    let Begun { status, replayed } = exporter.begin(order).await?;
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, format!("/v1/exports/{}", status.id)));
    if replayed {
        answer.insert_header((REPLAYED, "true"));
    }
    Ok(answer.json(status))
}

/// The caller's name for the request, which a retry repeats.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(key.to_owned()));
    }
    let detail = format!("An Idempotency-Key has 1 to {MAX_KEY_BYTES} visible ASCII characters.");
    Err(Problem::new(ProblemKind::Malformed, detail))
}

/// Refuses a body that does not say that it is JSON.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::UnsupportedMediaType, "This route takes application/json."))
}

/// Reads the body strictly: a key that stands twice is refused, as everywhere.
fn wanted(headers: &HeaderMap, body: &[u8]) -> Result<Wanted, Problem> {
    if body.is_empty() {
        return Ok(Wanted { purpose: None, tables: true });
    }
    require_json(headers)?;
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
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn tables_come_along_unless_they_are_not_wanted() {
        let json = headers(CONTENT_TYPE, "application/json");
        let tables =
            |body: &[u8]| wanted(&json, body).map(|wanted| wanted.tables).map_err(|problem| problem.status);
        assert_eq!(tables(b""), Ok(true));
        assert_eq!(tables(b"{}"), Ok(true));
        assert_eq!(tables(br#"{"tables":false,"purpose":"analysis"}"#), Ok(false));
        assert_eq!(tables(br#"{"tables":false,"tables":true}"#), Err(400));
        assert_eq!(tables(br#"{"table":false}"#), Err(422));
        let long = serde_json::json!({"purpose": "x".repeat(MAX_PURPOSE + 1)}).to_string();
        assert_eq!(tables(long.as_bytes()), Err(422));
    }

    #[test]
    fn a_body_has_to_say_that_it_is_json() {
        let status = |kind: &str, body: &[u8]| {
            wanted(&headers(CONTENT_TYPE, kind), body).map_err(|problem| problem.status).err()
        };
        assert_eq!(status("Application/JSON; charset=utf-8", b"{}"), None);
        for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            assert_eq!(status(other, b"{}"), Some(415), "{other}");
            assert_eq!(status(other, b""), None, "there is nothing to be of a type");
        }
        assert_eq!(wanted(&HeaderMap::new(), b"{}").unwrap_err().status, 415);
    }

    #[test]
    fn keys_are_visible_and_not_long() {
        let key = |value: &str| {
            idempotency_key(&headers(HeaderName::from_static(IDEMPOTENCY_KEY), value))
                .map_err(|problem| problem.status)
        };
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        assert_eq!(key("a-1"), Ok(Some("a-1".to_owned())));
        for bad in ["", "a b", &"a".repeat(MAX_KEY_BYTES + 1)] {
            assert_eq!(key(bad), Err(400), "{bad}");
        }
    }
}
