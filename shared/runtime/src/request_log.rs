//! One wide log event a request, the request's id, its metrics, and an answer where a handler panics.

use std::future::{Future, Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use crate::clock::Clock;
use crate::http::secure;
use crate::ids::Ids;
use crate::problem::{Problem, ProblemKind};

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, a UUID in lower case with hyphens; a request extension. One that the caller sent is kept where it
/// is a UUID, else it is made here: the id goes into the log and, for good, into the headers of events, where no other
/// text of a caller's may get to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The role of who asks; a request extension that whoever checks the token sets, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerRole(pub &'static str);

/// The middleware; wrap it outermost. It logs the method, the route's pattern (never the address itself, which may hold
/// ids), status, duration, request id and role.
#[derive(Clone)]
pub struct RequestLog {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl RequestLog {
    /// A log whose request ids are made from these.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { clock, ids }
    }

    fn request_id(&self, request: &ServiceRequest) -> RequestId {
        let sent = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let id = sent.and_then(|id| Uuid::try_parse(id).ok());
        RequestId(id.unwrap_or_else(|| self.ids.uuid_v7(self.clock.now())).to_string())
    }
}

impl<S, B> Transform<S, ServiceRequest> for RequestLog
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Logged<S>;
    type InitError = ();
    type Future = Ready<Result<Logged<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Logged { log: self.clone(), service }))
    }
}

/// A service whose requests are logged; made by [`RequestLog`].
pub struct Logged<S> {
    log: RequestLog,
    service: S,
}

impl<S, B> Service<ServiceRequest> for Logged<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let start = Instant::now();
        let id = self.log.request_id(&request);
        let method = request.method().as_str().to_owned();
        request.extensions_mut().insert(id.clone());
        let span = tracing::info_span!("http.request.serve", request_id = id.0);
        // What a panic could leave half done is the request's own, which goes with it, or lies behind locks that are
        // taken all the same.
        let answered = AssertUnwindSafe(self.service.call(request)).catch_unwind();
        let logged = async move {
            let answer = answered.await.unwrap_or_else(|_| Err(panicked()));
            let seen = Seen::of(&answer, method, start.elapsed());
            seen.count();
            seen.log();
            match answer {
                Ok(mut response) => {
                    set_id(response.response_mut().headers_mut(), &id);
                    Ok(response)
                }
                Err(error) => Err(answered_error(&error, &id)),
            }
        };
        Box::pin(logged.instrument(span))
    }
}

/// What is known of a request once it is answered; the body may still be streaming.
struct Seen {
    method: String,
    route: String,
    status: u16,
    role: &'static str,
    duration: Duration,
}

impl Seen {
    fn of<B>(answer: &Result<ServiceResponse<B>, Error>, method: String, duration: Duration) -> Self {
        let (route, status, role) = match answer {
            Ok(response) => (
                response.request().match_pattern(),
                response.status(),
                response.request().extensions().get::<CallerRole>().map(|role| role.0),
            ),
            Err(error) => (None, error.as_response_error().status_code(), None),
        };
        Self {
            method,
            route: route.unwrap_or_else(|| "none".to_owned()),
            status: status.as_u16(),
            role: role.unwrap_or("none"),
            duration,
        }
    }

    fn log(&self) {
        let Self { method, route, status, role, duration } = self;
        let duration_ms = duration.as_secs_f64() * 1000.0;
        if *status >= 500 {
            tracing::error!(method, route, status, role, duration_ms, "request");
        } else {
            tracing::info!(method, route, status, role, duration_ms, "request");
        }
    }

    fn count(&self) {
        // Methods are the caller's to invent; the labels of a metric must be few.
        let method = match self.method.as_str() {
            method @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => method,
            _ => "other",
        };
        let labels = [
            ("method", method.to_owned()),
            ("route", self.route.clone()),
            ("status", self.status.to_string()),
        ];
        metrics::counter!("trialseal_http_requests_total", &labels).increment(1);
        metrics::histogram!("trialseal_http_request_seconds", &labels[1..2])
            .record(self.duration.as_secs_f64());
    }
}

/// The error of a request whose handler panicked. The panic's own text, which may quote anything, is not repeated; the
/// panic hook of [`crate::telemetry`] has logged where it was.
fn panicked() -> Error {
    let detail = "The request failed for a reason that the operator finds in the log.";
    Problem::new(ProblemKind::Internal, detail).into()
}

/// An error with the headers that every answer has: the request went with it, so no middleware gets to add them.
fn answered_error(error: &Error, id: &RequestId) -> Error {
    let mut answer = error.as_response_error().error_response();
    secure(&mut answer);
    set_id(answer.headers_mut(), id);
    InternalError::from_response("a request ended without an answer", answer).into()
}

fn set_id(headers: &mut HeaderMap, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::{self, TestRequest};
    use actix_web::{App, HttpRequest, HttpResponse, web};
    use tracing::instrument::WithSubscriber;

    use super::*;
    use crate::clock::ManualClock;
    use crate::ids::SeededIds;
    use crate::problem::CONTENT;
    use crate::testing::Written;

    async fn broken() -> HttpResponse {
        panic!("Jane Doe has no weight")
    }

    async fn participant(request: HttpRequest) -> HttpResponse {
        request.extensions_mut().insert(CallerRole("monitor"));
        HttpResponse::Created().body("born 1950-02-03")
    }

    /// The answer's request id, and what was logged.
    async fn ask(request: TestRequest) -> (String, String) {
        let written = Written::default();
        let sink = written.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || sink.clone()).finish();
        let log = RequestLog::new(Arc::new(ManualClock::new(1)), Arc::new(SeededIds::new(1)));
        let id = async {
            let app = test::init_service(
                App::new().route("/trials/{trial}/participants/{id}", web::post().to(participant)).wrap(log),
            )
            .await;
            let response = test::call_service(&app, request.to_request()).await;
            response.headers().get(REQUEST_ID).unwrap().to_str().unwrap().to_owned()
        }
        .with_subscriber(subscriber)
        .await;
        let log = written.text();
        (id, log)
    }

    #[actix_web::test]
    async fn one_event_says_what_happened_and_nothing_private() {
        let request = TestRequest::post()
            .uri("/trials/DEMO-1/participants/jane?name=doe")
            .insert_header(("authorization", "Bearer ts_secret"))
            .insert_header(("x-request-id", "0190AAAA000070008000000000000001"))
            .set_payload("weight 70");
        let (id, log) = ask(request).await;
        assert_eq!(id, "0190aaaa-0000-7000-8000-000000000001");
        assert_eq!(log.lines().count(), 1, "{log}");
        let event: serde_json::Value = serde_json::from_str(&log).unwrap();
        let fields = &event["fields"];
        assert_eq!(fields["method"], "POST");
        assert_eq!(fields["route"], "/trials/{trial}/participants/{id}");
        assert_eq!(fields["status"], 201);
        assert_eq!(fields["role"], "monitor");
        assert!(fields["duration_ms"].as_f64().unwrap() >= 0.0);
        assert_eq!(event["span"]["request_id"], id);
        for private in ["jane", "doe", "secret", "1950", "weight"] {
            assert!(!log.contains(private), "{private} in {log}");
        }
    }

    #[actix_web::test]
    async fn an_id_that_is_no_uuid_is_replaced_and_no_route_is_none() {
        for odd in ["", "a b", "101-007", "Jane-Doe", "0190aaaa-0000-7000-8000-00000000000", &"a".repeat(65)]
        {
            let (id, log) = ask(TestRequest::get().uri("/jane").insert_header(("x-request-id", odd))).await;
            assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
            assert!(log.contains(r#""route":"none""#) && log.contains(r#""status":404"#), "{log}");
            assert!(!log.contains("jane") && (odd.is_empty() || !log.contains(odd)), "{log}");
        }
    }

    #[actix_web::test]
    async fn a_panic_is_answered_and_the_next_request_is_too() {
        let written = Written::default();
        let sink = written.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || sink.clone()).finish();
        let log = RequestLog::new(Arc::new(ManualClock::new(1)), Arc::new(SeededIds::new(1)));
        let app = App::new()
            .route("/broken", web::get().to(broken))
            .route("/well", web::get().to(|| async { "well" }));
        let app = test::init_service(app.wrap(log)).await;
        async {
            let request = TestRequest::get().uri("/broken").to_request();
            let error = test::try_call_service(&app, request).await.expect_err("no answer of the handler's");
            let answer = error.as_response_error().error_response();
            assert_eq!(answer.status(), 500);
            for (name, value) in [("content-type", CONTENT), ("x-content-type-options", "nosniff")] {
                assert_eq!(answer.headers().get(name).unwrap(), value);
            }
            assert!(answer.headers().contains_key(REQUEST_ID));
            let next = test::call_service(&app, TestRequest::get().uri("/well").to_request()).await;
            assert_eq!(next.status(), 200);
        }
        .with_subscriber(subscriber)
        .await;
        let log = written.text();
        assert_eq!(log.matches(r#""status":500"#).count(), 1, "{log}");
        assert!(!log.contains("Jane"), "{log}");
    }
}
