//! `GET /v1/exports/{export}/dataset.zip`

use std::io::{self, Read};

use actix_web::body::SizedStream;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, ETAG, IF_NONE_MATCH};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::stream;
use tokio::sync::mpsc;
use trialseal_access::Principal;
use trialseal_runtime::problem::{Problem, ProblemKind};

use crate::error::ExportError;
use crate::job::store_problem;
use crate::status::Job;
use crate::{ExportState, Exporter, file};

/// Bytes that are decrypted and sent at once, and how many such pieces wait for a slow reader.
const PIECE_BYTES: usize = 64 << 10;
const WAITING_PIECES: usize = 4;

/// The finished dataset. Its `ETag` is its SHA-256 in hex. Check it with `trialseal-verify dataset`.
#[utoipa::path(
    tag = "Exports",
    security(("bearer" = [])),
    params(("export" = Uuid, Path, description = "The export's id")),
    responses(
        (status = 200, description = "The dataset", content_type = "application/zip"),
        (status = 304, description = "The caller has it already"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such export, or its file is not there (yet, or any more)", body = Problem,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/exports/{export}/dataset.zip")]
pub(crate) async fn download(
    exporter: Data<Exporter>,
    principal: Principal,
    export: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let job = exporter.find(&principal, &export).await?;
    let (ExportState::Done, Some(bytes), Some(sha256)) =
        (job.status.state, job.status.bytes, job.status.sha256)
    else {
        return Err(Problem::new(
            ProblemKind::NotFound,
            "This export is not done; its status says how it stands.",
        ));
    };
    let tag = format!("\"{sha256}\"");
    if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    let pieces = pieces(&exporter, &job).await?;
    let name = format!("attachment; filename=\"{}-seal-{}.zip\"", job.status.trial, job.status.seal);
    let body = SizedStream::new(
        bytes,
        stream::unfold(pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) }),
    );
    Ok(HttpResponse::Ok()
        .content_type("application/zip")
        .insert_header((CONTENT_DISPOSITION, name))
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .body(body))
}

/// Decrypts the file piece by piece on a thread of its own, no faster than it is taken.
async fn pieces(exporter: &Exporter, job: &Job) -> Result<mpsc::Receiver<io::Result<Bytes>>, Problem> {
    let gone = || Problem::new(ProblemKind::NotFound, "The file of this export is not there any more.");
    let key = match job.key {
        Some(key) => {
            exporter.parts.vault.key(key).await.map_err(|error| store_problem(&ExportError::Vault(error)))?
        }
        None => None,
    };
    let key = key.ok_or_else(gone)?;
    let (folder, id) = (exporter.parts.folder.clone(), job.status.id);
    let opened = tokio::task::spawn_blocking(move || file::open(&folder, id, &key)).await;
    let mut reader = match opened {
        Ok(Ok(reader)) => reader,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Err(gone()),
        Ok(Err(error)) => return Err(Problem::internal(&error)),
        Err(error) => return Err(Problem::internal(&error)),
    };
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = reader.read(&mut piece).map(|count| {
                piece.truncate(count);
                Bytes::from(piece)
            });
            let last = read.as_ref().map_or(true, Bytes::is_empty);
            if let Err(error) = &read {
                tracing::error!(export = %id, %error, "exporter.file.read");
            } else if last {
                return;
            }
            // The reader of the answer may have left.
            if sender.blocking_send(read).is_err() || last {
                return;
            }
        }
    });
    Ok(receiver)
}
