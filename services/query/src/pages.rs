//! Pages for people, made by the server: no build step, nothing from elsewhere, and no script but where passkeys are used, which cannot do
//! without.

mod api;
mod home;
mod participants;
mod signatures;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, get};

pub use api::ApiDescription;

/// The pages' addresses, each with its method: they are for people, so the API description does not hold them. To add a
/// page: its line here and in `routes`.
pub const PAGES: &[(&str, &str)] = &[
    ("/", "GET"),
    ("/api", "GET"),
    ("/style.css", "GET"),
    ("/sign.js", "GET"),
    ("/trials/{trial}/participants", "GET"),
    ("/trials/{trial}/participants/{id}/signatures", "GET"),
];

/// Registers the pages.
pub(crate) fn routes(config: &mut ServiceConfig) -> &mut ServiceConfig {
    config
        .service(home::get)
        .service(api::get)
        .service(style)
        .service(script)
        .service(participants::list)
        .service(signatures::page)
}

#[get("/style.css")]
async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(include_str!("pages/style.css"))
}

#[get("/sign.js")]
async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(include_str!("pages/sign.js"))
}
