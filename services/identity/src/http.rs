//! The endpoints, one a file: of the API, and the pages for logging in.

mod access;
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
use trialseal_runtime::problem::Problem;
use trialseal_runtime::request_log::RequestId;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::grants::By;
use crate::problems::forbidden;

/// The pages' addresses, each with its method: they are for people, so the API description does not hold them.
pub const PAGES: &[(&str, &str)] = &[
    ("/login", "GET"),
    ("/login", "POST"),
    ("/login/provider", "GET"),
    ("/login/callback", "GET"),
    ("/logout", "POST"),
    ("/invitation/{secret}", "GET"),
    ("/invitation/{secret}", "POST"),
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
            .service(provider::begin)
            .service(provider::callback)
            .service(invitation::page)
            .service(invitation::take_up)
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

fn go_to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}
