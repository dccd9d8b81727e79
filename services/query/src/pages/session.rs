//! Signing in to the pages: the token goes into a cookie that no script can read and no other site can send. It counts for
//! reading alone.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Deserialize;
use trialseal_access::Token;
use trialseal_access::http::{Holders, SESSION_COOKIE};
use trialseal_runtime::problem::{Problem, ProblemKind};

/// How long a browser keeps the token: a working day.
const SESSION_HOURS: i64 = 8;

#[derive(Deserialize)]
pub(crate) struct SignIn {
    token: String,
}

#[post("/sign-in")]
pub(crate) async fn sign_in(
    request: HttpRequest,
    holders: Data<dyn Holders>,
    form: Form<SignIn>,
) -> Result<HttpResponse, Problem> {
    same_site(&request)?;
    let Ok(token) = Token::parse(form.token.trim()) else { return Ok(back("/?token=refused")) };
    let unavailable = |_| Problem::new(ProblemKind::Unavailable, "Tokens cannot be looked up right now.");
    if holders.holder(&token.hash()).await.map_err(unavailable)?.is_none() {
        return Ok(back("/?token=refused"));
    }
    let mut response = back("/");
    response
        .add_cookie(&cookie(&request, token.reveal(), SESSION_HOURS))
        .map_err(|error| Problem::internal(&error))?;
    Ok(response)
}

#[post("/sign-out")]
pub(crate) async fn sign_out(request: HttpRequest) -> Result<HttpResponse, Problem> {
    same_site(&request)?;
    let mut response = back("/");
    response.add_cookie(&cookie(&request, "", 0)).map_err(|error| Problem::internal(&error))?;
    Ok(response)
}

/// Refuses forms that another site's page sends: nobody is to be signed in as somebody else unawares.
fn same_site(request: &HttpRequest) -> Result<(), Problem> {
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Forbidden, "This form was sent from another site."))
}

fn cookie<'a>(request: &HttpRequest, token: &'a str, hours: i64) -> Cookie<'a> {
    Cookie::build(SESSION_COOKIE, token)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(request.connection_info().scheme() == "https")
        .max_age(Duration::hours(hours))
        .finish()
}

fn back(to: &'static str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, to)).finish()
}
