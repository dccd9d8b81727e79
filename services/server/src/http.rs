//! The HTTP server: one app for all roles that answer over HTTP, its description, its health, and who may ask.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer, get};
use anyhow::{Context, Result};
use serde::Serialize;
use trialseal_access::Principal;
use trialseal_access::http::{authenticate, holders, limits};
use trialseal_exporter::Exporter;
use trialseal_identity::{Identity, StoredHolders};
use trialseal_ingest::Ingest;
use trialseal_projector::Projector;
use trialseal_query::{ApiDescription, PAGES, Query};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::http::{
    Methods, configure, head_as_get, only_problems, security_headers, strict_transport_security,
};
use trialseal_runtime::ids::Ids;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_runtime::request_log::RequestLog;
use trialseal_runtime::settings::Settings;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_runtime::telemetry;
use trialseal_runtime::tls::Certificate;
use trialseal_store::Store;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::limits::Doorkeeper;

/// Where the API is described for machines.
const DESCRIPTION: &str = "/openapi.json";

/// What answers over HTTP.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) projector: Arc<Projector>,
    pub(crate) ingest: Data<Ingest>,
    pub(crate) query: Data<Query>,
    pub(crate) exporter: Data<Exporter>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
}

/// Where the service is called, and what it shows to whoever calls.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    /// Without one, plain HTTP is spoken.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

impl Door {
    /// Binds the port.
    pub(crate) fn open(settings: &Settings) -> Result<Self> {
        let certificate = settings.tls.as_ref().map(Certificate::open).transpose()?;
        let listener = TcpListener::bind(settings.listen)
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        Ok(Self { listener, certificate })
    }
}

/// The server of all roles; serving begins with [`run`].
pub(crate) fn server(settings: &Settings, door: Door, services: Services) -> Result<Server> {
    let (body_bytes, by_tls) = (settings.body_bytes, settings.is_reached_by_tls());
    let tokens = holders(Arc::new(StoredHolders::new(Arc::clone(&services.identity))));
    let doorkeeper = limits(Arc::new(Doorkeeper::new(settings.requests, Arc::clone(&services.identity))));
    let state =
        Data::new(State { store: services.store.clone(), projector: Arc::clone(&services.projector) });
    let make = move || {
        let (app, description) = App::new()
            .into_utoipa_app()
            .openapi(description())
            .configure(routes)
            .configure(trialseal_ingest::routes)
            .configure(trialseal_query::routes)
            .configure(trialseal_exporter::routes)
            .configure(trialseal_identity::routes)
            .split_for_parts();
        app.configure(|app| configure(app, body_bytes))
            .app_data(tokens.clone())
            .app_data(doorkeeper.clone())
            .app_data(state.clone())
            .app_data(services.ingest.clone())
            .app_data(services.query.clone())
            .app_data(services.exporter.clone())
            .app_data(Data::from(Arc::clone(&services.identity)))
            .app_data(Data::new(
                Methods::of(&description)
                    .and(PAGES)
                    .and(trialseal_identity::PAGES)
                    .and(&[(DESCRIPTION, "GET")]),
            ))
            .app_data(Data::new(ApiDescription(serde_json::to_value(&description).unwrap_or_default())))
            .wrap(from_fn(authenticate))
            .wrap(from_fn(only_problems))
            .wrap(from_fn(head_as_get))
            .wrap(security_headers())
            .wrap(strict_transport_security(by_tls))
            .wrap(RequestLog::new(Arc::clone(&services.clock), Arc::clone(&services.ids)))
    };
    let server = HttpServer::new(make).disable_signals().shutdown_timeout(settings.shutdown.as_secs());
    let server = match &door.certificate {
        None => server.listen(door.listener),
        Some(certificate) => server.listen_rustls_0_23(door.listener, certificate.config()?),
    };
    Ok(server.with_context(|| format!("cannot listen on {}", settings.listen))?.run())
}

/// Serves until asked to stop, then lets requests under way end.
pub(crate) async fn run(server: Server, shutdown: Shutdown) -> Result<()> {
    let handle = server.handle();
    tokio::spawn(async move {
        shutdown.requested().await;
        handle.stop(true).await;
    });
    Ok(server.await?)
}

fn routes(config: &mut ServiceConfig) {
    config.service(healthz).service(readyz).service(metrics);
    config.map(|config| config.route(DESCRIPTION, web::get().to(openapi)));
}

fn description() -> OpenApi {
    let info = InfoBuilder::new()
        .title("trialseal")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The audit-trail service for clinical trials: what is submitted becomes immutable events, the record is \
             sealed into a public log, and everything can be checked offline.",
        ))
        .license(Some(utoipa::openapi::License::new("Apache-2.0")))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// What the health routes look at.
struct State {
    store: Arc<dyn Store>,
    projector: Arc<Projector>,
}

/// Whether the process is alive.
#[utoipa::path(tag = "operation", responses((status = 200, description = "Alive.")))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// Whether the service can answer: the database can be read and the read models are being folded.
#[utoipa::path(
    tag = "operation",
    responses(
        (status = 200, description = "Ready.", body = Ready),
        (status = 503, description = "Not ready.", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/readyz")]
async fn readyz(state: Data<State>) -> Result<web::Json<Ready>, Problem> {
    let head = state.store.head().await.map_err(|error| {
        tracing::error!(%error, "server.ready.read");
        Problem::new(ProblemKind::Unavailable, "The database cannot be read.")
    })?;
    let failed = state.projector.status().into_iter().find(|(_, status)| status.error.is_some());
    if let Some((model, _)) = failed {
        return Err(Problem::new(
            ProblemKind::Unavailable,
            format!("The read model {model} is not being folded."),
        ));
    }
    Ok(web::Json(Ready { events: head.position, sealed: head.sealed }))
}

/// How far the record has come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Ready {
    /// Events recorded.
    events: u64,
    /// Events that a seal covers.
    sealed: u64,
}

/// Figures for Prometheus.
#[utoipa::path(
    tag = "operation", security(("bearer" = [])),
    responses(
        (status = 200, description = "Figures in the Prometheus text format.", content_type = "text/plain"),
        (status = 401, description = "No valid token.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role.", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/metrics")]
async fn metrics(principal: Principal) -> Result<HttpResponse, Problem> {
    if !principal.may(trialseal_access::Permission::Metrics) {
        return Err(Problem::new(ProblemKind::Forbidden, "Your role does not read the service's figures."));
    }
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(telemetry::metrics_text()))
}

async fn openapi(description: Data<ApiDescription>) -> HttpResponse {
    HttpResponse::Ok().json(&description.0)
}
