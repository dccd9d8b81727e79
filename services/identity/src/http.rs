//! The endpoints, one a file: of the API, and the pages for logging in.

mod access;
mod account;
mod accounts;
mod grants;
mod invitation;
mod login;
mod manage;
mod permissions;
mod provider;
mod tokens;

use actix_web::http::header::LOCATION;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use trialseal_access::{Permission, Principal};
use trialseal_runtime::html::escape;
use trialseal_runtime::problem::Problem;
use trialseal_runtime::request_log::RequestId;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::Identity;
use crate::grants::By;
use crate::problems::forbidden;

/// The pages' addresses, each with its method: they are for people, so the API description does not hold them.
pub const PAGES: &[(&str, &str)] = &[
    ("/login", "GET"),
    ("/login", "POST"),
    ("/passkeys.js", "GET"),
    ("/login/challenge", "POST"),
    ("/login/passkey", "POST"),
    ("/login/provider", "GET"),
    ("/login/callback", "GET"),
    ("/logout", "POST"),
    ("/invitation/{secret}", "GET"),
    ("/invitation/{secret}", "POST"),
    ("/invitation/{secret}/passkey", "POST"),
    ("/account", "GET"),
    ("/account/confirm", "POST"),
    ("/account/confirm-passkey", "POST"),
    ("/account/passkeys", "POST"),
    ("/account/passkeys/end", "POST"),
    ("/access", "GET"),
    ("/access/accounts", "POST"),
    ("/access/tokens", "POST"),
    ("/access/end", "POST"),
];

/// Registers every route. Handlers need `Data<Identity>`, and `Data<dyn Holders>` among the app's data.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(tokens::create)
        .service(tokens::list)
        .service(tokens::revoke)
        .service(accounts::create)
        .service(accounts::list)
        .service(accounts::invite)
        .service(accounts::disable)
        .service(grants::list)
        .service(permissions::list);
    config.map(|config| {
        config
            .service(login::page)
            .service(login::log_in)
            .service(login::log_out)
            .service(login::challenge)
            .service(login::log_in_by_passkey)
            .service(account::script)
            .service(account::page)
            .service(account::confirm)
            .service(account::confirm_by_passkey)
            .service(account::add)
            .service(account::end)
            .service(provider::begin)
            .service(provider::callback)
            .service(invitation::page)
            .service(invitation::take_up)
            .service(invitation::take_up_by_passkey)
            .service(access::page)
            .service(access::new_account)
            .service(access::new_token)
            .service(access::take_back)
    });
}

/// The administrator who asks.
fn administrator(principal: &Principal) -> Result<(), Problem> {
    if principal.may(Permission::ManageAccess) {
        return Ok(());
    }
    Err(forbidden("Your role gives no roles to others."))
}

/// Who asks, for the record.
fn by(principal: &Principal, request: &HttpRequest) -> By {
    By::principal(principal, request.extensions().get::<RequestId>().map(|id| id.0.clone()))
}

/// What a script finds in a form of what a passkey is for.
fn passkey_data(identity: &Identity) -> String {
    let (ledger, party) = (identity.parts.events.origin(), identity.relying_party());
    format!("data-ledger=\"{}\" data-party=\"{}\"", escape(ledger), escape(party))
}

/// Where the script says what became of it.
const NOTICE: &str =
    "<p id=\"notice\" role=\"status\"></p><noscript><p>Passkeys need JavaScript.</p></noscript>";

/// The script of the pages on which passkeys are used.
const SCRIPT: &str = "/passkeys.js";

fn go_to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}
