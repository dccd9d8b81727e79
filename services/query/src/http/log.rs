//! `GET /log/…`: the public log, as C2SP tlog-tiles lays it out.

use std::io::ErrorKind;

use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use trialseal_runtime::problem::Problem;
use trialseal_seal::tiles::LogPath;

use crate::Query;
use crate::problems::not_found;

const CHECKPOINT: &str = "checkpoint";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const REPLY: &str = "application/timestamp-reply";
/// Tiles, notes and timestamps never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// The checkpoint is new every second or so, and a list of timestamps grows.
const BRIEFLY: &str = "public, max-age=1";

/// The public log: `checkpoint`, `tile/<level>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`, `notes/<N>`, the first note of each
/// tree size that met the publication policy, `timestamps/<N>.tsr`, what an authority says of that note (RFC 3161), and
/// `timestamps/sizes/<K>`, for which tree sizes from K times 65,536 on there is one.
#[utoipa::path(
    tag = "Seals and log",
    params(("path" = String, Path, description = "A path below the log's prefix, as C2SP tlog-tiles writes it")),
    responses(
        (status = 200, description = "The checkpoint or a note", body = String, content_type = "text/plain"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/log/{path:.*}")]
pub(crate) async fn get(query: Data<Query>, path: Path<String>) -> Result<HttpResponse, Problem> {
    let none = || not_found("The log has nothing at this path.");
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
    let bytes = tokio::fs::read(query.parts.log.join(path)).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => none(),
        _ => Problem::internal(&error),
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(bytes))
}
