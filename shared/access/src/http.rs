//! Who asks, over HTTP: a middleware that looks the bearer token up, and [`Principal`] as an argument of handlers.
//!
//! A handler that takes a [`Principal`] answers 401 to whoever brings no valid token; one that takes none is open.
//! Nothing is remembered between requests, so that a revoked token is dead at once.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, ResponseError};
use async_trait::async_trait;
use trialseal_record::Text;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_runtime::request_log::{CallerRole, RequestId};

use crate::{Principal, Token};

/// The cookie in which a browser keeps its session. It counts for reading, and for what a page of our own sends, so that no other
/// site can make a browser record something; forms are looked at once more by whoever takes them.
pub const SESSION_COOKIE: &str = "trialseal_session";

/// The same cookie where the service is reached by https: browsers let nobody but this very host set it, and send it over
/// TLS alone (RFC 6265bis section 4.1.3.2).
pub const SECURE_SESSION_COOKIE: &str = "__Host-trialseal_session";

/// Longest token of a provider that is looked at, in bytes: what servers take as a header at all.
const MAX_JWT_BYTES: usize = 16 << 10;

/// Where tokens are looked up; a port.
#[async_trait]
pub trait Holders: Send + Sync {
    /// Who holds the token with this hash; `None` where there is none, or it has been revoked.
    async fn holder(&self, hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable>;

    /// Who has logged in with the browser whose cookie has this hash; `None` where nobody has, or the session has ended.
    async fn session(&self, _hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable> {
        Ok(None)
    }

    /// Whom a provider's token (a JWT) vouches for.
    async fn vouched(&self, _jwt: &str) -> Result<Result<Principal, Refused>, Unavailable> {
        Ok(Err(Refused("no provider is configured, and this is no token of the service's own")))
    }

    /// Whether the browser says that a page of our own sent this.
    fn is_from_own_page(&self, _request: &HttpRequest) -> bool {
        false
    }

    /// The name of the cookie that sessions have here.
    fn session_cookie(&self) -> &'static str {
        SESSION_COOKIE
    }
}

/// How often somebody may ask; a port.
pub trait Limits: Send + Sync {
    /// Counts a request of `who`, or of nobody who is known here.
    ///
    /// # Errors
    /// The seconds to wait, where there were too many.
    fn admit(&self, request: &HttpRequest, who: Option<&Principal>) -> Result<(), u32>;
}

/// Why a provider's token is not taken, in words that repeat nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

/// The tokens cannot be looked up right now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tokens cannot be looked up: {0}")]
pub struct Unavailable(pub String);

/// The middleware. Needs `Data<dyn Holders>` among the app's data, and where there is a `Data<dyn Limits>` as well, answers 429
/// to whoever asks too often. To know who that is costs less than most answers do.
///
/// Answers 401 to a header without a valid token, also on routes that need none: whoever sends one means to be somebody.
/// It is an answer and no error, so that the middlewares around it see it like any other.
pub async fn authenticate<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let identified = identify(&request).await;
    match admit(&request).and(identified) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

/// Says who asks, where a token says so.
async fn identify(request: &ServiceRequest) -> Result<(), Problem> {
    let Some(shown) = shown(request)? else { return Ok(()) };
    let holders = holders_of(request)?;
    let found = match &shown {
        Shown::Token(token) => holders.holder(&token.hash()).await.map(|principal| {
            principal.ok_or_else(|| "The token is not known, or has been revoked, or has ended.".to_owned())
        }),
        Shown::Jwt(jwt) => holders.vouched(jwt).await.map(|principal| {
            principal.map_err(|refused| format!("The token of the provider is not taken: {refused}."))
        }),
        Shown::Cookie(cookie) => match holders.session(&cookie.hash()).await {
            // A cookie from an earlier session is no error of the person who opens a page.
            Ok(None) => return Ok(()),
            Ok(Some(principal)) => Ok(Ok(principal)),
            Err(error) => Err(error),
        },
    };
    let found = found.map_err(|error| {
        tracing::error!(%error, "access.token.lookup");
        Problem::new(ProblemKind::Unavailable, "Who you are cannot be looked up right now.")
    })?;
    let principal = found.map_err(|detail| unauthenticated(&detail))?;
    request.extensions_mut().insert(CallerRole(principal.role.as_str()));
    request.extensions_mut().insert(principal);
    Ok(())
}

/// Refuses whoever asks too often.
fn admit(request: &ServiceRequest) -> Result<(), Problem> {
    let Some(limits) = request.app_data::<Data<dyn Limits>>() else { return Ok(()) };
    let extensions = request.extensions();
    limits.admit(request.request(), extensions.get::<Principal>()).map_err(|seconds| {
        Problem::new(ProblemKind::TooManyRequests, "You ask more often than this service lets anybody.")
            .with_retry_after_seconds(seconds)
    })
}

fn holders_of(request: &ServiceRequest) -> Result<Arc<dyn Holders>, Problem> {
    let holders = request.app_data::<Data<dyn Holders>>().cloned();
    holders.map(Data::into_inner).ok_or_else(|| Problem::internal(&"no Holders among the app's data"))
}

/// What a request shows of who sends it.
enum Shown {
    Token(Token),
    Jwt(String),
    Cookie(Token),
}

/// What a request shows: in `Authorization`, or, where it only reads or comes from a page of our own, in the session's cookie.
fn shown(request: &ServiceRequest) -> Result<Option<Shown>, Problem> {
    if let Some(header) = request.headers().get(AUTHORIZATION) {
        let text = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
        let shown = text.and_then(|text| match Token::parse(text) {
            Ok(token) => Some(Shown::Token(token)),
            Err(_) => looks_like_jwt(text).then(|| Shown::Jwt(text.to_owned())),
        });
        return shown
            .map(Some)
            .ok_or_else(|| unauthenticated("The Authorization header holds no token of this service."));
    }
    if !request.method().is_safe() && !holders_of(request)?.is_from_own_page(request.request()) {
        return Ok(None);
    }
    Ok(session_token(request.request())?.map(Shown::Cookie))
}

/// The session's cookie of a request, if it has one. Whoever acts on it, and does not only show something, has to see to it
/// that the request comes from a page of our own.
///
/// # Errors
/// [`ProblemKind::Internal`] where there is no `Data<dyn Holders>` in the app.
pub fn session_token(request: &HttpRequest) -> Result<Option<Token>, Problem> {
    let holders = request.app_data::<Data<dyn Holders>>();
    let holders = holders.ok_or_else(|| Problem::internal(&"no Holders among the app's data"))?;
    let cookie = request.cookie(holders.session_cookie());
    Ok(cookie.and_then(|cookie| Token::parse(cookie.value()).ok()))
}

/// Three parts of base64url with dots between them (RFC 7515 section 3.1).
fn looks_like_jwt(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= MAX_JWT_BYTES && text.split('.').count() == 3 && text.split('.').all(part)
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(ProblemKind::Unauthenticated, detail)
}

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = request.extensions().get::<Self>().cloned();
        ready(
            principal.ok_or_else(|| {
                unauthenticated("This route needs a token: send Authorization: Bearer <token>.")
            }),
        )
    }
}

/// The header in which a reader says what for: the purpose of use.
pub const PURPOSE: &str = "purpose-of-use";

/// Most bytes of a purpose.
const MAX_PURPOSE_BYTES: usize = 200;

/// Who reads, by which request, and what for: what has to be known to record a reading.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Who reads.
    pub principal: Principal,
    /// The request's id.
    pub request: String,
    /// What for, as they say in `Purpose-Of-Use`; `None` where they say nothing.
    pub purpose: Option<Text>,
}

impl FromRequest for Reader {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let reader = |principal| {
            let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
            let id = id.ok_or_else(|| Problem::internal(&"the request log is not in the app"))?;
            Ok(Self { principal, request: id, purpose: purpose(request)? })
        };
        ready(Principal::from_request(request, payload).into_inner().and_then(reader))
    }
}

/// What a reader reads for.
fn purpose(request: &HttpRequest) -> Result<Option<Text>, Problem> {
    let Some(value) = request.headers().get(PURPOSE) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.len() <= MAX_PURPOSE_BYTES);
    let purpose = text.and_then(|text| text.parse().ok());
    purpose.map(Some).ok_or_else(|| {
        let detail = format!(
            "Purpose-Of-Use holds 1 to {MAX_PURPOSE_BYTES} bytes of UTF-8: what the data are read for."
        );
        Problem::new(ProblemKind::Malformed, detail)
    })
}

/// [`Limits`] as app data.
pub fn limits(limits: Arc<dyn Limits>) -> Data<dyn Limits> {
    Data::from(limits)
}

/// [`Holders`] as app data.
pub fn holders(holders: Arc<dyn Holders>) -> Data<dyn Holders> {
    Data::from(holders)
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, web};
    use trialseal_record::Role;

    use super::*;

    struct One(Token);

    #[async_trait]
    impl Holders for One {
        async fn holder(&self, hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable> {
            Ok((*hash == self.0.hash()).then(|| Principal {
                actor: "person-1".into(),
                role: Role::Monitor,
                organisation: "CRO".into(),
                source_system: None,
                trials: None,
                participant: None,
            }))
        }

        async fn session(&self, hash: &[u8; 32]) -> Result<Option<Principal>, Unavailable> {
            self.holder(hash).await
        }

        fn is_from_own_page(&self, request: &HttpRequest) -> bool {
            request.headers().contains_key("own-page")
        }
    }

    async fn ask(build: impl FnOnce(TestRequest, &str, &str) -> TestRequest) -> (StatusCode, String) {
        let (good, bad) = (Token::generate(&[1; 32]), Token::generate(&[2; 32]));
        let app = App::new()
            .app_data(holders(Arc::new(One(Token::generate(&[1; 32])))))
            .wrap(from_fn(authenticate))
            .route("/who", web::to(|who: Principal| async move { who.actor }))
            .route("/open", web::to(|| async { "open" }));
        let app = init_service(app).await;
        let request = build(TestRequest::default(), good.reveal(), bad.reveal()).to_request();
        let response = call_service(&app, request).await;
        (response.status(), String::from_utf8(read_body(response).await.to_vec()).unwrap())
    }

    fn bearer(request: TestRequest, token: &str) -> TestRequest {
        request.insert_header((AUTHORIZATION, format!("Bearer {token}")))
    }

    #[actix_web::test]
    async fn a_valid_token_says_who_asks() {
        let answer = ask(|request, good, _| bearer(request.uri("/who"), good)).await;
        assert_eq!(answer, (StatusCode::OK, "person-1".into()));
    }

    #[actix_web::test]
    async fn no_token_and_a_wrong_one_are_refused() {
        assert_eq!(ask(|request, _, _| request.uri("/who")).await.0, StatusCode::UNAUTHORIZED);
        for path in ["/who", "/open"] {
            let wrong = ask(|request, _, bad| bearer(request.uri(path), bad)).await;
            assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
            let odd = ask(|request, good, _| {
                request.uri(path).insert_header((AUTHORIZATION, format!("Basic {good}")))
            })
            .await;
            assert_eq!(odd.0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(ask(|request, _, _| request.uri("/open")).await.0, StatusCode::OK);
    }

    #[actix_web::test]
    async fn a_cookie_counts_for_reading_and_on_pages_of_our_own() {
        let cookie = |value: &str| actix_web::cookie::Cookie::new(SESSION_COOKIE, value.to_owned());
        assert_eq!(ask(|request, good, _| request.uri("/who").cookie(cookie(good))).await.0, StatusCode::OK);
        let post = |request: TestRequest, good: &str| {
            request.uri("/who").method(actix_web::http::Method::POST).cookie(cookie(good))
        };
        assert_eq!(ask(|request, good, _| post(request, good)).await.0, StatusCode::UNAUTHORIZED);
        let own = ask(|request, good, _| post(request, good).insert_header(("own-page", "yes")));
        assert_eq!(own.await.0, StatusCode::OK);
        assert_eq!(ask(|request, _, _| request.uri("/open").cookie(cookie("old"))).await.0, StatusCode::OK);
        assert_eq!(ask(|request, _, bad| request.uri("/open").cookie(cookie(bad))).await.0, StatusCode::OK);
        let unknown = ask(|request, _, bad| request.uri("/who").cookie(cookie(bad))).await;
        assert_eq!(unknown.0, StatusCode::UNAUTHORIZED);
    }
}
