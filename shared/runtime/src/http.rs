//! Furniture of the HTTP server: extractors that answer with a [`Problem`], headers that every answer has, and the
//! guard that lets no other form of error out.
//!
//! Wrap an app so (the outermost last): `.configure(|app| configure(app, body_bytes)).app_data(Data::new(Methods::of(…)))
//! .wrap(from_fn(only_problems)).wrap(from_fn(head_as_get)).wrap(security_headers()).wrap(RequestLog::new(…))`.

mod head;
mod methods;
#[cfg(test)]
mod tests;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{Error, JsonPayloadError, PathError, PayloadError, QueryPayloadError};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::web::{self, Data, JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use crate::html::IsPage;
use crate::problem::{CONTENT, Problem, ProblemKind};

pub use head::head_as_get;
pub use methods::Methods;

/// What [`security_headers`] sets.
const SECURITY_HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Sets the extractors up, with bodies of at most `body_bytes`, and what answers where no route does.
pub fn configure(app: &mut ServiceConfig, body_bytes: usize) {
    app.app_data(json_config(body_bytes))
        .app_data(PayloadConfig::new(body_bytes))
        .app_data(path_config())
        .app_data(query_config())
        .default_service(web::to(no_route));
}

/// JSON bodies of at most `body_bytes`.
pub fn json_config(body_bytes: usize) -> JsonConfig {
    JsonConfig::default()
        .limit(body_bytes)
        .error_handler(|error, _: &HttpRequest| json_problem(&error).into())
}

/// Path parameters: one that cannot be read names nothing that exists.
pub fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|_: PathError, _: &HttpRequest| {
        Problem::new(ProblemKind::NotFound, "A part of the address is not of the form that this route takes.")
            .into()
    })
}

/// Query parameters.
pub fn query_config() -> QueryConfig {
    QueryConfig::default().error_handler(|error: QueryPayloadError, _: &HttpRequest| {
        let detail = match &error {
            QueryPayloadError::Deserialize(cause) => sentence("The query string", &cause.to_string()),
            _ => "The query string cannot be read.".to_owned(),
        };
        Problem::new(ProblemKind::Malformed, detail).into()
    })
}

/// Headers for every answer that does not set its own: no guessing of content types, no framing, no scripts, nothing
/// kept in caches. Pages and the published log set what they need instead.
pub fn security_headers() -> DefaultHeaders {
    SECURITY_HEADERS.into_iter().fold(DefaultHeaders::new(), DefaultHeaders::add)
}

/// Tells browsers to come by TLS alone for a year from now on (RFC 6797), where that is how they come. Of other hosts below
/// the name nothing is said: they may not be ours.
pub fn strict_transport_security(by_tls: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new();
    if by_tls { headers.add((STRICT_TRANSPORT_SECURITY, "max-age=31536000")) } else { headers }
}

/// As [`security_headers`], for an answer that no middleware sees.
pub(crate) fn secure(answer: &mut HttpResponse) {
    for (name, value) in SECURITY_HEADERS {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// Middleware: an error in any form but a [`Problem`] (a plain 405 of the router, a text of a library) goes out as the
/// problem that its status says, so that no internals do. Headers that the answer had are kept. Pages for people go out as
/// they are.
pub async fn only_problems(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|content| content == CONTENT);
    let is_page = response.response().extensions().get::<IsPage>().is_some();
    if is_problem || is_page || !(status.is_client_error() || status.is_server_error()) {
        return Ok(response);
    }
    if let Some(error) = response.response().error() {
        tracing::debug!(%error, "an error in a form of its own");
    }
    let kind = ProblemKind::for_status(status.as_u16());
    let mut problem = Problem::new(kind, format!("{}.", kind.title()));
    problem.status = status.as_u16();
    let mut answer = problem.error_response();
    for (name, value) in response.headers() {
        if !answer.headers().contains_key(name) {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    Ok(response.into_response(answer))
}

/// Answers where no route does: 405 where one would with another method, else 404.
async fn no_route(request: HttpRequest) -> HttpResponse {
    let methods = request.app_data::<Data<Methods>>();
    let allow = request.match_pattern().and_then(|pattern| methods?.allow(&pattern));
    let Some(allow) = allow else {
        return Problem::new(ProblemKind::NotFound, "There is nothing at this address.").error_response();
    };
    let detail = format!("This address takes {allow}.");
    let mut answer = Problem::new(ProblemKind::MethodNotAllowed, detail).error_response();
    // Names of methods always make a header value.
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        answer.headers_mut().insert(ALLOW, allow);
    }
    answer
}

/// The problem of a JSON body that cannot be taken; for handlers that read the body themselves.
pub fn json_problem(error: &JsonPayloadError) -> Problem {
    match error {
        JsonPayloadError::Overflow { limit } | JsonPayloadError::OverflowKnownLength { limit, .. } => {
            Problem::new(ProblemKind::PayloadTooLarge, format!("This route takes at most {limit} bytes."))
        }
        JsonPayloadError::ContentType => {
            Problem::new(ProblemKind::UnsupportedMediaType, "This route takes application/json.")
        }
        JsonPayloadError::Deserialize(cause) if cause.is_data() => {
            let place = format!("The body, at line {}, column {},", cause.line(), cause.column());
            Problem::new(ProblemKind::Invalid, sentence(&place, &cause.to_string()))
        }
        JsonPayloadError::Deserialize(cause) => Problem::new(
            ProblemKind::Malformed,
            format!("The body is no JSON from line {}, column {} on.", cause.line(), cause.column()),
        ),
        JsonPayloadError::Payload(PayloadError::Overflow) => {
            Problem::new(ProblemKind::PayloadTooLarge, "The body is larger than this route takes.")
        }
        _ => Problem::new(ProblemKind::Malformed, "The body did not arrive whole."),
    }
}

/// Says what was expected in `place`, in words of ours alone: what serde says quotes what was sent, which may be about
/// a participant, and an error's text may be kept where bodies are not.
fn sentence(place: &str, said: &str) -> String {
    const QUOTING: [&str; 5] =
        ["invalid type: ", "invalid value: ", "invalid length ", "unknown field `", "unknown variant `"];
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    // The last two are how our own types refuse a text; they never quote it.
    let named = ["missing field `", "duplicate field `", "this should be ", "this is not "]
        .iter()
        .any(|start| said.starts_with(start));
    let expected =
        said.rsplit_once(", expected ").filter(|_| QUOTING.iter().any(|start| said.starts_with(start)));
    match expected {
        _ if named => format!("{place} does not fit: {said}."),
        Some((_, expected)) => format!("{place} does not fit: expected {expected}."),
        None => format!("{place} does not fit what this route takes."),
    }
}
