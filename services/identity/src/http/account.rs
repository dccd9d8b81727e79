//! `/account`: what somebody logs in by, and the script of the pages on which passkeys are used.

use std::fmt::Write as _;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Form, Json};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Deserialize;
use trialseal_runtime::html::{self, escape, page_of_with_script};
use trialseal_runtime::problem::Problem;
use trialseal_store::{AccountRow, PasskeyRow};
use zeroize::Zeroizing;

use super::login::{waits, wrong_passkey};
use super::{NOTICE, SCRIPT, go_to, passkey_data};
use crate::Identity;
use crate::forms::LoggedIn;
use crate::grants::time;
use crate::login::Shown;
use crate::passkeys::{Act, Answered, NewPasskey};
use crate::problems::{forbidden, of_store};

#[derive(Deserialize)]
struct Confirmed {
    form: String,
    password: Zeroizing<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmedByPasskey {
    form: String,
    answered: Answered,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    form: String,
    passkey: NewPasskey,
}

#[derive(Deserialize)]
struct Ended {
    form: String,
    credential: String,
}

#[get("/passkeys.js")]
pub(super) async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(include_str!("passkeys.js"))
}

#[get("/account")]
pub(super) async fn page(identity: Data<Identity>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Some(holder) = identity.of_browser(&request).await? else { return Ok(go_to("/login")) };
    identity.account_page(StatusCode::OK, &holder, "").await
}

#[post("/account/confirm")]
pub(super) async fn confirm(
    identity: Data<Identity>,
    request: HttpRequest,
    confirmed: Form<Confirmed>,
) -> Result<HttpResponse, Problem> {
    let Confirmed { form, password } = confirmed.into_inner();
    let holder = identity.sender(&request, &form).await?;
    let name = holder.account.login.as_deref().unwrap_or_default();
    match identity.by_password(name, password, identity.address_of(&request)).await? {
        Shown::Account(account) => {
            identity.confirm(&holder, &account).await?;
            Ok(go_to("/account"))
        }
        Shown::Refused => {
            identity.account_page(StatusCode::UNAUTHORIZED, &holder, "The password is wrong.").await
        }
        Shown::Wait(seconds) => Err(waits(seconds)),
    }
}

#[post("/account/confirm-passkey")]
pub(super) async fn confirm_by_passkey(
    identity: Data<Identity>,
    request: HttpRequest,
    confirmed: Json<ConfirmedByPasskey>,
) -> Result<HttpResponse, Problem> {
    let holder = identity.sender(&request, &confirmed.form).await?;
    let address = identity.address_of(&request);
    match identity.by_passkey(Act::Confirm, &confirmed.answered, address).await? {
        Shown::Account(account) => {
            identity.confirm(&holder, &account).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        Shown::Refused => Err(wrong_passkey()),
        Shown::Wait(seconds) => Err(waits(seconds)),
    }
}

#[post("/account/passkeys")]
pub(super) async fn add(
    identity: Data<Identity>,
    request: HttpRequest,
    added: Json<Added>,
) -> Result<HttpResponse, Problem> {
    let Added { form, passkey } = added.into_inner();
    let holder = identity.sender(&request, &form).await?;
    identity.add_passkey(&holder, passkey).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[post("/account/passkeys/end")]
pub(super) async fn end(
    identity: Data<Identity>,
    request: HttpRequest,
    ended: Form<Ended>,
) -> Result<HttpResponse, Problem> {
    let holder = identity.sender(&request, &ended.form).await?;
    identity.remove_passkey(&holder, &ended.credential).await?;
    Ok(go_to("/account"))
}

impl Identity {
    /// Notes that whoever has logged in has shown once more who they are.
    async fn confirm(&self, holder: &LoggedIn, shown: &AccountRow) -> Result<(), Problem> {
        if shown.id != holder.account.id {
            return Err(forbidden("That is somebody else's."));
        }
        let confirmed =
            self.parts.accounts.confirm_session(&holder.session.hash, self.parts.clock.now()).await;
        confirmed.map_err(|error| of_store(&error))
    }

    /// The page, and above it what was wrong with what was sent before.
    async fn account_page(
        &self,
        status: StatusCode,
        holder: &LoggedIn,
        said: &str,
    ) -> Result<HttpResponse, Problem> {
        let account = &holder.account;
        let passkeys = self.parts.accounts.passkeys_of(account.id).await.map_err(|error| of_store(&error))?;
        let passkeys: Vec<_> = passkeys.into_iter().filter(|passkey| !passkey.ended).collect();
        let mut main = format!(
            "<h1>Your account</h1><p>You act as <code>{}</code>, in the role {}.</p>",
            escape(&account.actor),
            escape(&account.role)
        );
        if !said.is_empty() {
            let _ = write!(main, "<p class=\"state warn\" role=\"alert\">{}</p>", escape(said));
        }
        main.push_str(&match &account.login {
            None => {
                "<p>Your organisation vouches for you: what you log in by is changed there.</p>".to_owned()
            }
            Some(_) => self.means(holder, &passkeys),
        });
        main.push_str(
            "<h2>Log out</h2><form method=\"post\" action=\"/logout\"><button>Log out</button></form>",
        );
        Ok(page_of_with_script(status, ("Your account", self.parts.events.origin(), &main), SCRIPT))
    }

    /// What somebody logs in by, and what changes it: for those who have shown a moment ago who they are.
    fn means(&self, holder: &LoggedIn, passkeys: &[PasskeyRow]) -> String {
        let (account, form) = (&holder.account, holder.form_token.as_str());
        let may_change = self.is_confirmed(holder);
        let mut html = format!("<h2>Passkeys</h2>{}", table(passkeys, may_change.then_some(form)));
        if may_change {
            html.push_str(&new_passkey_form(self, account, "add", form));
            return html + NOTICE_OF_CHANGE;
        }
        html.push_str("<p>To add or remove one, show once more who you are.</p>");
        if account.password.is_some() {
            let _ = write!(
                html,
                "<form class=\"form\" method=\"post\" action=\"/account/confirm\">\
                 <input type=\"hidden\" name=\"form\" value=\"{form}\"><label for=\"password\">Password</label>\
                 <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\
                 <button>Go on</button></form>"
            );
        }
        if !passkeys.is_empty() {
            let data = passkey_data(self);
            let _ = write!(
                html,
                "<form id=\"confirm\" data-form=\"{form}\" {data}><button>Use a passkey</button></form>{NOTICE}"
            );
        }
        html
    }
}

const NOTICE_OF_CHANGE: &str =
    "<p>Each passkey that is added or removed stands in the record, by the hash of its id.</p>";

/// With a form's text each passkey can be removed.
fn table(passkeys: &[PasskeyRow], form: Option<&str>) -> String {
    if passkeys.is_empty() {
        return "<p>There is none. A passkey is a key that your device keeps and uses once you have shown that you are there, by a \
                finger or a PIN: nobody can guess it, and no other site can have you give it away.</p>"
            .to_owned();
    }
    let mut html = String::from(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Since</th>\
         <th scope=\"col\"></th></tr></thead><tbody>",
    );
    for passkey in passkeys {
        let removal = form.map(|form| {
            format!(
                "<form method=\"post\" action=\"/account/passkeys/end\"><input type=\"hidden\" name=\"form\" value=\"{form}\">\
                 <input type=\"hidden\" name=\"credential\" value=\"{}\"><button>Remove</button></form>",
                escape(&passkey.credential)
            )
        });
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&passkey.label),
            html::time(time(passkey.added)),
            removal.unwrap_or_default()
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

/// The form by which a passkey is made; `id` says to the script what it is for.
pub(super) fn new_passkey_form(identity: &Identity, account: &AccountRow, id: &str, form: &str) -> String {
    format!(
        "<form class=\"form\" id=\"{id}\" data-form=\"{form}\" data-user=\"{}\" data-name=\"{}\" {}>\
         <label for=\"label\">What you call the new passkey, such as the name of the device</label>\
         <input id=\"label\" name=\"label\" maxlength=\"50\" required><button>Make a passkey</button></form>\
         <p>Your device asks you twice: to make it, and to try it.</p>{NOTICE}",
        account.id.simple(),
        escape(account.login.as_deref().unwrap_or_default()),
        passkey_data(identity)
    )
}
