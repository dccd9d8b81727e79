//! The endpoints, one a file.

mod download;
mod export_key;
mod export_status;
mod start_export;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the routes of exports. Handlers need `Data<Exporter>`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(start_export::start_export)
        .service(export_status::export_status)
        .service(download::download)
        .service(export_key::export_key);
}
