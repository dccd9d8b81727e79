//! The HTTP server: C2SP tlog-witness below the prefix, health and figures beside it.

mod add_checkpoint;
mod checkpoint;
mod mirror;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer, get};
use anyhow::{Context as _, Result};
use trialseal_runtime::clock::SystemClock;
use trialseal_runtime::http::{Methods, configure, head_as_get, security_headers};
use trialseal_runtime::ids::SystemIds;
use trialseal_runtime::request_log::RequestLog;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_runtime::telemetry;

use crate::config::Config;
use crate::mirror::Mirrors;
use crate::witness::Witness;

/// The largest body, in bytes: a proof of 63 hashes, and a note with 16 signatures of the largest kind there is, which
/// C2SP signed-note puts at nearly 5 kB.
const BODY_BYTES: usize = 128 << 10;

/// The server, which listens already, and its address; serving begins with [`run`].
pub(crate) fn server(
    config: &Config,
    witness: Witness,
    mirrors: Mirrors,
    grace: Duration,
) -> Result<(Server, SocketAddr)> {
    let listener = TcpListener::bind(config.listen);
    let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let (witness, mirrors, prefix) = (Data::new(witness), Data::new(mirrors), config.prefix.clone());
    let make = move || {
        let below = |path: &str| format!("{prefix}{path}");
        let methods = Methods::default().and(&[
            (&below("/add-checkpoint"), "POST"),
            (&below("/{origin}/checkpoint"), "GET"),
            (&below("/mirror/{origin}/{path:.*}"), "GET"),
            ("/healthz", "GET"),
            ("/metrics", "GET"),
        ]);
        let witnessing =
            web::scope(&prefix).service(add_checkpoint::post).service(checkpoint::get).service(mirror::get);
        // Not `only_problems`: C2SP says in which form a conflict is answered.
        App::new()
            .configure(|app| configure(app, BODY_BYTES))
            .app_data(witness.clone())
            .app_data(mirrors.clone())
            .app_data(Data::new(methods))
            .service(healthz)
            .service(metrics)
            .service(witnessing)
            .wrap(from_fn(head_as_get))
            .wrap(security_headers())
            .wrap(RequestLog::new(Arc::new(SystemClock), Arc::new(SystemIds)))
    };
    let server =
        HttpServer::new(make).disable_signals().shutdown_timeout(grace.as_secs()).listen(listener)?;
    Ok((server.run(), address))
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

/// Whether the process is alive.
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// Figures for Prometheus.
#[get("/metrics")]
async fn metrics() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(telemetry::metrics_text())
}
