//! `GET /v1/trials/{trial}/events/{trialseq}/receipt`

use std::collections::HashSet;

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::Deserialize;
use serde_json::Value;
use trialseal_access::http::Reader;
use trialseal_access::{Permission, Principal};
use trialseal_record::values::{Places, Reading};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::data::Disclosure;
use trialseal_seal::event::Header;
use trialseal_store::EventRow;
use utoipa::IntoParams;

use crate::Query;
use crate::entries::{Visible, opens};
use crate::problems::{not_found, require, require_all_events, store};
use crate::reading::Subjects;

/// What to show in the receipt.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Shown {
    /// JSON Pointers of the fields to show, parted by commas; the others stand as hashes. Left out: all fields, for roles
    /// that may read them. Empty: none, and the receipt says nothing of the data.
    fields: Option<String>,
}

/// The receipt of one event: everything that shows, offline and to somebody who trusts nobody, that it is in the record
/// and under a published seal; with the two seals between which it was recorded.
#[utoipa::path(
    tag = "Proofs",
    security(("bearer" = [])),
    params(
        ("trial" = String, Path, description = "The trial's id"),
        ("trialseq" = u64, Path, description = "The event's place in the trial, from 0"),
        Shown,
    ),
    responses(
        (status = 200, description = "A receipt, `trialseal/receipt/v1`", body = Object),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not yet sealed: ask again after `Retry-After` seconds", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "The event has no such field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/events/{trialseq}/receipt")]
pub(crate) async fn get(
    query: Data<Query>,
    reader: Reader,
    path: Path<(String, u64)>,
    shown: Parameters<Shown>,
) -> Result<Json<Value>, Problem> {
    let (trial, trialseq) = path.into_inner();
    let (trial, size) = query.trial(&reader.principal, &trial).await?;
    require(&reader.principal, Permission::ReadRecord)?;
    let none = || not_found(format!("The trial has no event {trialseq}."));
    if trialseq >= size {
        return Err(none());
    }
    let row =
        query.parts.events.of_trial(&trial, trialseq, 1).await.map_err(store)?.pop().ok_or_else(none)?;
    if !reader.principal.may_see(row.stream) {
        require_all_events(&reader.principal)?;
    }
    let header = row.checked_header().map_err(store)?;
    let fields = query.fields(&reader.principal, &row, &header, shown.fields.as_deref()).await?;
    let mut subjects = Subjects::default();
    if fields.as_ref().is_some_and(|fields| fields.shown().next().is_some()) {
        subjects.see_event(row.stream);
    }
    let receipt = query.receipt(&row, header, fields).await?.to_value();
    if let Some(whose) = subjects.whose() {
        let places = Places { first: trialseq, last: Some(trialseq) };
        query.record_reading(&reader, &trial, Reading::Receipt, whose, Some(places)).await?;
    }
    Ok(Json(receipt))
}

impl Query {
    /// The fields to disclose, by what was asked for and what the caller may see.
    async fn fields(
        &self,
        principal: &Principal,
        row: &EventRow,
        header: &Header,
        asked: Option<&str>,
    ) -> Result<Option<Disclosure>, Problem> {
        let asked: Option<HashSet<&str>> = match asked {
            Some("") => return Ok(None),
            Some(pointers) => {
                if !opens(principal, row) {
                    require(principal, Permission::ReadParticipantData)?;
                }
                Some(pointers.split(',').collect())
            }
            None => None,
        };
        let Visible::Data { opening, data } = self.visible(principal, row, header).await? else {
            return Ok(None);
        };
        let is_shown = |pointer: &str| asked.as_ref().is_none_or(|asked| asked.contains(pointer));
        let fields = opening.disclose(&data, is_shown);
        if asked.is_some_and(|asked| asked.len() > fields.shown().count()) {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "One of `fields` is no JSON Pointer of a field of this event.",
            ));
        }
        Ok(Some(fields))
    }
}
