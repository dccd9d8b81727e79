//! What a process answers while another one is elected: that it is alive, and to everything else, that the same request
//! can be sent again; a proxy then leads it to the one that is elected.

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::{Context, Result};
use trialseal_runtime::http::{head_as_get, security_headers};
use trialseal_runtime::problem::{Problem, ProblemKind};

use crate::http::Door;

/// After how many seconds to ask again: by then a proxy has seen who is ready.
const RETRY_SECONDS: u32 = 1;
/// Answers are short, so that one thread is enough, and a second for those under way.
const WORKERS: usize = 1;
const STOP_SECONDS: u64 = 1;

/// The answers of a process that stands by. Requests are not logged: nearly all are a proxy's look whether it is ready.
#[derive(Debug)]
pub(crate) struct Standby(ServerHandle);

impl Standby {
    /// Begins to answer at a door, which remains open for the one who comes after.
    pub(crate) fn serve(door: &Door) -> Result<Self> {
        let app = || {
            App::new()
                .route("/healthz", web::get().to(async || HttpResponse::Ok().body("ok\n")))
                .default_service(web::to(async || Err::<HttpResponse, _>(standing_by())))
                .wrap(from_fn(head_as_get))
                .wrap(security_headers())
        };
        let server = HttpServer::new(app).disable_signals().workers(WORKERS).shutdown_timeout(STOP_SECONDS);
        let listener = door.listener.try_clone()?;
        let server = match &door.certificate {
            None => server.listen(listener),
            Some(certificate) => server.listen_rustls_0_23(listener, certificate.config()?),
        };
        let server = server.context("cannot listen")?.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self(handle))
    }

    /// Ends the answers; who asks from now on waits for the next to answer at the listener.
    pub(crate) async fn stop(self) {
        self.0.stop(true).await;
    }
}

fn standing_by() -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "This process stands by while another one serves the ledger; send the same request again.",
    )
    .with_retry_after_seconds(RETRY_SECONDS)
}
