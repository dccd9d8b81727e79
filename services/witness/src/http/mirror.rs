//! `GET <prefix>/mirror/<hex SHA-256 of the origin>/…`: the copy of a log, laid out as C2SP tlog-tiles says, with notes
//! and timestamps.

use std::io::ErrorKind;

use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::tiles::LogPath;

use crate::mirror::Mirrors;

const CHECKPOINT: &str = "checkpoint";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const REPLY: &str = "application/timestamp-reply";
/// Tiles, notes and timestamps never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// The checkpoint is new every second or so, and a list of timestamps grows.
const BRIEFLY: &str = "public, max-age=1";

#[get("/mirror/{origin_sha256}/{path:.*}")]
pub(super) async fn get(
    mirrors: Data<Mirrors>,
    asked: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (origin_sha256, path) = asked.into_inner();
    let folder = mirrors.folder(&origin_sha256).ok_or_else(|| {
        let detail = "This witness keeps no copy of a log whose origin has this SHA-256.";
        Problem::new(ProblemKind::NotFound, detail)
            .with_hint("The hash is that of the origin without a newline.")
    })?;
    let none = || {
        Problem::new(ProblemKind::NotFound, "The copy has nothing at this path.")
            .with_hint("It may not have been copied yet; the checkpoint says how far the copy is.")
    };
    // Only a path that is written anew from what was understood of it reaches the file system.
    let (path, content, cache) = match path.as_str() {
        CHECKPOINT => (CHECKPOINT.to_owned(), TEXT, BRIEFLY),
        path => match path.parse::<LogPath>().map_err(|_| none())? {
            note @ LogPath::Note { .. } => (note.to_string(), TEXT, FOREVER),
            reply @ LogPath::Timestamp { .. } => (reply.to_string(), REPLY, FOREVER),
            list @ LogPath::TimestampSizes { .. } => (list.to_string(), TEXT, BRIEFLY),
            tile @ (LogPath::Tile { .. } | LogPath::Entries { .. }) => (tile.to_string(), BYTES, FOREVER),
        },
    };
    let bytes = tokio::fs::read(folder.join(path)).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => none(),
        _ => Problem::internal(&error),
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(bytes))
}
