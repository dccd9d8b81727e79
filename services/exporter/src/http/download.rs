//! `GET /v1/exports/{export}/dataset.zip`

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, ETAG, IF_NONE_MATCH};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use trialseal_access::http::Reader;
use trialseal_record::values;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::access_log::{Access, Whose};
use trialseal_store::draft::Stamp;
use uuid::Uuid;

use crate::error::ExportError;
use crate::file::{self, Reading};
use crate::job::store_problem;
use crate::recall::Standing;
use crate::status::{Job, Shown};
use crate::{ExportState, Exporter, PIECE_BYTES, WAITING_PIECES};

/// How long a reader may leave a piece before the download ends: others wait for its place.
const PATIENCE: Duration = Duration::from_mins(1);

/// Seconds after which asking again makes sense where all places are taken.
const FULL_SECONDS: u32 = 5;

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
        (status = 503, description = "Too many datasets are being fetched", body = Problem,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/exports/{export}/dataset.zip")]
pub(crate) async fn download(
    exporter: Data<Exporter>,
    reader: Reader,
    export: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let job = exporter.find(&reader.principal, &export).await?;
    let (bytes, sha256) = match (job.status.state, job.status.bytes, job.status.sha256) {
        (ExportState::Done, Some(bytes), Some(sha256)) => (bytes, sha256),
        (ExportState::Removed, ..) => return Err(gone()),
        _ => {
            let detail = "This export is not done; its status says how it stands.";
            return Err(Problem::new(ProblemKind::NotFound, detail));
        }
    };
    let tag = format!("\"{sha256}\"");
    if request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    let place = Arc::clone(&exporter.downloading).try_acquire_owned().map_err(|_| full())?;
    let standing = exporter.recalls.standing(&job.status.trial);
    let reading = open(&exporter, &job).await?;
    exporter.record_taking(&reader, &job).await?;
    let pieces = pieces(reading, job.status.id, place, standing, PATIENCE);
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

impl Exporter {
    /// Has it recorded that somebody takes a dataset away. What they take it for is what the export was asked for, unless they
    /// say otherwise now.
    async fn record_taking(&self, reader: &Reader, job: &Job) -> Result<(), Problem> {
        let Reader { principal, request, purpose } = reader;
        let asked_for = || job.status.purpose.as_deref().and_then(|purpose| purpose.parse().ok());
        let access = Access {
            trial: job.status.trial.clone(),
            reading: values::Reading::Dataset,
            whose: if job.status.shown == Shown::All { Whose::Trial } else { Whose::Consenting },
            events: None,
            export: Some(job.status.id),
            purpose: purpose.clone().or_else(asked_for),
        };
        let stamp =
            Stamp::new(principal.as_actor(), principal.source_system.as_deref(), Some(request.as_str()));
        self.parts.access_log.record(access, &stamp).await.map_err(|error| {
            if !error.is_passing() {
                return Problem::internal(&error);
            }
            tracing::error!(%error, "exporter.access.record");
            let detail = "That this is taken cannot be recorded right now, so it cannot be taken.";
            Problem::new(ProblemKind::Unavailable, detail).with_retry_after_seconds(1)
        })
    }
}

fn gone() -> Problem {
    Problem::new(ProblemKind::NotFound, "The file of this export is not there any more.")
        .with_hint("Export again, under another Idempotency-Key; files are kept for a while only.")
}

fn full() -> Problem {
    Problem::new(ProblemKind::Busy, "As many datasets are being fetched as can be at once.")
        .with_retry_after_seconds(FULL_SECONDS)
}

async fn open(exporter: &Exporter, job: &Job) -> Result<Reading, Problem> {
    let key = match job.key {
        Some(key) => {
            exporter.parts.vault.key(key).await.map_err(|error| store_problem(&ExportError::Vault(error)))?
        }
        None => None,
    };
    let key = key.ok_or_else(gone)?;
    let (folder, id) = (exporter.parts.folder.clone(), job.status.id);
    let opened = tokio::task::spawn_blocking(move || file::open(&folder, id, &key)).await;
    match opened.map_err(|error| Problem::internal(&error))? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
        opened => opened.map_err(|error| Problem::internal(&error)),
    }
}

/// Decrypts the file piece by piece, no faster than it is taken. A thread is busy with it for the length of a piece only,
/// so readers who take their time keep none from others; who takes nothing for `patience` loses the place. A recall ends it,
/// and the key is dropped at once; of what is decrypted by then the reader may get what waits.
fn pieces(
    mut reading: Reading,
    export: Uuid,
    place: OwnedSemaphorePermit,
    mut standing: Standing,
    patience: Duration,
) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    tokio::spawn(async move {
        let _place = place;
        loop {
            let read = tokio::task::spawn_blocking(move || (piece(&mut reading), reading)).await;
            // The process is ending.
            let Ok((piece, rest)) = read else { return };
            reading = rest;
            let is_last = piece.as_ref().map_or(true, Bytes::is_empty);
            if let Err(error) = &piece {
                tracing::error!(%export, %error, "exporter.file.read");
            } else if is_last {
                return;
            }
            // The reader of the answer may have left, or sleep.
            let sent = tokio::select! {
                biased;
                () = standing.recalled() => return,
                sent = tokio::time::timeout(patience, sender.send(piece)) => sent,
            };
            if is_last || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    });
    receiver
}

/// The next piece; an empty one ends the file.
fn piece(reading: &mut Reading) -> io::Result<Bytes> {
    let mut piece = vec![0; PIECE_BYTES];
    let count = reading.read(&mut piece)?;
    piece.truncate(count);
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::sync::Semaphore;
    use trialseal_record::ids::Scope;

    use super::*;
    use crate::file::ExportFile;
    use crate::recall::Recalls;
    use crate::testing::{Ledger, trial};

    const EXPORT: Uuid = Uuid::from_u128(1);
    const BYTES: usize = 1 << 20;

    async fn reading(folder: &std::path::Path) -> Reading {
        let ledger = Ledger::new().await;
        let key = ledger.vault.key_of(&Scope::File(trial("DEMO-1"), EXPORT)).await.unwrap();
        let mut file = ExportFile::create(folder, EXPORT, &key).unwrap();
        file.write_all(&vec![7; BYTES]).unwrap();
        file.finish(folder, EXPORT, 0).unwrap();
        file::open(folder, EXPORT, &key).unwrap()
    }

    #[actix_web::test]
    async fn who_takes_nothing_loses_the_place_and_gets_no_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let (recalls, patience) = (Recalls::default(), Duration::from_millis(20));
        let standing = recalls.standing(&trial("DEMO-1"));
        let mut pieces = pieces(reading(folder.path()).await, EXPORT, place, standing, patience);
        drop(tokio::time::timeout(Duration::from_secs(10), places.acquire()).await.unwrap().unwrap());
        let mut taken = 0;
        while let Some(piece) = pieces.recv().await {
            taken += piece.unwrap().len();
        }
        assert_eq!(taken, WAITING_PIECES * PIECE_BYTES);
    }

    #[actix_web::test]
    async fn who_takes_slowly_gets_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let (recalls, patience) = (Recalls::default(), Duration::from_secs(10));
        let standing = recalls.standing(&trial("DEMO-1"));
        let mut pieces = pieces(reading(folder.path()).await, EXPORT, place, standing, patience);
        let mut taken = 0;
        while let Some(piece) = pieces.recv().await {
            taken += piece.unwrap().len();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(taken, BYTES);
        drop(tokio::time::timeout(Duration::from_secs(10), places.acquire()).await.unwrap().unwrap());
    }

    #[actix_web::test]
    async fn a_recall_ends_what_is_being_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let recalls = Recalls::default();
        let standing = recalls.standing(&trial("DEMO-1"));
        let patience = Duration::from_mins(5);
        let mut pieces = pieces(reading(folder.path()).await, EXPORT, place, standing, patience);
        let first = pieces.recv().await.unwrap().unwrap();
        drop(recalls.recall(&trial("OTHER-1")).await);
        assert_eq!(places.available_permits(), 0);
        drop(recalls.recall(&trial("DEMO-1")).await);
        // The reader goes on taking nothing: the key must not wait for that.
        drop(tokio::time::timeout(Duration::from_secs(10), places.acquire()).await.unwrap().unwrap());
        let mut taken = first.len();
        while let Some(piece) = pieces.recv().await {
            taken += piece.unwrap().len();
        }
        assert!(taken <= (WAITING_PIECES + 1) * PIECE_BYTES, "{taken}");
    }
}
