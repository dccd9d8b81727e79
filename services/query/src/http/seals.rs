//! `GET /v1/seals`

use actix_web::get;
use actix_web::web::{Data, Json, Query as Parameters};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trialseal_access::{Permission, Principal};
use trialseal_runtime::problem::Problem;
use trialseal_seal::tiles::{note_path, timestamp_path};
use trialseal_store::{TimestampRow, proofs};
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::Query;
use crate::problems::{require, store};

/// Which seals to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The number to go on after: `next` of the answer before. The first seal has number 0.
    #[param(format = "uint64")]
    after: Option<u64>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Seals that the log has signed, in order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SealList {
    seals: Vec<SealEntry>,
    /// Where the list goes on, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// Number of the newest published seal: the one that the log's checkpoint speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    /// Number of the newest signed seal. It is ahead of `newest` where witnesses have yet to agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_signed: Option<u64>,
}

/// A seal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SealEntry {
    /// The seal, `trialseal/seal/v1`.
    #[schema(value_type = Object)]
    seal: Value,
    /// The SHA-256 leaf hash of its entry in the public log, in hex: what `afterseal` of events names.
    leaf: String,
    /// How far it has come.
    state: SealState,
    /// What an authority outside says of the first note with a timestamp that covers it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<SealTimestamp>,
}

/// A timestamp of a note (RFC 3161). Every seal that the note covers existed by then.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SealTimestamp {
    /// The tree size of the note.
    size: u64,
    /// When the authority saw the note.
    time: String,
    /// Where the authority's answer is.
    address: String,
    /// Where the note is.
    note: String,
}

impl SealTimestamp {
    fn of(row: &TimestampRow) -> Self {
        let address = |path: String| format!("/log/{path}");
        Self {
            size: row.size,
            time: row.time.to_string(),
            address: address(timestamp_path(row.size)),
            note: address(note_path(row.size)),
        }
    }
}

/// How far a seal has come.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SealState {
    /// The log has signed a checkpoint that covers it; the publication policy asks for more.
    Signed,
    /// A checkpoint that covers it met the publication policy, and is public.
    Published,
}

/// The seals of the ledger, by number.
#[utoipa::path(
    tag = "Seals and log",
    security(("bearer" = [])),
    params(Page),
    responses(
        (status = 200, body = SealList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/seals")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    page: Parameters<Page>,
) -> Result<Json<SealList>, Problem> {
    require(&principal, Permission::ReadRecord)?;
    let newest = query.newest_published().await?;
    let newest_signed = query.newest_signed().await?.max(newest);
    let from = page.after.map_or(0, |after| after.saturating_add(1));
    let Some(last) = newest_signed.filter(|last| from <= *last) else {
        return Ok(Json(SealList { seals: Vec::new(), next: None, newest, newest_signed }));
    };
    let rows = query.parts.seals.seals(from, limit(page.limit)).await.map_err(store)?;
    let mut seals = Vec::with_capacity(rows.len());
    let mut timestamp: Option<TimestampRow> = None;
    let mut asked = None;
    // A seal that is recorded and not signed yet is not shown.
    for row in rows.iter().filter(|row| row.number <= last) {
        let seal = proofs::read_seal(row).map_err(store)?;
        let published = newest.is_some_and(|newest| row.number <= newest);
        let state = if published { SealState::Published } else { SealState::Signed };
        // The seals of a page share a few timestamps.
        if asked.is_none_or(|until| row.number >= until) {
            timestamp = query.parts.seals.timestamp_from(row.number + 1).await.map_err(store)?;
            asked = Some(timestamp.as_ref().map_or(u64::MAX, |timestamp| timestamp.size));
        }
        let timestamp = timestamp.as_ref().filter(|_| published).map(SealTimestamp::of);
        seals.push(SealEntry { seal: seal.to_value(), leaf: row.leaf.to_string(), state, timestamp });
    }
    let next =
        Some(from + seals.len() as u64).filter(|next| *next <= last).and_then(|next| next.checked_sub(1));
    Ok(Json(SealList { seals, next, newest, newest_signed }))
}
