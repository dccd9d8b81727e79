//! `/invitation/{secret}`: the one-time link by which somebody chooses a password.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Deserialize;
use trialseal_runtime::html::{escape, page_of};
use trialseal_runtime::problem::Problem;
use zeroize::Zeroizing;

use super::go_to;
use crate::Identity;
use crate::password::check_strength;

#[derive(Deserialize)]
struct Chosen {
    password: Zeroizing<String>,
    again: Zeroizing<String>,
}

#[get("/invitation/{secret}")]
pub(super) async fn page(identity: Data<Identity>, secret: Path<String>) -> Result<HttpResponse, Problem> {
    Ok(match identity.invited(&secret).await? {
        Some((account, _)) => form(&identity, account.login.as_deref().unwrap_or_default(), ""),
        None => over(&identity),
    })
}

#[post("/invitation/{secret}")]
pub(super) async fn take_up(
    identity: Data<Identity>,
    request: HttpRequest,
    secret: Path<String>,
    chosen: Form<Chosen>,
) -> Result<HttpResponse, Problem> {
    identity.same_origin(&request)?;
    let Some(invited) = identity.invited(&secret).await? else { return Ok(over(&identity)) };
    let login = invited.0.login.clone().unwrap_or_default();
    let Chosen { password, again } = chosen.into_inner();
    if password != again {
        return Ok(form(&identity, &login, "The two passwords differ."));
    }
    if let Err(weak) = check_strength(&password) {
        return Ok(form(&identity, &login, &weak.to_string()));
    }
    if identity.choose_password(invited, password).await? {
        return Ok(go_to("/login"));
    }
    Ok(over(&identity))
}

/// The address is not repeated: the form goes back to where it came from.
fn form(identity: &Identity, login: &str, said: &str) -> HttpResponse {
    let (status, said) = if said.is_empty() {
        (StatusCode::OK, String::new())
    } else {
        let said = format!("<p class=\"state warn\" role=\"alert\">{}</p>", escape(said));
        (StatusCode::UNPROCESSABLE_ENTITY, said)
    };
    let main = format!(
        "<h1>Choose a password</h1>{said}<p>For the account <strong>{}</strong>. At least 12 characters; a few words \
         do well. This link works once.</p><form class=\"form\" method=\"post\">\
         <input type=\"hidden\" autocomplete=\"username\" value=\"{0}\">\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"new-password\" minlength=\"12\" required>\
         <label for=\"again\">Once more</label>\
         <input id=\"again\" name=\"again\" type=\"password\" autocomplete=\"new-password\" minlength=\"12\" required>\
         <button>Set password</button></form>",
        escape(login)
    );
    page_of(status, "Choose a password", identity.parts.events.origin(), &main)
}

fn over(identity: &Identity) -> HttpResponse {
    let main = "<h1>This link does not work</h1><p class=\"state warn\">It is not known, was used before, or its time is \
                over. Ask an administrator for another one.</p>";
    page_of(StatusCode::NOT_FOUND, "Link", identity.parts.events.origin(), main)
}
