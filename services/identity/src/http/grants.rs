//! `GET /v1/grants`: who had access at some time, told from the record.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::event::{Event, RoleGranted};
use trialseal_record::ids::StreamKind;
use trialseal_record::text::Text;
use trialseal_record::values::AccessMeans;
use trialseal_record::{ParticipantId, Role, StreamId, TrialId};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::event::Header;
use trialseal_seal::time::Timestamp;
use trialseal_store::body::{self, Body};
use trialseal_store::{EventRow, StoreError};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Identity;
use crate::problems::{forbidden, of_store};

/// Events that are read at once.
const PAGE_EVENTS: u32 = 500;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// A time such as `2026-01-02T15:04:05.000000Z`; left out, now.
    at: Option<String>,
}

impl Asked {
    /// The time that is asked about.
    pub(super) fn time(&self, identity: &Identity) -> Result<Timestamp, Problem> {
        let Some(text) = &self.at else { return Ok(Timestamp::from_micros(identity.parts.clock.now())) };
        text.parse().map_err(|_| {
            Problem::new(ProblemKind::Malformed, "A time is written as 2026-01-02T15:04:05.000000Z.")
        })
    }
}

/// Who had access, by the record.
#[derive(Serialize, ToSchema)]
struct AccessAt {
    /// As of this time.
    at: String,
    /// What had been given by then and not taken back.
    grants: Vec<AccessGranted>,
}

/// A grant, and the event that shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AccessGranted {
    /// The grant's id; that of the token or the account.
    id: Uuid,
    /// When it was recorded.
    since: String,
    /// Place of the event in the trial `_ledger`, for its receipt.
    trialseq: u64,
    /// Who holds it.
    actor: Text,
    /// The role.
    role: Role,
    /// The organisation that its holder acts for.
    organisation: Text,
    /// The system that it sends from.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_system: Option<Text>,
    /// The trials that it reaches; left out, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    trials: Option<Vec<TrialId>>,
    /// The participant who holds it, for that role.
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<ParticipantId>,
    /// How its holder shows who they are.
    means: AccessMeans,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Text>,
}

impl AccessGranted {
    fn of(row: &EventRow, since: Timestamp, granted: RoleGranted) -> Self {
        let RoleGranted { actor, role, organisation, source_system, trials, participant, means, expires } =
            granted;
        let (id, trialseq, since) = (row.stream.uuid(), row.trialseq, since.to_string());
        Self {
            id,
            since,
            trialseq,
            actor,
            role,
            organisation,
            source_system,
            trials,
            participant,
            means,
            expires,
        }
    }
}

/// Who had access at a time: roles that had been given by then, and neither taken back nor ended.
///
/// It is read from the sealed record, not from what counts now. Each entry names the event that shows it, of which
/// `GET /v1/trials/_ledger/events/{trialseq}/receipt` gives the receipt.
#[utoipa::path(
    tag = "Access", security(("bearer" = [])), params(Asked),
    responses(
        (status = 200, description = "Who had access", body = AccessAt),
        (status = 400, description = "The time cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role, or only for whoever reaches all trials", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[get("/v1/grants")]
pub(super) async fn list(
    principal: Principal,
    identity: Data<Identity>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Problem> {
    if !principal.may(Permission::ReadAccess) || principal.trials.is_some() {
        return Err(forbidden(
            "Who has access is shown to administrators, auditors, inspectors, IRBs and monitors of all trials.",
        ));
    }
    let at = asked.time(&identity)?;
    let identity: Arc<Identity> = identity.into_inner();
    let grants = identity.grants_at(at).await.map_err(|error| of_store(&error))?;
    Ok(HttpResponse::Ok().json(AccessAt { at: at.to_string(), grants }))
}

impl Identity {
    /// Folds the grants of the whole record. It takes as long as `_ledger` is: administration, not trials.
    async fn grants_at(&self, at: Timestamp) -> Result<Vec<AccessGranted>, StoreError> {
        let (trial, mut from) = (TrialId::ledger(), 0);
        let mut grants: BTreeMap<StreamId, AccessGranted> = BTreeMap::new();
        loop {
            let rows = self.parts.events.of_trial(&trial, from, PAGE_EVENTS).await?;
            if rows.is_empty() {
                break;
            }
            from += rows.len() as u64;
            for row in rows.iter().filter(|row| row.stream.kind() == StreamKind::Grant) {
                self.fold(&mut grants, row, at).await?;
            }
        }
        let ended = |shown: &AccessGranted| {
            let end = shown.expires.as_ref().and_then(|end| end.as_str().parse::<Timestamp>().ok());
            end.is_some_and(|end| end <= at)
        };
        Ok(grants.into_values().filter(|shown| !ended(shown)).collect())
    }

    async fn fold(
        &self,
        grants: &mut BTreeMap<StreamId, AccessGranted>,
        row: &EventRow,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let header = row.checked_header()?;
        if header.time > at {
            return Ok(());
        }
        match self.event_of_ledger(row, &header).await? {
            Event::RoleGranted(granted) => {
                drop(grants.insert(row.stream, AccessGranted::of(row, header.time, granted)));
            }
            Event::RoleRevoked(_) => drop(grants.remove(&row.stream)),
            _ => {}
        }
        Ok(())
    }

    /// An event of the ledger itself.
    pub(super) async fn event_of_ledger(&self, row: &EventRow, header: &Header) -> Result<Event, StoreError> {
        let damaged = |what: &dyn std::fmt::Display| StoreError::Damaged(what.to_string());
        let opened = body::open(&self.parts.vault, row, header).await.map_err(|error| damaged(&error))?;
        let Body::Readable { opening, data } = opened else {
            return Err(StoreError::Damaged("the ledger's own events cannot be read any more".into()));
        };
        body::check(row, header, &opening, &data)?;
        body::event(header, data).map_err(|error| damaged(&error))
    }
}
