//! `/invitation/{secret}`: the one-time link by which somebody chooses a password or a passkey.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Json, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Deserialize;
use trialseal_runtime::html::{escape, page_of, page_of_with_script};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::AccountRow;
use zeroize::Zeroizing;

use super::account::new_passkey_form;
use super::{SCRIPT, go_to};
use crate::Identity;
use crate::passkeys::NewPasskey;
use crate::password::check_strength;

#[derive(Deserialize)]
struct Chosen {
    password: Zeroizing<String>,
    again: Zeroizing<String>,
}

#[get("/invitation/{secret}")]
pub(super) async fn page(identity: Data<Identity>, secret: Path<String>) -> Result<HttpResponse, Problem> {
    Ok(match identity.invited(&secret).await? {
        Some((account, _)) => form(&identity, &account, ""),
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
    let account = invited.0.clone();
    let Chosen { password, again } = chosen.into_inner();
    if password != again {
        return Ok(form(&identity, &account, "The two passwords differ."));
    }
    if let Err(weak) = check_strength(&password) {
        return Ok(form(&identity, &account, &weak.to_string()));
    }
    if identity.choose_password(invited, password).await? {
        return Ok(go_to("/login"));
    }
    Ok(over(&identity))
}

#[post("/invitation/{secret}/passkey")]
pub(super) async fn take_up_by_passkey(
    identity: Data<Identity>,
    request: HttpRequest,
    secret: Path<String>,
    new: Json<NewPasskey>,
) -> Result<HttpResponse, Problem> {
    identity.same_origin(&request)?;
    let gone = || {
        let detail = "This link is not known, was used before, or its time is over. Ask for another one.";
        Problem::new(ProblemKind::NotFound, detail)
    };
    let invited = identity.invited(&secret).await?.ok_or_else(gone)?;
    if identity.choose_passkey(invited, new.into_inner()).await? {
        return Ok(HttpResponse::NoContent().finish());
    }
    Err(gone())
}

/// The address is not repeated: the form goes back to where it came from.
fn form(identity: &Identity, account: &AccountRow, said: &str) -> HttpResponse {
    let login = account.login.as_deref().unwrap_or_default();
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
         <button>Set password</button></form><h2>Or make a passkey</h2><p>A key that your device keeps and uses once you have shown \
         that you are there, by a finger or a PIN. Nobody can guess it, and there is nothing to remember.</p>{}",
        escape(login),
        new_passkey_form(identity, account, "take-up", "")
    );
    page_of_with_script(status, ("Choose a password", identity.parts.events.origin(), &main), SCRIPT)
}

fn over(identity: &Identity) -> HttpResponse {
    let main = "<h1>This link does not work</h1><p class=\"state warn\">It is not known, was used before, or its time is \
                over. Ask an administrator for another one.</p>";
    page_of(StatusCode::NOT_FOUND, "Link", identity.parts.events.origin(), main)
}
