//! `/login` and `/logout`.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{Data, Form, Json};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Deserialize;
use trialseal_access::http::session_token;
use trialseal_runtime::html::{escape, page_of_with_script};
use trialseal_runtime::problem::{Problem, ProblemKind};
use zeroize::Zeroizing;

use super::{NOTICE, SCRIPT, go_to, passkey_data};
use crate::Identity;
use crate::login::Login;
use crate::passkeys::Answered;
use crate::problems::of_store;

#[derive(Deserialize)]
struct Credentials {
    login: String,
    password: Zeroizing<String>,
}

#[get("/login")]
pub(super) async fn page(identity: Data<Identity>) -> HttpResponse {
    identity.login_page(StatusCode::OK, "")
}

#[post("/login")]
pub(super) async fn log_in(
    identity: Data<Identity>,
    request: HttpRequest,
    form: Form<Credentials>,
) -> Result<HttpResponse, Problem> {
    identity.same_origin(&request)?;
    let Credentials { login, password } = form.into_inner();
    match identity.log_in(&login, password, identity.address_of(&request)).await? {
        Login::In(cookie) => {
            let mut response = go_to("/");
            response
                .add_cookie(&identity.cookie(Some(&cookie)))
                .map_err(|error| Problem::internal(&error))?;
            Ok(response)
        }
        Login::Refused => Ok(identity.login_page(StatusCode::UNAUTHORIZED, "Name or password is wrong.")),
        Login::Wait(seconds) => {
            let said = format!("There were too many attempts. Try again in {seconds} seconds.");
            let mut response = identity.login_page(StatusCode::TOO_MANY_REQUESTS, &said);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            Ok(response)
        }
    }
}

/// A nonce for a passkey to answer to, for whichever act.
#[post("/login/challenge")]
pub(super) async fn challenge(
    identity: Data<Identity>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    identity.same_origin(&request)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"nonce": identity.challenge()})))
}

#[post("/login/passkey")]
pub(super) async fn log_in_by_passkey(
    identity: Data<Identity>,
    request: HttpRequest,
    answered: Json<Answered>,
) -> Result<HttpResponse, Problem> {
    identity.same_origin(&request)?;
    match identity.log_in_by_passkey(&answered, identity.address_of(&request)).await? {
        Login::In(cookie) => {
            let mut response = HttpResponse::NoContent().finish();
            response
                .add_cookie(&identity.cookie(Some(&cookie)))
                .map_err(|error| Problem::internal(&error))?;
            Ok(response)
        }
        Login::Refused => Err(wrong_passkey()),
        Login::Wait(seconds) => Err(waits(seconds)),
    }
}

/// What is told of a passkey that shows nobody.
pub(super) fn wrong_passkey() -> Problem {
    let detail = "No account is logged in to by this passkey, or it did not answer in time.";
    Problem::new(ProblemKind::Unauthenticated, detail)
}

pub(super) fn waits(seconds: u32) -> Problem {
    let detail = format!("There were too many attempts. Try again in {seconds} seconds.");
    Problem::new(ProblemKind::TooManyRequests, detail).with_retry_after_seconds(seconds)
}

#[post("/logout")]
pub(super) async fn log_out(identity: Data<Identity>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    identity.same_origin(&request)?;
    if let Some(cookie) = session_token(&request)? {
        let ended = identity.parts.accounts.end_session(&cookie.hash()).await;
        ended.map_err(|error| of_store(&error))?;
    }
    let mut response = go_to("/");
    response.add_cookie(&identity.cookie(None)).map_err(|error| Problem::internal(&error))?;
    Ok(response)
}

impl Identity {
    /// The form, and above it what was wrong with what was sent before.
    pub(crate) fn login_page(&self, status: StatusCode, said: &str) -> HttpResponse {
        let said = if said.is_empty() {
            String::new()
        } else {
            format!("<p class=\"state warn\" role=\"alert\">{}</p>", escape(said))
        };
        let by_provider = self.parts.provider.is_some() && self.parts.address.is_some();
        let provider = if by_provider {
            "<p><a href=\"/login/provider\">Log in with your organisation's account</a></p>"
        } else {
            ""
        };
        let main = format!(
            "<h1>Log in</h1>{said}<form class=\"form\" method=\"post\" action=\"/login\">\
             <label for=\"login\">Name</label>\
             <input id=\"login\" name=\"login\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required>\
             <label for=\"password\">Password</label>\
             <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\
             <button>Log in</button></form>\
             <form id=\"log-in\" {}><button>Log in with a passkey</button></form>{NOTICE}{provider}\
             <p>Accounts are made by an administrator, who gives you a link to choose a password or a passkey by.</p>",
            passkey_data(self)
        );
        page_of_with_script(status, ("Log in", self.parts.events.origin(), &main), SCRIPT)
    }
}
