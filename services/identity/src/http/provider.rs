//! `/login/provider` and `/login/callback`: logging in at the provider, by authorisation code with PKCE (OpenID Connect Core
//! 1.0 section 3.1, RFC 7636, RFC 9700).

use actix_web::cookie::time::Duration;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse, get};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use trialseal_access::http::Refused;
use trialseal_runtime::problem::{Problem, ProblemKind};
use zeroize::Zeroizing;

use super::go_to;
use crate::Identity;
use crate::failures::Failure;
use crate::oidc::{Claims, NotVouched, Provider, Use};

/// The cookie that ties a login to the browser that began it.
const LOGIN_COOKIE: &str = "trialseal_login";
const SECURE_LOGIN_COOKIE: &str = "__Host-trialseal_login";
/// How long a login may take at the provider, minutes.
const LOGIN_MINUTES: i64 = 10;

/// What a login has to give back: `state` against other sites' answers, `nonce` against other logins' tokens, and the
/// verifier that only this browser's code can be exchanged with.
struct Begun {
    state: String,
    nonce: String,
    verifier: String,
}

#[derive(Deserialize)]
struct Answer {
    code: Option<Zeroizing<String>>,
    state: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

#[derive(Deserialize)]
struct Exchanged {
    id_token: Zeroizing<String>,
}

#[get("/login/provider")]
pub(super) async fn begin(identity: Data<Identity>) -> Result<HttpResponse, Problem> {
    let (provider, redirect) = identity.provider_for_browsers()?;
    let found = provider.found().await.map_err(|_| away())?;
    let begun = Begun { state: identity.random(), nonce: identity.random(), verifier: identity.random() };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.verifier.as_bytes()));
    let scope = provider.config.scope();
    let asked = [
        ("response_type", "code"),
        ("client_id", &provider.config.client_id),
        ("redirect_uri", &redirect),
        ("scope", &scope),
        ("state", &begun.state),
        ("nonce", &begun.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let door = &found.discovery.authorization_endpoint;
    let with = if door.contains('?') { '&' } else { '?' };
    let mut response = go_to(&format!("{door}{with}{}", encode(&asked)));
    let value = format!("{}.{}.{}", begun.state, begun.nonce, begun.verifier);
    let cookie = identity.cookie_of(identity.login_cookie(), value, Duration::minutes(LOGIN_MINUTES));
    response.add_cookie(&cookie).map_err(|error| Problem::internal(&error))?;
    Ok(response)
}

#[get("/login/callback")]
pub(super) async fn callback(
    identity: Data<Identity>,
    request: HttpRequest,
    answer: Query<Answer>,
) -> Result<HttpResponse, Problem> {
    let (provider, redirect) = identity.provider_for_browsers()?;
    let begun = request.cookie(identity.login_cookie()).and_then(|cookie| Begun::of(cookie.value()));
    let ended = identity.end_login(provider, &redirect, begun, answer.into_inner()).await;
    let mut response = match ended {
        Ok(cookie) => {
            let mut response = go_to("/");
            response.add_cookie(&identity.cookie(Some(&cookie))).map_err(|e| Problem::internal(&e))?;
            response
        }
        Err(NotVouched::Refused(refused)) => {
            identity.failed(Failure::Provider);
            tracing::warn!(reason = refused.0, "identity.provider.refused");
            identity.login_page(StatusCode::FORBIDDEN, &format!("You are not logged in: {refused}."))
        }
        Err(NotVouched::Unavailable(unavailable)) => {
            tracing::warn!(error = %unavailable, "identity.provider.exchange");
            identity.login_page(StatusCode::SERVICE_UNAVAILABLE, "The provider cannot be reached right now.")
        }
    };
    let over = identity.cookie_of(identity.login_cookie(), String::new(), Duration::ZERO);
    response.add_cookie(&over).map_err(|error| Problem::internal(&error))?;
    Ok(response)
}

impl Begun {
    fn of(cookie: &str) -> Option<Self> {
        let mut parts = cookie.split('.').map(str::to_owned);
        let begun = Self { state: parts.next()?, nonce: parts.next()?, verifier: parts.next()? };
        let whole = parts.next().is_none() && !begun.state.is_empty() && !begun.nonce.is_empty();
        whole.then_some(begun)
    }
}

impl Identity {
    fn login_cookie(&self) -> &'static str {
        if self.is_secure() { SECURE_LOGIN_COOKIE } else { LOGIN_COOKIE }
    }

    /// 32 random bytes in base64url.
    fn random(&self) -> String {
        let mut random = [0; 32];
        self.parts.ids.fill(&mut random);
        URL_SAFE_NO_PAD.encode(random)
    }

    /// The provider, and where it sends browsers back to.
    fn provider_for_browsers(&self) -> Result<(&Provider, String), Problem> {
        let nobody = || Problem::new(ProblemKind::NotFound, "No provider is configured for logging in here.");
        let provider = self.parts.provider.as_ref().ok_or_else(nobody)?;
        let address = self.parts.address.as_ref().ok_or_else(nobody)?;
        Ok((provider, format!("{address}/login/callback")))
    }

    async fn end_login(
        &self,
        provider: &Provider,
        redirect: &str,
        begun: Option<Begun>,
        answer: Answer,
    ) -> Result<trialseal_access::Token, NotVouched> {
        let begun = begun.ok_or(Refused("this browser has begun no login, or not for a while"))?;
        if answer.state.as_deref() != Some(begun.state.as_str()) {
            return Err(Refused("the provider's answer belongs to another login").into());
        }
        // RFC 9207: says which provider answers, where it says so.
        if answer.iss.is_some_and(|issuer| issuer != provider.config.issuer) {
            return Err(Refused("another provider has answered").into());
        }
        let code = answer.code.filter(|_| answer.error.is_none());
        let code = code.ok_or(Refused("the provider has not let you in"))?;
        let claims = provider.exchange(&code, redirect, &begun).await?;
        let account = self.account_for(provider, &claims).await?;
        let cookie = self.begin_session(&account).await;
        metrics::counter!("trialseal_logins_total", "means" => "provider").increment(1);
        cookie.map_err(|problem| trialseal_access::http::Unavailable(problem.to_string()).into())
    }
}

impl Provider {
    /// Exchanges a code for the claims of who has logged in.
    async fn exchange(&self, code: &str, redirect: &str, begun: &Begun) -> Result<Claims, NotVouched> {
        let found = self.found().await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", &begun.verifier),
        ];
        let id = &self.config.client_id;
        // RFC 6749 section 2.3.1: each is encoded as in a form.
        let authorization = self.config.client_secret.as_ref().map(|secret| {
            let pair = Zeroizing::new(format!("{}:{}", escaped(id), escaped(secret)));
            Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        });
        if authorization.is_none() {
            form.push(("client_id", id));
        }
        let form = Zeroizing::new(encode(&form));
        let unavailable = |error| NotVouched::from(trialseal_access::http::Unavailable(error));
        let door = &found.discovery.token_endpoint;
        let (status, body) = self.post(door, authorization, form).await.map_err(unavailable)?;
        match status {
            200 => {}
            500.. => return Err(unavailable(format!("the provider answered with {status}"))),
            _ => return Err(Refused("the provider does not take the code").into()),
        }
        let exchanged: Exchanged =
            serde_json::from_str(&body).map_err(|_| Refused("the provider's answer cannot be read"))?;
        self.claims(&exchanged.id_token, Use::Login { nonce: &begun.nonce }).await
    }
}

fn away() -> Problem {
    Problem::new(ProblemKind::Unavailable, "The provider cannot be reached right now.")
        .with_retry_after_seconds(10)
}

/// Fields as in a form (`application/x-www-form-urlencoded`).
fn encode(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
